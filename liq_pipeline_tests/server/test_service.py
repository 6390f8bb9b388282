"""The service answers what is published, says how old it is, and refuses the rest in words."""

from __future__ import annotations

import io
import json

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from pydantic import TypeAdapter

from liq_pipeline import client
from liq_pipeline.model.timeframes import TIMEFRAMES
from liq_pipeline.published.layout import dataset_path
from liq_pipeline.server import models

ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"
LEVELS = "/liquidations/levels?symbol=BTCUSDT"


def published_levels(good_run, timeframe: str):
    return pq.read_table(
        dataset_path(good_run.published_dir, "liquidation_levels", "BTCUSDT", timeframe), partitioning=None
    )


@pytest.mark.parametrize("timeframe", TIMEFRAMES)
def test_levels_are_the_published_ones(service, good_run, timeframe) -> None:
    found = service.get(f"{LEVELS}&timeframe={timeframe}").json()
    rows = published_levels(good_run, timeframe)

    models.Levels.model_validate(found, strict=True)
    assert (found["symbol"], found["timeframe"]) == ("BTCUSDT", timeframe)
    assert (found["as_of"], found["age_hours"]) == ("2026-06-28T00:00:00Z", 6.0)
    both = found["long_liquidations"] + found["short_liquidations"]
    assert len(both) == rows.num_rows
    assert sum(level["notional_usd"] for level in both) == pytest.approx(sum(rows["notional_usd"].to_pylist()))
    assert all(level["price_high"] <= found["current_price"] for level in found["long_liquidations"])
    assert all(level["price_low"] >= found["current_price"] for level in found["short_liquidations"])
    nearest = [abs(level["price_high"] - found["current_price"]) for level in found["long_liquidations"]]
    assert nearest == sorted(nearest)


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "application/json"),
        ("text/html", "application/json"),
        ("text/csv", "text/csv"),
        ("TEXT/CSV", "text/csv"),
        ("text/*", "text/csv"),
        ("text/csv;q=0, */*", "application/json"),
        (ARROW, ARROW),
        (f"{PARQUET};q=.5, {ARROW};q=.4", PARQUET),
        (f"{PARQUET};q=.4, {ARROW};q=.5, */*;q=.1", ARROW),
        ("text/csv;q=nan", "application/json"),
        (",;q=1,,", "application/json"),
    ],
)
def test_the_format_is_what_accept_likes_best(service, accept, media) -> None:
    found = service.get(LEVELS, headers={"Accept": accept})

    assert found.status_code == 200
    assert found.headers["content-type"].split(";")[0] == media
    assert found.headers["vary"] == "Accept, Accept-Encoding"


def test_a_format_that_is_named_wins_over_accept(service) -> None:
    found = service.get(f"{LEVELS}&format=csv", headers={"Accept": ARROW})

    assert found.headers["content-type"].startswith("text/csv")


def test_an_arrow_stream_holds_the_published_rows(service, good_run) -> None:
    found = pa.ipc.open_stream(service.get(f"{LEVELS}&format=arrow").content).read_all()
    long = pa.ipc.open_stream(service.get(f"{LEVELS}&format=arrow&side=long&min_usd=1e6").content).read_all()

    rows = published_levels(good_run, "7d")
    assert found.equals(rows)
    assert long.to_pylist() == [row for row in rows.to_pylist() if row["side"] == "long" and row["notional_usd"] >= 1e6]


@pytest.mark.parametrize("days", ["1", "7", "30", "90"])
def test_bare_days_mean_the_same(service, days) -> None:
    assert service.get(f"{LEVELS}&timeframe={days}").content == service.get(f"{LEVELS}&timeframe={days}d").content


class TestAnInstantOfThePast:
    AT = "2026-06-25T12:02:00Z"

    def test_it_is_the_map_of_the_newest_bar_by_then(self, service, good_run) -> None:
        found = service.get(f"{LEVELS}&timeframe=7d&at={self.AT}").json()
        frame = client.liquidation_levels("BTCUSDT", "7d", at=self.AT, folder=good_run.published_dir)

        models.Levels.model_validate(found, strict=True)
        assert (found["as_of"], found["is_stale"]) == ("2026-06-25T12:00:00Z", False)
        assert found["age_hours"] == pytest.approx(2 / 60, abs=1e-3)
        assert found["current_price"] == frame["current_price"].iloc[0]
        both = found["long_liquidations"] + found["short_liquidations"]
        assert sum(level["notional_usd"] for level in both) == pytest.approx(frame["notional_usd"].sum(), rel=1e-12)

    def test_formats_and_filters_are_those_of_now(self, service) -> None:
        asked = f"{LEVELS}&timeframe=7d&at={self.AT}&side=short&min_usd=100000"
        as_json = service.get(asked).json()
        rows = pq.read_table(io.BytesIO(service.get(f"{asked}&format=parquet").content))
        csv = pyarrow.csv.read_csv(io.BytesIO(service.get(f"{asked}&format=csv").content))

        assert as_json["long_liquidations"] == []
        assert len(as_json["short_liquidations"]) == rows.num_rows == csv.num_rows > 0
        assert set(rows["side"].to_pylist()) == {"short"}
        assert min(rows["notional_usd"].to_pylist()) >= 100_000

    @pytest.mark.parametrize(
        ("at", "status", "said"),
        [
            ("2026-06-01", 404, "no bar that closed by 2026-06-01"),
            ("yesterday", 422, "at: is not an instant; expected 2026-03-19"),
            ("99999-01-01", 422, "at: is not an instant"),
        ],
    )
    def test_one_that_is_not_there_is_refused_in_words(self, service, at, status, said) -> None:
        answer = service.get(f"{LEVELS}&at={at}")

        assert answer.status_code == status
        assert said in answer.json()["detail"]

    def test_two_instants_have_two_etags(self, service) -> None:
        tags = {service.get(f"{LEVELS}&at={at}").headers["etag"] for at in (self.AT, "2026-06-26", "2026-06-27")}

        assert len(tags) == 3


@pytest.mark.parametrize(
    ("asked", "offered"), [("btcusd", ["BTCUSDT"]), ("BTCUDST", ["BTCUSDT"]), ("QQQ", None), ("XRPUSDT", None)]
)
def test_an_unknown_symbol_is_refused_with_similar_ones(service, asked, offered) -> None:
    answer = service.get(f"/liquidations/levels?symbol={asked}")

    assert answer.status_code == 404
    assert answer.json().get("similar") == offered
    assert f"{asked.upper()} is not published" in answer.json()["detail"]


def test_a_symbol_may_be_written_in_any_case(service) -> None:
    assert service.get("/liquidations/levels?symbol=btcUsdt").content == service.get(LEVELS).content


def test_side_and_min_usd_filter(service, good_run) -> None:
    found = service.get(f"{LEVELS}&side=short&min_usd=250000").json()
    wanted = [
        row
        for row in published_levels(good_run, "7d").to_pylist()
        if row["side"] == "short" and row["notional_usd"] >= 250_000
    ]

    assert found["long_liquidations"] == []
    assert len(found["short_liquidations"]) == len(wanted) > 0


def test_csv_and_parquet_hold_the_same(service, good_run) -> None:
    rows = published_levels(good_run, "7d")
    parquet = service.get(f"{LEVELS}&format=parquet")
    text = service.get(f"{LEVELS}&format=csv")
    some = service.get(f"{LEVELS}&format=parquet&side=long")

    assert pq.read_table(io.BytesIO(parquet.content)).equals(rows)
    assert parquet.headers["content-type"] == "application/vnd.apache.parquet"
    assert pyarrow.csv.read_csv(io.BytesIO(text.content)).num_rows == rows.num_rows
    assert text.headers["content-type"].startswith("text/csv")
    assert set(pq.read_table(io.BytesIO(some.content))["side"].to_pylist()) == {"long"}


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/liquidations/heatmap?symbol=BTCUSDT", models.Heatmap),
        ("/liquidations/heatmap?symbol=BTCUSDT&format=coinglass", models.BotHeatmap),
        ("/liquidations/summary?symbol=BTCUSDT", models.Summary),
        ("/candles?symbol=BTCUSDT&timeframe=1", models.Candles),
        ("/symbols", models.Symbols),
        ("/health", models.Health),
    ],
)
def test_answers_have_the_documented_shape(service, path, model) -> None:
    answer = service.get(path)

    assert answer.status_code == 200
    TypeAdapter(model).validate_json(answer.content)


def test_the_summary_adds_up(service, good_run) -> None:
    found = service.get("/liquidations/summary?symbol=BTCUSDT").json()
    rows = published_levels(good_run, "7d").to_pylist()
    by_bin: dict[float, float] = {}
    for row in rows:
        middle = (row["price_low"] + row["price_high"]) / 2
        by_bin[middle] = by_bin.get(middle, 0.0) + row["notional_usd"]

    long = sum(row["notional_usd"] for row in rows if row["side"] == "long")
    short = sum(row["notional_usd"] for row in rows if row["side"] == "short")
    assert found["long_notional_usd"] == pytest.approx(long)
    assert found["imbalance"] == pytest.approx((long - short) / (long + short))
    assert found["max_pain"]["price"] == max(by_bin, key=by_bin.__getitem__)
    assert len(found["max_pain_definition"]) > 40
    assert all(item["distance_pct"] <= 0 for item in found["nearest_long_clusters"])
    assert all(item["distance_pct"] >= 0 for item in found["nearest_short_clusters"])


@pytest.mark.parametrize(
    ("hours", "stale", "words", "status"),
    [(0, False, "6.0 h old", "ok"), (20, False, "1d leans on old data", "ok"), (50, True, "stale", "degraded")],
)
def test_age_is_told_everywhere(own_service, hours, stale, words, status) -> None:
    service = own_service()
    service.hours = hours
    for path in (LEVELS, "/liquidations/heatmap?symbol=BTCUSDT", "/liquidations/summary?symbol=BTCUSDT"):
        found = service.get(path).json()
        assert found["is_stale"] is stale
        assert words in found["notice"]
        assert found["age_hours"] == 6 + hours
    health = service.get("/health").json()
    assert health["status"] == status
    assert (health["symbols"][0]["warning"] is None) == (hours == 0)


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/liquidations/levels", 422, "symbol"),
        (f"{LEVELS}&timeframe=8d", 422, "timeframe"),
        (f"{LEVELS}&min_usd=nan", 422, "min_usd"),
        (f"{LEVELS}&min_usd=-1", 422, "min_usd"),
        (f"{LEVELS}&side=both", 422, "side"),
        (f"{LEVELS}&format=xml", 422, "format"),
        ("/liquidations/levels?symbol=NOPE", 404, "NOPE is not published"),
        ("/liquidations/levels?symbol=../../etc", 404, "is not published"),
        ("/liquidations/levels?symbol=BTCUSDT%00", 404, "is not published"),
        ("/static/..%2f..%2fpyproject.toml", 404, ""),
        ("/static/page.py", 404, "no such file"),
        ("/nothing", 404, "see /docs"),
        (f"{LEVELS}&x={'y' * 2000}", 414, "longer than"),
        (f"{LEVELS}&min_usd=-1{'0' * (2000 - len('symbol=BTCUSDT&min_usd=-1'))}", 422, "min_usd"),
        (f"{LEVELS}&min_usd=-1{'0' * (2001 - len('symbol=BTCUSDT&min_usd=-1'))}", 414, "longer than 2000 bytes"),
    ],
)
def test_what_cannot_be_answered_is_refused_as_a_problem(service, path, status, says) -> None:
    answer = service.get(path)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = models.Problem.model_validate(answer.json())
    assert problem.status == status
    assert says in problem.detail


def test_the_openapi_document_has_examples(service) -> None:
    document = service.get("/openapi.json").json()

    assert set(document["paths"]) == {
        "/liquidations/levels", "/liquidations/heatmap", "/liquidations/summary", "/liquidations/if-reached",
        "/candles", "/symbols", "/health",
        "/metrics", "/index.json", "/files/{path}",
    }  # fmt: skip
    assert json.dumps(document).count('"example') >= 3

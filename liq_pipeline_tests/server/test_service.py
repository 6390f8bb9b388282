"""The service answers what is published, says how old it is, and refuses the rest in words."""

from __future__ import annotations

import io
import json
import logging

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from pydantic import TypeAdapter

from liq_pipeline import client
from liq_pipeline.model.timeframes import TIMEFRAMES
from liq_pipeline.published.layout import dataset_path
from liq_pipeline.published.publish import Publisher
from liq_pipeline.server import models

LEVELS = "/liquidations/levels?symbol=BTCUSDT"


def published(good_run, timeframe: str):
    return pq.read_table(
        dataset_path(good_run.published_dir, "liquidation_levels", "BTCUSDT", timeframe), partitioning=None
    )


@pytest.mark.parametrize("timeframe", TIMEFRAMES)
def test_levels_are_the_published_ones(service, good_run, timeframe) -> None:
    found = service.get(f"{LEVELS}&timeframe={timeframe}").json()
    rows = published(good_run, timeframe)

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


ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"


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

    rows = published(good_run, "7d")
    assert found.equals(rows)
    assert long.to_pylist() == [row for row in rows.to_pylist() if row["side"] == "long" and row["notional_usd"] >= 1e6]


def test_two_formats_have_two_etags(service) -> None:
    tags = {service.get(LEVELS, headers={"Accept": accept}).headers["etag"] for accept in ("text/csv", ARROW, PARQUET)}

    assert len(tags) == 3


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


@pytest.mark.parametrize(("asked", "offered"), [("btcusd", ["BTCUSDT"]), ("BTCUDST", ["BTCUSDT"]), ("QQQ", None)])
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
        for row in published(good_run, "7d").to_pylist()
        if row["side"] == "short" and row["notional_usd"] >= 250_000
    ]

    assert found["long_liquidations"] == []
    assert len(found["short_liquidations"]) == len(wanted) > 0


def test_csv_and_parquet_hold_the_same(service, good_run) -> None:
    rows = published(good_run, "7d")
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
    rows = published(good_run, "7d").to_pylist()
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


def test_an_unchanged_answer_is_not_sent_again(own_service) -> None:
    service = own_service()
    for path in (LEVELS, "/liquidations/heatmap?symbol=BTCUSDT", "/candles?symbol=BTCUSDT", "/", "/static/page.js"):
        first = service.get(path)
        again = service.get(path, headers={"If-None-Match": first.headers["etag"]})
        assert (first.status_code, again.status_code, again.content) == (200, 304, b"")
        assert again.headers["etag"] == first.headers["etag"]
    old = service.get(LEVELS).headers["etag"]
    service.hours = 1
    assert service.get(LEVELS, headers={"If-None-Match": old}).status_code == 200


def test_large_answers_are_compressed_if_the_client_can(service) -> None:
    plain = service.get(LEVELS, headers={"Accept-Encoding": "identity"})
    packed = service.get(LEVELS, headers={"Accept-Encoding": "gzip"})

    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(plain.content) / 2
    assert packed.content == plain.content


def test_the_old_address_leads_to_the_page(service) -> None:
    moved = service.get("/frontend/liquidation_map.html?timeframe=30")

    assert moved.status_code == 308
    assert moved.headers["location"] == "/?timeframe=30d&view=map"
    assert service.get("/frontend/liquidation_map.html?timeframe=%0d%0aX:1&symbol=%0d%0aY:2").status_code == 308


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
        ("/nothing", 404, ""),
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


def test_bodies_and_other_methods_are_refused(service) -> None:
    import requests

    assert requests.post(service.url + "/symbols", data=b"x" * 20_000, timeout=5).status_code == 413
    assert requests.post(service.url + "/symbols", timeout=5).status_code == 405
    assert requests.delete(service.url + LEVELS, timeout=5).headers["content-type"] == "application/problem+json"


def test_too_many_requests_wait(own_service) -> None:
    service = own_service(rate="5/minute")
    answers = [service.get("/symbols") for _ in range(6)]

    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60


def test_a_token_guards_the_data_but_not_the_page(own_service) -> None:
    service = own_service(token="secret")

    assert service.get("/").status_code == 200
    assert service.get("/health").status_code == 200
    for path in (LEVELS, "/symbols", "/metrics", "/liquidations/heatmap?symbol=BTCUSDT"):
        assert service.get(path).status_code == 401
        assert service.get(path, headers={"Authorization": "Bearer wrong"}).status_code == 401
        assert service.get(path, headers={"Authorization": "Bearer secret"}).status_code == 200


def test_other_origins_read_only_if_they_are_named(own_service, service) -> None:
    asked = {"Origin": "https://example.org"}
    allowed = own_service(origins=("https://example.org",))

    assert "access-control-allow-origin" not in service.get(LEVELS, headers=asked).headers
    assert allowed.get(LEVELS, headers=asked).headers["access-control-allow-origin"] == "https://example.org"
    other = allowed.get(LEVELS, headers={"Origin": "https://other.example"})
    assert "access-control-allow-origin" not in other.headers


def test_nothing_published_is_down_and_comes_up_without_a_restart(own_service, good_run, tmp_path) -> None:
    import shutil

    service = own_service(folder=tmp_path / "published")
    down = service.get("/health")
    assert (down.status_code, down.json()["status"]) == (503, "down")
    assert service.get(LEVELS).status_code == 404
    assert service.get("/symbols").json() == {"symbols": []}

    shutil.copytree(good_run.published_dir, tmp_path / "published")
    assert service.get("/health").json()["status"] == "ok"
    assert service.get(LEVELS).status_code == 200


def test_metrics_and_health_count_requests(own_service) -> None:
    service = own_service()
    for _ in range(3):
        service.get(f"{LEVELS}&timeframe=1d")
    service.get(f"{LEVELS}&timeframe=nonsense")

    text = service.get("/metrics").text
    assert 'liq_requests_total{endpoint="/liquidations/levels",status="200",timeframe="1d"} 3.0' in text
    assert 'liq_data_age_hours{symbol="BTCUSDT"} 6.0' in text
    assert "nonsense" not in text
    (seen,) = [
        row for row in service.get("/health").json()["requests"]
        if (row["endpoint"], row["timeframe"]) == ("/liquidations/levels", "1d")
    ]  # fmt: skip
    assert seen["requests"] == 3
    assert seen["error_rate"] == seen["empty_rate"] == 0
    assert 0 < seen["p50_ms"] <= seen["p95_ms"] <= seen["p99_ms"]


def test_metrics_tell_the_exposure_of_each_symbol(service, good_run) -> None:
    text = service.get("/metrics").text
    newest = client.liquidation_features("BTCUSDT", folder=good_run.published_dir).iloc[-1]
    levels = client.liquidation_levels("BTCUSDT", "7d", folder=good_run.published_dir)

    for side in ("long", "short"):
        for within, expected in (
            ("1pct", newest[f"{side}_usd_within_1_pct"]),
            ("7d", levels.loc[levels["side"] == side, "notional_usd"].sum()),
        ):
            line = f'liq_estimated_exposure_usd{{side="{side}",symbol="BTCUSDT",within="{within}"}} '
            (found,) = [text for text in text.splitlines() if text.startswith(line)]
            assert float(found.removeprefix(line)) == pytest.approx(expected, rel=1e-6)


def test_slowness_and_errors_are_logged(caplog) -> None:
    from liq_pipeline.server.metrics import ServiceMetrics

    watch = ServiceMetrics()
    with caplog.at_level(logging.WARNING, "liq.serve"):
        watch.count("/x", "1d", 200, 2.5, False)
        watch.count("/x", "1d", 500, 0.1, False)

    assert "p95 2.50 s" in caplog.text
    assert "/x 1d answered 500" in caplog.text


def test_a_torn_pair_is_never_served(own_service, published) -> None:
    path = dataset_path(published, "liquidation_levels", "BTCUSDT", "7d")
    service = own_service(folder=published)
    before = service.get(LEVELS).content
    path.write_bytes(path.read_bytes() + b"x")  # a publisher died between the file and its manifest
    assert service.get(LEVELS).content == before  # the last good one

    fresh = own_service(folder=published)
    answer = fresh.get(LEVELS)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


def test_the_service_opens_nothing_outside_published(service, monkeypatch) -> None:
    import builtins

    opened = []
    real = builtins.open
    monkeypatch.setattr(
        builtins, "open", lambda file, *rest, **more: opened.append(str(file)) or real(file, *rest, **more)
    )
    for symbol in ("../../warehouse", "/etc/passwd", "BTCUSDT/../..", "%2e%2e%2f", "symbol=BTCUSDT", ".", "*"):
        assert service.get("/liquidations/levels", params={"symbol": symbol}).status_code == 404
    assert not [file for file in opened if "passwd" in file or "warehouse" in file]


def test_the_openapi_document_has_examples(service) -> None:
    document = service.get("/openapi.json").json()

    assert set(document["paths"]) == {
        "/liquidations/levels", "/liquidations/heatmap", "/liquidations/summary", "/liquidations/if-reached",
        "/candles", "/symbols", "/health",
        "/metrics", "/index.json", "/files/{path}",
    }  # fmt: skip
    assert json.dumps(document).count('"example') >= 3


class TestSymbolsThatAreNotRefreshed:
    @pytest.mark.parametrize(
        ("refreshed", "status"), [(("ETHUSDT",), "ok"), (("BTCUSDT",), "degraded"), (None, "degraded")]
    )
    def test_their_age_does_not_degrade_health_and_is_said(self, refreshed, status, own_service) -> None:
        service = own_service(refreshed=lambda published: refreshed)
        service.hours = 72

        health = service.get("/health").json()

        (symbol,) = health["symbols"]
        assert health["status"] == status
        assert symbol["is_stale"]
        assert symbol["is_refreshed"] is (status == "degraded")
        assert ("no longer refreshed: not in LIQ_SYMBOLS, or not traded" in symbol["warning"]) is (status == "ok")

    def test_what_is_withdrawn_is_gone_from_every_answer(self, published, own_service) -> None:
        service = own_service(published)
        query = "symbol=BTCUSDT&timeframe=7d"
        before = service.get(f"/liquidations/levels?{query}"), service.get("/metrics")
        Publisher(folder=str(published)).withdraw("BTCUSDT")
        after = service.get(f"/liquidations/levels?{query}"), service.get("/metrics"), service.get("/symbols")

        assert (before[0].status_code, after[0].status_code) == (200, 404)
        assert 'symbol="BTCUSDT"' in before[1].text
        assert 'symbol="BTCUSDT"' not in after[1].text
        assert after[2].json() == {"symbols": []}


def raw(service, request: bytes) -> bytes:
    """Return all that is answered to bytes on a connection of their own."""
    import socket

    got = b""
    with socket.create_connection(("127.0.0.1", int(service.url.rsplit(":", 1)[1])), 5) as connection:
        connection.sendall(request)
        while piece := connection.recv(1 << 20):
            got += piece
    return got


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["GET /symbols HTTP/1.1"], 400),
        (["GET /symbols HTTP/1.1", "Host: a", "Host: b"], 400),
        (["GET /symbols HTTP/1.1", "Host: a b"], 400),
        (["GET /symbols HTTP/1.1", "Host: http://a/"], 400),
        (["GET /symbols HTTP/1.1", "Host: user@a"], 400),
        (["GET /symbols HTTP/1.0"], 200),
        (["GET /symbols HTTP/1.1", "Host: [::1]:8000"], 200),
        (["GET /symbols HTTP/1.1", "Host: x", "Content-Length: " + "0" * 5000], 200),
        (["GET /symbols HTTP/1.1", "Host: x", "Content-Length: 20000"], 413),
        (["GET /symbols HTTP/1.1", "Host: x", "Content-Length: " + "9" * 18], 413),
        (["GET /symbols HTTP/1.1", "Host: x", "Content-Length: " + "9" * 5000], 400),
        (["GET /symbols HTTP/1.1", "Host: x", "Content-Length: -1"], 400),
        (["GET /symbols HTTP/1.1", "Host: x", "Content-Length: 1", "Content-Length: 2"], 400),
        (["GET /symbols HTTP/1.1", "Host: x", "Upgrade: websocket"], 200),
        (["TRACE /symbols HTTP/1.1", "Host: x"], 405),
        (["FOO /symbols HTTP/1.1", "Host: x"], 400),
        (["GET /symbols HTTP/9.9", "Host: x"], 400),
    ],
)
def test_requests_are_read_as_http_has_it(service, lines, status) -> None:
    answer = raw(service, "\r\n".join([*lines, "Connection: upgrade, close", "", ""]).encode())
    head = answer.partition(b"\r\n\r\n")[0]

    assert int(head[9:12]) == status
    if status >= 400:
        assert b"application/problem+json" in head


@pytest.mark.parametrize("path", ["/symbols/", "/health/", "/liquidations/levels/?symbol=BTCUSDT", "//other.example/"])
def test_no_answer_sends_anybody_elsewhere(service, path) -> None:
    answer = service.get(path, headers={"Host": "other.example"})

    assert answer.status_code == 404
    assert "location" not in answer.headers
    moved = service.get("/frontend/liquidation_map.html", headers={"Host": "other.example"})
    assert moved.headers["location"].startswith("/?")


@pytest.mark.parametrize(
    "path", ["/", "/symbols", "/health", "/metrics", LEVELS, "/static/page.js", "/nothing", LEVELS + "&side=x"]
)
def test_head_answers_like_get_without_the_body(service, path) -> None:
    import requests

    whole = service.get(path)
    head = requests.head(service.url + path, timeout=5)

    assert head.status_code == whole.status_code
    assert head.content == b""
    for name in ("content-type", "etag", "cache-control"):
        assert head.headers.get(name) == whole.headers.get(name)
    if path not in ("/health", "/metrics"):  # they count requests
        assert head.headers["content-length"] == whole.headers["content-length"]


def test_a_method_that_is_not_there_names_those_that_are(service) -> None:
    import requests

    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "POST"):
        answer = requests.request(method, service.url + LEVELS, timeout=5)
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    ("accepts", "is_packed"),
    [
        ("gzip", True), ("GZIP", True), ("gzip;q=0.5", True), ("deflate, gzip;q=1.0, *;q=0.5", True), ("*", True),
        ("x-gzip", True), ("br, *;q=0.1", True), ("identity;q=0.5, gzip;q=0.8", True), ("identity;q=0, gzip", True),
        ("gzip;q=0", False), ("gzip; q=0.000", False), ("*;q=0", False), ("gzip;q=0, *", False), ("gzip;q=x", False),
        ("", False), ("br", False), ("gzipped", False), ("identity, gzip;q=0.5", False), ("gzip;q=-1", False),
    ],
)  # fmt: skip
def test_answers_are_compressed_only_for_who_wants_it(service, accepts, is_packed) -> None:
    answer = service.get(LEVELS, headers={"Accept-Encoding": accepts})

    assert ("content-encoding" in answer.headers) is is_packed
    assert answer.headers["vary"] == "Accept, Accept-Encoding"
    assert answer.json()["symbol"] == "BTCUSDT"


@pytest.mark.parametrize("token", ["secret", "gehe\u00efm", b"raw\xff\xfe".decode(errors="surrogateescape")])
def test_a_token_may_hold_any_bytes(own_service, token) -> None:
    service = own_service(token=token)
    bearer = b"Authorization: Bearer " + token.encode(errors="surrogateescape")
    ask = b"GET /symbols HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"

    assert raw(service, ask + bearer + b"\r\n\r\n").startswith(b"HTTP/1.1 200")
    for wrong in (b"", b"Authorization: Bearer \xff\r\n", bearer + b"x\r\n", b"Authorization: \xfe\r\n"):
        assert raw(service, ask + wrong + b"\r\n").startswith(b"HTTP/1.1 401")


def test_a_page_that_changed_has_another_tag_even_if_it_is_as_long(own_service, monkeypatch) -> None:
    from liq_pipeline.server import pages

    before = own_service().get("/").headers["etag"]
    plain = pages.service_html()
    monkeypatch.setattr(pages, "service_html", lambda: plain.replace(b"Loading", b"Leading"))

    assert own_service().get("/").headers["etag"] != before

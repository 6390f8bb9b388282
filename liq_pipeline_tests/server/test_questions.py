"""Every parameter of a question is answered to, or refused: none is passed over in silence."""

from __future__ import annotations

import io
from datetime import datetime

import pyarrow.parquet as pq
import pytest

from liq_pipeline.server import models

AT = "2026-06-25T12:02:00Z"
PATHS = (
    "/liquidations/levels?symbol=BTCUSDT", "/liquidations/heatmap?symbol=BTCUSDT",
    "/liquidations/summary?symbol=BTCUSDT", "/liquidations/if-reached?symbol=BTCUSDT", "/candles?symbol=BTCUSDT",
    "/symbols?", "/health?", "/metrics?", "/index.json?",
    "/files/liquidation_levels/BTCUSDT/7d.parquet?",
)  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_a_parameter_that_is_not_known_is_refused_with_those_that_are(service, path) -> None:
    assert service.get(path).status_code == 200
    answer = service.get(f"{path}&wished=1")

    assert answer.status_code == 422
    detail = models.Problem.model_validate(answer.json()).detail
    assert detail.startswith("wished: ")
    assert "To do: leave it out; it takes " in detail
    assert ("symbol" in detail) is ("symbol" in path)


def test_every_documented_route_is_strict(service) -> None:
    paths = service.get("/openapi.json").json()["paths"]

    assert {one.split("?")[0] for one in PATHS} == {
        path.replace("{path}", "liquidation_levels/BTCUSDT/7d.parquet") for path in paths
    }


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/liquidations/if-reached?symbol=BTCUSDT&at=2026-06-25", "at: /liquidations/if-reached does not take it"),
        ("/liquidations/if-reached?symbol=BTCUSDT&timeframe=7d", "it takes symbol, horizon, source"),
        ("/liquidations/heatmap?symbol=BTCUSDT&side=long", "it takes symbol, timeframe, format, at (see /docs)"),
        ("/liquidations/levels?symbol=BTCUSDT&symbol=ETHUSDT", "symbol: it is given more than once"),
        ("/liquidations/levels?symbol=BTCUSDT&Side=long&x=1", "Side: "),
        (f"/symbols?{'n' * 500}=1", f"{'n' * 40}: /symbols"),
        ("/symbols?symbol=BTCUSDT", "it takes none"),
    ],
)
def test_the_refusal_names_the_parameter(service, path, says) -> None:
    answer = service.get(path)

    assert answer.status_code == 422
    assert says in answer.json()["detail"]
    assert "n" * 41 not in answer.json()["detail"]


@pytest.mark.parametrize("address", ["/?symbol=BTCUSDT&wished=1", "/docs?x=1"])
def test_what_people_look_at_reads_its_own_address(service, address) -> None:
    assert service.get(address).status_code == 200


def rows_of(heatmap: dict, column: int) -> dict[float, int]:
    """Return USD by the lower edge of a row, sides and leverage classes together."""
    found: dict[float, int] = {}
    for layer in heatmap["layers"]:
        first, *amounts = layer["columns"][column] or [0]
        for row, usd in enumerate(amounts, first):
            low = heatmap["price_low"] + row * heatmap["row_height"]
            found[low] = found.get(low, 0) + usd
    return found


class TestTheHeatmapOfAnInstant:
    ASKED = "/liquidations/heatmap?symbol=BTCUSDT&timeframe=7d"

    def test_it_has_the_columns_that_had_closed_by_then(self, service) -> None:
        now, found = service.get(self.ASKED).json(), service.get(f"{self.ASKED}&at={AT}").json()
        instant = datetime.fromisoformat(AT).timestamp()
        count = sum(second <= instant for second in now["columns"])

        models.Heatmap.model_validate(found, strict=True)
        assert found["columns"] == now["columns"][:count] != now["columns"]
        assert found["candles"] == now["candles"][:count]
        assert (found["as_of"], found["age_hours"]) == ("2026-06-25T12:00:00Z", pytest.approx(2 / 60, abs=1e-3))
        assert found["current_price"] == found["candles"][-1][3]

    def test_a_column_is_what_it_was(self, service) -> None:
        now, found = service.get(self.ASKED).json(), service.get(f"{self.ASKED}&at={AT}").json()
        column, wide, narrow = len(found["columns"]) - 1, now["row_height"], found["row_height"]
        whole, parts = rows_of(now, column), rows_of(found, column)
        inside = [
            low
            for low in whole
            if found["price_low"] <= low and low + wide <= found["price_low"] + found["rows"] * narrow + 1e-6
        ]

        assert len(inside) > 20
        for low in inside:
            amount = sum(usd for place, usd in parts.items() if low - 1e-6 <= place < low + wide - 1e-6)
            assert amount == pytest.approx(whole[low], abs=100)  # each layer and row is rounded to a USD

    def test_other_shapes_end_there_too(self, service) -> None:
        bots = [service.get(f"{self.ASKED}&format=coinglass{at}").json() for at in ("", f"&at={AT}")]
        candles = service.get(f"/candles?symbol=BTCUSDT&timeframe=7d&at={AT}").json()

        assert 0 < len(bots[1]["price_candlesticks"]) < len(bots[0]["price_candlesticks"])
        assert candles["as_of"] == candles["candles"][-1]["ts"] == "2026-06-25T12:00:00Z"

    def test_each_instant_has_its_own_tag(self, service) -> None:
        for path in (self.ASKED, f"{self.ASKED}&format=coinglass", "/candles?symbol=BTCUSDT"):
            tags = {service.get(f"{path}{at}").headers["etag"] for at in ("", f"&at={AT}", "&at=2026-06-26")}
            assert len(tags) == 3

    @pytest.mark.parametrize("path", ["/liquidations/heatmap", "/candles"])
    def test_an_instant_before_it_is_refused(self, service, path) -> None:
        answer = service.get(f"{path}?symbol=BTCUSDT&timeframe=7d&at=2026-06-01")

        assert answer.status_code == 404
        for word in ("7d has no column that closed by 2026-06-01T00:00:00Z", "2026-06-2", "/liquidations/levels?at="):
            assert word in answer.json()["detail"]


def test_the_summary_of_an_instant_adds_up_its_levels(service) -> None:
    levels = service.get(f"/liquidations/levels?symbol=BTCUSDT&timeframe=7d&at={AT}").json()
    found = service.get(f"/liquidations/summary?symbol=BTCUSDT&timeframe=7d&at={AT}").json()

    models.Summary.model_validate(found, strict=True)
    assert (found["as_of"], found["current_price"]) == (levels["as_of"], levels["current_price"])
    for side in ("long", "short"):
        total = sum(level["notional_usd"] for level in levels[f"{side}_liquidations"])
        assert found[f"{side}_notional_usd"] == pytest.approx(total)


@pytest.mark.parametrize("instant", ["", f"&at={AT}"])
@pytest.mark.parametrize(
    ("asked", "held"),
    [
        ("10x", lambda leverage: leverage <= 10),
        ("over_50x,25x", lambda leverage: 10 < leverage <= 25 or leverage > 50),
        ("50x,50x", lambda leverage: 25 < leverage <= 50),
    ],
)
def test_levels_of_some_leverages(service, instant, asked, held) -> None:
    path = f"/liquidations/levels?symbol=BTCUSDT&timeframe=7d{instant}"
    rows = [pq.read_table(io.BytesIO(service.get(f"{path}&format=parquet{more}").content))
            for more in ("", f"&leverage={asked}")]  # fmt: skip
    wanted, found = (table.to_pylist() for table in rows)

    assert found == [row for row in wanted if held(row["leverage"])]
    assert 0 < len(found) < len(wanted)


@pytest.mark.parametrize("leverage", ["", "5x", "10x,", "10x 25x", "all"])
def test_a_leverage_class_that_is_none_is_refused(service, leverage) -> None:
    answer = service.get(f"/liquidations/levels?symbol=BTCUSDT&leverage={leverage}")

    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("leverage: expected some of 10x, 25x, 50x, over_50x")

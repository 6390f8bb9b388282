"""What a picture of a heatmap shows: each cell at its place, rows added together at display size, nothing beyond."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from liq_pipeline.published.schemas import CANDLES_SCHEMA, HEATMAP_SCHEMA
from liq_pipeline.views.frame import HeatmapView, frame_of

NOON = datetime(2026, 6, 20, 12, tzinfo=UTC)
FACTS = {"as_of": "2026-06-20T13:00:00Z", "current_price": 100.0}
CLASSES = ["10x", "25x", "50x", "over_50x"]

# Bars from 98 to 102 are shown with a margin of 4 % of the price: rows from 94 to 106, of one dollar.
CANDLES = [{"ts": NOON + timedelta(hours=hour), "open": 99, "high": 102, "low": 98, "close": 100, "volume": 7 + hour}
           for hour in (0, 1)]  # fmt: skip
LOWEST, HIGHEST = 94, 106


def cell(low: float, usd: float, hour: int = 0, side: str = "long", leverage: str = "10x") -> dict[str, object]:
    return dict.fromkeys([f"notional_usd_{name}" for name in CLASSES], 0.0) | {
        "symbol": "BTCUSDT", "timeframe": "1d", "ts": NOON + timedelta(hours=hour), "side": side,
        "price_low": low, "price_high": low + 1, f"notional_usd_{leverage}": usd,
    }  # fmt: skip


def view(*cells: dict[str, object], candles: list[dict] = CANDLES, **options: int) -> HeatmapView:
    return frame_of(
        pa.Table.from_pylist(list(cells), schema=HEATMAP_SCHEMA), pa.Table.from_pylist(candles, schema=CANDLES_SCHEMA),
        FACTS, NOON + timedelta(hours=2), **options,
    )  # fmt: skip


def test_each_cell_lies_at_its_side_class_column_and_row() -> None:
    shown = view(
        cell(LOWEST, 1), cell(100, 2, hour=1, leverage="50x"), cell(HIGHEST - 1, 4, side="short", leverage="over_50x")
    )
    assert shown.row_edges.tolist() == list(range(LOWEST, HIGHEST + 1))
    assert shown.usd.shape == (2, 4, 2, HIGHEST - LOWEST)
    found = {tuple(map(int, place)): shown.usd[tuple(place)] for place in np.argwhere(shown.usd)}
    assert found == {(0, 0, 0, 0): 1, (0, 2, 1, 100 - LOWEST): 2, (1, 3, 0, HIGHEST - LOWEST - 1): 4}


def test_cells_beside_the_prices_that_are_shown_are_left_out() -> None:
    beside = [cell(low, 1000) for low in (LOWEST - 2, LOWEST - 1, HIGHEST, HIGHEST + 1)]
    assert view(*beside, cell(100, 1)).usd.sum() == 1


@pytest.mark.parametrize(
    ("max_rows", "edges"),
    [
        (12, range(94, 107)),
        (11, range(94, 107, 2)),
        (6, range(94, 107, 2)),
        (5, range(93, 109, 3)),
        (1, (84, 96, 108)),
    ],
)
def test_rows_are_added_together_as_few_as_suffice(max_rows: int, edges) -> None:
    usd = {low: float(low * low) for low in range(LOWEST, HIGHEST)}
    shown = view(*(cell(low, of) for low, of in usd.items()), max_rows=max_rows)
    assert shown.row_edges.tolist() == list(edges)
    expected = [sum(usd.get(low, 0) for low in range(*pair)) for pair in itertools.pairwise(edges)]
    assert shown.total[0].tolist() == expected


def test_an_instant_with_a_cell_or_a_bar_is_a_column() -> None:
    shown = view(cell(100, 5, hour=1), cell(101, 6, hour=2))
    assert shown.ts.tolist() == [(NOON + timedelta(hours=hour)).replace(tzinfo=None) for hour in (0, 1, 2)]
    assert shown.total.sum(axis=1).tolist() == [0, 5, 6]
    assert shown.column_width == 3600
    np.testing.assert_array_equal(shown.candles["volume"], [7, 8, np.nan])


def test_without_cells_a_thousandth_of_the_price_is_a_row() -> None:
    shown = view()
    assert shown.row_height == pytest.approx(0.1)
    assert (shown.row_edges[0], shown.row_edges[-1]) == (LOWEST, HIGHEST)
    assert not shown.usd.any()


@pytest.mark.parametrize(
    ("low", "high", "shown_from", "shown_to"),
    [
        pytest.param(99, 101, 95, 105, id="4 % of the price at least"),
        pytest.param(90, 110, 80, 120, id="half of the range"),
        pytest.param(60, 140, 48, 152, id="12 % of the price at most"),
        pytest.param(5, 140, 0, 152, id="no price is below zero"),
        pytest.param(101, 103, 96, 107, id="the current price is shown, too"),
    ],
)
def test_prices_around_the_bars_are_shown(low: float, high: float, shown_from: float, shown_to: float) -> None:
    edges = view(cell(100, 1), candles=[CANDLES[0] | {"low": low, "high": high}]).row_edges
    assert (edges[0], edges[-1]) == (shown_from, shown_to)

"""Rows that cannot be true are damage, named; every other row is served."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from liq_pipeline.errors import PublishedDamaged
from liq_pipeline.server.sound import sound_rows
from liq_pipeline_tests.server.small import AS_OF, GOOD, datasets_of, positions_of

BAR = timedelta(minutes=5)
POSITIONS = positions_of(GOOD).rows  # three bars, long and short of each
LEVELS, HEATMAP, CANDLES = (one.rows for one in datasets_of(GOOD, "7d"))


def read(rows: pa.Table, dataset: str) -> pa.Table:
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink)
    return sound_rows(sink.getvalue().to_pybytes(), dataset, {"symbol": GOOD, "timeframe": "7d"})


def with_column(rows: pa.Table, column: str, values: Sequence[object]) -> pa.Table:
    place = rows.schema.get_field_index(column)
    return rows.set_column(place, rows.schema.field(place), pa.array(values, rows.schema.field(place).type))


@pytest.mark.parametrize(
    ("rows", "dataset"),
    [(POSITIONS, "positions"), (LEVELS, "liquidation_levels"), (HEATMAP, "liquidation_heatmap"), (CANDLES, "candles")],
    ids=["positions", "levels", "heatmap", "candles"],
)
def test_what_is_published_is_sound(rows: pa.Table, dataset: str) -> None:
    assert read(rows, dataset).num_rows == rows.num_rows


TIMES = POSITIONS["ts"].to_pylist()


@pytest.mark.parametrize(
    ("rows", "wrong"),
    [
        pytest.param(POSITIONS.slice(0, 5), "not both sides of every bar", id="a side is missing"),
        pytest.param(POSITIONS.slice(0, 0), "not both sides of every bar", id="no row"),
        pytest.param(POSITIONS.take([1, 0, 2, 3, 4, 5]), "not both sides of every bar, long first", id="short first"),
        pytest.param(POSITIONS.take([0, 0, 2, 3, 4, 5]), "not both sides of every bar, long first", id="two longs"),
        pytest.param(
            with_column(POSITIONS, "ts", [TIMES[0], TIMES[1] + BAR, *TIMES[2:]]),
            "not both sides of every bar, long first", id="sides of two bars",
        ),
        pytest.param(POSITIONS.take([2, 3, 0, 1, 4, 5]), "bars are not in order", id="a later bar first"),
        pytest.param(POSITIONS.take([0, 1, 2, 3, 2, 3]), "bars are not in order", id="a bar twice"),
    ],
)  # fmt: skip
def test_positions_hold_both_sides_of_every_bar_in_order(rows: pa.Table, wrong: str) -> None:
    with pytest.raises(PublishedDamaged, match=f"positions.parquet is damaged: {wrong}. Expected"):
        read(rows, "positions")


@pytest.mark.parametrize(
    ("rows", "dataset", "low", "high"),
    [(LEVELS, "liquidation_levels", "price_low", "price_high"), (CANDLES, "candles", "low", "high")],
    ids=["levels", "candles"],
)
def test_one_low_above_its_high_is_damage(rows: pa.Table, dataset: str, low: str, high: str) -> None:
    lows = rows[low].to_pylist()
    flat = with_column(rows, low, [rows[high][0].as_py(), *lows[1:]])
    assert read(flat, dataset).num_rows == rows.num_rows
    with pytest.raises(PublishedDamaged, match=f"{low} is above {high}"):
        read(with_column(rows, low, [rows[high][0].as_py() + 1, *lows[1:]]), dataset)


@pytest.mark.parametrize(("columns", "fits"), [(3_000, True), (3_001, False)])
def test_a_picture_has_three_thousand_columns_at_most(columns: int, fits: bool) -> None:
    instants = [AS_OF - timedelta(hours=back) for back in range(columns)]
    rows = CANDLES.take([0] * columns)
    rows = with_column(with_column(rows, "ts", instants), "open_time", [ts - timedelta(hours=1) for ts in instants])
    if fits:
        assert read(rows, "candles").num_rows == columns
    else:
        with pytest.raises(PublishedDamaged, match="more than 3000 columns"):
            read(rows, "candles")

"""Positions as stored, as arrays and as the view: one and the same, to the last bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from liq_pipeline.model.entries import layout
from liq_pipeline.model.margin import LADDER, SIDES
from liq_pipeline.model.walk import WalkParameters, walk
from liq_pipeline.published.positions import Positions, positions_of
from liq_pipeline.transform.positions import cohort_rows, read_walk_input
from liq_pipeline.warehouse.warehouse import Warehouse
from liq_pipeline_tests.once import once

SYMBOL = "BTCUSDT"
CELL = "list_position(['vwap', 'low', 'high'], entry), leverage"


@pytest.fixture
def positions(warehouse: Warehouse) -> Positions:
    return positions_of(once(warehouse).read("cohorts", symbol=SYMBOL))


def test_the_table_gives_back_what_the_walk_said_bit_for_bit(warehouse: Warehouse, positions: Positions) -> None:
    with warehouse.transaction(SYMBOL) as tables:
        result = walk(read_walk_input(tables, SYMBOL), SYMBOL)
    ts = result.bars.ts
    for side in SIDES:
        walked, mine = result.sides[side], positions.is_long == (side == "long")
        bars = np.flatnonzero(walked.opened)
        assert np.array_equal(positions.opened_at[mine], ts[bars])
        assert np.array_equal(positions.opening_log_survival[mine], walked.log_survival[bars])
        assert np.array_equal(positions.contracts_opened[mine], walked.contracts_opened[bars])
        is_cell = walked.contracts_opened[bars] > 0
        price = walked.liquidation_price[bars]
        assert np.array_equal(positions.liquidation_price[mine][is_cell], price[is_cell])
        end = walked.liquidated_at[bars]
        ended = np.where(end < ts.size, ts[np.minimum(end, ts.size - 1)], np.datetime64("NaT", "us"))
        assert np.array_equal(np.isnat(positions.liquidated_at[mine])[is_cell], np.isnat(ended)[is_cell])
        gone = is_cell & ~np.isnat(ended)
        assert gone.any()
        assert np.array_equal(positions.liquidated_at[mine][gone], ended[gone])


def test_the_view_shows_the_same_cells_bit_for_bit(warehouse: Warehouse, positions: Positions) -> None:
    rows = once(warehouse).sql(f"SELECT * FROM position_cells ORDER BY opened_at, side, {CELL}")
    row, place = np.nonzero(positions.contracts_opened)

    assert np.array_equal(rows["opened_at"].to_numpy().astype("datetime64[us]"), positions.opened_at[row])
    assert np.array_equal(rows["leverage"].to_numpy(), layout().leverage[place])
    assert np.array_equal(rows["liquidation_price"].to_numpy(), positions.liquidation_price[row, place])
    assert np.array_equal(rows["contracts_opened"].to_numpy(), positions.contracts_opened[row, place])
    ended = rows["liquidated_at"].to_numpy().astype("datetime64[us]")
    assert np.array_equal(ended, positions.liquidated_at[row, place], equal_nan=True)


def test_the_view_of_living_positions_shows_what_is_left(warehouse: Warehouse, positions: Positions) -> None:
    rows = once(warehouse).sql(f"SELECT * FROM living_positions ORDER BY opened_at, side, {CELL}")
    living = positions.living()

    assert np.array_equal(rows["liquidation_price"].to_numpy(), living.liquidation_price)
    assert np.array_equal(rows["contracts_open"].to_numpy(), living.contracts)
    assert 0 < living.contracts.size < np.count_nonzero(positions.contracts_opened)


def test_cells_alive_since_an_instant_leave_out_those_that_ended_by_then(positions: Positions) -> None:
    ts = np.unique(positions.opened_at)
    since = ts[ts.size // 2]
    cohorts = positions.alive_since(since, ts)

    is_cell = positions.contracts_opened > 0
    assert cohorts.opened.size == np.count_nonzero(is_cell & ~(positions.liquidated_at <= since))
    assert (cohorts.ended >= cohorts.opened).all()
    ended = cohorts.ended < ts.size
    assert (ts[cohorts.ended[ended]] > since).all()
    assert ended.any()
    assert not ended.all()


@pytest.mark.parametrize("side", SIDES)
def test_only_living_cells_of_the_side_within_reach_are_touched(positions: Positions, side) -> None:
    price = np.median(
        positions.liquidation_price[positions.is_alive & (positions.is_long == (side == "long"))[:, None]]
    )
    touched = positions.touched(side, low=price, high=price)

    assert touched.any()
    assert (positions.is_alive | ~touched).all()
    assert (positions.is_long[touched.any(axis=1)] == (side == "long")).all()
    within = positions.liquidation_price[touched]
    assert (within >= price).all() if side == "long" else (within <= price).all()


def test_leverages_that_the_brackets_do_not_allow_hold_nothing(warehouse: Warehouse) -> None:
    with warehouse.transaction(SYMBOL) as tables:
        bars = read_walk_input(tables, SYMBOL)
    rows = cohort_rows(walk(bars, "NOSUCHUSDT"), "NOSUCHUSDT")  # no table of its own: 50x at most

    leverages = set(rows["leverages"].to_pylist())
    assert leverages == {sum(leverage <= 50 for leverage in LADDER)}


def test_shares_that_are_not_equal_are_refused(warehouse: Warehouse) -> None:
    with warehouse.transaction(SYMBOL) as tables:
        bars = read_walk_input(tables, SYMBOL)
    weights = tuple(range(1, len(LADDER) + 1))
    unequal = walk(bars, SYMBOL, replace(WalkParameters(), weights=weights))

    with pytest.raises(ValueError, match="equal shares of the default ladder"):
        cohort_rows(unequal, SYMBOL)

"""Three bars' positions, whose cells are told apart by hand; what they were at an instant of the past."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from liq_pipeline.errors import NoData
from liq_pipeline.model.entries import layout
from liq_pipeline.model.margin import LADDER, liquidation_price
from liq_pipeline.published.past import Past
from liq_pipeline.published.positions import Positions, positions_of

START = np.datetime64("2026-06-01T00:00", "us")
MINUTE = np.timedelta64(1, "m")
NAT = np.datetime64("NaT", "us")
CELLS = layout()


def at(*minutes: float) -> np.ndarray:
    return START + (np.array(minutes) * 60_000_000).astype("timedelta64[us]")


@pytest.fixture
def few() -> Positions:
    """Three rows of two cells: a long of minute 5 and one of minute 10, a short of minute 10."""
    ends = np.array([[NAT, at(10)[0]], [at(15)[0], NAT], [NAT, NAT]])
    return Positions(
        opened_at=at(5, 10, 10), is_long=np.array([True, True, False]),
        opening_log_survival=np.array([-0.1, -0.2, -0.3]),
        survived=np.array([0.5, 0.25, 0.125]), liquidation_price=np.array([[90.0, 91], [92, 93], [110, 111]]),
        contracts_opened=np.array([[2.0, 4], [8, 0.5], [3, 0]]), liquidated_at=ends,
    )  # fmt: skip


def test_a_cell_lives_that_holds_something_and_has_not_ended(few: Positions) -> None:
    assert few.is_alive.tolist() == [[True, False], [False, True], [True, False]]


@pytest.mark.parametrize(
    ("side", "low", "high", "touched"),
    [("long", 90.0, 0.0, [(0, 0), (1, 1)]), ("long", 90.5, 0.0, [(1, 1)]), ("long", 93.0, 0.0, [(1, 1)]),
     ("long", 93.5, 0.0, []), ("short", 0.0, 110.0, [(2, 0)]), ("short", 0.0, 109.5, []),
     ("short", 0.0, 200.0, [(2, 0)])],
)  # fmt: skip
def test_a_range_touches_cells_of_its_side_up_to_its_edge(few: Positions, side, low, high, touched) -> None:
    cells = few.touched(side, low, high)
    assert list(zip(*np.nonzero(cells), strict=True)) == touched
    state = few.state(cells, 7.0, 8.0, -0.9)
    assert state.liquidation_price.tolist() == [few.liquidation_price[one] for one in touched]
    assert state.contracts_opened.tolist() == [few.contracts_opened[one] for one in touched]
    assert state.opening_log_survival.tolist() == [few.opening_log_survival[row] for row, _ in touched]


def unfolded(ends: pa.Array, **more: pa.Array) -> Positions:
    """A long of 3 of the leverages and a short of all of the ladder."""
    return positions_of(
        pa.table(
            {
                "opened_at": pa.array(at(5, 10)), "is_long": [True, False], "entry_price": [100.0, 200.0],
                "low": [95.0, 190.0], "high": [107.0, 213.0], "contracts_opened": [6.0, 26.0],
                "maintenance_margin_rate": [0.004, 0.01], "leverages": pa.array([3, len(LADDER)], pa.int64()),
                "opening_log_survival": [-0.5, -0.25], "survived": [0.75, 0.5],
            }
            | ({"ends": ends} if isinstance(ends, pa.StructArray) else {"liquidated_at": ends}) | more
        )
    )  # fmt: skip


def minutes_of(count: int, last: int = 40) -> pa.StructArray:
    """Minutes to the end of each cell: none of the first, and of the others 7, 8, 9, ...; the last of the second."""
    columns = [pa.array([None, 3 + number], pa.int32()) if not number else pa.array([6 + number, None], pa.int32())
               for number in range(count)]  # fmt: skip
    return pa.StructArray.from_arrays(columns, names=[f"c{number}" for number in range(count)])


def test_rows_unfold_to_a_cell_for_each_leverage_and_price_of_entry() -> None:
    found = unfolded(minutes_of(CELLS.place.size))

    for row, (side, rate, leverages, contracts, entry) in enumerate(
        [("long", 0.004, 3, 6.0, (100.0, 95.0, 107.0)), ("short", 0.01, len(LADDER), 26.0, (200.0, 190.0, 213.0))]
    ):
        prices = [liquidation_price(side, entry[CELLS.entry[cell]], CELLS.leverage[cell], rate)
                  for cell in range(CELLS.place.size)]  # fmt: skip
        np.testing.assert_allclose(found.liquidation_price[row], prices)
        opened = [contracts / leverages * CELLS.share[cell] if CELLS.place[cell] < leverages else 0.0
                  for cell in range(CELLS.place.size)]  # fmt: skip
        np.testing.assert_allclose(found.contracts_opened[row], opened)
        assert found.contracts_opened[row].sum() == pytest.approx(contracts)
    assert np.isnat(found.liquidated_at[0, 0])
    assert found.liquidated_at[1, 0] == at(13)[0]
    assert (found.liquidated_at[0, 1:] == at(*(11 + np.arange(1, CELLS.place.size)))).all()
    assert np.isnat(found.liquidated_at[1, 1:]).all()
    assert found.opening_log_survival.tolist() == [-0.5, -0.25]
    assert found.survived.tolist() == [0.75, 0.5]


def test_a_list_of_instants_says_the_same_and_so_do_cells_beyond_those_of_the_model() -> None:
    plain = unfolded(minutes_of(CELLS.place.size))
    listed = pa.array(plain.liquidated_at.tolist(), pa.list_(pa.timestamp("us")))
    small = layout(extremes_share=0.0).place.size
    cut = unfolded(minutes_of(CELLS.place.size), cells=pa.array([small, small], pa.int64()))

    np.testing.assert_array_equal(unfolded(listed).liquidated_at, plain.liquidated_at)
    np.testing.assert_array_equal(cut.liquidated_at, plain.liquidated_at[:, :small])
    assert cut.contracts_opened.shape == (2, small)


def test_no_rows_have_the_cells_of_the_model() -> None:
    nothing = positions_of(
        pa.table(
            {
                "opened_at": pa.array([], pa.timestamp("us")), "is_long": pa.array([], pa.bool_()),
                "leverages": pa.array([], pa.int64()), "liquidated_at": pa.array([], pa.list_(pa.timestamp("us"))),
                "cells": pa.array([], pa.int64()),
            }
            | dict.fromkeys(
                ("entry_price", "low", "high", "contracts_opened", "maintenance_margin_rate", "opening_log_survival",
                 "survived"), pa.array([], pa.float64()),
            )
        )
    )  # fmt: skip
    assert nothing.liquidated_at.shape == (0, CELLS.place.size)


class TestPast:
    @pytest.fixture
    def past(self, few: Positions) -> Past:
        survival = np.array([[-0.1, -0.2, -0.7, -1.0], [0.0, -0.3, -0.4, -0.5]])
        return Past("BTCUSDT", at(5, 10, 15, 20), np.array([100.0, 101, 102, 103]), survival, few)

    @pytest.mark.parametrize(("seconds", "bar"), [(300, 0), (599.999999, 0), (600, 1), (1200, 3), (9e6, 3)])
    def test_the_newest_bar_is_the_one_that_had_closed(self, past: Past, seconds: float, bar: int) -> None:
        assert past.newest(datetime(2026, 6, 1, tzinfo=UTC) + timedelta(seconds=seconds)) == bar

    def test_before_the_first_close_there_is_none(self, past: Past) -> None:
        with pytest.raises(NoData, match=r"closed by 2026-06-01 00:04:59 UTC.*an instant from 2026-06-01T00:05Z on"):
            past.newest(datetime(2026, 6, 1, 0, 4, 59, tzinfo=UTC))

    def test_positions_are_those_opened_by_then_and_alive_by_then(self, past: Past) -> None:
        early = past.positions_at(0, 60 * MINUTE)
        assert early.opened_at.tolist() == at(5).tolist()
        assert np.isnat(early.liquidated_at).all()

        found = past.positions_at(2, 60 * MINUTE)
        assert found.opened_at.size == 3
        np.testing.assert_allclose(found.survived, np.exp([-0.7 + 0.1, -0.7 + 0.2, -0.4 + 0.3]))
        assert found.liquidated_at[1, 0] == at(15)[0]  # at this very bar
        assert found.liquidated_at[0, 1] == at(10)[0]
        assert np.isnat(past.positions_at(1, 60 * MINUTE).liquidated_at[1, 0])

    def test_those_older_than_an_age_are_left_out(self, past: Past) -> None:
        assert past.positions_at(2, 10 * MINUTE).opened_at.tolist() == at(10, 10).tolist()
        assert past.positions_at(2, 11 * MINUTE).opened_at.size == 3
        assert past.positions_at(3, 10 * MINUTE).opened_at.size == 0

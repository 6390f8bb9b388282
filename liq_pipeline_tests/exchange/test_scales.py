"""The scale of a series of rows: by how much it changes, and whether that lasts. Levels are logarithms, hours apart."""

from __future__ import annotations

import numpy as np
import pytest

from liq_pipeline.exchange.contract_changes import ROWS, Series

HOUR = np.timedelta64(1, "h")
BEGIN = np.datetime64("2026-06-20T00", "us")


def series(*levels: float) -> Series:
    return Series(BEGIN + np.arange(len(levels)) * HOUR, np.array(levels, dtype=float))


class TestAStep:
    def test_lies_between_the_row_before_and_the_row_after(self) -> None:
        assert series(1, 2, 40, 80).step(1, 2) == 60 - 1.5

    def test_of_a_mixed_row_in_between_is_told_without_it(self) -> None:
        assert series(1, 1, 500, 9, 9).step(1, 3) == 8

    def test_is_read_from_six_rows_of_each_side(self) -> None:
        assert ROWS == 6
        before, after = [1, 2, 3, 4, 5, 60], [10, 20, 30, 40, 50, 600]
        assert series(-900, *before, *after, 9000).step(6, 7) == 35 - 3.5

    @pytest.mark.parametrize(("before", "after"), [(-1, 0), (2, 3)], ids=["no row before", "no row after"])
    def test_without_rows_on_a_side_is_not_known(self, before: int, after: int) -> None:
        assert np.isnan(series(1, 2, 3).step(before, after))


A, B = 0.0, 1.0
TEN = 10


@pytest.mark.parametrize(
    ("levels", "before", "lasts"),
    [
        pytest.param([A] * TEN + [B] * TEN, TEN - 1, True, id="it stays"),
        pytest.param([A] * TEN + [B] * 3 + [A] * TEN, TEN - 1, False, id="it is taken back"),
        pytest.param([A] * TEN + [B] * 3 + [A] * TEN, TEN + 2, False, id="it is the way back"),
        pytest.param([A] * TEN + [B] * 3 + [-B] * TEN, TEN + 2, True, id="it goes on to a third scale"),
        pytest.param([A] * TEN + [B] * 3 + [A] * 2, TEN - 1, False, id="of few rows the last are back"),
        pytest.param([A] * TEN + [B] * 2 + [A], TEN - 1, True, id="a single row is not back: half way is not"),
        pytest.param([A] * TEN + [B], TEN - 1, True, id="one row is all there is after it"),
        pytest.param([A] + [B] * TEN, 0, True, id="one row is all there is before it"),
        pytest.param([B, A] + [B] * TEN, 1, True, id="half way from where it came"),
        pytest.param([B] * 4 + [A] * TEN + [B] * TEN, TEN + 3, False, id="the first six rows were there already"),
        pytest.param([B] * 2 + [A] * TEN + [B] * TEN, TEN + 1, True, id="fewer than half of the first six"),
    ],
)
def test_a_step_lasts_where_neither_later_nor_earlier_rows_undo_it(
    levels: list[float], before: int, lasts: bool
) -> None:
    whole = series(*levels)
    assert whole.lasts(before, before + 1, whole.ts[0], whole.ts[-1]) is lasts
    mirrored = series(*(-level for level in levels))
    assert mirrored.lasts(before, before + 1, whole.ts[0], whole.ts[-1]) is lasts


class TestWhatLiesBeyondTheInstants:
    def test_does_not_take_a_step_back(self) -> None:
        there_and_back = series(*[A] * TEN, *[B] * TEN, *[A] * TEN)
        last = there_and_back.ts[2 * TEN - 1]
        assert there_and_back.lasts(TEN - 1, TEN, BEGIN, last)
        assert not there_and_back.lasts(TEN - 1, TEN, BEGIN, last + 4 * HOUR)

    def test_does_not_make_a_step_the_way_back(self) -> None:
        there_and_back = series(*[A] * TEN, *[B] * TEN, *[A] * TEN)
        first = there_and_back.ts[TEN]
        assert there_and_back.lasts(2 * TEN - 1, 2 * TEN, first, there_and_back.ts[-1])
        assert not there_and_back.lasts(2 * TEN - 1, 2 * TEN, first - 4 * HOUR, there_and_back.ts[-1])

    def test_is_all_where_the_instants_lie_at_the_step_itself(self) -> None:
        step = series(*[A] * TEN, *[B] * TEN)
        assert step.lasts(TEN - 1, TEN, step.ts[-1], BEGIN)

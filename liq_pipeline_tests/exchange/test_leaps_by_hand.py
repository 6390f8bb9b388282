"""Which stretch of a series is believed, where one row more or less decides. A leap is a change by more than 1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from liq_pipeline.exchange.leaps import Leaps, Series, find_leaps

START = np.datetime64("2026-06-01T00:00")
A_DAY = 24 * 12 + 1  # rows from an instant to the same of the next day


def leaps_of(
    entered: Sequence[float],
    left: Sequence[float] = (),
    *,
    against: Sequence[int] = (),
    agreed: Sequence[int] = (),
    settles: bool = True,
) -> Leaps:
    level, rows = np.array(entered, dtype=float), np.arange(len(entered))
    end = np.array(left, dtype=float) if left else level
    return find_leaps(
        Series(
            START + rows * np.timedelta64(5, "m"), level, end,
            lambda i, j: np.abs(level[j] - end[i]) > 1,
            np.isin(rows, against), np.isin(rows, agreed), confirmation_settles=settles,
        )
    )  # fmt: skip


def displaced(*args, **more) -> list[int]:
    return np.flatnonzero(leaps_of(*args, **more).displaced).tolist()


def begun(*args, **more) -> list[int]:
    return np.flatnonzero(leaps_of(*args, **more).new_level).tolist()


class TestTheLongestChain:
    @pytest.mark.parametrize(
        ("values", "expected"),
        [
            pytest.param([5, 5, 5, 9, 9], [3, 4], id="three against two"),
            pytest.param([5, 5, 9, 9, 9], [0, 1], id="two against three"),
            pytest.param([5, 5, 9, 9], [0, 1], id="of equals, the last"),
            pytest.param([5, 9, 9, 5, 20, 5], [1, 2, 4], id="three that fit together against two in a row"),
            pytest.param([5, 9, 9, 9, 9, 5, 20, 5], [0, 5, 6, 7], id="three that fit together against four in a row"),
            pytest.param([1, 1, 5, 9, 5, 5], [0, 1, 3], id="a link need not lead to the first stretch"),
            pytest.param([30, 30, 30, 5, 9, 5.5, 20, 6], [0, 1, 2, 4, 6], id="of two that fit, the one that is longer"),
        ],
    )
    def test_is_that_with_most_rows(self, values: list[float], expected: list[int]) -> None:
        assert displaced(values) == expected

    @pytest.mark.parametrize(
        ("there", "fits"), [(7, True), (7.5, True), (6.8, False), (3, True), (2.5, True), (3.2, False)]
    )
    def test_comes_back_to_within_half_of_how_far_it_went(self, there: float, fits: bool) -> None:
        """From 5 to `there`, whose own end lies further away, and back to a distance of 1: half of 2."""
        back, further = (6, 9) if there > 5 else (4, 1)
        rows = displaced([5, 5, there, back, back], [5, 5, further, back, back])
        assert rows == ([2] if fits else [0, 1, 2])

    def test_does_not_lead_over_what_leaps_itself(self) -> None:
        assert displaced([5, 5, 20, 6.5, 6.5]) == [0, 1, 2]

    def test_counts_a_stretch_that_another_source_speaks_against_for_next_to_nothing(self) -> None:
        assert displaced([5, 5, 9, 9, 9, 9], against=[3]) == [2, 3, 4, 5]
        assert displaced([5, 5, 9, 9, 9, 9], against=[3], agreed=[4]) == [0, 1]
        assert displaced([5, 5, 9], against=[2]) == [2]

    def test_asks_that_source_about_each_row_of_the_stretch_and_no_other(self) -> None:
        assert displaced([5, 5, 9, 9, 9, 9], against=[2], settles=False) == [2, 3, 4, 5]
        assert displaced([5, 5, 9, 9, 9, 9], against=[5], settles=False) == [2, 3, 4, 5]
        assert displaced([9, 9, 9, 5, 5], against=[3], settles=False) == [3, 4]
        assert displaced([5, 5, 9, 9, 9], against=[1], settles=False) == [0, 1]


class TestAtTheEnds:
    @pytest.mark.parametrize(("rows", "is_believed"), [(A_DAY, False), (A_DAY + 1, True)])
    def test_a_stretch_is_believed_when_it_is_longer_than_a_day(self, rows: int, is_believed: bool) -> None:
        more = 2 * A_DAY
        at_the_end = leaps_of([5] * more + [9] * rows)
        assert np.flatnonzero(at_the_end.new_level).tolist() == [more] * is_believed
        assert at_the_end.displaced.sum() == (0 if is_believed else rows)
        at_the_beginning = leaps_of([9] * rows + [5] * more)
        assert np.flatnonzero(at_the_beginning.new_level).tolist() == [rows] * is_believed
        assert at_the_beginning.displaced.sum() == (0 if is_believed else rows)

    def test_a_new_level_begins_after_the_chain_and_is_judged_like_it(self) -> None:
        values = [5] * 300 + [1] + [5] * 301 + [9] * 290 + [20, 20] + [9] * 300
        assert displaced(values) == [300, 892, 893]
        assert begun(values) == [602]

    def test_an_old_level_is_judged_like_it_too(self) -> None:
        values = [9] * 290 + [20, 20] + [9] * 290 + [5] * 700
        assert displaced(values) == [290, 291]
        assert begun(values) == [582]

    def test_of_three_levels_each_begins_somewhere(self) -> None:
        assert begun([5] * 400 + [9] * 300 + [13] * 350) == [400, 700]

    @pytest.mark.parametrize("against", [600, 700, 899])
    def test_one_row_that_is_spoken_against_is_enough_if_none_is_confirmed(self, against: int) -> None:
        assert displaced([5] * 600 + [9] * 300, against=[against]) == list(range(600, 900))

    def test_rows_of_the_neighbour_are_not_asked(self) -> None:
        assert begun([9] * 300 + [5] * 600, against=[300], agreed=[301, 302]) == [300]

    @pytest.mark.parametrize(
        ("agreed", "settles", "expected"),
        [([4], True, []), ([5], True, []), ([], True, [4, 5]), ([4, 5], False, [4, 5]), ([3], True, [4, 5])],
    )
    def test_one_row_that_an_independent_source_has_too_is_enough(self, agreed, settles: bool, expected) -> None:
        assert displaced([5, 5, 5, 5, 9, 9], agreed=agreed, settles=settles) == expected

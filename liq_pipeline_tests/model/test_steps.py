"""Bars, reported liquidations and the steps that both share, each number by hand."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from liq_pipeline.model.alignment import (
    MarketData,
    ObservedLiquidations,
    Steps,
    adverse_moves,
    coarsen,
    match_steps,
    spread_open_interest,
    step_range,
    truth_from_events,
    truth_where_covered,
    usual_step,
    which_end,
)
from liq_pipeline.model.walk import WalkInput

FIVE, TEN, HALF_HOUR, HOUR = (np.timedelta64(minutes, "m") for minutes in (5, 10, 30, 60))
DAY = "2026-03-01T"


def at(*times: str) -> np.ndarray:
    return np.array([DAY + time for time in times], dtype="datetime64[us]")


def bars(places: list[int], **columns: list[float]) -> MarketData:
    """Bars of five minutes, the first of which would close at 00:05; at most columns are the place unless given."""
    place = np.array(places, dtype=float)
    usual = {
        "open": place + 200, "close": place + 201, "low": place + 100, "high": place + 300,
        "entry_price": place + 200, "volume": place, "open_interest": place * 7,
    }  # fmt: skip
    given = usual | {name: np.array(values, dtype=float) for name, values in columns.items()}
    ts = np.datetime64(DAY + "00:00", "us") + np.array(places) * FIVE
    known = np.array(places) % 2 == 0
    opening = given.pop("open")
    return MarketData(WalkInput(ts=ts, **given), opening, known, FIVE)


def times_of(instants: np.ndarray) -> list[str]:
    return [str(instant)[11:16] for instant in instants]


def test_the_usual_step_is_the_most_frequent_distance_with_its_share():
    assert usual_step(at("00:00", "00:05", "00:20", "00:25", "00:30", "00:50")) == (FIVE, 3 / 5)


def test_the_newest_snapshot_inside_a_bar_is_the_bars_from_the_first_observed_one_to_the_last():
    ts = at("00:05", "00:10", "00:15", "00:20", "00:25", "00:30", "00:35")
    snapshots_at = at("00:05", "00:11", "00:14", "00:15", "00:30")
    snapshots = np.array([11.0, 13.0, 17.0, 19.0, 43.0])

    found, known = spread_open_interest(ts, FIVE, np.array([1.0, 2, 3, 1, 2, 5, 4]) / 16, snapshots_at, snapshots)

    # 00:10 is the sum of two fifths of the way from 11 to 19, then an eighth and three eighths of that from 19 to 43.
    assert known.tolist() == [True, False, True, False, False, True, False]
    np.testing.assert_allclose(found, [11, 11 + 8 * 2 / 5, 19, 22, 28, 43, np.nan])


@pytest.mark.parametrize(("second", "is_known"), [("00:05:00", False), ("00:05:01", True), ("00:10:00", True)])
def test_a_snapshot_at_the_opening_of_a_bar_is_not_its_own(second: str, is_known: bool):
    _, known = spread_open_interest(at("00:10"), FIVE, np.ones(1), at(second), np.array([3.0]))
    assert known.tolist() == [is_known]


def test_where_nothing_was_traded_the_change_is_spread_equally():
    ts = at("00:05", "00:10", "00:15", "00:20")
    found, _ = spread_open_interest(ts, FIVE, np.array([9.0, 0, 0, 0]), ts[[0, 3]], np.array([2.0, 17.0]))
    np.testing.assert_allclose(found, [2, 7, 12, 17])


class TestWiderBars:
    def test_a_wide_bar_holds_its_narrow_ones_and_one_that_lacks_any_is_left_out(self):
        data = bars(
            [2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13],  # the first wide bar lacks one, the third has 7 missing
            low=[9, 9, 8, 7, 6, 5, 31, 33, 35, 37, 1],
            high=[90, 90, 80, 70, 95, 99, 97, 92, 94, 93, 99],
            entry_price=[1, 1, 20, 30, 40, 1, 50, 53, 59, 61, 1],
            volume=[1, 1, 0.03, 0.05, 0.02, 1, 0, 0, 0, 0, 1],
        )

        found = coarsen(data, np.timedelta64(15, "m"))

        assert times_of(found.walk_input.ts) == ["00:30", "01:00"]
        assert found.walk_input.low.tolist() == [6, 35 - 2]
        assert found.walk_input.high.tolist() == [95, 94]
        assert found.walk_input.volume.tolist() == pytest.approx([0.1, 0])
        assert found.walk_input.entry_price.tolist() == pytest.approx(
            [(3 * 20 + 5 * 30 + 2 * 40) / 10, (53 + 59 + 61) / 3]
        )
        assert found.walk_input.close.tolist() == [207, 213]
        assert found.walk_input.open_interest.tolist() == [42, 84]
        assert found.open.tolist() == [204, 210]
        assert found.known.tolist() == [True, True]
        assert found.width == np.timedelta64(15, "m")

    def test_whether_open_interest_was_observed_is_told_by_the_last_bar(self):
        assert coarsen(bars([1, 2, 3, 4, 5, 6]), np.timedelta64(15, "m")).known.tolist() == [False, True]

    def test_an_entry_lies_within_its_bar(self):
        data = bars([1, 2], low=[50, 60], high=[70, 80], entry_price=[10, 10])
        assert coarsen(data, TEN).walk_input.entry_price.tolist() == [50]

    def test_bars_of_the_same_width_stay_as_they_are(self):
        data = bars([1, 2, 3])
        assert coarsen(data, FIVE) is data

    @pytest.mark.parametrize("minutes", [0, 3, 7])
    def test_a_width_that_is_no_multiple_is_refused(self, minutes: int):
        with pytest.raises(ValueError, match=f"{minutes} minutes is not a multiple of 5 minutes"):
            coarsen(bars([1, 2]), np.timedelta64(minutes, "m"))


class TestSingleLiquidations:
    def test_they_are_summed_into_steps_that_end_at_their_multiple_without_the_outer_two(self):
        stamps = at("00:59", "01:00:01", "01:05", "01:05:01", "01:16", "01:19", "01:21")
        long_usd, short_usd = np.array([2.0, 3, 5, 7, 11, 13, 17]), np.array([19.0, 23, 29, 31, 37, 41, 43])

        found = truth_from_events(stamps[[3, 0, 1, 6, 2, 5, 4]], *(x[[3, 0, 1, 6, 2, 5, 4]] for x in (long_usd, short_usd)), FIVE)  # fmt: skip  # noqa: E501

        assert times_of(found.end) == ["01:05", "01:10", "01:15", "01:20"]
        assert found.long_usd.tolist() == [8, 7, 0, 24]
        assert found.short_usd.tolist() == [52, 31, 0, 78]
        assert found.step == FIVE

    def test_only_steps_that_lie_whole_in_what_was_covered_are_known(self):
        stamps = at("00:04", "00:06", "00:10", "00:10:01", "00:31", "00:36", "00:40", "00:47")
        since, until = at("00:05", "00:31", "00:42"), at("00:19", "00:45", "00:44")
        found = truth_where_covered(stamps, np.arange(1.0, 9), np.arange(2.0, 10) ** 2, FIVE, since, until)

        assert times_of(found.end) == ["00:10", "00:15", "00:40", "00:45"]
        assert found.long_usd.tolist() == [2 + 3, 4, 6 + 7, 0]
        assert found.short_usd.tolist() == [9 + 16, 25, 49 + 64, 0]
        assert found.step == FIVE

    def test_where_nothing_was_covered_nothing_is_known(self):
        none = np.zeros(0, "datetime64[us]")
        found = truth_where_covered(at("00:01"), np.ones(1), np.ones(1), FIVE, none, none)
        assert [getattr(found, name).size for name in ("end", "long_usd", "short_usd")] == [0, 0, 0]


def truth(ends: list[int], long_usd: list[float], short_usd: list[float], step: np.timedelta64) -> ObservedLiquidations:
    end = np.datetime64(DAY + "00:00", "us") + np.array(ends) * step
    return ObservedLiquidations(end, np.array(long_usd, dtype=float), np.array(short_usd, dtype=float), step)


class TestSteps:
    def test_a_step_needs_all_of_its_bars_and_the_one_before(self):
        data = bars([2, 3, 4, 5, 6, 8, 9, 10, 11, 12])  # 7 is missing
        found = match_steps(data, truth([0, 1, 2, 3, 4, 5, 6, 7], [2, 3, 5, 7, 11, 13, 17, 19], list(range(8)), TEN))

        assert times_of(found.end) == ["00:20", "00:30", "00:50", "01:00"]
        assert found.first.tolist() == [1, 3, 6, 8]
        assert found.last.tolist() == [2, 4, 7, 9]
        assert found.usd.tolist() == [[5, 2], [7, 3], [13, 5], [17, 6]]

    def test_steps_with_values_that_are_no_sums_are_left_out(self):
        nan, inf = float("nan"), float("inf")
        found = match_steps(
            bars(list(range(1, 10))),
            truth([2, 3, 4, 5, 6, 7, 8, 9], [0, nan, 5, inf, 5, -1, 6, 7], [0, 5, nan, 5, inf, 3, -1, 8], FIVE),
        )
        assert found.usd.tolist() == [[0, 0], [7, 8]]

    def test_a_truth_finer_than_the_bars_is_summed_and_what_lacks_a_part_is_left_out(self):
        minutes = np.timedelta64(1, "m")
        stamps = [*range(6, 16), 17, 18, 19, 20, *range(21, 26)]
        found = match_steps(bars([1, 2, 3, 4, 5]), truth(stamps, stamps, [2 * one for one in stamps], minutes))
        assert times_of(found.end) == ["00:10", "00:15", "00:25"]
        assert found.usd.tolist() == [[40, 80], [65, 130], [115, 230]]

    def test_a_truth_that_the_bars_do_not_divide_is_summed_to_what_both_divide(self):
        two = np.timedelta64(2, "m")
        found = match_steps(bars([1, 2, 3, 4, 5]), truth(list(range(1, 13)), [1] * 12, list(range(12)), two))
        assert times_of(found.end) == ["00:20"]
        assert (found.first.tolist(), found.last.tolist()) == ([2], [3])
        assert found.usd.tolist() == [[5, 5 + 6 + 7 + 8 + 9]]

    def test_sums_over_the_bars_of_a_step_and_days_since_the_first(self):
        ends = at("06:00", "12:00") + np.array([0, 36]) * HOUR
        steps = Steps(ends, np.array([1, 4]), np.array([3, 4]), np.array([[2.0, 3], [5, 7]]))
        per_bar = np.array([[1.0, 2], [3, 5], [7, 11], [13, 17], [19, 23], [29, 31]])
        assert steps.summed(per_bar).tolist() == [[23, 33], [19, 23]]
        assert steps.summed(per_bar[:, 0]).tolist() == [23, 19]
        assert steps.days.tolist() == [0, 1.75]
        picked = steps.pick(np.array([False, True]))
        assert [getattr(picked, one.name).tolist() for one in fields(Steps)] == [
            [ends[1].item()], [4], [4], [[5, 7]],
        ]  # fmt: skip

    def test_the_range_of_a_step_is_measured_from_the_close_before_it(self):
        data = bars([1, 2, 3, 4, 5], close=[100, 98, 101, 50, 1], low=[1, 97, 95, 60, 45], high=[900, 104, 103, 55, 48])
        steps = Steps(at("00:15", "00:25"), np.array([1, 3]), np.array([2, 4]), np.zeros((2, 2)))
        assert [one.tolist() for one in step_range(data, steps)] == [[100, 101], [95, 45], [104, 55]]
        np.testing.assert_allclose(adverse_moves(data, steps), [[0.05, 0.04], [56 / 101, 0]])

    def test_of_no_steps_there_are_no_moves(self):
        data = bars([1, 2])
        none = Steps(np.zeros(0, "datetime64[us]"), *(np.zeros(0, np.int64),) * 2, np.zeros((0, 2)))
        assert adverse_moves(data, none).shape == (0, 2)


class TestWhichEndAStampNames:
    def moves(self, count: int) -> tuple[MarketData, np.ndarray]:
        """Bars after a first one, each with its own move down and up, and what that liquidates."""
        rng = np.random.default_rng(5)
        size = rng.permutation(count + 1) / 1_000
        data = bars(list(range(1, count + 2)), close=[100] * (count + 1), low=100 - size, high=100 + size[::-1])
        return data, size

    @pytest.mark.parametrize("names_start", [True, False])
    def test_liquidations_come_with_the_move(self, names_start: bool):
        data, size = self.moves(40)
        ends = data.walk_input.ts
        stamps = ends - FIVE if names_start else ends
        found = which_end(data, ObservedLiquidations(stamps, size, size[::-1], FIVE))
        right, wrong = found.fit_of_start, found.fit_of_end
        if not names_start:
            right, wrong = wrong, right
        assert found.names_start is names_start
        assert right == pytest.approx(1)
        assert abs(wrong) < 0.5
        assert found.is_clear

    @pytest.mark.parametrize(("steps", "fit"), [(20, 1.0), (19, 0.0)])
    def test_twenty_steps_are_enough(self, steps: int, fit: float):
        data, size = self.moves(steps)
        found = which_end(data, ObservedLiquidations(data.walk_input.ts, size, size[::-1], FIVE))
        assert found.fit_of_end == pytest.approx(fit)

    @pytest.mark.parametrize("has_shorts", [True, False])
    def test_a_side_that_says_nothing_is_passed_over_and_start_is_named_where_neither_does(self, has_shorts: bool):
        data, size = self.moves(30)
        none = np.zeros(size.size)
        found = which_end(data, ObservedLiquidations(data.walk_input.ts, none, size[::-1] * has_shorts, FIVE))
        assert found.fit_of_end == pytest.approx(float(has_shorts))
        assert found.names_start is not has_shorts

"""Both feeds on one clock: usual volumes, what was traded in between, prices around a snapshot. Against plain sums."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from liq_pipeline.exchange.feeds import Bars, Snapshots, Traded, implied_at_bars, prices_around

START = np.datetime64("2026-06-20", "us")
NAN, INF = np.nan, np.inf


def minutes(numbers: Sequence[float]) -> np.ndarray:
    return START + np.array(numbers, dtype=int) * np.timedelta64(1, "m")


def bars(closed: Sequence[float], *, width: int = 5, **of: Sequence[float]) -> Bars:
    """Bars that close so many minutes after the start; what is not given is 1."""
    every = {name: np.ones(len(closed)) for name in ("open", "high", "low", "close", "volume", "quote_volume")}
    given = {name: np.array(values, dtype=float) for name, values in of.items()}
    return Bars(minutes(closed), np.timedelta64(width, "m"), every | given, np.full(len(closed), None))


def snapshots(at: Sequence[float], contracts: Sequence[float], value: Sequence[float]) -> Snapshots:
    return Snapshots(minutes(at), np.array(contracts, float), np.array(value, float), np.full(len(at), None))


class TestUsualVolume:
    def test_is_the_median_of_the_day_and_the_day_before_where_more_than_half_a_day_was_traded(self) -> None:
        hours = [*range(0, 48, 4), *range(72, 96, 4), 96, 100]
        volume = [0.5, 3, 5, 7, 11, 13, 0, NAN, 17, 19, 23, 29, 31, 37, 41, 0, NAN, 0, 43, 47]
        found = bars([60 * hour for hour in hours], width=240, volume=volume).usual_volume
        # The fourth day has three bars of four hours, and nothing the day before: all bars stand in.
        assert found.tolist() == [6] * 6 + [12] * 6 + [19] * 6 + [41] * 2

    def test_is_not_known_where_nothing_was_traded(self) -> None:
        assert np.isnan(bars([5, 10], volume=[0, NAN]).usual_volume).all()


def test_the_typical_price_is_the_mean_of_high_low_and_close() -> None:
    assert bars([5], high=[13], low=[2], close=[6]).typical_price.tolist() == [7]


class TestBlame:
    def test_blanks_the_columns_of_these_rows_and_keeps_the_first_reason(self) -> None:
        judged = bars([5, 10, 15], open=[2, 3, 5], close=[7, 11, 13])
        judged.blame(np.array([True, True, False]), "first", "open")
        judged.blame(np.array([False, True, True]), "second")
        assert judged.reason.tolist() == ["first", "first", "second"]
        np.testing.assert_array_equal(judged.of["open"], [NAN, NAN, 5])
        np.testing.assert_array_equal(judged.of["close"], [7, 11, 13])

    def test_of_a_snapshot_blanks_both_numbers_or_the_value_alone(self) -> None:
        judged = snapshots([5, 10, 15], [2, 3, 5], [7, 11, 13])
        judged.blame(np.array([True, False, False]), "both")
        judged.blame(np.array([False, True, False]), "value", keep_contracts=True)
        judged.note(np.array([True, False, True]), "noted")
        assert judged.reason.tolist() == ["both", "value", "noted"]
        np.testing.assert_array_equal(judged.contracts, [NAN, 3, 5])
        np.testing.assert_array_equal(judged.value, [NAN, NAN, 13])


class TestTradedBetween:
    CLOSED, VOLUME = (5, 10, 15, 30, 35, 50), (2.0, 3.0, 0.0, 0.5, NAN, 11.0)
    UNKNOWN = 10 * 2.5  # the median of 0.5, 2, 3 and 11

    def traded(self) -> Traded:
        prices = {"high": [1, 1, 1, 1, 2, 1], "low": [1.0] * 6}
        return Traded(bars(self.CLOSED, volume=self.VOLUME, **prices))

    def test_is_the_sum_from_a_bar_before_to_a_bar_after_and_much_where_bars_are_absent(self) -> None:
        per_minute = dict.fromkeys(range(-200, 200), self.UNKNOWN / 5)
        for closed, volume in zip(self.CLOSED, self.VOLUME, strict=True):
            for minute in range(closed - 5, closed):
                per_minute[minute] = (self.UNKNOWN if np.isnan(volume) else volume) / 5
        # What is absent before a bar counts within it, and the hole before it too: a line from bar to bar.
        for begin, end in ((15, 30), (35, 50)):
            total = sum(per_minute[minute] for minute in range(begin, end))
            per_minute |= dict.fromkeys(range(begin, end), total / (end - begin))
        instants = [(begin, end) for begin in range(-60, 120, 7) for end in range(begin, 130, 11)]
        expected = [sum(per_minute[minute] for minute in range(begin - 5, end + 5)) for begin, end in instants]
        begin, end = zip(*instants, strict=True)
        np.testing.assert_allclose(self.traded().between(minutes(begin), minutes(end)), expected)

    def test_is_not_known_where_nothing_is(self) -> None:
        nothing = Traded(bars([5, 10], volume=[0, NAN]))
        assert nothing.between(minutes([5, 5]), minutes([10, 5])).tolist() == [INF, INF]

    @pytest.mark.parametrize(
        ("high", "volume", "expected"), [(2, 0, 30), (1, 0, 0), (2, 4, 4), (1, 4, 4), (2, INF, 30), (1, NAN, 30)]
    )
    def test_counts_much_for_a_bar_that_moved_without_volume_or_has_none(self, high, volume, expected: float) -> None:
        feeds = bars(
            range(5, 55, 5), low=[1] * 10, high=[1] * 4 + [high] + [1] * 5, volume=[3] * 4 + [volume] + [3] * 5
        )
        assert Traded(feeds).between(minutes([25]), minutes([25])) == pytest.approx(3 + expected)


class TestPricesAround:
    @pytest.mark.parametrize(
        ("at", "within"),
        [
            (-6, []), (-5, [5]), (0, [5, 10]), (9, [5, 10]), (10, [5, 10, 20]), (11, [10, 20]), (15, [10, 20]),
            (16, [20]), (20, [20]), (21, [20]), (25, [20]), (26, []), (29, []), (30, [40]), (45, [40]), (46, []),
        ],
    )  # fmt: skip
    def test_are_of_the_bars_that_close_a_bar_before_to_two_bars_after(self, at: int, within: list[int]) -> None:
        feeds = bars([5, 10, 20, 40], low=[7, 3, 4, 2], high=[8, 20, 31, 9])
        lowest, highest = {5: 7, 10: 3, 20: 4, 40: 2}, {5: 8, 10: 20, 20: 31, 40: 9}
        low, high = prices_around(feeds, minutes([at]))
        expected = [min(map(lowest.get, within)), max(map(highest.get, within))] if within else [NAN, NAN]
        np.testing.assert_array_equal([low[0], high[0]], expected)

    def test_leave_out_bars_that_are_blanked(self) -> None:
        low, high = prices_around(bars([5, 10], low=[NAN, 3], high=[NAN, 4]), minutes([5, 20]))
        np.testing.assert_array_equal([low, high], [[3, NAN], [4, NAN]])

    def test_are_not_known_without_bars(self) -> None:
        assert np.isnan(prices_around(bars([]), minutes([5]))).all()


class TestImpliedPrice:
    def test_is_value_by_contracts_of_the_snapshot_at_the_end_of_a_bar(self) -> None:
        at = [5, 10, 16, 20, 25, 30, 35]
        told = snapshots(at, [2, 4, 1, 3, 0, NAN, 2], [6, 2, 9, 0, 5, 5, -4])
        with np.errstate(divide="ignore"):
            found = implied_at_bars(bars([5, 10, 15, 20, 25, 30, 35, 40]), told)
        np.testing.assert_array_equal(found, [3, 0.5, NAN, NAN, NAN, NAN, NAN, NAN])

    def test_of_the_last_snapshot_is_known(self) -> None:
        assert implied_at_bars(bars([5, 10]), snapshots([5, 10], [2, 4], [6, 20])).tolist() == [3, 5]

    def test_is_not_known_without_snapshots(self) -> None:
        assert np.isnan(implied_at_bars(bars([5]), snapshots([], [], []))).all()

"""The legacy system's model: its published numbers, and planted examples of each of its rules."""

from dataclasses import replace

import numpy as np
import pytest

from liq_pipeline.model.baselines import (
    LegacyInput,
    legacy_entry_bin,
    legacy_levels,
    legacy_levels_crossed,
    legacy_liquidation_price,
    legacy_maintenance_rate,
)

DAY = np.timedelta64(1, "D")
PUBLISHED = {5: (72_072, 107_928), 10: (81_036, 98_964), 25: (86_436, 93_564), 50: (88_218, 91_782)}
PUBLISHED[100] = (89_122, 90_878)  # 89,122.5 and 90,877.5: half to even


def candles(close, open=None, value=None, quote_volume=None, hours=1):
    """Candles of `hours`, the last closing at 2026-03-10 00:00; open interest value rises by 1 unless given."""
    close = np.asarray(close, dtype=float)
    count = close.size
    ts = np.datetime64("2026-03-10T00:00", "us") + np.arange(1 - count, 1) * np.timedelta64(hours, "h")
    start = close - 1 if open is None else np.asarray(open, dtype=float)
    return LegacyInput(
        ts=ts,
        open=start,
        high=np.maximum(start, close),
        low=np.minimum(start, close),
        close=close,
        quote_volume=np.ones(count) if quote_volume is None else np.asarray(quote_volume, dtype=float),
        open_interest_value_usd=1_000.0 + np.arange(count) if value is None else np.asarray(value, dtype=float),
    )


@pytest.mark.parametrize("leverage", PUBLISHED)
def test_the_ten_published_numbers_at_90000(leverage):
    long, short = PUBLISHED[leverage]
    assert np.rint(legacy_liquidation_price("long", 90_000, leverage)) == long
    assert np.rint(legacy_liquidation_price("short", 90_000, leverage)) == short


def test_the_rate_goes_by_leverage():
    assert legacy_maintenance_rate([3, 10, 25, 50, 75, 100]).tolist() == [0.004, 0.004, 0.01, 0.01, 0.025, 0.025]


def test_at_100x_it_lies_62_percent_too_far_out():
    official = 90_000 * (1 - 1 / 100) / (1 - 0.004)
    legacy = float(legacy_liquidation_price("long", 90_000, 100))
    assert (90_000 - legacy) / (90_000 - official) == pytest.approx(1.6185, abs=1e-9)


@pytest.mark.parametrize(("days", "width"), [(1, 200), (7, 200), (8, 500), (30, 500), (31, 1_500), (90, 1_500)])
def test_entry_bins_widen_with_the_window(days, width):
    assert legacy_entry_bin(days * DAY) == width


def test_open_interest_is_spread_over_candles_whose_usd_value_rose_in_proportion_to_volume():
    levels = legacy_levels(candles([90_100] * 4, value=[10, 11, 5, 900], quote_volume=[7, 1, 7, 3]), 7 * DAY)
    assert np.unique(levels.bar).tolist() == [1, 3]
    assert levels.notional_usd[levels.bar == 1].sum() == pytest.approx(900 / 4)
    assert levels.notional_usd[levels.bar == 3].sum() == pytest.approx(900 * 3 / 4)


def test_a_rising_price_alone_looks_like_opening():
    price = np.array([90_000.0, 91_000.0, 92_000.0])
    falling_contracts = np.array([10.0, 9.95, 9.9])
    levels = legacy_levels(candles(price, value=price * falling_contracts), DAY)
    assert set(levels.bar.tolist()) == {1, 2}


def test_each_share_is_split_over_the_classic_ladder():
    levels = legacy_levels(candles([90_100, 90_100], value=[1, 1_000]), DAY)
    assert dict(zip(levels.leverage, levels.notional_usd / 1_000, strict=True)) == pytest.approx(
        {5: 0.15, 10: 0.30, 25: 0.25, 50: 0.20, 100: 0.10}
    )


def test_rising_and_unchanged_candles_are_long_and_falling_ones_short():
    levels = legacy_levels(candles([90_100] * 4, open=[90_000, 90_000, 90_100, 90_200]), DAY)
    assert levels.is_long[levels.bar == 1].all()
    assert levels.is_long[levels.bar == 2].all()
    assert not levels.is_long[levels.bar == 3].any()


@pytest.mark.parametrize(("days", "entry"), [(7, 91_200), (30, 91_000), (90, 90_000)])
def test_the_entry_is_the_lower_edge_of_its_bin(days, entry):
    levels = legacy_levels(candles([91_399, 91_399]), days * DAY)
    np.testing.assert_array_equal(
        levels.liquidation_price, legacy_liquidation_price("long", entry, [5.0, 10.0, 25.0, 50.0, 100.0])
    )


def test_levels_beyond_the_current_price_are_kept_and_others_left_out():
    levels = legacy_levels(candles([90_000, 90_000, 88_000], open=[89_000, 89_000, 88_000], value=[1, 2, 2]), DAY)
    assert levels.leverage.tolist() == [5, 10, 25]  # longs of 90,000 at 50x and 100x lie above 88,000
    assert (levels.liquidation_price < 88_000).all()


def test_a_level_that_price_crossed_stays_when_price_comes_back():
    bars = candles([90_000, 90_000, 85_000, 90_000], open=[89_000, 89_000, 90_000, 85_000], value=[1, 2, 2, 2])
    levels = legacy_levels(bars, DAY)
    assert levels.leverage.tolist() == [5, 10, 25, 50, 100]
    assert legacy_levels_crossed(bars, levels).tolist() == [False, False, True, True, True]


def test_crossed_shorts_are_told_by_the_highs_after_their_candle():
    bars = candles([90_000, 90_000, 95_000, 90_000], open=[91_000, 91_000, 90_000, 95_000], value=[1, 2, 2, 2])
    levels = legacy_levels(bars, DAY)
    assert not levels.is_long.any()
    assert dict(zip(levels.leverage, legacy_levels_crossed(bars, levels), strict=True)) == {
        5: False, 10: False, 25: True, 50: True, 100: True,
    }  # fmt: skip


def test_the_first_candle_of_the_data_has_no_change():
    assert not legacy_levels(candles([90_000]), DAY).bar.size


def test_the_change_reaches_back_before_the_window():
    levels = legacy_levels(candles([90_000] * 26), DAY)  # the window holds the last 24 candles
    assert np.unique(levels.bar).tolist() == list(range(2, 26))


def test_the_wall_clock_empties_the_one_day_window_when_data_are_two_days_old():
    bars = candles([90_000] * 200)
    assert legacy_levels(bars, DAY).bar.size
    assert not legacy_levels(bars, DAY, now=bars.ts[-1] + 2 * DAY).bar.size
    assert legacy_levels(bars, 7 * DAY, now=bars.ts[-1] + 2 * DAY).bar.size


def test_no_volume_gives_nothing_rather_than_nan():
    levels = legacy_levels(candles([90_000] * 3, quote_volume=[0, 0, 0]), DAY)
    assert (levels.notional_usd == 0).all()


def test_no_candles_are_an_error():
    bars = candles([90_000])
    empty = replace(bars, **{name: getattr(bars, name)[:0] for name in bars.__dataclass_fields__})
    with pytest.raises(ValueError, match="at least one candle"):
        legacy_levels(empty, DAY)


def test_the_newest_candle_can_cross_a_level_too():
    bars = candles([90_000, 90_000, 90_000], open=[89_000, 89_000, 90_000], value=[1, 2, 2])
    bars = replace(bars, low=np.array([89_000, 89_000, 88_000.0]))
    levels = legacy_levels(bars, DAY)
    assert legacy_levels_crossed(bars, levels).tolist() == [False, False, False, True, True]

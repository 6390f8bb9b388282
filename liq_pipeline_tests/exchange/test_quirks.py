from __future__ import annotations

from datetime import date, timedelta

import numpy as np

from liq_pipeline.exchange import quirks

NOON = 20_000 * quirks.DAY + 12 * 60 * quirks.MINUTE


def test_label_shift() -> None:
    assert label_minutes(date(2026, 6, 24)) == 0
    assert label_minutes(date(2026, 6, 25)) == 5


def label_minutes(day: date) -> float:
    return quirks.label_shift(day) / timedelta(minutes=1)


def test_snap_jitter() -> None:
    offsets = np.array([0, 2, -2, 60, -60, 61, -61, 150]) * quirks.SECOND
    snapped, too_far = quirks.snap_jitter(NOON + offsets)
    assert (snapped[:7] == NOON).all()
    assert too_far.tolist() == [False] * 5 + [True] * 3


def test_to_microseconds() -> None:
    stamps, is_micro = quirks.to_microseconds(np.array([1_577_836_860_000, 1_577_836_860_000_000]))
    assert stamps.tolist() == [1_577_836_860_000_000] * 2
    assert is_micro.tolist() == [False, True]


def test_mixed_units() -> None:
    is_micro = np.array([True, True, False, True])
    assert quirks.mixed_units(is_micro, np.array([0, 2, 4])).tolist() == [False, False, False, True]


def test_outside_own_day() -> None:
    bar = 5 * quirks.MINUTE
    stamps = np.array([-bar - 1, -bar, 0, quirks.DAY, quirks.DAY + bar, quirks.DAY + bar + 1])
    outside = quirks.outside_own_day(stamps, np.zeros(6, dtype=np.int64), bar)
    assert outside.tolist() == [True, False, False, False, False, True]


def test_other_interval() -> None:
    five, fifteen = 5 * quirks.MINUTE, 15 * quirks.MINUTE
    opened = np.zeros(4, dtype=np.int64)
    closed = np.array([five - 1000, fifteen - 1000, fifteen - 1000, fifteen - 1000])
    odd = quirks.other_interval(opened, closed, five, np.array([0, 2, 4]))
    assert odd.tolist() == [False, False, True, True]


def test_not_a_number() -> None:
    assert quirks.not_a_number(np.array([1.0, np.nan]), nulls=1) is None
    mask = quirks.not_a_number(np.array([1.0, np.inf]), nulls=0)
    assert mask is not None
    assert mask.tolist() == [False, True]


def test_blank_bad_prints() -> None:
    blanked = quirks.blank_bad_prints(np.array([1.0, 0.0, -3.0, np.nan]))
    assert np.isnan(blanked).tolist() == [False, True, True, True]


def test_only_contracts_that_read_zero_are_worth_nothing() -> None:
    contracts, value = np.array([1.0, 0.0, -0.0, -3.0, np.nan, 1e-300, 1e300]), np.full(7, np.nan)
    np.testing.assert_array_equal(
        quirks.worth_of_nothing(contracts, value), [np.nan, 0, 0, np.nan, np.nan, np.nan, np.nan]
    )


def test_ohlc_nonsense() -> None:
    bars = np.array(
        [
            [10, 12, 9, 11],
            [10, 9, 12, 11],  # high < low
            [10, 10.5, 9, 11],  # the close is above the high
            [10, 12, 10.5, 11],  # the open is below the low
            [10, 12, 0, 11],
            [10, 12, np.nan, 11],
            [10, np.inf, 9, 11],
        ]
    )
    assert quirks.ohlc_nonsense(*bars.T).tolist() == [False] + [True] * 6


def test_keep_last_of_equal() -> None:
    stamps = np.array([3, 1, 2, 2, 3])
    values = np.array([30.0, 10.0, np.nan, np.nan, 31.0])
    keep, counts = quirks.keep_last_of_equal(stamps, [values])
    assert keep.tolist() == [1, 3, 4]
    assert counts == {"reordered_rows": 1, "duplicate_rows": 1, "conflicting_duplicates": 1}


def test_rows_in_order_are_left_alone() -> None:
    keep, counts = quirks.keep_last_of_equal(np.array([1, 2]), [np.array([1.0, 2.0])])
    assert keep.tolist() == [0, 1]
    assert counts == {}

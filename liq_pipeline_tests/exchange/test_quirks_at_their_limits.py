"""The defects of the exchange's files in plain numbers, a step on either side of where they begin."""

from __future__ import annotations

import numpy as np
import pytest

from liq_pipeline.exchange import quirks

FIVE_MINUTES, A_DAY = 300_000_000, 86_400_000_000  # microseconds


def test_a_label_is_snapped_to_the_nearest_five_minutes_and_too_far_off_after_sixty_seconds() -> None:
    late = [0, 60_000_000, 60_000_001, 149_999_999, 150_000_000, 239_999_999, 240_000_000, 300_000_000]
    snapped, too_far = quirks.snap_jitter(7 * FIVE_MINUTES + np.array(late))
    assert (snapped // FIVE_MINUTES).tolist() == [7, 7, 7, 7, 8, 8, 8, 8]
    assert (snapped % FIVE_MINUTES).tolist() == [0] * 8
    assert too_far.tolist() == [False, False, True, True, True, True, False, False]


def test_stamps_are_microseconds_from_ten_to_the_fifteenth_on() -> None:
    stamps, is_micro = quirks.to_microseconds(np.array([10**15, 10**15 - 1, 10**15 + 1, 1, 0, -1, -(10**15)]))
    assert stamps.tolist() == [10**15, (10**15 - 1) * 1000, 10**15 + 1, 1000, 0, -1, -(10**15)]
    assert is_micro.tolist() == [True, False, True, False, False, False, False]


def test_the_unit_of_a_file_is_that_of_its_first_row() -> None:
    is_micro = np.array([False, True, False, True, True, False])
    assert quirks.mixed_units(is_micro, np.array([0, 3, 6])).tolist() == [False, True, False, False, False, True]


def test_a_row_lies_within_its_day_and_a_bar_on_either_side() -> None:
    midnight = 3 * A_DAY
    stamps = midnight + np.array([-FIVE_MINUTES - 1, -FIVE_MINUTES, A_DAY + FIVE_MINUTES, A_DAY + FIVE_MINUTES + 1])
    outside = quirks.outside_own_day(stamps, np.full(4, midnight), FIVE_MINUTES)
    assert outside.tolist() == [True, False, False, True]


@pytest.mark.parametrize(
    ("late", "is_odd"), [(0, False), (-1_000_000, False), (-1_000_001, True), (1_000_000, False), (1_000_001, True)]
)
def test_a_file_is_of_another_interval_where_no_bar_is_as_wide_to_a_second(late: int, is_odd: bool) -> None:
    opened = A_DAY + FIVE_MINUTES * np.arange(5)
    closed = opened + FIVE_MINUTES + np.array([late, 5 * FIVE_MINUTES, 0, 0, late])
    odd = quirks.other_interval(opened, closed, FIVE_MINUTES, np.array([0, 2, 4, 5]))
    assert odd.tolist() == [is_odd, is_odd, False, False, is_odd]


def test_without_rows_no_file_is_of_another_interval() -> None:
    nothing = np.array([], dtype=np.int64)
    assert quirks.other_interval(nothing, nothing, FIVE_MINUTES, np.array([0])).tolist() == []


@pytest.mark.parametrize(
    ("values", "nulls", "marked"),
    [
        ([1, np.nan], 1, None), ([1, np.nan], 0, [False, True]), ([1, np.nan, np.nan], 1, [False, True, True]),
        ([np.inf, np.nan], 1, [True, True]), ([np.inf, 2], 0, [True, False]), ([-np.inf], 0, [True]), ([3], 0, None),
    ],
)  # fmt: skip
def test_a_cell_that_reads_nan_or_inf_is_no_null(values: list[float], nulls: int, marked: list[bool] | None) -> None:
    found = quirks.not_a_number(np.array(values), nulls)
    assert (found if found is None else found.tolist()) == marked


def test_open_interest_lies_between_a_trillionth_and_ten_to_the_fifteenth() -> None:
    values = [1e-12, 0.9e-12, 1e15, 1.000001e15, 0.0, -1.0, 2.0]
    found = quirks.blank_bad_prints(np.array(values))
    np.testing.assert_array_equal(found, [1e-12, np.nan, 1e15, np.nan, np.nan, np.nan, 2])
    assert quirks.blank_bad_prints(np.array([0.5, 2.0])).tolist() == [0.5, 2]


@pytest.mark.parametrize(
    ("bar", "is_nonsense"),
    [
        ((0.5, 0.75, 0.25, 0.5), False), ((2, 2, 2, 2), False), ((0, 1, 0, 1), True), ((2, 3, 0, 2), True),
        ((2, 3, 2.5, 3), True), ((2, 3, 1, 4), True), ((5, 3, 1, 2), True), ((2, 3, 1, 0.5), True),
        ((np.inf, np.inf, 1, 1), True), ((np.nan, 3, 1, 2), True), ((-2, 3, -2, 1), True),
    ],
)  # fmt: skip
def test_a_bar_encloses_its_prices_which_are_above_zero(bar: tuple[float, ...], is_nonsense: bool) -> None:
    assert quirks.ohlc_nonsense(*np.array(bar, dtype=float)[:, None]).tolist() == [is_nonsense]


@pytest.mark.parametrize(
    ("stamps", "first", "second", "kept", "counts"),
    [
        ([4, 5, 6], [1, 2, 3], [1, 2, 3], [0, 1, 2], {}),
        ([4, 4], [1, 1], [2, 2], [1], {"duplicate_rows": 1}),
        ([4, 4], [1, 1], [2, 3], [1], {"conflicting_duplicates": 1}),
        ([4, 4], [1, 2], [3, 3], [1], {"conflicting_duplicates": 1}),
        ([4, 4], [np.nan, np.nan], [3, 3], [1], {"duplicate_rows": 1}),
        ([4, 4], [1, np.nan], [3, 3], [1], {"conflicting_duplicates": 1}),
        ([4, 4], [np.nan, 1], [3, 3], [1], {"conflicting_duplicates": 1}),
        ([7, 5, 6, 5, 5], [1, 2, 3, 2, 4], [0, 0, 0, 0, 0], [4, 2, 0],
         {"reordered_rows": 2, "duplicate_rows": 1, "conflicting_duplicates": 1}),
        ([5, 4], [1, 2], [1, 2], [1, 0], {"reordered_rows": 1}),
    ],
)  # fmt: skip
def test_of_equal_stamps_the_last_row_is_kept(stamps, first, second, kept: list[int], counts: dict[str, int]) -> None:
    found = quirks.keep_last_of_equal(np.array(stamps), [np.array(first, float), np.array(second, float)])
    assert (found[0].tolist(), found[1]) == (kept, counts)

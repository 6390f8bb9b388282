"""Rows that stand apart from the others, on series written by hand: a leap is a change by more than 1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from liq_pipeline.exchange.leaps import Leaps, Series, find_leaps

START = np.datetime64("2026-06-01T00:00")


def leaps_of(
    values: Sequence[float], *, minutes: int = 5, against: Sequence[int] = (), agreed: Sequence[int] = ()
) -> Leaps:
    level = np.array(values, dtype=float)
    rows = np.arange(level.size)
    series = Series(
        START + rows * np.timedelta64(minutes, "m"),
        level,
        level,
        lambda i, j: np.abs(level[j] - level[i]) > 1,
        np.isin(rows, against),
        np.isin(rows, agreed),
        confirmation_settles=True,
    )
    return find_leaps(series)


def displaced(*args, **more) -> list[int]:
    return np.flatnonzero(leaps_of(*args, **more).displaced).tolist()


def test_a_series_that_never_leaps_has_nothing_displaced() -> None:
    assert displaced([1, 1.5, 2.2, 3, 2.5]) == []


def test_an_empty_series_has_nothing_displaced() -> None:
    assert displaced([]) == []


def test_a_row_that_leaps_away_and_back_is_displaced() -> None:
    assert displaced([5, 5, 9, 5, 5]) == [2]


def test_a_stretch_that_leaps_away_and_back_is_displaced_however_long() -> None:
    assert displaced([5] * 400 + [9] * 300 + [5.2] * 400) == list(range(400, 700))


def test_neighbouring_rows_that_leap_to_different_places_are_all_displaced() -> None:
    assert displaced([5, 5, 9, 1, 12, 5, 5]) == [2, 3, 4]


def test_a_leap_at_either_end_is_not_believed_while_it_is_short() -> None:
    assert displaced([9, 5, 5, 5, 5]) == [0]
    assert displaced([5, 5, 5, 5, 9]) == [4]
    assert displaced([5] * 600 + [9] * 289) == list(range(600, 889))  # a day lies between the first and the last


def test_a_leap_that_lasts_for_more_than_a_day_is_a_new_level() -> None:
    found = leaps_of([5] * 600 + [9] * 290)
    assert not found.displaced.any()
    assert np.flatnonzero(found.new_level).tolist() == [600]


def test_a_new_level_is_judged_like_the_old_one() -> None:
    found = leaps_of([5] * 300 + [1] + [5] * 300 + [9] * 300 + [20] + [9] * 300)
    assert np.flatnonzero(found.displaced).tolist() == [300, 901]
    assert np.flatnonzero(found.new_level).tolist() == [601]


def test_what_another_source_has_too_needs_no_patience() -> None:
    assert displaced([5, 5, 5, 5, 9, 9], agreed=[0, 1, 2, 3, 4, 5]) == []


def test_what_another_source_speaks_against_is_not_believed_however_long() -> None:
    values = [5] * 600 + [9] * 900
    assert displaced(values, agreed=range(600), against=range(600, 1500)) == list(range(600, 1500))


def test_everything_may_leap() -> None:
    values = np.random.default_rng(1).uniform(0, 100, 3_000)
    assert leaps_of(values).displaced.mean() > 0.9

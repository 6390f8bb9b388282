"""A day without a file: not yet there, or left out."""

from __future__ import annotations

from datetime import date

import pytest

from liq_pipeline.exchange.absence import absence, days_without_file


def june(*days: int) -> list[date]:
    return [date(2026, 6, day) for day in days]


@pytest.mark.parametrize(
    ("day", "last_arrived", "today", "expected"),
    [
        (11, 10, 12, "not_yet"), (11, 10, 18, "not_yet"), (11, 10, 19, "missing"), (10, 10, 12, "missing"),
        (9, 10, 12, "missing"), (1, 2, 29, "missing"),
    ],
)  # fmt: skip
def test_only_behind_the_newest_file_and_for_a_week_a_day_is_not_there_yet(day, last_arrived, today, expected) -> None:
    assert absence(*june(day, last_arrived, today)) == expected


@pytest.mark.parametrize(
    ("since", "known", "expected"),
    [(1, [3, 5, 8], [4, 6, 7, 9]), (4, [3, 5, 8], [4, 6, 7, 9]), (6, [3, 5, 8], [6, 7, 9]), (10, [3], []),
     (9, [9], [])],
)  # fmt: skip
def test_days_are_counted_from_the_first_that_is_asked_or_known_to_yesterday(since, known, expected) -> None:
    assert days_without_file(june(since)[0], june(*known), june(10)[0]) == june(*expected)

"""Days without a file: when is one a hole, and when just not there yet?

Publication lags by up to about six days (exchange.md 1.4), but it goes by day: what lies before a day that has come is
not late, it was left out. Only the trailing end can be "not yet".
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, timedelta

FRONTIER = timedelta(days=7)
ONE_DAY = timedelta(days=1)


def absence(day: date, last_arrived: date, today: date) -> str:
    """Return what a day without a file is.

    Args:
        day: the day.
        last_arrived: the newest day of which the archive gave a file, good or bad.
        today: the current UTC day.

    Returns:
        `not_yet` at the trailing end, for a week; else `missing`.
    """
    return "not_yet" if day > last_arrived and today - day <= FRONTIER else "missing"


def days_without_file(since: date, known: Collection[date], today: date) -> list[date]:
    """Return the days from `since`, or the first known one, to yesterday that are not known."""
    day, absent = max(since, min(known)), []
    while day < today:
        absent += [day] if day not in known else []
        day += ONE_DAY
    return absent

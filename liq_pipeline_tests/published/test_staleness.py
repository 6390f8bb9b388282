"""Ages and short histories, in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from liq_pipeline.published.staleness import age_in_words, is_stale, notice, retired, short_history
from liq_pipeline.views.payload import age_facts

AS_OF = datetime(2026, 3, 28, tzinfo=UTC)


@pytest.mark.parametrize(
    ("timeframe", "days", "words"),
    [
        ("90d", 15, "90d asked, 15 days shown, data since 13 Mar"),
        ("90d", 87.5, "90d asked, 88 days shown, data since 30 Dec 2025"),
        ("7d", 0.5, "7d asked, 12.0 h shown, data since 27 Mar"),
        ("7d", 2, "7d asked, 2 days shown, data since 26 Mar"),
        ("7d", 1.99, "7d asked, 47.8 h shown, data since 26 Mar"),
        ("7d", 7 - 1 / 24, ""),
        ("7d", 7 - 1 / 24 - 1 / 1440, "7d asked, 7 days shown, data since 21 Mar"),
        ("7d", 6.99, ""),  # the first bar closes after the window begins
        ("7d", 7, ""),
        ("1d", 400, ""),
    ],
)
def test_a_timeframe_that_the_data_does_not_fill_is_said(timeframe, days, words) -> None:
    assert short_history(timeframe, AS_OF - timedelta(days=days), AS_OF) == words


@pytest.mark.parametrize(("hours", "words"), [(1.25, "1.2 h"), (71.99, "72.0 h"), (72, "72.0 h (3.0 days)")])
def test_an_age_of_three_days_is_told_in_days_too(hours: float, words: str) -> None:
    assert age_in_words(timedelta(hours=hours)) == words


@pytest.mark.parametrize(
    ("age", "stale", "words"),
    [
        (timedelta(seconds=-1), True, "data up to 2026-03-28 00:00 UTC, later than now (2026-03-27 23:59): check the "
                                      "clock or LIQ_NOW"),
        (timedelta(0), False, "data up to 2026-03-28 00:00 UTC, 0.0 h old"),
        (timedelta(hours=24, seconds=-1), False, "data up to 2026-03-28 00:00 UTC, 24.0 h old"),
        (timedelta(hours=24), False, "data up to 2026-03-28 00:00 UTC, 24.0 h old; 1d leans on old data"),
        (timedelta(hours=48, seconds=-1), False, "data up to 2026-03-28 00:00 UTC, 48.0 h old; 1d leans on old data"),
        (timedelta(hours=48), True, "data up to 2026-03-28 00:00 UTC, 48.0 h old; stale (the limit is 48 h)"),
    ],
)  # fmt: skip
def test_data_is_old_after_a_day_and_stale_after_two(age: timedelta, stale: bool, words: str) -> None:
    assert (is_stale(age), notice(AS_OF, AS_OF + age)) == (stale, words)


@pytest.mark.parametrize(
    ("hours", "words", "is_ageing", "stale"),
    [
        (-0.01, "later than now (2026-03-27 23:59): check the clock or LIQ_NOW", False, True),
        (0, "0.0 h old", False, False),
        (23.99, "24.0 h old", False, False),
        (24, "24.0 h old; 1d leans on old data", True, False),
        (47.994, "48.0 h old; 1d leans on old data", True, False),
        (48, "48.0 h old; stale (the limit is 48 h)", True, True),
        (71.9, "71.9 h old; stale (the limit is 48 h)", True, True),
        (72, "72.0 h (3.0 days) old; stale (the limit is 48 h)", True, True),
    ],
)
def test_data_is_ageing_from_24_hours_on_and_stale_from_48(hours, words: str, is_ageing: bool, stale: bool) -> None:
    now = AS_OF + timedelta(hours=hours)

    assert notice(AS_OF, now) == f"data up to 2026-03-28 00:00 UTC, {words}"
    assert is_stale(now - AS_OF) is stale
    assert age_facts(AS_OF, now) == {
        "as_of": "2026-03-28T00:00:00Z", "age_hours": pytest.approx(hours, abs=5e-4), "is_ageing": is_ageing,
        "is_stale": stale, "notice": notice(AS_OF, now),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("refreshed", "found"), [(None, set()), ([], {"A", "B"}), (["B"], {"A"}), (["A", "B", "C"], set())]
)
def test_what_nobody_refreshes_is_retired_where_it_is_known_who_is(refreshed, found: set[str]) -> None:
    assert retired(["A", "B"], refreshed) == found

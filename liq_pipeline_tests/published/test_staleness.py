"""Ages and short histories, in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from liq_pipeline.published.staleness import retired, short_history

AS_OF = datetime(2026, 3, 28, tzinfo=UTC)


@pytest.mark.parametrize(
    ("timeframe", "days", "words"),
    [
        ("90d", 15, "90d asked, 15 days shown, data since 13 Mar"),
        ("90d", 87.5, "90d asked, 88 days shown, data since 30 Dec 2025"),
        ("7d", 0.5, "7d asked, 12.0 h shown, data since 27 Mar"),
        ("7d", 6.99, ""),  # the first bar closes after the window begins
        ("7d", 7, ""),
        ("1d", 400, ""),
    ],
)
def test_a_timeframe_that_the_data_does_not_fill_is_said(timeframe, days, words) -> None:
    assert short_history(timeframe, AS_OF - timedelta(days=days), AS_OF) == words


@pytest.mark.parametrize(
    ("refreshed", "found"), [(None, set()), ([], {"A", "B"}), (["B"], {"A"}), (["A", "B", "C"], set())]
)
def test_what_nobody_refreshes_is_retired_where_it_is_known_who_is(refreshed, found: set[str]) -> None:
    assert retired(["A", "B"], refreshed) == found

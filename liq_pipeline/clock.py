"""The one place that reads the wall clock. Everything else is told what time it is."""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg


class Clock(dg.ConfigurableResource):
    """Tells the time, in UTC.

    Args:
        fixed: an ISO instant that stands for *now* (replays, tests, the demo); empty for the real clock.
    """

    fixed: str = ""

    def now(self) -> datetime:
        """Return the current instant, time zone UTC."""
        if self.fixed:
            return datetime.fromisoformat(self.fixed).astimezone(UTC)
        return datetime.now(UTC)

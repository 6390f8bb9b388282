"""The one place that reads the wall clock. Everything else is told what time it is."""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg

from liq_pipeline.settings import Settings


class Clock(dg.ConfigurableResource):
    """Tells the time, in UTC.

    Args:
        fixed: an ISO instant that stands for *now* (replays, tests, the demo); empty for the real clock.
        speed: seconds that pass here per real second, counted from `started`; 0: time stands still at `fixed`.
        started: the real instant, ISO, at which it was `fixed` here.
    """

    fixed: str = ""
    speed: float = 0.0
    started: str = ""

    def now(self) -> datetime:
        """Return the current instant, time zone UTC."""
        real = datetime.now(UTC)
        if not self.fixed:
            return real
        fixed = datetime.fromisoformat(self.fixed).astimezone(UTC)
        return fixed + self.speed * (real - datetime.fromisoformat(self.started)) if self.started else fixed


def clock_of(settings: Settings) -> Clock:
    """Return the clock that the settings ask for."""
    return Clock(
        fixed=settings.now.isoformat() if settings.now else "",
        speed=settings.replay_speed,
        started=settings.replay_started.isoformat() if settings.replay_started else "",
    )

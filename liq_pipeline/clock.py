"""The wall clock as a resource: what assets and checks are handed."""

from __future__ import annotations

from datetime import datetime

import dagster as dg

from liq_pipeline.settings import Settings
from liq_pipeline.wall_clock import clock_arguments, current_instant


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
        return current_instant(self.fixed, self.speed, self.started)


def clock_of(settings: Settings) -> Clock:
    """Return the clock that the settings ask for."""
    fixed, speed, started = clock_arguments(settings)
    return Clock(fixed=fixed, speed=speed, started=started)

"""The one place that reads the wall clock. Everything else is told what time it is.

Loads no Dagster: `clock.Clock` is the same as its resource.
"""

from __future__ import annotations

from datetime import UTC, datetime

from liq_pipeline.errors import SettingsError
from liq_pipeline.settings import Settings


def current_instant(fixed: str = "", speed: float = 0.0, started: str = "") -> datetime:
    """Return the current instant, time zone UTC. Arguments as in `clock.Clock`.

    Raises:
        SettingsError: a replay that has left the calendar.
    """
    real = datetime.now(UTC)
    if not fixed:
        return real
    instant = datetime.fromisoformat(fixed).astimezone(UTC)
    try:
        return instant + speed * (real - datetime.fromisoformat(started)) if started else instant
    except OverflowError:
        raise SettingsError(
            f"a replay at {speed:g} times the speed, started at {started}, has left the calendar",
            remedy="start it anew (LIQ_NOW, LIQ_REPLAY_SPEED, LIQ_REPLAY_STARTED)",
        ) from None


def now_by(settings: Settings) -> datetime:
    """Return the current instant by the clock that the settings ask for."""
    return current_instant(*clock_arguments(settings))


def clock_arguments(settings: Settings) -> tuple[str, float, str]:
    """Return what `current_instant` needs to know of the settings."""
    return (
        settings.now.isoformat() if settings.now else "",
        settings.replay_speed,
        settings.replay_started.isoformat() if settings.replay_started else "",
    )

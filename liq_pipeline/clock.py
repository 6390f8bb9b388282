"""The one place that reads the wall clock. Everything else is told what time it is."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict

from liq_pipeline.errors import SettingsError
from liq_pipeline.settings import Settings


def current_instant(fixed: str = "", speed: float = 0.0, started: str = "") -> datetime:
    """Return the current instant, time zone UTC. Arguments as in `Clock`.

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


class Clock(BaseModel):
    """Tells the time, in UTC.

    Args:
        fixed: an ISO instant that stands for *now* (replays, tests, the demo); empty for the real clock.
        speed: seconds that pass here per real second, counted from `started`; 0: time stands still at `fixed`.
        started: the real instant, ISO, at which it was `fixed` here.
    """

    model_config = ConfigDict(frozen=True)

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


def iso(instant: datetime) -> str:
    """Return an instant as files and answers write it: ISO 8601, UTC, `Z`."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")

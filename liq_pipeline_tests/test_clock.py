"""What time it is: the wall's, one that stands still, or one that runs at another speed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from liq_pipeline.clock import Clock, current_instant
from liq_pipeline.errors import SettingsError

FIXED = "2026-03-01T00:00:00+00:00"
MIDNIGHT = datetime(2026, 3, 1, tzinfo=UTC)


def test_without_an_instant_it_is_the_walls_in_utc() -> None:
    found = current_instant()
    assert abs(datetime.now(UTC) - found) < timedelta(seconds=10)
    assert found.utcoffset() == timedelta(0)


@pytest.mark.parametrize("fixed", [FIXED, "2026-03-01T05:30:00+05:30"])
def test_an_instant_that_was_given_stands_still(fixed: str) -> None:
    assert current_instant(fixed) == current_instant(fixed, 60.0) == MIDNIGHT


def test_a_clock_without_a_speed_stands_still_and_is_not_changed() -> None:
    clock = Clock(fixed=FIXED, started="2020-01-01T00:00:00+00:00")
    assert clock.now() == current_instant(FIXED, started=clock.started) == MIDNIGHT
    with pytest.raises(ValidationError, match="frozen"):
        clock.speed = 1.0


@pytest.mark.parametrize("speed", [0.0, 0.5, 1.0, 60.0])
def test_from_its_start_on_a_replay_runs_at_its_speed(speed: float) -> None:
    started = datetime.now(UTC) - timedelta(hours=1)
    gone = current_instant(FIXED, speed, started.isoformat()) - MIDNIGHT
    assert timedelta(0) <= gone - speed * timedelta(hours=1) <= speed * timedelta(seconds=10)


def test_a_replay_that_left_the_calendar_says_so() -> None:
    with pytest.raises(SettingsError, match=r"a replay at 1e\+09 times the speed.*has left the calendar"):
        current_instant(FIXED, 1e9, "2020-01-01T00:00:00+00:00")

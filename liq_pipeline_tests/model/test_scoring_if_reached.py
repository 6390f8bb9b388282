"""What "if reached" is scored on: which cases a day is forecast from, which are scored, where they are asked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from liq_pipeline.model.alignment import MarketData, Steps
from liq_pipeline.model.if_reached import TARGETS_PCT, UNIT_USD, Cases
from liq_pipeline.model.scoring_if_reached import (
    _FORECASTS,
    DISTANCE_ONLY,
    MAP,
    IfReachedScore,
    _score,
    hourly_origins,
)
from liq_pipeline.model.walk import WalkInput

HOUR = np.timedelta64(60, "m")
FIRST = np.datetime64("2026-01-01", "us")
A_DAY = 144  # cases
UNSCORED = 5 * A_DAY


def flat(ends: np.ndarray) -> MarketData:
    """Bars of half an hour in which nothing happens."""
    ones = np.ones(ends.size)
    return MarketData(WalkInput(ends, *[ones] * 6), ones, ones.astype(bool), HOUR // 2)


def cases(count: int) -> Cases:
    """Cases every ten minutes from a midnight on, reached at once, of which the map tells something."""
    rng = np.random.default_rng(1)
    distance, mapped = rng.choice(TARGETS_PCT, count), rng.lognormal(18, 1, (count, 2))
    log_usd = 6.5 + np.log(distance) + 0.1 * np.log1p(mapped / UNIT_USD).sum(axis=1) + rng.normal(size=count)
    asked = FIRST + np.arange(count) * HOUR // 6
    side = rng.integers(0, 2, count)
    return Cases(np.arange(count), asked, asked, side, distance, UNIT_USD * np.expm1(log_usd), mapped)


def scored(some: Cases, hours: int = 1) -> IfReachedScore | None:
    """Score them from day five on."""
    data = flat(FIRST + np.arange(1, 48 * 10) * (HOUR // 2))
    return _score(some, some, hours, data, 9.0, 5.0, (MAP, DISTANCE_ONLY))


@pytest.mark.parametrize("hours", [1, 4, 24])
def test_a_day_is_forecast_from_what_was_asked_up_to_a_horizon_before_its_midnight(
    hours: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    forecast, seen = _FORECASTS[MAP], []

    def watched(known: Cases, today: Cases) -> np.ndarray | None:
        seen.append([one.asked_at[place] for one, place in ((known, 0), (known, -1), (today, 0), (today, -1))])
        return forecast(known, today)

    monkeypatch.setitem(_FORECASTS, MAP, watched)
    assert scored(cases(8 * A_DAY), hours)

    midnights = FIRST + np.array([5, 6, 7]) * 24 * HOUR
    assert seen == [[FIRST, one - hours * HOUR, one, one + 24 * HOUR - HOUR // 6] for one in midnights]


def test_two_hundred_cases_from_day_five_on_are_enough() -> None:
    assert scored(cases(UNSCORED + 199)) is None
    found = scored(cases(UNSCORED + 200))
    assert found
    assert (found.cases, found.scored_from_day) == (200, 5)


def test_a_distance_is_told_of_with_twenty_cases() -> None:
    some = cases(UNSCORED + 200)
    distance = np.append(some.distance_pct[:UNSCORED], np.repeat([0.25, 0.35, 1.0], [20, 19, 161]))
    found = scored(replace(some, distance_pct=distance))
    assert found
    assert [(one.distance_pct, one.cases) for one in found.by_distance] == [(0.25, 20), (1.0, 161)]


def test_what_was_reached_after_the_horizon_is_left_out() -> None:
    some = cases(UNSCORED + 300)
    late = np.arange(some.usd.size) % 3 == 1
    found = scored(replace(some, reached_at=some.asked_at + np.where(late, HOUR + HOUR // 12, HOUR)))
    assert found
    assert found.cases == 200


@pytest.mark.parametrize(("hours", "apart"), [(3000, 1), (3001, 2), (6000, 2), (6001, 3)])
def test_origins_lie_an_hour_apart_from_the_third_day_on_and_farther_in_long_data(hours: int, apart: int) -> None:
    data = flat(FIRST + np.arange(2 * hours + 1) * (HOUR // 2))
    last = np.arange(1, 2 * hours + 1)
    at = data.walk_input.ts
    found = at[hourly_origins(data, Steps(at[last], last, last, np.zeros((last.size, 2))))]

    assert found[0] == FIRST + 48 * HOUR
    assert (np.diff(found) == apart * HOUR).all()
    assert found.size <= 3000

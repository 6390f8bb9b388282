"""How old is too old."""

from datetime import timedelta

import pytest

from liq_pipeline.clock import Clock
from liq_pipeline.transform.rules.freshness import freshness_rules
from liq_pipeline.transform.rules.rule import ERROR, WARN, Subject

RULE = next(rule for rule in freshness_rules() if rule.asset == "oi_delta")


@pytest.fixture
def aged(subject: Subject):
    """Set the clock this long after the newest bar."""

    def at(age: timedelta) -> Subject:
        subject.clock = Clock(fixed=str(subject.newest["as_of"] + age))
        return subject

    return at


def test_data_younger_than_24_hours_is_fresh(aged) -> None:
    outcome = RULE.apply(aged(timedelta(hours=24) - timedelta(seconds=1)))

    assert outcome.passed
    assert outcome.facts["age_hours"] == pytest.approx(24, abs=0.001)


@pytest.mark.parametrize("age", [timedelta(hours=24), timedelta(hours=48) - timedelta(seconds=1)])
def test_data_between_24_and_48_hours_old_is_a_warning_because_1d_leans_on_it(age: timedelta, aged) -> None:
    outcome = RULE.apply(aged(age))

    assert not outcome.passed
    assert outcome.severity is WARN
    assert "1d leans on old data" in outcome.found


def test_data_48_hours_old_is_an_error_that_says_how_old(aged) -> None:
    outcome = RULE.apply(aged(timedelta(hours=48)))

    assert not outcome.passed
    assert outcome.severity is ERROR
    assert "48.0 h old; the limit is 48 h" in outcome.found


def test_data_from_the_future_is_an_error_that_points_at_the_clock(aged) -> None:
    outcome = RULE.apply(aged(timedelta(minutes=-5)))

    assert not outcome.passed
    assert outcome.severity is ERROR
    assert "check the clock or LIQ_NOW" in outcome.found


def test_stale_data_does_not_stop_publication() -> None:
    assert not any(rule.blocking for rule in freshness_rules())

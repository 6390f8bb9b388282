"""What every rule has in common."""

from __future__ import annotations

import pytest

from liq_pipeline.transform.rules.rule import ERROR, WARN, Outcome, Rule, Severity, Subject, evaluate, listed


@pytest.mark.parametrize(
    ("passed", "severity", "is_error"),
    [(True, ERROR, False), (True, WARN, False), (False, ERROR, True), (False, WARN, False)],
)
def test_only_what_fails_and_is_no_warning_is_an_error(passed: bool, severity: Severity, is_error: bool) -> None:
    assert Outcome(passed, "", severity).is_error is is_error


def test_a_rule_that_cannot_tell_has_not_passed(small: Subject) -> None:
    def broken(_: Subject) -> Outcome:
        raise ZeroDivisionError("by nothing")

    rule = Rule("klines", "broken", broken, "")

    assert evaluate(rule, small) == Outcome(False, "the check itself failed: ZeroDivisionError: by nothing")
    assert (rule.blocking, rule.every_bar) == (False, True)


def test_a_list_is_cut_after_twenty() -> None:
    items = [str(number) for number in range(22)]

    assert listed(items[:2]) == "0, 1"
    assert listed(items[:20]) == ", ".join(items[:20])
    assert listed(items[:21]) == ", ".join(items[:20]) + " and 1 more"
    assert listed(items) == ", ".join(items[:20]) + " and 2 more"

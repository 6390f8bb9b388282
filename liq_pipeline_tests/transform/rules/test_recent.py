"""What is told of the newest hours, which come from REST, in whole sentences."""

from __future__ import annotations

from dataclasses import replace

import pytest

from liq_pipeline.exchange.calibration import Calibration
from liq_pipeline.exchange.keys import METRICS, klines
from liq_pipeline.exchange.tail import Replacement, TailReport
from liq_pipeline.transform.rules.recent import tail_checks
from liq_pipeline.transform.rules.rule import WARN
from liq_pipeline_tests.warehouse.by_hand import at

GOOD = TailReport(
    "BTCUSDT", METRICS, rows=12, fetched=5, replaced=Replacement(compared=7),
    calibration=Calibration(5, 40, 40, at(0), at(0)),
)  # fmt: skip


def told(report: TailReport, *, is_off: bool = False) -> list[tuple[str, bool, str]]:
    results = tail_checks(report, is_off=is_off)
    asset = "recent_klines" if report.dataset.interval else "recent_open_interest"
    assert {(one.asset, one.outcome.severity) for one in results} == {(asset, WARN)}
    return [(one.check, one.outcome.passed, one.outcome.found) for one in results]


def test_of_open_interest_three_things_are_told() -> None:
    assert told(GOOD) == [
        ("rest_gives_the_newest_rows", True, "12 rows, 5 of them new"),
        (
            "archive_confirms_rows_of_rest", True,
            "7 rows of REST were replaced by the archive's: 0 differ, by at most 0 %; the archive lacks 0",
        ),
        ("stamps_mean_what_they_meant", True, "label + 5 min is the instant"),
    ]  # fmt: skip


def test_klines_have_no_stamps_to_doubt() -> None:
    report = replace(GOOD, dataset=klines("5m"), calibration=None)

    assert [check for check, *_ in told(report)] == ["rest_gives_the_newest_rows", "archive_confirms_rows_of_rest"]


@pytest.mark.parametrize("is_off", [False, True])
def test_where_rest_gives_nothing_the_archive_stands_alone_which_is_right_if_rest_is_off(is_off: bool) -> None:
    found = told(replace(GOOD, problem="no answer"), is_off=is_off)

    assert found[0] == ("rest_gives_the_newest_rows", is_off, "archive only: no answer")


@pytest.mark.parametrize(("differing", "missing"), [(1, 0), (0, 1), (1, 1), (2, 3)])
def test_rows_that_the_archive_has_otherwise_or_not_at_all_are_told(differing: int, missing: int) -> None:
    replaced = Replacement(compared=7, differing=differing, missing=missing, largest_difference_pct=0.25)
    report = replace(GOOD, replaced=replaced)

    assert told(report)[1] == (
        "archive_confirms_rows_of_rest", False,
        f"7 rows of REST were replaced by the archive's: {differing} differ, by at most 0.25 %; the archive lacks "
        f"{missing}",
    )  # fmt: skip
    assert tail_checks(report, is_off=False)[1].outcome.facts == {
        "replaced": 7, "differing": differing, "missing": missing, "largest_difference_pct": 0.25
    }  # fmt: skip


def test_stamps_that_changed_their_meaning_are_told_and_those_of_unknown_meaning_are_not_measured() -> None:
    (*_, changed) = told(replace(GOOD, calibrated_before=0))
    (*_, unknown) = told(replace(GOOD, calibration=None))

    assert changed[1:] == (
        False,
        "label + 5 min is the instant; it was label + 0 min before: the exchange has changed its stamps",
    )
    assert unknown[1:] == (True, "not measured")

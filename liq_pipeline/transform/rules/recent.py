"""What is to be known of the newest hours, which come from REST."""

from __future__ import annotations

from liq_pipeline.exchange.tail import TailReport
from liq_pipeline.transform.rules.rule import WARN, Outcome, Result

RECENT_ASSETS = ("recent_open_interest", "recent_klines")
ANSWERS, AGREES, STAMPS = "rest_gives_the_newest_rows", "archive_confirms_rows_of_rest", "stamps_mean_what_they_meant"
TEXTS = {
    ANSWERS: "REST gave the rows that the archive does not have yet. If not: the archive alone, with its age (WARN).",
    AGREES: "When the archive's file for hours of REST arrives, it replaces them; the values were the same.",
    STAMPS: "REST's stamps of open interest mean what they meant last time, measured on what the archive has, too.",
}


def tail_checks(report: TailReport, *, is_off: bool) -> list[Result]:
    """Return what is to be known of a tail: does REST answer, was it right, do its stamps still mean the same?"""
    is_open_interest = not report.dataset.interval
    asset = RECENT_ASSETS[0] if is_open_interest else RECENT_ASSETS[1]

    def result(name: str, passed: bool, text: str, **facts: float) -> Result:
        return Result(asset, name, Outcome(passed, text, WARN, facts))

    replaced = report.replaced
    good = replaced.differing == replaced.missing == 0
    text = f"{report.rows} rows, {report.fetched} of them new"
    results = [
        result(ANSWERS, is_off or not report.problem, f"archive only: {report.problem}" if report.problem else text),
        result(
            AGREES,
            good,
            f"{replaced.compared} rows of REST were replaced by the archive's: {replaced.differing} differ, by at most "
            f"{replaced.largest_difference_pct:.3g} %; the archive lacks {replaced.missing}",
            replaced=replaced.compared,
            differing=replaced.differing,
            missing=replaced.missing,
            largest_difference_pct=replaced.largest_difference_pct,
        ),
    ]
    if is_open_interest:
        now = report.calibration.offset_minutes if report.calibration else None
        changed = report.calibrated_before is not None
        said = f"label + {now} min is the instant" if now is not None else "not measured"
        was = f"; it was label + {report.calibrated_before} min before: the exchange has changed its stamps"
        results.append(result(STAMPS, not changed, said + (was if changed else "")))
    return results

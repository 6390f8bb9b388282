"""What is printed: progress of a terminal that is none in few lines, tables, with numbers that are right."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.progress import Progress

from liq_pipeline.cli import console as module
from liq_pipeline.cli.console import (
    PlainReporter,
    TerminalReporter,
    print_levels,
    print_result,
    print_validation,
    print_where,
)
from liq_pipeline.model.scale import Scale
from liq_pipeline.model.scoring import Estimate
from liq_pipeline.model.scoring_flows import FlowRow, FlowScores
from liq_pipeline.orchestration.results import Finding, SymbolResult
from liq_pipeline.validation.run import Gate, Validation

LONG = " ".join(["/a/long/path/of/a/file"] * 7)
MANIFEST: dict[str, Any] = {
    "as_of": "2026-06-28T00:00:00Z", "source_label": "", "current_price": 100.0, "open_interest_contracts": 10.0,
    "row_count": 3, "long_notional_usd": 1.0, "short_notional_usd": 2.0, "long_contracts": 1.0,
    "short_contracts": 2.0, "coverage_pct": 100.0,
}  # fmt: skip


def rows_of(text: str) -> list[list[str]]:
    """Return the rows of the printed tables, without their headings."""
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines() if line.startswith("│")]


def test_progress_is_told_every_five_seconds_with_rate_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    text = io.StringIO()
    bar = PlainReporter(Console(file=text, width=150)).track("BTCUSDT klines")

    bar.start(100, 100_000_000)
    for _ in range(12):
        clock[0] += 1
        bar.advance(1, 1_000_000)
    bar.finish()

    first, *told, last = text.getvalue().splitlines()
    assert first == "BTCUSDT klines: 100 files to fetch, 100.0 MB"
    assert told == [
        "BTCUSDT klines: 5/100 files, 5.0 MB, 1.00 MB/s, 95 s left",
        "BTCUSDT klines: 10/100 files, 10.0 MB, 1.00 MB/s, 90 s left",
    ]
    assert re.fullmatch(r"BTCUSDT klines: 12 files, 12\.0 MB in 12\.0 s \(1 files/s\)", last)


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_long_line_that_is_said_while_files_are_fetched_stays_one_line(is_terminal: bool) -> None:
    text = io.StringIO()
    console = Console(file=text, width=40, force_terminal=is_terminal, color_system=None)
    reporter = TerminalReporter(Progress(console=console)) if is_terminal else PlainReporter(console)
    reporter.say(LONG)

    assert text.getvalue().splitlines() == [LONG]


@pytest.mark.parametrize(("checksums", "is_said"), [("verified", False), ("12 files without", True)])
def test_levels_of_files_without_checksums_say_so(checksums: str, is_said: bool) -> None:
    text = io.StringIO()
    print_levels(Console(file=text, width=150), "BTCUSDT", {"7d": MANIFEST | {"checksums": checksums}})

    assert "exposure, not a forecast" in text.getvalue()
    assert ("CHECKSUMS 12 files without" in text.getvalue()) == is_said


def test_levels_have_a_title_of_one_line_and_a_row_for_each_timeframe() -> None:
    text = io.StringIO()
    week = MANIFEST | {
        "current_price": 67_012.3456789, "open_interest_contracts": 80_000.4, "row_count": 1200,
        "long_notional_usd": 1.2345678e9, "short_notional_usd": 999.5, "long_contracts": 16_004.0,
        "short_contracts": 8.0, "coverage_pct": 99.4, "source_label": "simulated",
    }  # fmt: skip
    print_levels(Console(file=text, width=98), "BTCUSDT", {"7d": week, "30d": MANIFEST})

    assert text.getvalue().splitlines()[:2] == [
        "",
        "BTCUSDT (SIMULATED DATA): estimated liquidation levels as of 2026-06-28T00:00:00Z, price 67,012.34568 USD",
    ]
    assert rows_of(text.getvalue()) == [
        ["7d", "1200", "1,234,567,800", "1,000", "20.00", "0.01", "99 %"],
        ["30d", "3", "1", "2", "10.00", "20.00", "100 %"],
    ]
    assert "open interest 80,000 contracts; exposure, not a forecast" in text.getvalue()


def test_where_the_files_are_is_said_in_lines_that_can_be_copied() -> None:
    text = io.StringIO()
    print_where(Console(file=text, width=40), Path(LONG))

    assert text.getvalue().splitlines() == [
        "", f"Files: {LONG}", f"Read them: duckdb.sql(\"FROM '{LONG}/liquidation_levels/*/*.parquet'\")",
    ]  # fmt: skip


def figure(value: float) -> Estimate:
    return Estimate(value, value - 0.01, value + 0.01)


def flows(**alone: float) -> FlowScores:
    rows = {
        name.replace("_", " "): FlowRow(*map(figure, (value, 0.1, 0, 0, 0.2, 0.3))) for name, value in alone.items()
    }
    return FlowScores(700, 30.0, 1000.0, figure(0.4), figure(0.5), figure(0.6), figure(0.7), rows, {})


def validation() -> Validation:
    one = flows(walk=0.8, classic_ladder=0.35)
    return Validation(
        "BTCUSDT", "ours", [LONG], {"steps": 700}, {}, one, {}, flows(walk=0.11, walk_on_60_minute_bars=0.15), one,
        one, {}, {}, [], [], Scale(1.0, [], 1.0), [], None,
        gates=[Gate(1, "it holds", True, "+1"), Gate(2, "it does too", False, LONG)],
    )  # fmt: skip


def test_a_validation_shows_each_model_once_and_of_wide_bars_their_own_alone() -> None:
    text = io.StringIO()
    print_validation(Console(file=text, width=150), validation(), Path(LONG))

    interval = {value: f"{value:+.3f} [{value - 0.01:+.3f}, {value + 0.01:+.3f}]" for value in (0.1, 0.2, 0.3)}
    assert [[row[0], row[1][:6], *row[2:]] for row in rows_of(text.getvalue())] == [
        ["adverse move", "+0.400", "+0.500 [+0.490, +0.510]", "", ""],
        ["price + VWAP path", "+0.600", "+0.700 [+0.690, +0.710]", "", ""],
        ["walk", "+0.800", *interval.values()],
        ["classic ladder", "+0.350", *interval.values()],
        ["walk on 60 minute bars", "+0.150", *interval.values()],
    ]
    first, *_, passed, failed, _, report = text.getvalue().splitlines()
    assert first == f"  {LONG}"
    assert "BTCUSDT: the estimated map against reported liquidations, 700 steps of 30 minutes" in text.getvalue()
    assert (passed, failed) == ("gate 1 pass it holds: +1", f"gate 2 FAIL it does too: {LONG}")
    assert report == f"Report: {LONG}/validation.html"


def test_a_result_shows_every_finding_and_error_on_lines_of_their_own() -> None:
    text = io.StringIO()
    findings = [Finding("klines", "no_gap", "ERROR", f"one\n{LONG}"), Finding("oi_delta", "is_fresh", "WARN", "old")]
    result = SymbolResult("BTCUSDT", published=True, fetched=7, errors=[LONG], findings=findings, checks_passed=40)
    for one in (result, SymbolResult("ETHUSDT")):
        print_result(Console(file=text, width=80), one)

    assert text.getvalue().splitlines() == [
        "",
        "BTCUSDT published; 7 files fetched, 40 checks passed, 2 did not",
        "  ERROR klines: no_gap",
        "        one",
        f"        {LONG}",
        "  WARN  oi_delta: is_fresh",
        "        old",
        f"  ERROR {LONG}",
        "",
        "ETHUSDT not published; 0 files fetched, 0 checks passed, 0 did not",
    ]

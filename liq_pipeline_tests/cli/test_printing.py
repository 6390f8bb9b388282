"""What is printed of a run, of levels and of a validation, compared line by line; long lines stay whole."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.progress import Progress

from liq_pipeline.cli import console as module
from liq_pipeline.cli.console import (
    PlainReporter,
    TerminalReporter,
    make_console,
    print_levels,
    print_result,
    print_validation,
    print_where,
    reporter,
)
from liq_pipeline.orchestration.results import Finding, SymbolResult
from liq_pipeline_tests.validation.made_up import Figures, made_up

LONG = "a word or two, again and again, " * 9 + "end"


def printed(draw: Any, *given: Any, width: int = 200) -> list[str]:
    text = io.StringIO()
    draw(Console(file=text, width=width, color_system=None, highlight=False, markup=False), *given)
    return [line.rstrip() for line in text.getvalue().splitlines()]


def manifest(**more: object) -> dict[str, Any]:
    return {
        "as_of": "2026-06-28T00:00:00Z", "source_label": "", "current_price": 64_321.5,
        "open_interest_contracts": 4_000.0, "row_count": 31, "long_notional_usd": 1_234_567.8,
        "short_notional_usd": 7_654_321.0, "long_contracts": 300.0, "short_contracts": 501.0, "coverage_pct": 87.4,
    } | more  # fmt: skip


def test_a_result_names_each_finding_and_error_in_lines_of_their_own() -> None:
    findings = [Finding("klines", "no_hole", "ERROR", f"one\n{LONG}"), Finding("oi", "fresh", "WARN", "two")]
    result = SymbolResult("BTCUSDT", True, fetched=7, checks_passed=40, findings=findings, errors=[LONG])

    assert printed(print_result, result, width=80) == [
        "", "BTCUSDT published; 7 files fetched, 40 checks passed, 2 did not", "  ERROR klines: no_hole",
        "        one", f"        {LONG}", "  WARN  oi: fresh", "        two", f"  ERROR {LONG}",
    ]  # fmt: skip
    assert printed(print_result, replace(result, published=False, findings=[], errors=[]))[1] == (
        "BTCUSDT not published; 7 files fetched, 40 checks passed, 0 did not"
    )


def test_levels_are_a_row_for_each_timeframe() -> None:
    found = {"7d": manifest(), "90d": manifest(row_count=5, coverage_pct=3.0, long_contracts=0.0)}
    lines = printed(print_levels, "BTCUSDT", found)

    assert lines[:2] == [
        "", "BTCUSDT: estimated liquidation levels as of 2026-06-28T00:00:00Z, price 64,321.5 USD",
    ]  # fmt: skip
    rows = [[cell.strip() for cell in line.strip("┃│").replace("┃", "│").split("│")] for line in lines[3:7]]
    assert rows[0] == ["timeframe", "levels", "long USD", "short USD", "long % of OI", "short % of OI", "data covers"]
    assert rows[2:] == [
        ["7d", "31", "1,234,568", "7,654,321", "7.50", "12.53", "87 %"],
        ["90d", "5", "1,234,568", "7,654,321", "0.00", "12.53", "3 %"],
    ]
    assert lines[8:] == ["open interest 4,000 contracts; exposure, not a forecast"]
    assert printed(print_levels, "BTCUSDT", {}) == []


def test_what_is_odd_about_levels_stands_below_them_and_a_long_title_stays_one_line() -> None:
    odd = manifest(source_label="simulated", margin_brackets="default", maintenance_margin_pct=1.5, max_leverage=50.0,
                   checksums="12 files without")  # fmt: skip
    lines = printed(print_levels, "B" * 40, {"7d": odd}, width=90)

    assert lines[1] == (
        f"{'B' * 40} (SIMULATED DATA): estimated liquidation levels as of 2026-06-28T00:00:00Z, price 64,321.5 USD"
    )
    assert lines[-3:] == ["open interest 4,000 contracts; exposure, not a forecast",
                          "default margin brackets: 1.5 %, at most 50x", "CHECKSUMS 12 files without"]  # fmt: skip
    narrow = printed(print_levels, "B", {"7d": odd}, width=50)
    assert len([line for line in narrow if line[0:1] in "┃│" and line]) == 2  # cells are cut, not broken


def test_where_files_are_is_one_line_each() -> None:
    assert printed(print_where, Path(f"/{'x' * 90}"), width=50) == [
        "", f"Files: /{'x' * 90}", f"Read them: duckdb.sql(\"FROM '/{'x' * 90}/liquidation_levels/*/*.parquet'\")",
    ]  # fmt: skip


def test_a_validation_is_printed_with_each_model_once() -> None:
    found = made_up(notes=["short", LONG])
    gates = [replace(found.gates[0], statement=LONG), found.gates[1]]
    flows, wide = found.flows, found.wide_bars
    found = replace(found, gates=gates, wide_bars=replace(wide, rows=wide.rows | {"wide": wide.rows["walk"]}))
    lines = printed(print_validation, found, Path(f"/{'x' * 300}"), width=170)

    assert lines[:4] == [
        "  short", f"  {LONG}", "",
        "XUSDT: the estimated map against reported liquidations, 200 steps of 30 minutes",
    ]  # fmt: skip
    table = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines[7:12]]
    told = {row[0]: row[1:] for row in table}
    assert list(told) == ["adverse move", "price + VWAP path", "walk", "1|L bands", "wide"]
    assert told["walk"][0] == f"{flows.rows['walk'].alone.value:+.3f} [+0.090, +0.114]"
    assert told["wide"][3] == f"{wide.rows['walk'].gain_over_path.value:+.3f} [+0.127, +0.151]"
    assert told["adverse move"] == ["+0.117 [+0.106, +0.130]", "+0.118 [+0.107, +0.131]", "", ""]
    assert lines[13] == (
        "Gradient boosting on 83 features of price and volume: R² +0.193 [+0.182, +0.206] alone, "
        "+0.195 [+0.184, +0.208] added by the map"
    )
    assert lines[-5:] == [
        "  short", f"gate 1 pass {LONG}: x", "gate 2 FAIL c: y", "", f"Report: /{'x' * 300}/validation.html",
    ]  # fmt: skip
    for hours, cases in ((1, 301), (24, 324)):
        assert [line for line in lines if f"{hours} h" in line and str(cases) in line]


def test_what_a_validation_lacks_is_not_printed() -> None:
    none: dict[str, Any] = {"wide_bars": None, "boosted": None, "notes": [], "gates": []}
    assert printed(print_validation, made_up(**none, if_reached=[]), None)[-1].startswith("└")
    noted = [Figures().reached(hours, 0.8, note=LONG) for hours in (1, 4)]
    lines = printed(print_validation, made_up(**none, if_reached=noted), None, width=150)
    assert lines[-1] == f"  {LONG}"
    assert lines.count(f"  {LONG}") == 1
    narrow, broad = (printed(print_validation, made_up(**none, if_reached=[]), None, width=w) for w in (60, 200))
    assert len(narrow) - len(broad) == 0  # cells are cut, not broken


@pytest.mark.parametrize("text", ["[bold]x[/bold]", ":smile:", "5 of 7 'quoted' /a/path"])
def test_text_is_printed_as_it_is_also_in_colours(text: str, monkeypatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    console = make_console()
    with console.capture() as kept:
        console.print(text)
    assert kept.get() == f"{text}\n"


def test_off_a_terminal_lines_are_plain_and_on_one_there_are_bars() -> None:
    plain, drawn = Console(file=io.StringIO()), Console(file=io.StringIO(), force_terminal=True)
    with reporter(plain) as one, reporter(drawn) as other:
        assert isinstance(one, PlainReporter)
        assert isinstance(other, TerminalReporter)
        bar = other.track("[red]BTCUSDT[/red] klines")
        bar.start(5, 1000)
        bar.advance()
        bar.advance(2, 300)
        task = other.progress.tasks[0]
        assert (task.total, task.completed, task.fields) == (1000, 300, {"files": 3, "total_files": 5})
    shown = drawn.file.getvalue()
    assert "[red]BTCUSDT[/red] klines" in shown
    assert "3/5 files" in shown


def test_a_long_line_off_a_terminal_stays_one_line() -> None:
    text = io.StringIO()
    PlainReporter(Console(file=text, width=40)).say(LONG)
    assert text.getvalue() == f"{LONG}\n"


def test_progress_without_a_byte_yet_has_no_time_left_and_the_end_counts_all(monkeypatch) -> None:
    clock = [50.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    text = io.StringIO()
    lines = PlainReporter(Console(file=text, width=150)).track("k")

    lines.start(10, 20_000_000)
    clock[0] += 5
    lines.advance(3)
    clock[0] += 4.75
    lines.advance(1, 2_000_000)
    clock[0] += 0.25
    lines.advance(0, 3_000_000)
    clock[0] += 2.5
    lines.finish()

    assert text.getvalue().splitlines() == [
        "k: 10 files to fetch, 20.0 MB",
        "k: 3/10 files, 0.0 MB, 0.00 MB/s, 0 s left",
        "k: 4/10 files, 5.0 MB, 0.50 MB/s, 30 s left",
        "k: 4 files, 5.0 MB in 12.5 s (0 files/s)",
    ]
    nothing = PlainReporter(Console(file=text, width=150)).track("n")
    nothing.start(0, 0)
    nothing.finish()
    assert text.getvalue().splitlines()[4:] == ["n: 0 files to fetch, 0.0 MB"]
    at_once = PlainReporter(Console(file=text, width=150)).track("m")
    at_once.start(1, 0)
    at_once.advance()
    at_once.finish()
    assert text.getvalue().endswith("m: 1 files, 0.0 MB in 0.0 s (1000000000 files/s)\n")


def test_a_bar_that_was_not_started_is_a_fault() -> None:
    with pytest.raises(AssertionError):
        TerminalReporter(Progress(disable=True)).track("k").advance()

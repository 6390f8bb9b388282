"""What a terminal that is none sees while files are fetched: few lines, with numbers that are right."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console
from rich.progress import Progress

from liq_pipeline.cli import console as module
from liq_pipeline.cli.console import PlainReporter, TerminalReporter, print_levels


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


def test_a_long_line_beside_the_bars_of_a_terminal_stays_one_line() -> None:
    text = io.StringIO()
    console = Console(file=text, width=40, force_terminal=True, color_system=None)
    line = " ".join(["/a/long/path/of/a/file"] * 6)
    TerminalReporter(Progress(console=console)).say(line)

    assert text.getvalue().splitlines() == [line]


@pytest.mark.parametrize(("checksums", "is_said"), [("verified", False), ("12 files without", True)])
def test_levels_of_files_without_checksums_say_so(checksums: str, is_said: bool) -> None:
    text = io.StringIO()
    manifest = {
        "as_of": "2026-06-28T00:00:00Z", "source_label": "", "current_price": 100.0, "open_interest_contracts": 10.0,
        "row_count": 3, "long_notional_usd": 1.0, "short_notional_usd": 2.0, "long_contracts": 1.0,
        "short_contracts": 2.0, "coverage_pct": 100.0, "checksums": checksums,
    }  # fmt: skip
    print_levels(Console(file=text, width=150), "BTCUSDT", {"7d": manifest})

    assert "exposure, not a forecast" in text.getvalue()
    assert ("CHECKSUMS 12 files without" in text.getvalue()) == is_said

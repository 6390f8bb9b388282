"""What a terminal that is none sees while files are fetched: few lines, with numbers that are right."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from liq_pipeline.cli import console as module
from liq_pipeline.cli.console import PlainReporter


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

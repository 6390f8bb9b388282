"""Paired measurement: ours and a peer take turns, so that a busy machine slows both.

What belongs here: how to measure, judge and print. What is measured lives in one module per benchmark.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from statistics import median
from time import perf_counter
from typing import Any

from rich.console import Console
from rich.table import Table

PAIRS = 7


@dataclass(frozen=True)
class Outcome:
    """One line of the table.

    Attributes:
        benchmark: the group.
        what: what is set against what.
        value: median of the paired ratios, or a figure in `unit`.
        unit: '×' for a ratio of times.
        bar: largest value that passes; None: for information only.
        ours_ms, peer_ms: medians; None where there is no peer.
        spread: lowest and highest paired ratio.
    """

    benchmark: str
    what: str
    value: float
    unit: str
    bar: float | None
    ours_ms: float
    peer_ms: float | None = None
    spread: tuple[float, float] | None = None

    @property
    def verdict(self) -> str:
        """PASS, MISS, or nothing where no bar is set."""
        return "" if self.bar is None else "PASS" if self.value <= self.bar else "MISS"


def _seconds(action: Callable[[], Any]) -> float:
    start = perf_counter()
    action()
    return perf_counter() - start


def against(
    benchmark: str,
    what: str,
    ours: Callable[[], Any],
    peer: Callable[[], Any],
    bar: float | None,
    pairs: int = PAIRS,
    repeats: int = 1,
) -> Outcome:
    """Time `ours` against `peer` in interleaved pairs, first one first, then the other.

    Args:
        benchmark: the group.
        what: what is set against what.
        ours, peer: what to run; both are run once before the clock starts.
        bar: largest ratio ours / peer that passes.
        pairs: how many pairs.
        repeats: runs per measurement; for what takes microseconds.
    """

    def often(action: Callable[[], Any]) -> Callable[[], None]:
        def run() -> None:
            for _ in range(repeats):
                action()

        return run

    ours(), peer()
    times: list[tuple[float, float]] = []
    gc.collect()
    gc.disable()
    try:
        for number in range(pairs):
            if number % 2:
                second, first = _seconds(often(peer)), _seconds(often(ours))
            else:
                first, second = _seconds(often(ours)), _seconds(often(peer))
            times.append((first / repeats, second / repeats))
    finally:
        gc.enable()
    ratios = [first / second for first, second in times]
    outcome = Outcome(
        benchmark,
        what,
        median(ratios),
        "×",
        bar,
        1e3 * median(first for first, _ in times),
        1e3 * median(second for _, second in times),
        (min(ratios), max(ratios)),
    )
    print(f"{benchmark}: {what}: {outcome.value:.3g}× {outcome.verdict}", file=sys.stderr, flush=True)
    return outcome


def as_records(outcomes: Iterable[Outcome]) -> list[dict[str, Any]]:
    """Return the outcomes as plain dictionaries."""
    return [{**asdict(outcome), "verdict": outcome.verdict} for outcome in outcomes]


def print_table(outcomes: Iterable[Outcome]) -> None:
    """Print one line per outcome."""
    table = Table("benchmark", "what", "ours ms", "peer ms", "measured", "lowest .. highest", "bar", "")
    for outcome in outcomes:
        table.add_row(
            outcome.benchmark,
            outcome.what,
            f"{outcome.ours_ms:,.3g}",
            "" if outcome.peer_ms is None else f"{outcome.peer_ms:,.3g}",
            f"{outcome.value:.3g} {outcome.unit}",
            "" if outcome.spread is None else f"{outcome.spread[0]:.3g} .. {outcome.spread[1]:.3g}",
            "" if outcome.bar is None else f"≤ {outcome.bar:.3g}",
            outcome.verdict,
        )
    console = Console(width=None if sys.stdout.isatty() else 150)
    console.print(table)
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    if load > cores + 1:
        console.print(f"Busy machine (load {load:.1f} on {cores} cores): threaded code looks slower than it is.")

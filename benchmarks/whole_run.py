"""A whole `liq run` as a process: what one more symbol costs, against its own floor, and two processes against one.

The floor is inflating the symbol's zips and copying the bytes that are published. Data: the simulated exchange, 120
days of 5-minute bars. The first symbol pays for imports and for compiled functions that it loads; the others count.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.harness import Outcome
from liq_pipeline.simulator.demo import DemoMirror, build_demo_mirror, demo_markets

SYMBOLS = 4


@dataclass(frozen=True)
class Cost:
    """Of one run: seconds of the clock, seconds of CPU time, largest resident memory of one process, bytes."""

    wall: float
    cpu: float
    peak_mb: float


def run() -> list[Outcome]:
    """Measure."""
    with TemporaryDirectory(prefix="liq-bench-") as name:
        folder = Path(name)
        first = demo_markets()[0]
        markets = [replace(first, symbol=f"S{number:02d}USDT", seed=number) for number in range(SYMBOLS)]
        mirror = build_demo_mirror(folder / "exchange", markets=markets)
        one = _run(mirror, folder / "one", mirror.symbols[:1], 1)
        all_in_turn = _run(mirror, folder / "in-turn", mirror.symbols, 1)
        all_at_once = _run(mirror, folder / "at-once", mirror.symbols, 2)
        bare = [_run(mirror, folder / "bare", mirror.symbols[:count], 1, "--no-pictures") for count in (1, SYMBOLS)]
        floor = _floor(folder / "in-turn") / SYMBOLS
    further = (all_in_turn.cpu - one.cpu) / (SYMBOLS - 1)
    without = (bare[1].cpu - bare[0].cpu) / (SYMBOLS - 1)
    name, cost = "whole run", "CPU time of a further symbol, against inflating and copying"
    ratio, peak = all_at_once.wall / all_in_turn.wall, max(all_in_turn.peak_mb, all_at_once.peak_mb)
    turns = f"{SYMBOLS} symbols: --jobs 2 against --jobs 1, wall"
    return [
        Outcome(name, cost, further / floor, "×", None, 1e3 * further, 1e3 * floor),
        Outcome(name, f"{cost}, without pictures", without / floor, "×", None, 1e3 * without, 1e3 * floor),
        Outcome(name, turns, ratio, "×", 0.65, 1e3 * all_at_once.wall, 1e3 * all_in_turn.wall),
        Outcome(name, "largest memory of a process", peak, "MB", None, 1e3 * all_in_turn.wall),
    ]


def _run(mirror: DemoMirror, data: Path, symbols: tuple[str, ...], jobs: int, *more: str) -> Cost:
    command = [
        sys.executable, "-m", "liq_pipeline", "run", "--archive", str(mirror.folder), "--symbols", ",".join(symbols),
        "--since", str(mirror.since), "--now", mirror.now.isoformat(), "--data", str(data / str(len(symbols))),
        "--jobs", str(jobs), *more,
    ]  # fmt: skip
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    return Cost(time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def _floor(data: Path) -> float:
    """Return the CPU seconds of inflating every zip and copying every published byte."""
    began = time.process_time()
    for path in data.rglob("raw/data/**/*.zip"):  # what the run took: the exchange has damaged ones planted
        with zipfile.ZipFile(path) as archive:
            archive.read(archive.namelist()[0])
    for path in data.rglob("published/**/*"):
        if path.is_file():
            (data / "copy").write_bytes(path.read_bytes())
    return time.process_time() - began

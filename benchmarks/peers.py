"""`python -m benchmarks.peers [--peer CHECKOUT --peer-python PYTHON]`: one symbol-year, beside others, as Markdown.

Beside ours: the static map of an open program, the legacy system's SQL, and the floor (inflating the zips, copying what
is published). All read the same zips: those that a run of ours took. What it means is in benchmarks/peers.md.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.data import SYMBOL
from benchmarks.peer_steps import meaning_of_legacy, meaning_of_ours, meaning_of_peer, same_levels

PEER, COMMIT = "mgcha85/crypto-liquidation-map", "41d1d5e9036030b4205dda89900b536699f810e2"
PEER_FILES = ("scripts/run.py", *(f"src/liquidation_map/{name}.py" for name in (
    "data/downloader", "data/processor", "analysis/liquidation_map", "visualization/heatmap")))  # fmt: skip
PEER_DIGEST = "d1b11bbc3781b4b6"
INFLATING, COPYING = "floor: inflating the zips", "floor: copying what is published"
LEGACY, STATIC = "the legacy system's SQL, zips read by us", "ours, static map only"
BARE, WHOLE, THEIRS = "ours, `liq run --no-pictures`", "ours, `liq run`", "the peer's static map"
DAILY = Path("raw/data/futures/um/daily")  # of a run's folder: the zips that it took


@dataclass(frozen=True)
class Cost:
    """Of processes in turn: seconds of the clock, seconds of CPU time, largest memory of one, what they said."""

    wall: float
    cpu: float
    peak_mb: float | None = None
    said: str = ""


@dataclass(frozen=True)
class Year:
    """What is measured on: a folder in the archive's layout, its first day, and the instant that stands for now."""

    archive: Path
    since: date
    now: datetime

    def command(self, data: Path, *more: str) -> list[str]:
        """Return the command of a whole run into `data`."""
        return [sys.executable, "-m", "liq_pipeline", "run", "--archive", str(self.archive), "--symbols", SYMBOL,
                "--since", str(self.since), "--now", self.now.isoformat(), "--data", str(data), "--jobs", "1",
                *more]  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 if the bar is missed (wall and CPU of a whole run ≤ the peer's for its static map)."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--peer", type=Path, help=f"a checkout of {PEER} at {COMMIT}")
    parser.add_argument("--peer-python", default=sys.executable, help="a Python that has the peer's dependencies")
    parser.add_argument("--archive", type=Path, help=f"zips of {SYMBOL} in the archive's layout; else simulated ones")
    parser.add_argument("--since", type=date.fromisoformat, help="first day of --archive")
    parser.add_argument("--now", type=datetime.fromisoformat, help="ISO instant, after the last day of --archive")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured, in turn")
    given = parser.parse_args(arguments)
    if given.archive and not (given.since and given.now):
        parser.error("--archive needs --since and --now")
    if given.peer and (found := digest(given.peer)) != PEER_DIGEST:
        parser.error(f"{given.peer} is not {PEER} at {COMMIT}: its files give {found}, not {PEER_DIGEST}")
    with TemporaryDirectory(prefix="liq-peers-") as name:
        folder = Path(name)
        year = Year(given.archive, given.since, given.now) if given.archive else simulated(folder / "exchange")
        return compare(folder, year, given.peer, given.peer_python, given.rounds)


def digest(checkout: Path) -> str:
    """Return a digest of the peer's files that are run; it tells the pinned commit from others, with or without Git."""
    files = [checkout / name for name in PEER_FILES]
    content = b"".join(file.read_bytes() for file in files if file.is_file())
    return hashlib.sha256(content).hexdigest()[:16]


def simulated(folder: Path) -> Year:
    """Publish a year of the simulated exchange, without defects: 365 zips of klines and 365 of open interest."""
    from liq_pipeline.simulator.demo import END, demo_markets
    from liq_pipeline.simulator.market import simulate
    from liq_pipeline.simulator.mirror import publish

    first_day = END - timedelta(days=365)
    print("simulating a year of traders", file=sys.stderr)
    publish(simulate(replace(demo_markets()[0], first_day=first_day, days=365)), folder, intervals=("5m",), defects=())
    return Year(folder, first_day, datetime(END.year, END.month, END.day, 6, tzinfo=UTC))


def measured(*commands: Sequence[str], log: Path) -> Cost:
    """Run commands one after the other; what the operating system says that they cost."""
    wall = cpu = peak = 0.0
    with log.open("w", encoding="utf-8") as sink:
        for command in commands:
            began = time.perf_counter()
            process = subprocess.Popen(command, stdout=sink, stderr=subprocess.STDOUT)
            _, status, usage = os.wait4(process.pid, 0)
            wall += time.perf_counter() - began
            cpu, peak = cpu + usage.ru_utime + usage.ru_stime, max(peak, usage.ru_maxrss / 1024)
            process.returncode = os.waitstatus_to_exitcode(status)  # it has been waited for
            if process.returncode:
                raise SystemExit(f"{' '.join(command)} failed:\n{log.read_text('utf-8')[-2000:]}")
    return Cost(wall, cpu, peak, log.read_text("utf-8"))


def compare(folder: Path, year: Year, peer: Path | None, peer_python: str, rounds: int) -> int:
    """Measure everything in turn, `rounds` times, and print the table."""
    warm, log = folder / "warm", folder / "log"
    said = measured(year.command(warm), log=log).said  # fetches the zips; keeps compiled functions for the next runs
    zips, step = warm / DAILY, [sys.executable, "-m", "benchmarks.peer_steps"]
    runs: dict[str, Callable[[], Cost]] = {
        INFLATING: lambda: floor(zips),
        COPYING: lambda: floor(warm / "published", folder / "copy"),
        LEGACY: lambda: measured([*step, "legacy", str(zips), str(emptied(folder / "legacy"))], log=log),
        STATIC: lambda: measured([*step, "static", str(zips), str(emptied(folder / "static"))], log=log),
        BARE: lambda: measured(year.command(emptied(folder / "run"), "--no-pictures"), log=log),
        WHOLE: lambda: measured(year.command(emptied(folder / "run")), log=log),
    }
    if peer:
        runs[THEIRS] = lambda: static_map_of_peer(peer, peer_python, zips, emptied(folder / "peer"))
    costs: dict[str, list[Cost]] = {name: [] for name in runs}
    for turn in range(rounds):
        for name, run in runs.items():
            costs[name].append(run())
            print(f"{turn + 1}/{rounds} {name}: {costs[name][-1].cpu:.2f} CPU-s", file=sys.stderr, flush=True)
    assert same_levels(folder / "static", warm / "published"), "the static map is not what the run publishes"
    sizes = [path.stat().st_size for path in (warm / "published").rglob("*") if path.is_file()]
    ours, database = meaning_of_ours(warm / "published"), folder / "legacy" / "legacy.duckdb"
    passed = re.findall(r"\d+ checks passed", said)[0]
    results = {
        INFLATING: f"{len(list(zips.rglob('*.zip')))} zips",
        COPYING: f"{len(sizes)} files, {sum(sizes) / 1e6:.1f} MB",
        LEGACY: meaning_of_legacy(database),
        STATIC: "the same levels as the whole run, asserted",
        BARE: f"{ours}; four heatmaps as tables; {passed}",
        WHOLE: "that, with pictures and pages",
    }
    if peer:
        results[THEIRS] = meaning_of_peer(peer, peer_python, folder / "peer", database)
    print_table(costs, results)
    return print_bar(costs) if peer else 0


def emptied(folder: Path) -> Path:
    """Return a folder that does not exist, or no longer."""
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def static_map_of_peer(peer: Path, python: str, zips: Path, out: Path) -> Cost:
    """Run the peer's two commands: zips into its DuckDB file, and its map out of that as a page."""
    out.mkdir()
    database, program = out / "peer.duckdb", [python, str(peer / "scripts" / "run.py")]
    reading = [*program, "process", "--raw-dir", str(zips), "--db-path", str(database), "--symbol", SYMBOL]
    mapping = [*program, "analyze", SYMBOL, "--db-path", str(database), "--output", str(out / "map.html")]
    cost = measured(reading, mapping, log=out / "log")
    if "Error processing" in cost.said:  # it says so and goes on
        raise SystemExit(f"the peer could not read the zips:\n{cost.said[:2000]}")
    return cost


def floor(source: Path, copy: Path | None = None) -> Cost:
    """Inflate every zip, or copy every byte, in this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    for path in source.rglob("*.zip" if copy is None else "*"):
        if copy is not None and path.is_file():
            copy.write_bytes(path.read_bytes())
        elif copy is None:
            with zipfile.ZipFile(path) as archive:
                archive.read(archive.namelist()[0])
    return Cost(time.perf_counter() - wall, time.process_time() - cpu)


def print_table(costs: dict[str, list[Cost]], results: dict[str, str]) -> None:
    """Print medians (memory: the largest) as Markdown, by CPU time."""
    inflating = median(cost.cpu for cost in costs[INFLATING])
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end; {len(costs[INFLATING])} rounds, medians, "
          "lowest .. highest\n")  # fmt: skip
    print("| what | wall s | CPU s | largest process, MB | CPU ÷ inflating | result |")
    print("|---|---|---|---|---|---|")
    for name, found in sorted(costs.items(), key=lambda item: median(cost.cpu for cost in item[1])):
        peak = max(cost.peak_mb or 0 for cost in found)
        ratio = median(cost.cpu for cost in found) / inflating
        spans = " | ".join(spread([getattr(cost, field) for cost in found]) for field in ("wall", "cpu"))
        print(f"| {name} | {spans} | {f'{peak:,.0f}' if peak else ''} | {ratio:,.1f} | {results[name]} |")


def spread(values: list[float]) -> str:
    """Return the median, and lowest and highest, in words."""
    return f"{median(values):.2f} ({min(values):.2f} .. {max(values):.2f})"


def print_bar(costs: dict[str, list[Cost]]) -> int:
    """Print ours against the peer's static map, paired by round; 1 if the whole run takes longer or more CPU time."""
    missed = 0
    print("\n| ours ÷ the peer's static map, paired | wall | CPU | bar |\n|---|---|---|---|")
    for name in (STATIC, BARE, WHOLE):
        pairs = list(zip(costs[name], costs[THEIRS], strict=True))
        wall = median(ours.wall / theirs.wall for ours, theirs in pairs)
        cpu = median(ours.cpu / theirs.cpu for ours, theirs in pairs)
        verdict = "≤ 1: " + ("PASS" if max(wall, cpu) <= 1 else "MISS")
        missed = max(missed, int(name == WHOLE and max(wall, cpu) > 1))
        print(f"| {name} | {wall:.2f} × | {cpu:.2f} × | {verdict} |")
    return missed


if __name__ == "__main__":
    sys.exit(main())

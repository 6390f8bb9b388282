"""`liq record`, killed before its renames and fsyncs: over midnight, so that a new day's file begins."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq

from liq_pipeline.clock import Clock
from liq_pipeline.exchange.recorded import read_coverage, read_orders
from liq_pipeline.simulator.stream import StreamServer, steady_orders
from liq_pipeline_tests.chaos.strike import CALLS, struck, traced

SYMBOL = "BTCUSDT"
BEGIN = datetime(2026, 6, 20, 23, 56, tzinfo=UTC)
SPEED = 100.0  # seconds of the recorder's clock in one of ours: midnight comes after some of them
SECONDS = 3.0  # that it records before it is stopped, if no kill strikes
CODE = (
    "import sys, liq_pipeline.cli.recording as r; from liq_pipeline.exchange.connection import Timeouts; "
    "from liq_pipeline.settings import load_settings; "
    "sys.exit(r.record(load_settings(), lambda line: print(line, flush=True), "
    "Timeouts(flush=0.2, ping=0.05, tell=0.2)))"
)
Found = Callable[[str, list[str]], None]


def recordings(kills: int, work: Path, rng: Random, found: Found) -> None:
    """Kill recorders of one folder again and again, look after each kill, then let one end in peace."""
    data, log = work / "recording", work / "strace.log"
    folder = data / "recorded"
    clock = Clock(fixed=BEGIN.isoformat(), speed=SPEED, started=datetime.now(UTC).isoformat())
    rows: Counter[str] = Counter()
    with StreamServer(steady_orders(SYMBOL, BEGIN, 40_000), clock.now) as server:
        for number in range(kills + 1):
            calls = [] if number == kills else ["-e", f"inject={rng.choice(CALLS[:1] + CALLS[3:4])}:signal=KILL:when="]
            if calls:
                calls[-1] += str(rng.randint(1, 12))
            process = subprocess.Popen(
                [*traced(log), *calls, sys.executable, "-c", CODE], env=_environment(server.url, data, clock),
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            try:
                process.wait(SECONDS + 3)
            except subprocess.TimeoutExpired:
                os.kill(_child_of(process.pid), 15)
                process.wait(20)
            before = struck(log)
            what = f"killed before {before}" if before else "stopped"
            found(f"liq record {what}", _wrong_files(folder, rows))
        time.sleep(0.1)
    found("liq record run to its end after kills", _wrong_whole(folder))


def _wrong_files(folder: Path, rows: Counter[str]) -> list[str]:
    """Say which file is half, or holds less than before."""
    wrong = []
    for path in sorted(folder.rglob("*.parquet")):
        name = str(path.relative_to(folder))
        try:
            now = pq.read_table(path, partitioning=None).num_rows
        except (OSError, pa.ArrowException) as error:
            wrong.append(f"torn: {name}: {error}")
            continue
        if name.startswith("forced_orders") and now < rows[name]:
            wrong.append(f"lost: {name}: {now} rows, {rows[name]} before")
        rows[name] = now
    return wrong


def _wrong_whole(folder: Path) -> list[str]:
    """Say which order stands twice, and which is missing from a stretch that counts as listened to."""
    stretches = read_coverage(folder, SYMBOL)
    numbers = Counter(round(1000 * quantity) for quantity in read_orders(folder, SYMBOL)["quantity"].to_pylist())
    covered = {
        number
        for since, until in stretches
        for number in range(40_000)
        if since <= BEGIN + timedelta(seconds=number) < until - timedelta(seconds=2)
    }
    wrong = [f"doubled: order {number}" for number, times in numbers.items() if times > 1]
    wrong += [f"lost: order {number}" for number in sorted(covered - set(numbers))]
    wrong += ["lost: no day's file was begun after midnight"] if len(list(folder.rglob("*.parquet"))) < 3 else []
    wrong += ["untouched: nothing was recorded"] if len(covered) < 10 else []
    wrong += [f"left behind: {path.name}" for path in folder.rglob("*.tmp")]
    return wrong[:5]


def _environment(url: str, data: Path, clock: Clock) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("LIQ_")}
    return ours | {
        "LIQ_STREAM": f"{url}/market", "LIQ_DATA_DIR": str(data), "LIQ_SYMBOLS": SYMBOL, "LIQ_NOW": clock.fixed,
        "LIQ_REPLAY_SPEED": str(clock.speed), "LIQ_REPLAY_STARTED": clock.started,
    }  # fmt: skip


def _child_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])

"""A `liq recent` as a process: what one new bar costs, through Dagster, for the first symbol and for a further one.

Data: the simulated exchange, 120 days of 5-minute bars, the archive 30 hours behind; REST answers from a process of its
own. Imports are paid for by the first symbol; the others count.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.harness import Outcome
from liq_pipeline.simulator.demo import END, demo_markets
from liq_pipeline.simulator.market import simulate
from liq_pipeline.simulator.mirror import publish
from liq_pipeline.simulator.rest import RestServer

SYMBOLS, BARS = 8, 5
FIVE_MINUTES = timedelta(minutes=5)
BEGIN = datetime(END.year, END.month, END.day, tzinfo=UTC) - timedelta(hours=18)
LAST_FILE = BEGIN - timedelta(days=1)


def run() -> list[Outcome]:
    """Measure."""
    with TemporaryDirectory(prefix="liq-bench-") as name, exchange(Path(name)) as place:
        full(place, place.symbols)
        one = [place.recent(1) for _ in range(BARS)]
        rest = [place.recent(SYMBOLS, "--jobs", "1") for _ in range(BARS)]
        at_once = [place.recent(SYMBOLS, "--jobs", "2") for _ in range(BARS)]
    first, all_in_turn = (median(cpu for _, cpu in measured) for measured in (one, rest))
    further = (all_in_turn - first) / (SYMBOLS - 1)
    walls = [median(wall for wall, _ in measured) for measured in (at_once, rest)]
    ratio = walls[0] / walls[1]
    what = "liq recent, one new bar on 120 days: CPU time of"
    turns = f"{SYMBOLS} symbols: --jobs 2 against --jobs 1, wall"
    return [
        Outcome("recent", f"{what} a further symbol", further, "s", 0.7, 1e3 * further),
        Outcome("recent", f"{what} the first, imports included", first, "s", None, 1e3 * first),
        Outcome("recent", turns, ratio, "×", None, 1e3 * walls[0], 1e3 * walls[1]),
    ]


class Exchange:
    """An exchange whose clock is a file, and the data of who follows it."""

    def __init__(self, folder: Path, symbols: tuple[str, ...], url: str) -> None:
        self.folder, self.symbols, self.url = folder, symbols, url
        self.now = BEGIN

    def liq(self, command: str, symbols: tuple[str, ...], *more: str) -> tuple[float, float]:
        """Run a command; return seconds of the clock and of CPU time."""
        line = [
            sys.executable, "-m", "liq_pipeline", command, "--symbols", ",".join(symbols),
            "--now", self.now.isoformat(), "--data", str(self.folder / "data"), *more,
        ]  # fmt: skip
        began = time.perf_counter()
        environment = os.environ | {"LIQ_REST": self.url, "LIQ_ARCHIVE": str(self.folder / "archive")}
        process = subprocess.Popen(line, stdout=subprocess.DEVNULL, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        return time.perf_counter() - began, usage.ru_utime + usage.ru_stime

    def recent(self, count: int, *more: str) -> tuple[float, float]:
        """Let a bar pass, and refresh so many symbols; those that were left out come first, unmeasured."""
        if more and count > 1:
            self.liq("recent", self.symbols)
        self.now += FIVE_MINUTES
        (self.folder / "now").write_text(self.now.isoformat())
        return self.liq("recent", self.symbols[:count], *more)


def full(place: Exchange, symbols: tuple[str, ...]) -> None:
    """Make what one new bar is added to."""
    place.liq("run", symbols, "--no-pictures", "--since", str(END - timedelta(days=120)))


@contextmanager
def exchange(folder: Path) -> Iterator[Exchange]:
    """Open it."""
    first = demo_markets()[0]
    markets = {}
    for number in range(SYMBOLS):
        market = simulate(replace(first, symbol=f"S{number:02d}USDT", seed=number))
        publish(market, folder / "archive", intervals=("5m",), defects=())
        markets[market.config.symbol] = market
    for path in folder.rglob("archive/**/*.zip*"):
        if path.name.removesuffix(".CHECKSUM").removesuffix(".zip")[-10:] > f"{LAST_FILE:%Y-%m-%d}":
            path.unlink()
    (folder / "now").write_text(BEGIN.isoformat())
    fork = multiprocessing.get_context("fork")
    told, tell = fork.Pipe(duplex=False)
    server = fork.Process(target=_serve, args=(markets, folder / "now", tell), daemon=True)
    server.start()
    try:
        yield Exchange(folder, tuple(markets), told.recv())
    finally:
        server.kill()
        server.join()


def _serve(markets: dict[str, Any], clock: Path, tell: Any) -> None:
    with RestServer(markets, lambda: datetime.fromisoformat(clock.read_text())) as server:
        tell.send(server.url)
        while True:
            time.sleep(60)

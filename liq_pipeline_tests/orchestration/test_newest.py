"""One new bar for many symbols: several processes where that pays, and one symbol's end is not another's."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

from liq_pipeline.clock import Clock
from liq_pipeline.exchange.sources import ArchiveSource, RestSource
from liq_pipeline.orchestration import newest
from liq_pipeline.orchestration.newest import workers_that_pay
from liq_pipeline.orchestration.pool import Lost, at_once
from liq_pipeline.orchestration.refresh import refresh, refresh_newest
from liq_pipeline.published.publish import Publisher
from liq_pipeline.simulator.rest import RestFault
from liq_pipeline.system.storage import write_whole
from liq_pipeline.transform.newest import Sources
from liq_pipeline.warehouse.warehouse import Warehouse
from liq_pipeline_tests.live_exchange import FIVE_MINUTES, LiveExchange, live_exchange, markets, publish_everything

pytestmark = pytest.mark.whole_run

SYMBOLS = ("BTCUSDT", "ETHUSDT")
LIQ = (
    "import liq_pipeline.orchestration.newest as newest; from liq_pipeline.cli.main import main; "
    "newest.SYMBOLS_A_WORKER = 1; main()"
)


def work_until_it_dies(symbols: Iterator[str], _: object) -> Iterator[tuple[str, int]]:
    for symbol in symbols:
        if symbol == "DIES":
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.2)
        yield symbol, os.getpid()


def test_workers_go_on_over_many_symbols_and_one_that_dies_costs_its_symbol() -> None:
    names = ["A", "DIES", "B", "C", "D", "E", "F"]

    found = list(at_once(work_until_it_dies, iter(names), 2))

    (lost,) = [one for one in found if isinstance(one, Lost)]
    assert lost.symbol == "DIES"
    assert lost.why.startswith("the process that worked on it was killed (SIGKILL)")
    done = [one for one in found if not isinstance(one, Lost)]
    assert sorted(symbol for symbol, _ in done) == ["A", "B", "C", "D", "E", "F"]
    assert len({process for _, process in done}) <= 3


def work_and_watch(place: Path, symbols: Iterator[str], _: object) -> Iterator[str]:
    """QUICK says who works on it; SLOW waits until that process has ended."""
    for symbol in symbols:
        if symbol == "QUICK":
            write_whole(place, str(os.getpid()).encode())
            yield symbol
            continue
        until, seen = time.monotonic() + 60, False
        while not seen and time.monotonic() < until:
            time.sleep(0.1)
            seen = place.exists() and not is_alive(int(place.read_text()))
        yield f"{symbol}: the other {'has ended' if seen else 'is still there'}"


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_worker_that_has_no_further_symbol_ends_while_another_is_at_work(tmp_path: Path) -> None:
    found = list(at_once(partial(work_and_watch, tmp_path / "pid"), ["QUICK", "SLOW"], 2))

    assert found == ["QUICK", "SLOW: the other has ended"]


def test_one_process_is_this_one_and_takes_a_symbol_when_its_turn_comes(tmp_path: Path) -> None:
    sources = Sources(
        ArchiveSource(location=str(tmp_path), listing_url="", raw_dir=str(tmp_path / "raw"), bar_minutes=5),
        RestSource(url="", raw_dir=str(tmp_path / "raw")),
        Warehouse(database=str(tmp_path / "{symbol}.duckdb")),
        Publisher(folder=str(tmp_path / "published")),
        Clock(),
    )
    left = iter(SYMBOLS)

    one = next(newest.refresh_each(sources, left, 1))

    assert (one.symbol, one.report) == ("BTCUSDT", None)
    assert one.why
    assert not multiprocessing.active_children()
    assert list(left) == ["ETHUSDT"]


@pytest.mark.parametrize(
    ("symbols", "jobs", "expected"), [(1, 8, 1), (3, 2, 1), (5, 2, 1), (6, 2, 2), (6, 1, 1), (7, 8, 2), (500, 8, 8)]
)
def test_a_worker_is_started_for_three_symbols_or_more(symbols: int, jobs: int, expected: int) -> None:
    assert workers_that_pay(symbols, jobs) == expected


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], LiveExchange]:
    """Return what opens the exchange in a folder, with the data of a full run beside it."""
    of, folder = markets(*SYMBOLS), tmp_path_factory.mktemp("everything")
    everything = publish_everything(of, folder / "all")
    with live_exchange(folder, everything, of) as exchange:
        settings = exchange.settings(folder / "data", symbols=",".join(SYMBOLS), pictures=False)
        assert all(result.published for result in refresh(settings))

    def opened(place: Path, **rest: object):
        shutil.copytree(folder / "data", place / "data")
        return live_exchange(place, everything, of, **rest)

    return opened


@pytest.mark.slow
def test_several_at_once_publish_what_one_process_publishes(ran, tmp_path: Path, bytes_below, monkeypatch) -> None:
    monkeypatch.setattr(newest, "SYMBOLS_A_WORKER", 1)
    ends = []
    for jobs in (1, 2):
        with ran(tmp_path / str(jobs)) as exchange:
            exchange.now += FIVE_MINUTES
            data = tmp_path / str(jobs) / "data"
            done, failed = refresh_newest(exchange.settings(data, symbols=",".join(SYMBOLS), jobs=jobs))
        assert not failed
        assert sorted(done) == [
            f"{one}: 1 new bar, walked on, up to {exchange.now:%Y-%m-%d %H:%M} UTC" for one in SYMBOLS
        ]
        ends.append(bytes_below(data / "published"))
    assert ends[0] == ends[1]


@pytest.mark.slow
def test_a_fault_of_ours_costs_one_symbol_and_is_told(ran, tmp_path: Path, monkeypatch) -> None:
    whole = newest.refresh_recent

    def fails(sources, symbol: str):
        if symbol == "BTCUSDT":
            raise ZeroDivisionError("planted")
        return whole(sources, symbol)

    monkeypatch.setattr(newest, "refresh_recent", fails)
    said: list[str] = []

    class Listener:
        def track(self, label: str) -> None:
            return None

        def say(self, line: str) -> None:
            said.append(line)

    with ran(tmp_path) as exchange:
        exchange.now += FIVE_MINUTES
        _, (failed,) = refresh_newest(exchange.settings(tmp_path / "data", symbols=",".join(SYMBOLS)), Listener())
    assert "BTCUSDT" in failed
    assert "ZeroDivisionError: planted" in failed
    assert [line.partition(":")[0] for line in said] == ["ETHUSDT"]


def recent(exchange: LiveExchange, data: Path, child_env) -> subprocess.Popen[str]:
    """Start `liq recent --jobs 2`, a worker for each symbol."""
    assert exchange.rest
    return subprocess.Popen(
        [sys.executable, "-c", LIQ, "recent", "--jobs", "2", "--symbols", ",".join(SYMBOLS), "--data", str(data),
         "--now", exchange.now.isoformat()],
        env=child_env(LIQ_ARCHIVE=str(exchange.archive), LIQ_REST=exchange.rest.url),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip


def at_work(process: subprocess.Popen[str], exchange: LiveExchange) -> list[psutil.Process]:
    """Wait until both workers have asked REST, and return them."""
    assert exchange.rest
    until = time.monotonic() + 90
    while len({path.partition("symbol=")[2][:3] for path in exchange.rest.requests if "symbol=" in path}) < 2:
        assert time.monotonic() < until
        time.sleep(0.05)
    return [
        child
        for child in psutil.Process(process.pid).children()
        if any("spawn_main" in part for part in child.cmdline())
    ]


@pytest.mark.slow
def test_a_worker_that_is_killed_costs_its_symbol_alone(ran, tmp_path: Path, child_env) -> None:
    with ran(tmp_path, faults=lambda _: RestFault(delay_seconds=2)) as exchange:
        exchange.now += FIVE_MINUTES
        process = recent(exchange, tmp_path / "data", child_env)
        at_work(process, exchange)[0].kill()
        out, err = process.communicate(timeout=120)
    assert process.returncode == 1, out + err
    assert "Traceback" not in out + err
    assert out.count("1 new bar, walked on") == 1
    assert out.count("the process that worked on it was killed (SIGKILL)") == 1


@pytest.mark.slow
def test_ctrl_c_ends_all_with_one_line(ran, tmp_path: Path, child_env) -> None:
    with ran(tmp_path, faults=lambda _: RestFault(delay_seconds=2)) as exchange:
        exchange.now += FIVE_MINUTES
        process = recent(exchange, tmp_path / "data", child_env)
        workers = at_work(process, exchange)
        for one in (process, *workers):  # as a terminal does: to all of the group
            one.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines() == ["Interrupted. What was published before stays; run again to go on."]
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert not alive

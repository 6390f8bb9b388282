"""Several symbols at once: the same files, one symbol's end is not another's, and Ctrl-C ends all."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path

import psutil
import pytest

from liq_pipeline.errors import LiqError, StorageFailed
from liq_pipeline.orchestration.pool import Lost, at_once
from liq_pipeline.orchestration.workers import refresh_at_once
from liq_pipeline.published.status import read_status
from liq_pipeline.settings import Settings, load_settings
from liq_pipeline.simulator.demo import DemoMirror, build_demo_mirror, demo_markets

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> DemoMirror:
    """Three small markets."""
    base = demo_markets()[0]
    markets = [
        replace(base, symbol=symbol, seed=number, first_day=date(2026, 6, 18), days=8)
        for number, symbol in enumerate(SYMBOLS)
    ]
    return build_demo_mirror(tmp_path_factory.mktemp("exchange") / "mirror", markets=markets)


@pytest.fixture
def settings_in(mirror: DemoMirror) -> Callable[[Path], Settings]:
    def make(folder: Path) -> Settings:
        return load_settings(
            symbols=",".join(mirror.symbols), since=mirror.since, now=mirror.now, archive=str(mirror.folder),
            data_dir=folder, dagster_home=folder / "dagster_home", listing="", pictures=False,
        )  # fmt: skip

    return make


@pytest.fixture
def running(mirror: DemoMirror, tmp_path: Path, child_env) -> subprocess.Popen[str]:
    """`liq run --jobs 2` on the three."""
    return subprocess.Popen(
        [sys.executable, "-m", "liq_pipeline", "run", "--jobs", "2", "--symbols", ",".join(mirror.symbols),
         "--since", str(mirror.since), "--now", mirror.now.isoformat(), "--archive", str(mirror.folder),
         "--data", str(tmp_path / "data"), "--no-pictures"],
        env=child_env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip


def workers_of(process: subprocess.Popen[str], count: int) -> list[psutil.Process]:
    """Wait until the workers are there, and return them."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        found = [
            child for child in psutil.Process(process.pid).children()
            if any("spawn_main" in part for part in child.cmdline())
        ]  # fmt: skip
        if len(found) >= count:
            return found
        time.sleep(0.1)
    raise AssertionError("no workers")


def wait_for_work(data: Path) -> None:
    """Wait until both workers have the tables of a symbol."""
    until = time.monotonic() + 60
    while len(list(data.glob("warehouse/*.duckdb"))) < 2:
        assert time.monotonic() < until, "no work"
        time.sleep(0.02)


@pytest.mark.slow
def test_several_at_once_publish_what_one_after_the_other_publishes(
    settings_in: Callable[[Path], Settings], tmp_path: Path, bytes_below
) -> None:
    at_once, in_turn = settings_in(tmp_path / "at-once"), settings_in(tmp_path / "in-turn")

    found = {result.symbol: result for result in refresh_at_once(at_once, None, {}, 2)}
    expected = {result.symbol: result for result in refresh_at_once(in_turn, None, {}, 1)}

    assert found == expected
    assert all(result.published for result in found.values())
    assert bytes_below(at_once.published_dir) == bytes_below(in_turn.published_dir)


@pytest.mark.slow
def test_a_worker_that_is_killed_costs_its_symbol_alone(
    running: subprocess.Popen[str], mirror: DemoMirror, tmp_path: Path
) -> None:
    victim = workers_of(running, 2)[0]
    wait_for_work(tmp_path / "data")
    victim.kill()

    out, err = running.communicate(timeout=240)

    assert running.returncode == 1, out + err
    assert "Traceback" not in err
    (lost,) = re.findall(r"^(\w+) not published;", out, re.MULTILINE)
    assert (
        "the process that worked on it was killed (SIGKILL); what was published before stays. To do: run again" in out
    )
    assert f"could not be published for {lost} (exit code 1)" in out
    assert set(read_status(tmp_path / "data" / "published", mirror.now)) == set(SYMBOLS) - {lost}


def _gone(code: int, symbols: Iterator[str], reporter: object) -> Iterator[Lost]:
    for _ in symbols:
        os._exit(code)
    yield from ()


@pytest.mark.parametrize("code", [0, 7])
def test_a_worker_that_ends_early_is_said_to_have_ended_and_with_which_code(code: int) -> None:
    (lost,) = at_once(partial(_gone, code), ["BTCUSDT"], 1)

    assert lost.symbol == "BTCUSDT"
    assert f"the process that worked on it was ended with exit code {code}; what was published" in lost.why


@pytest.mark.slow
def test_ctrl_c_ends_all_with_one_line(running: subprocess.Popen[str], tmp_path: Path) -> None:
    workers = workers_of(running, 2)
    wait_for_work(tmp_path / "data")
    for process in (running, *workers):  # as a terminal does: to all of the group
        process.send_signal(signal.SIGINT)

    _, err = running.communicate(timeout=30)

    assert running.returncode == 130
    assert err.splitlines() == ["Interrupted. What was published before stays; run again to go on."]
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert not alive


@pytest.mark.slow
def test_workers_end_with_the_process_that_started_them(running: subprocess.Popen[str]) -> None:
    workers = workers_of(running, 2)
    time.sleep(2)
    running.kill()
    running.communicate()

    _, alive = psutil.wait_procs(workers, timeout=10)
    assert not alive


def test_what_concerns_all_symbols_is_raised_as_it_is(settings_in: Callable[[Path], Settings], tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file where Dagster's home should be", encoding="utf-8")
    settings = settings_in(tmp_path / "data").model_copy(update={"dagster_home": tmp_path / "taken"})

    with pytest.raises(LiqError, match="taken") as caught:
        list(refresh_at_once(settings, None, {}, 2))
    assert isinstance(caught.value, StorageFailed | LiqError)
    assert caught.value.remedy

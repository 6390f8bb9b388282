"""`liq record` as a process of its own: asked to stop, and killed."""

import os
import random
import signal
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from liq_pipeline.clock import Clock
from liq_pipeline.exchange.recorded import RecordingFolder, read_coverage
from liq_pipeline.simulator.stream import StreamServer, steady_orders
from liq_pipeline_tests.exchange.recorder.recordings import BOTH, after, numbers
from liq_pipeline_tests.streaming import NOON, until

KILLS = 8
SPEED = 100  # seconds of the exchange per real second


@pytest.fixture
def fast():
    """A clock that every process shares: LIQ_NOW, at a hundred times the real speed."""
    started = datetime.now(UTC)
    return Clock(fixed=NOON.isoformat(), speed=SPEED, started=started.isoformat())


@pytest.fixture
def liq_record(fast, child_env, tmp_path):
    """Start `liq record`; the flush interval of a process is a fifth of a second."""
    code = (
        "import sys, liq_pipeline.cli.recording as r; from liq_pipeline.exchange.connection import Timeouts; "
        "from liq_pipeline.settings import load_settings; "
        "sys.exit(r.record(load_settings(), lambda line: print(line, flush=True), "
        "Timeouts(flush=0.2, ping=0.05, tell=0.2)))"
    )
    processes = []

    def run(url):
        env = child_env(
            LIQ_STREAM=f"{url}/market", LIQ_DATA_DIR=str(tmp_path), LIQ_SYMBOLS=",".join(BOTH), LIQ_NOW=fast.fixed,
            LIQ_REPLAY_SPEED=str(SPEED), LIQ_REPLAY_STARTED=fast.started, PYTHONPATH=str(Path.cwd()),
        )  # fmt: skip
        process = subprocess.Popen(
            [sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        processes.append(process)
        for line in process.stdout:
            if "connected: " in line:
                return process
        raise AssertionError("it did not connect")

    yield run
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


def steady_server(fast, seconds=20_000):
    return StreamServer([o for symbol in BOTH for o in steady_orders(symbol, NOON, seconds)], fast.now)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_asked_to_stop_it_writes_what_it_has_and_says_so(number, code, fast, liq_record, tmp_path):
    with steady_server(fast) as server:
        process = liq_record(server.url)
        began = server.told
        until(lambda: server.told > began + 60)
        os.kill(process.pid, number)
        output, _ = process.communicate(timeout=20)
    assert process.returncode == code, output
    assert f"(exit code {code})" in output
    (stretch,) = read_coverage(tmp_path / "recorded", "BTCUSDT")
    complete(tmp_path / "recorded", [stretch])


@pytest.mark.slow
def test_killed_at_any_moment_it_leaves_whole_files_and_the_truth_about_its_gaps(fast, liq_record, tmp_path):
    folder, chance = tmp_path / "recorded", random.Random(2026)
    with steady_server(fast) as server:
        for kill in range(KILLS):
            process = liq_record(server.url)
            wanted = server.told + int(chance.uniform(0, 150))
            until(lambda wanted=wanted: server.told >= wanted)
            if not kill:
                until(lambda: read_coverage(folder, "BTCUSDT"))
            process.kill()
            process.wait()
            for file in folder.rglob("*.parquet"):
                pq.read_table(file, partitioning=None)  # raises on half a file
        process = liq_record(server.url)
        until(lambda begun=server.told: server.told > begun + 60)
        process.terminate()
        output, _ = process.communicate(timeout=20)
    assert process.returncode == 0, output
    stretches = read_coverage(folder, "BTCUSDT")
    assert len(stretches) >= 2, "every restart leaves a gap"
    complete(folder, stretches)
    assert not list(folder.rglob("*.tmp"))


def complete(folder, stretches):
    """No row stands twice, and within the stretches that count as covered not one order is missing."""
    for symbol in BOTH:
        found = numbers(folder, symbol)
        assert max(Counter(found).values()) == 1
        # Order n has traded at n - 0.75 s and is told at n s: the last seconds of a stretch may not have been told yet.
        covered = {
            number
            for since, until_ in stretches
            for number in range(20_000)
            if since <= after(number) and after(number) < until_ - timedelta(seconds=2)
        }
        assert len(covered) > 10
        assert covered <= set(found)


def test_the_verb_says_what_is_wrong_with_its_settings(liq, tmp_path):
    found = liq("record", "--data", tmp_path, "--stream", "wss://fstream.binance.com")
    assert found.code == 2
    assert "not routed" in found.err
    with RecordingFolder(tmp_path / "recorded"):
        found = liq("record", "--data", tmp_path)
    assert found.code == 1
    assert "another recorder" in found.err

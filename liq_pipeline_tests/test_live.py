"""Three hours of live time, fast: the real daemon, its sensor, and a simulated exchange whose clock runs 120 times."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import psutil
import pytest

from liq_pipeline.clock import clock_of
from liq_pipeline.orchestration.history import dagster_instance
from liq_pipeline.orchestration.refresh import refresh
from liq_pipeline.orchestration.runs import RECENT_JOB
from liq_pipeline.orchestration.wiring import build_definitions
from liq_pipeline.settings import Settings
from liq_pipeline.transform.newest import published_until
from liq_pipeline_tests.live_exchange import THIRTY_HOURS_BEHIND, live_exchange, markets, publish_everything
from liq_pipeline_tests.once import once

SPEED = 120.0
LIVE = timedelta(hours=3)
SECONDS_AT_MOST = 240


def resident_mb(process: psutil.Process) -> dict[int, float]:
    """Return what each process below the daemon holds now."""
    found = {}
    for one in [process, *process.children(recursive=True)]:
        with suppress(psutil.Error):
            found[one.pid] = one.memory_info().rss / 1e6
    return found


def of_those_that_stay(samples: list[dict[int, float]]) -> list[float]:
    """Return the sum over the daemon and its servers, sample by sample; processes of runs come and go."""
    settled = samples[len(samples) // 3 :]
    staying = set.intersection(*(set(sample) for sample in settled))
    assert staying
    return [sum(sample[pid] for pid in staying) for sample in settled]


@pytest.mark.slow
def test_three_hours_of_live_time_miss_no_bar_and_double_no_row(tmp_path: Path, child_env) -> None:
    of = markets("BTCUSDT")
    everything = publish_everything(of, tmp_path / "everything")
    with live_exchange(tmp_path, everything, of) as live:
        settings = live.settings(tmp_path / "data", pictures=True)
        (result,) = refresh(settings)
        assert result.published

        started = datetime.now(UTC)
        running = settings.model_copy(update={"replay_speed": SPEED, "replay_started": started})
        clock = clock_of(running)
        live.rest.now = clock.now
        env = child_env(**{k: v for k, v in running.as_environment().items() if k.startswith(("LIQ_", "DAGSTER"))})
        daemon = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "dagster._daemon", "run", "-m", "liq_pipeline"],
            env=env | {"PYTHONPATH": str(Path.cwd())},
            stdout=(tmp_path / "daemon.log").open("wb"), stderr=subprocess.STDOUT,
        )  # fmt: skip
        memory: list[dict[int, float]] = []
        try:
            process = psutil.Process(daemon.pid)
            publisher = build_definitions(running).resources["publisher"]
            end = THIRTY_HOURS_BEHIND + LIVE
            while (published_until(publisher, "BTCUSDT") or end) < end:
                assert daemon.poll() is None, (tmp_path / "daemon.log").read_text()[-2000:]
                assert datetime.now(UTC) - started < timedelta(seconds=SECONDS_AT_MOST), (
                    tmp_path / "daemon.log"
                ).read_text()[-3000:]
                time.sleep(1)
                memory.append(resident_mb(process))
        finally:
            daemon.terminate()
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                for child in psutil.Process(daemon.pid).children(recursive=True):
                    child.kill()
                daemon.kill()

        _no_bar_is_missing_and_none_is_there_twice(running, end)
        with dagster_instance(running.home) as instance:
            runs = instance.get_runs(filters=dg.RunsFilter(job_name=RECENT_JOB))
        assert len(runs) >= 3  # how many there are is a matter of speed
        assert {run.status for run in runs} <= {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.STARTED}
        held = of_those_that_stay(memory)
        half = len(held) // 2
        print(f"{len(runs)} runs; daemon and servers: {max(held[:half]):.0f} MB, then {max(held[half:]):.0f} MB")
        assert max(held[half:]) <= 1.1 * max(held[:half]), held


def _no_bar_is_missing_and_none_is_there_twice(settings: Settings, end: datetime) -> None:
    warehouse = build_definitions(settings).resources["warehouse"]
    for table in ("open_interest", "klines", "oi_delta", "position_survival"):
        side = "AND side = 'long'" if table == "position_survival" else ""
        found = (
            once(warehouse)
            .sql(
                f"SELECT count(*) AS rows, count(DISTINCT ts) AS bars, min(ts) AS first, max(ts) AS last "
                f"FROM {table} WHERE symbol = 'BTCUSDT' {side}"
            )
            .to_pylist()[0]
        )
        assert found["rows"] == found["bars"], table
        assert found["bars"] == (found["last"] - found["first"]) / timedelta(minutes=5) + 1, table
        assert found["last"] >= end

"""`kill -9` at any moment costs time, never data."""

import random
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest

from liq_pipeline_tests.chaos.crew import crews
from liq_pipeline_tests.chaos.stage import set_crew_stage
from liq_pipeline_tests.chaos.warm import start

FOLDERS, KILLS = 3, 4  # `make chaos KILLS=100` is the long form


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_run_that_was_killed_at_any_moment_is_made_whole_by_the_next(
    exchange, good_run, run_options, bytes_below, tmp_path: Path
) -> None:
    """Twelve kills spread over the duration of a run: in each of three folders four in a row, then one run in peace."""
    undisturbed = bytes_below(good_run.published_dir)

    def begin(data: Path) -> tuple[ForkServerProcess, Path]:
        out = data.with_suffix(".out")
        out.unlink(missing_ok=True)
        return start(["run", *run_options(exchange, data, pictures=True)], out), out

    def wait_until(process: ForkServerProcess, has_begun: Callable[[], bool]) -> None:
        while not has_begun():
            assert process.is_alive()
            time.sleep(0.005)

    def kill_after(data: Path, seconds: float) -> bool:
        """Kill a run so long after it begins: to make Dagster's home, or where that is there, to work."""
        home = data / "dagster_home"
        is_new = not home.exists()
        process, out = begin(data)
        wait_until(process, home.exists if is_new else lambda: out.exists() and out.stat().st_size > 0)
        time.sleep(seconds)
        process.kill()
        process.join(60)
        return process.exitcode == -signal.SIGKILL

    def duration() -> float:
        process, out = begin(tmp_path / "whole")
        wait_until(process, lambda: out.exists() and out.stat().st_size > 0)
        began = time.monotonic()
        process.join(120)
        assert process.exitcode == 0, out.read_text()
        return time.monotonic() - began

    def torture(folder: int, moments: list[float]) -> int:
        data, killed = tmp_path / f"killed_{folder}", 0
        for moment in moments:
            killed += kill_after(data, moment)
            half = bytes_below(data / "published")
            torn = [name for name, content in half.items() if undisturbed.get(name) != content]
            assert not torn, f"torn after {moment:.2f} s"
        last, out = begin(data)
        last.join(240)
        assert last.exitcode == 0, f"after kills at {moments}:\n{out.read_text()}"
        end = bytes_below(data / "published")
        other = sorted(name for name in end.keys() | undisturbed.keys() if end.get(name) != undisturbed.get(name))
        assert not other, f"after kills at {moments}"
        return killed

    whole, chance = duration(), random.Random(2026)
    moments = [whole * (number + chance.random()) / (FOLDERS * KILLS) for number in range(FOLDERS * KILLS)]
    with ThreadPoolExecutor(2) as pool:
        killed = pool.map(torture, range(FOLDERS), [moments[folder::FOLDERS] for folder in range(FOLDERS)])
    assert sum(killed) >= FOLDERS * KILLS / 2, "most runs were over before they were killed"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_run_with_workers_is_made_whole_whoever_was_killed(tmp_path: Path) -> None:
    """Three kills, of the parent, of a worker, of all; `make chaos JOBS=2 KILLS=40` is the long form."""
    wrong: dict[str, list[str]] = {}
    with set_crew_stage(tmp_path, 2) as stage:
        for reader in crews(stage, 3, tmp_path, random.Random(2026), lambda what, found: wrong.update({what: found})):
            assert not [seen for seen in reader.seen if seen.startswith(("torn", "mixed"))]
    assert not any(wrong.values()), wrong
    assert sum("killed" in what for what in wrong) >= 2, "most were over before they were killed"

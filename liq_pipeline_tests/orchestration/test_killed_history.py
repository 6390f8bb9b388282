"""What a run wrote into Dagster's history before it was killed is there, and the run is marked as failed."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from liq_pipeline.orchestration.automation import dead_runs
from liq_pipeline.simulator.market import MarketConfig, simulate
from liq_pipeline.simulator.mirror import publish

SYMBOLS = ("BTCUSDT", "ETHUSDT")
FIRST_DAY, DAYS, NOW = date(2026, 6, 20), 5, "2026-06-25T06:00:00+00:00"
ROUNDS = 2  # in each, a run of every symbol that is killed, and one that is not; with ten, twenty of each
KINDS = (dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.ASSET_CHECK_EVALUATION)

# Writes a line for each event, once the history has it. Workers, too: they load this file as their main module.
LIQ = """
import json, os, sys
from liq_pipeline.orchestration.event_log import EventLog

stored, told = EventLog.store_event, os.open(os.environ["TOLD"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def store_event(self, event):
    stored(self, event)
    kind = event.dagster_event_type
    if kind and kind.value in ("ASSET_MATERIALIZATION", "ASSET_CHECK_EVALUATION"):
        found = event.dagster_event.event_specific_data
        of = getattr(found, "materialization", found)
        line = [event.run_id, kind.value, of.asset_key.to_user_string(), getattr(found, "check_name", "")]
        os.write(told, (json.dumps(line) + "\\n").encode())

EventLog.store_event = store_event
if __name__ == "__main__":
    from liq_pipeline.cli.main import main
    main()
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two markets of a few days."""
    folder = tmp_path_factory.mktemp("exchange")
    for seed, symbol in enumerate(SYMBOLS):
        market = simulate(MarketConfig(symbol=symbol, seed=seed, first_day=FIRST_DAY, days=DAYS, traders=300))
        publish(market, folder, intervals=("5m",), defects=())
    return folder


class Runs:
    """Runs of one data folder, and what each says that it wrote."""

    def __init__(self, archive: Path, folder: Path, environment: dict[str, str]) -> None:
        self.archive, self.folder, self.environment = archive, folder, environment
        self.home = folder / "data" / "dagster_home"
        (folder / "liq.py").write_text(LIQ, encoding="utf-8")

    def start(self, told: Path, *symbols: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, str(self.folder / "liq.py"), "run", "--no-pictures", "--symbols", ",".join(symbols),
             "--since", str(FIRST_DAY), "--now", NOW, "--jobs", "2", "--archive", str(self.archive),
             "--data", str(self.folder / "data")],
            env=self.environment | {"TOLD": str(told)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def killed(self, moments: dict[str, int], name: str) -> list[Path]:
        """Kill a run of each symbol once it has written so many events."""
        told = {symbol: self.folder / f"{name}-{symbol}" for symbol in moments}
        running = {symbol: self.start(told[symbol], symbol) for symbol in moments}
        while running:
            for symbol, process in list(running.items()):
                if len(_lines(told[symbol])) >= moments[symbol] or process.poll() is not None:
                    process.kill()
                    assert process.wait() == -9, "it was over before it was killed"
                    del running[symbol]
            time.sleep(0.002)
        return list(told.values())

    def undisturbed(self, name: str) -> Path:
        told = self.folder / name
        assert self.start(told, *SYMBOLS).wait(300) == 0
        return told


def _lines(told: Path) -> list[list[str]]:
    """Return what was told; the last line may be half of one."""
    text = told.read_text(encoding="utf-8") if told.exists() else ""
    return [json.loads(line) for line in text.split("\n")[:-1]]


def in_history(instance: dg.DagsterInstance, run_id: str) -> Counter[tuple[str, ...]]:
    """Return the run's events as its own file has them."""
    found: Counter[tuple[str, ...]] = Counter()
    for kind in KINDS:
        for record in instance.get_records_for_run(run_id, of_type=kind).records:
            event: Any = record.event_log_entry.get_dagster_event().event_specific_data
            of = getattr(event, "materialization", event)
            found[run_id, kind.value, of.asset_key.to_user_string(), getattr(event, "check_name", "")] += 1
    return found


def lost(instance: dg.DagsterInstance, told: list[Path]) -> list[Any]:
    """Return what was written and is not in the run's file, or not in the index that pages and sensors read."""
    missing: list[Any] = []
    lines = [tuple(line) for path in told for line in _lines(path)]
    runs = {line[0] for line in lines}
    missing += (Counter(lines) - sum((in_history(instance, run) for run in runs), Counter())).keys()
    for run_id, kind, asset, check in lines:
        key = dg.AssetKey(asset)
        if kind == "ASSET_MATERIALIZATION":
            records = instance.fetch_materializations(key, limit=200).records
            missing += [] if run_id in {one.run_id for one in records} else [("index", run_id, asset)]
        else:
            history = instance.event_log_storage.get_asset_check_execution_history(dg.AssetCheckKey(key, check), 200)
            done = {one.run_id for one in history if one.status.value in ("SUCCEEDED", "FAILED")}
            missing += [] if run_id in done else [("index", run_id, asset, check)]
    return missing


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_what_a_killed_run_wrote_is_in_the_history_and_the_run_is_marked_as_failed(
    archive: Path, tmp_path: Path, child_env, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance, told, killed = random.Random(2026), [], set()
    runs = Runs(archive, tmp_path, child_env(LIQ_REST="off"))
    monkeypatch.setenv("DAGSTER_HOME", str(runs.home))  # its dagster.yaml names it
    told.append(runs.undisturbed("whole-0"))
    count = len(_lines(told[0])) // len(SYMBOLS)

    for number in range(ROUNDS):
        moments = {symbol: chance.randint(1, 9 * count // 10) for symbol in SYMBOLS}
        told += runs.killed(moments, f"killed-{number}")
        with dg.DagsterInstance.from_config(str(runs.home)) as instance:
            ended = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.FAILURE]  # one that starts later marks it, too
            found = instance.get_runs(filters=dg.RunsFilter(statuses=ended))
            dead = {run.run_id for run in found} - killed
            assert len(dead) == len(SYMBOLS)
            is_marked = all(run.status == dg.DagsterRunStatus.FAILURE for run in found)
            sensor = dead_runs()
            assert sensor.minimum_interval_seconds
            assert sensor.minimum_interval_seconds <= 60
            with dg.build_sensor_context(instance=instance) as context:
                assert is_marked or "marked as failed" in str(sensor.evaluate_tick(context).skip_message)
            failed = instance.get_runs(filters=dg.RunsFilter(run_ids=list(dead)))
            assert {run.status for run in failed} == {dg.DagsterRunStatus.FAILURE}
        killed |= dead
        if number:
            told.append(runs.undisturbed(f"whole-{number}"))

    with dg.DagsterInstance.from_config(str(runs.home)) as instance:
        assert lost(instance, told) == []
        done = instance.get_run_ids(filters=dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS]))
    assert (len(killed), len(done)) == (ROUNDS * len(SYMBOLS), ROUNDS * len(SYMBOLS))

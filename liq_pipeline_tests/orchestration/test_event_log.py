"""Our event log is Dagster's, faster: the same files and tables, and nothing that was written is lost."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.event_log import SqliteEventLogStorage

from liq_pipeline.orchestration.event_log import OPEN_FILES, EventLog
from liq_pipeline.orchestration.history import dagster_instance

CHATTER = """
import sys, time
from pathlib import Path
from dagster import AssetMaterialization, DagsterEventType
from liq_pipeline.orchestration.history import dagster_instance
import dagster as dg

@dg.asset(check_specs=[dg.AssetCheckSpec("good", asset="talker")])
def talker(context):
    for number in range(100_000):
        context.log_event(AssetMaterialization("other", metadata={"number": number}))
        print(number, flush=True)

with dagster_instance(Path(sys.argv[1])) as instance:
    dg.materialize([talker], instance=instance)
"""


@dg.asset(check_specs=[dg.AssetCheckSpec("holds", asset="made")])
def made() -> dg.MaterializeResult:
    return dg.MaterializeResult(
        metadata={"rows": 3}, check_results=[dg.AssetCheckResult(check_name="holds", passed=True)]
    )


def told(storage: SqliteEventLogStorage, run_id: str) -> list[str]:
    return [f"{record.event_log_entry.dagster_event_type} {record.event_log_entry.message}"
            for record in storage.get_records_for_run(run_id).records]  # fmt: skip


def test_what_it_writes_dagsters_own_reads(tmp_path: Path) -> None:
    with dagster_instance(tmp_path) as instance:
        assert isinstance(instance.event_log_storage, EventLog)
        run_id = dg.materialize([made], instance=instance).run_id
        ours = told(instance.event_log_storage, run_id)
        latest = instance.get_latest_materialization_event(dg.AssetKey("made"))

    theirs = SqliteEventLogStorage(str(tmp_path / "history" / "runs"))
    assert told(theirs, run_id) == ours
    assert len(ours) > 10
    (record,) = theirs.get_latest_asset_check_execution_by_key(
        [dg.AssetCheckKey(dg.AssetKey("made"), "holds")]
    ).values()
    assert record.run_id == run_id
    assert latest
    assert latest.run_id == run_id


@pytest.mark.parametrize("when", [20, 137])
def test_a_process_that_is_killed_loses_nothing_that_it_wrote(when: int, tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", CHATTER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            if int(line) == when:
                process.send_signal(signal.SIGKILL)
                break

    with dagster_instance(tmp_path) as instance:
        (run,) = instance.get_runs()
        records = instance.fetch_materializations(dg.AssetKey("other"), limit=10_000).records
        numbers = sorted(record.asset_materialization.metadata["number"].value for record in records)
        kinds = [
            record.event_log_entry.dagster_event_type for record in instance.get_records_for_run(run.run_id).records
        ]
    # Of the two files that hold an event, the run's comes first: a kill in between leaves it there alone.
    assert numbers[: when + 1] == list(range(when + 1))
    assert 0 <= kinds.count(dg.DagsterEventType.ASSET_MATERIALIZATION) - len(numbers) <= 1


def test_only_some_files_stay_open_and_a_removed_one_is_made_anew(tmp_path: Path) -> None:
    log = EventLog(str(tmp_path))
    for number in range(3 * OPEN_FILES):
        with log.run_connection(f"run-{number}") as connection:
            assert not connection.exec_driver_sql("SELECT count(*) FROM event_logs").scalar()
        assert len(log._connections) <= OPEN_FILES
    (tmp_path / f"run-{number}.db").unlink()
    for rest in tmp_path.glob(f"run-{number}.db-*"):
        rest.unlink()

    with log.run_connection(f"run-{number}") as connection:
        assert not connection.exec_driver_sql("SELECT count(*) FROM event_logs").scalar()
    assert (tmp_path / f"run-{number}.db").exists()
    log.dispose()
    assert not log._connections


def test_threads_share_the_open_files(tmp_path: Path) -> None:
    """Dagster's UI and its daemon ask from many threads."""
    log = EventLog(str(tmp_path))

    def events() -> int:
        with log.run_connection("run") as connection:
            return connection.exec_driver_sql("SELECT count(*) FROM event_logs").scalar()

    assert events() == 0
    opened = dict(log._connections)
    with ThreadPoolExecutor(2) as threads:
        assert [found.result() for found in [threads.submit(events) for _ in range(4)]] == [0] * 4
    assert dict(log._connections) == opened
    log.dispose()


def test_the_file_of_a_further_run_is_as_the_first_ones_without_its_events(tmp_path: Path) -> None:
    with dagster_instance(tmp_path) as instance:
        first, *further = (dg.materialize([made], instance=instance).run_id for _ in range(3))
        said = [len(told(instance.event_log_storage, run_id)) for run_id in (first, *further)]

    def about(run_id: str) -> list[tuple[str, ...]]:
        with closing(sqlite3.connect(tmp_path / "history" / "runs" / f"{run_id}.db")) as connection:
            queries = (
                "SELECT sql FROM sqlite_master ORDER BY sql",
                "SELECT * FROM alembic_version",
                "PRAGMA journal_mode",
            )
            return [connection.execute(query).fetchall() for query in queries]

    assert about(further[0]) == about(further[1]) == about(first)
    assert said[0] == said[1] == said[2] > 10
    assert not list(tmp_path.rglob("*.new"))


def test_a_file_that_another_process_makes_at_the_same_moment_is_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with dagster_instance(tmp_path) as instance:
        dg.materialize([made], instance=instance)
        other = SqliteEventLogStorage(str(tmp_path / "history" / "runs"))

        def too_late(_: Path, file: Path) -> None:
            with other.run_connection(Path(file).stem):
                raise FileExistsError

        monkeypatch.setattr("os.link", too_late)
        run_id = dg.materialize([made], instance=instance).run_id

        assert len(told(instance.event_log_storage, run_id)) > 10
    assert not list(tmp_path.rglob("*.new"))

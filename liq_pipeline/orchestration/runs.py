"""Dagster runs of this and of other processes: who is at work, who has died, which are old enough to be forgotten."""

import os
import shutil
import socket
from collections.abc import Mapping
from pathlib import Path

import dagster as dg
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable
from dagster._utils.error import SerializableErrorInfo

from liq_pipeline.errors import LiqError

JOB_NAME = "refresh_job"
PICTURE_JOB = "picture_refresh_job"
RECENT_JOB = "recent_refresh_job"
RUNS_KEPT = {JOB_NAME: 14, PICTURE_JOB: 24, RECENT_JOB: 600}
"""How many finished runs of a job are kept, the newest, of each symbol where its runs are a symbol's: those of two
weeks, a day, two days. Dagster itself forgets none, and one of `refresh_job` takes 2 MB. Other jobs are people's."""
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING,
]  # fmt: skip
FINISHED = [status for status in dg.DagsterRunStatus if status not in UNFINISHED]


def busy_elsewhere(instance: dg.DagsterInstance, symbol: str) -> str:
    """Return the run of another job that works on the symbol now; empty if there is none."""
    for run in instance.get_runs(filters=dg.RunsFilter(statuses=UNFINISHED)):
        if run.job_name != RECENT_JOB and run.tags.get("dagster/partition") == symbol and not _has_died(run.tags):
            return run.run_id
    return ""


def process_tags() -> dict[str, str]:
    """Return tags that tell in which process a run is executed: nobody else watches over a run of `liq run`."""
    # Somebody sees it fail, and runs it again with the same options: the daemon knows only its own settings.
    return {"liq/host": socket.gethostname(), "liq/pid": str(os.getpid()), "dagster/max_retries": "0"}


def _has_died(tags: Mapping[str, str]) -> bool:
    """Tell whether a run's process was on this machine and is gone: killed, it could not say so itself."""
    if "liq/pid" not in tags or tags.get("liq/host") != socket.gethostname():
        return False
    try:
        os.kill(int(tags["liq/pid"]), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # alive, of another user
    return False


def end_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Mark runs as failed whose process was killed, and return them: else the queue waits for them for ever."""
    dead = [run for run in instance.get_runs(filters=dg.RunsFilter(statuses=UNFINISHED)) if _has_died(run.tags)]
    for run in dead:
        instance.report_run_failed(run, f"Process {run.tags['liq/pid']}, which executed this run, is gone.")
    return [run.run_id for run in dead]


def forget_old_runs(instance: dg.DagsterInstance, job: str, symbol: str = "", kept: int | None = None) -> int:
    """Forget all but the newest finished runs of a job, their logs included; return how many. Latest values stay.

    Args:
        instance: whose history.
        job: one of `RUNS_KEPT`.
        symbol: whose runs, where the job's runs are a symbol's.
        kept: how many stay, if others than `RUNS_KEPT` says.
    """
    tags = {"dagster/partition": symbol} if symbol else {}
    filters = dg.RunsFilter(job_name=job, tags=tags, statuses=FINISHED)
    old = instance.get_run_ids(filters=filters)[RUNS_KEPT[job] if kept is None else kept :]
    for run_id in old:
        instance.delete_run(run_id)
        # Dagster leaves what the run's checks found, and its files behind.
        with instance.event_log_storage.index_connection() as connection:  # type: ignore[attr-defined]
            connection.execute(AssetCheckExecutionsTable.delete().where(AssetCheckExecutionsTable.c.run_id == run_id))
        home = Path(instance.root_directory)
        shutil.rmtree(home / "storage" / run_id, ignore_errors=True)
        for file in (home / "history" / "runs").glob(f"{run_id}.db*"):
            file.unlink(missing_ok=True)
    return len(old)


def failure_reason(event: dg.DagsterEvent) -> str:
    """Return why a step failed: its own words where it has some, else those of the error at the bottom."""
    data = event.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return f"{event.step_key}: {data.user_failure_data.description}"
    return f"{event.step_key}: {_own_words(data.error)}"


def begin_failure_reason(event: dg.DagsterEvent) -> str:
    """Return why a run failed before its first step: what it needs was not to be had."""
    return _own_words(event.job_failure_data.error)


def _own_words(error: SerializableErrorInfo | None) -> str:
    ours = {kind.__name__ for kind in LiqError.__subclasses__()}  # these already say what to do; causes are older
    while error and error.cause and error.cls_name not in ours:
        error = error.cause
    return error.message.strip().removeprefix(f"liq_pipeline.errors.{error.cls_name}: ") if error else "failed"

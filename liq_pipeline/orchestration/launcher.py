"""Dagster's Celery run launcher, with a look at its workers: a run whose worker was killed is failed, and tried again.

The stock launcher asks Celery's results. They say STARTED for ever when a worker is killed, SUCCESS when a task ended
without ending its run, and nothing once Redis has lost them. Here workers are asked what they are working on.
"""

from __future__ import annotations

import logging
import time
from typing import Any

import dagster as dg
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster_celery.launcher import CeleryRunLauncher

ANSWER_SECONDS = 2.0  # that workers have to answer
FRESH_SECONDS = 3.0  # answers count for all runs that are looked at in one go
MISSES = 2  # in a row until a run is given up: an answer may be late once
GRACE_SECONDS = 30.0  # that workers have to come back once the broker was away

log = logging.getLogger("liq.launcher")


class WatchedCeleryRunLauncher(CeleryRunLauncher):
    """Starts runs as tasks of Celery; tells of a run whether a worker is at work on it."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._answers = (float("-inf"), "")
        self._clear_from = float("-inf")
        self._missed: dict[str, int] = {}

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Return whether a worker says that it is at work on the run."""
        answers = self._at_work()
        if not answers:
            self._clear_from = time.monotonic() + GRACE_SECONDS
        if time.monotonic() < self._clear_from and run.run_id not in answers:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "the broker or every worker is away: nobody can tell")
        if run.run_id in answers:
            self._missed.pop(run.run_id, None)
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        missed = self._missed[run.run_id] = self._missed.get(run.run_id, 0) + 1
        if missed < MISSES:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "no worker named it; they are asked once more")
        del self._missed[run.run_id]
        return CheckRunHealthResult(WorkerStatus.FAILED, "no worker is at work on it: its worker was killed or cut off")

    def get_run_worker_debug_info(self, run: dg.DagsterRun, include_container_logs: bool | None = True) -> str | None:
        """Return nothing: the stock one asks for results that are not kept."""
        return None

    def _at_work(self) -> str:
        """Return what workers say of the tasks that they have; nothing where none answers."""
        asked, answers = self._answers
        if time.monotonic() - asked > FRESH_SECONDS:
            try:
                answers = str(self.celery.control.inspect(timeout=ANSWER_SECONDS).active() or "")
            except Exception as error:  # of Celery, Kombu or the broker's client, by broker
                log.warning("the broker does not answer, so nobody knows which runs are at work: %s", error)
                answers = ""
            self._answers = (time.monotonic(), answers)
        return answers

"""A worker of a cluster: takes runs from the queue, and works on them here. What `liq worker` becomes.

Its broker and database are those of `dagster.yaml` in DAGSTER_HOME, as for everybody else.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from liq_pipeline.errors import SettingsError
from liq_pipeline.settings import Settings
from liq_pipeline.system.objects import objects_at
from liq_pipeline.system.storage import check_writable

CONFIG = "deploy/cluster/dagster.yaml"


def become_worker(settings: Settings, slots: int, name: str) -> NoReturn:
    """Replace this process by a worker.

    Args:
        settings: as its runs read them.
        slots: runs at once.
        name: of this worker among others of this machine.

    Raises:
        SettingsError: no bucket is named, or a folder cannot be used.
        ObjectsUnreachable, ObjectsRefused: the bucket cannot be read.
    """
    if not settings.storage:
        raise SettingsError("LIQ_STORAGE is not set: a worker keeps nothing of its own", remedy="see docs/scale.md")
    check_writable(settings.data_dir)
    objects_at(settings.storage).list("published/editions/")
    command = [sys.executable, "-W", "ignore", "-m", __name__, str(slots), name]
    os.execve(sys.executable, command, settings.as_environment())


def main(slots: str, name: str) -> None:
    """Work until SIGTERM (after the run at hand), or twice SIGTERM (at once)."""
    from dagster import DagsterInstance
    from dagster_celery.tasks import create_execute_job_task

    from liq_pipeline.orchestration.launcher import WatchedCeleryRunLauncher

    with DagsterInstance.get() as instance:
        launcher = instance.run_launcher
    if not isinstance(launcher, WatchedCeleryRunLauncher):
        sys.exit(f"SettingsError: dagster.yaml in DAGSTER_HOME names no queue. To do: copy {CONFIG} there.")
    create_execute_job_task(launcher.celery)
    launcher.celery.worker_main(
        ["worker", "--pool=prefork", f"--concurrency={slots}", f"--hostname={name}@%h", "--loglevel=WARNING",
         "--without-gossip", "--without-mingle", "--queues=dagster"]
    )  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Dagster's history, in DAGSTER_HOME: made on first use, and what is wrong with it said in words."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

import dagster as dg
import yaml
from dagster._core.storage.tags import PARTITION_NAME_TAG
from filelock import FileLock
from sqlalchemy.exc import SQLAlchemyError

from liq_pipeline.errors import HistoryUnusable, LiqError, SettingsError, StorageFailed
from liq_pipeline.orchestration.runs import end_dead_runs
from liq_pipeline.system.storage import check_writable, writing

CONFIG = Path(__file__).parents[1] / "dagster.yaml"
CONFIGS_WE_SHIPPED = {  # sha256; a test demands that today's is among them
    "8ef83bcc1c7dfd110157d40921771c1383be0887745b0fca742b6ab412c9ac40",
    "d1c6c2fa3682559d0e79b30c1677a18dfb0177a0b8815a464a67c38fb9ede6f6",
    "87ffd594dbbe077c60c685631d8b1408a997b95522508291cd37a369cb632a8d",
    "beeafeac07f1b033df7a2634fa035c3f07507a9bd452232e3566da2d017bcf5d",
    "3f690c6a12c81db1b696609dea31080cdb91fedaa83de7c9556d41454fc799d2",
}
# It raises what matters; what it logs beside that is a traceback when Ctrl-C hits a connection that is being closed.
logging.getLogger("sqlalchemy").setLevel(logging.CRITICAL)


@contextmanager
def dagster_instance(home: Path) -> Iterator[dg.DagsterInstance]:
    """Open Dagster's history in `home`; made on first use.

    Two processes that make it at once would fail on each other's tables: they take turns. A `dagster.yaml` that an
    older version left there is replaced, unless somebody has changed it.

    Raises:
        SettingsError: a folder that cannot be used, or a dagster.yaml that Dagster cannot read.
        StorageFailed: the disk is full, now or later.
        HistoryUnusable: the history is damaged.
    """
    home = home.absolute()
    _refuse_name(home)
    check_writable(home)
    with _typed(home):
        with FileLock(home / ".init.lock"):
            config = home / CONFIG.name
            if not config.exists() or hashlib.sha256(config.read_bytes()).hexdigest() in CONFIGS_WE_SHIPPED:
                shutil.copy(CONFIG, config)
            instance = _opened(home)
            instance.get_runs(limit=1)  # touches the tables
        with instance:
            end_dead_runs(instance)
            yield instance


def queue_advice(instance: dg.DagsterInstance) -> str:
    """Return what to do if runs of one symbol would not wait for each other in this instance's queue; empty if so."""
    queue = instance.get_concurrency_config().run_queue_config
    for limit in queue.tag_concurrency_limits if queue else ():
        value = limit.get("value")
        each = isinstance(value, Mapping) and value.get("applyLimitPerUniqueValue")
        if limit["key"] == PARTITION_NAME_TAG and limit["limit"] == 1 and (each or "value" not in limit):
            return ""
    return (
        f"{instance.root_directory}/{CONFIG.name} does not make runs of one symbol wait for each other: they wait for "
        f"its file instead, as running ones. To do: take over `concurrency: runs:` from {CONFIG}"
    )


def _opened(home: Path) -> dg.DagsterInstance:
    try:
        with _as_dagster_home(home):
            return dg.DagsterInstance.from_config(str(home))
    except (yaml.YAMLError, dg.DagsterInvalidConfigError, UnicodeDecodeError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        said = next((line for line in lines if line.startswith("Error 1")), " ".join(lines)).partition(" Expected:")[0]
        raise SettingsError(
            f"{home / CONFIG.name} cannot be read: {said[:300]}",
            expected="Dagster's settings in YAML",
            remedy="correct it, or delete it: the next run writes it anew",
        ) from error


@contextmanager
def _as_dagster_home(home: Path) -> Iterator[None]:
    """Set DAGSTER_HOME meanwhile: our dagster.yaml names it, so that Dagster's own commands find the history, too."""
    before = os.environ.get("DAGSTER_HOME")
    os.environ["DAGSTER_HOME"] = str(home)
    try:
        yield
    finally:
        if before is None:
            del os.environ["DAGSTER_HOME"]
        else:
            os.environ["DAGSTER_HOME"] = before


def _refuse_name(home: Path) -> None:
    """Refuse names that Dagster's own address of its database would change: it does not quote them."""
    if unquote(str(home)) != str(home) or "?" in str(home):
        raise SettingsError(
            f"Dagster cannot keep its history in {home}: its database takes '%' with two digits, and '?', for signs "
            "of its own",
            remedy="choose a folder without them (DAGSTER_HOME, or --data)",
        )


@contextmanager
def _typed(home: Path) -> Iterator[None]:
    try:
        with writing(home):
            yield
    except SQLAlchemyError as error:
        raise _what_it_means(error, home) from error


def _what_it_means(error: SQLAlchemyError, home: Path) -> LiqError:
    cause = str(getattr(error, "orig", None) or error).splitlines()[0]
    reasons = {
        "full": ("the disk is full", "make room there, then run again: what was written before stays"),
        "readonly": ("the file system or a file is read-only", "make it writable, or choose another DAGSTER_HOME"),
        "disk i/o": ("the disk is full or reports an error", "make room there, or check the disk; then run again"),
    }
    for sign, (why, remedy) in reasons.items():
        if sign in cause.lower():
            return StorageFailed(f"Dagster's history in {home} cannot be written: {why} ({cause})", remedy=remedy)
    return HistoryUnusable(
        f"Dagster's history in {home} cannot be used: {cause}",
        expected="the databases that Dagster wrote there",
        remedy=f"move {home / 'history'} and {home / 'schedules'} away and run again: published files do not need them",
    )

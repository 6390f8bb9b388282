"""The newest bar, minutes after it closed: tail, tables, levels, checks, published files, in one step per run.

An asset run of the whole chain costs more in bookkeeping than in work; here everything of a symbol happens in one
transaction of the warehouse, and is published after it. Heatmaps and pictures follow every hour.
"""

import os
import shutil
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import dagster as dg

from liq_pipeline.assets.common import WAREHOUSE_POOL, check_key, checks_as_published, instant, tag_run, version_tags
from liq_pipeline.assets.published import level_datasets, published_facts
from liq_pipeline.assets.recent import RECENT_ASSETS, tail_checks, tail_facts
from liq_pipeline.assets.walk_on import Extended, extend
from liq_pipeline.checks.groups import rules_of_every_bar
from liq_pipeline.checks.rule import Subject, evaluate
from liq_pipeline.clock import Clock
from liq_pipeline.errors import CheckFailed, LiqError, NoData
from liq_pipeline.exchange.tail import TailReport
from liq_pipeline.resources import ArchiveSource, RestSource
from liq_pipeline.warehouse.layout import dataset_path, read_manifest
from liq_pipeline.warehouse.publish import Publisher
from liq_pipeline.warehouse.warehouse import BASE_TABLES, LEVEL_TABLES, TIMEFRAMES, Warehouse

RECENT_JOB = "recent_refresh"
# A dagster.yaml of before there were pools limits runs with the first of these.
JOB_TAGS = {"liq/warehouse": "writes", **version_tags()}
RUNS_KEPT = 600  # of this job: two days. Dagster itself forgets no run.
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING,
]  # fmt: skip


@dataclass(frozen=True)
class Desk:
    """What a refresh works with."""

    archive: ArchiveSource
    rest: RestSource
    warehouse: Warehouse
    publisher: Publisher
    clock: Clock


@dataclass
class Refreshed:
    """What became of one symbol.

    Attributes:
        symbol: which.
        tails: what became of open interest's and of the klines' tail.
        extended: what the new rows did; None where there was nothing to add to.
        checks: results of the rules that look at every bar, and of the tails.
        facts: of what was published; empty: nothing was.
    """

    symbol: str
    tails: list[TailReport] = field(default_factory=list)
    extended: Extended | None = None
    checks: list[dg.AssetCheckResult] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def said(self) -> str:
        """In one line."""
        problems = "; ".join(dict.fromkeys(tail.problem.rstrip(".") for tail in self.tails if tail.problem))
        if not self.facts:
            return f"{self.symbol}: nothing new" + (f": {problems}" if problems else "")
        assert self.extended
        how = "replayed from the beginning" if self.extended.replayed else "walked on"
        bars, as_of = self.extended.new_bars, self.extended.newest["as_of"]
        return f"{self.symbol}: {bars} new bar{'s' * (bars != 1)}, {how}, up to {as_of:%Y-%m-%d %H:%M} UTC"


def refresh_recent(desk: Desk, symbol: str) -> Refreshed:
    """Bring one symbol's levels up to the newest closed bar, and publish them if they pass their checks.

    Raises:
        NoData: nothing was loaded yet: a full run comes first.
        CheckFailed: a blocking check failed: nothing was changed and nothing is published.
        LiqError: the tail on disk, the warehouse or the published folder cannot be used.
    """
    now = desk.clock.now()
    done = Refreshed(symbol)
    datasets = (desk.archive.open_interest_files, desk.archive.kline_files)
    done.tails = [desk.rest.update(dataset, symbol, now, patient=True) for dataset in datasets]
    done.checks = [check for tail in done.tails for check in tail_checks(tail, is_off=not desk.rest.url)]
    open_interest, klines = (desk.rest.rows(dataset, symbol) for dataset in datasets)
    with desk.warehouse.transaction() as tables:
        done.extended = extend(tables, symbol, open_interest, klines)
        newest = done.extended.newest["as_of"]
        if not done.extended.new_bars and published_until(desk.publisher, symbol) == newest:
            return done
        subject = Subject(symbol, tables.connection, desk.archive, desk.publisher, desk.clock)
        found = [(rule, evaluate(rule, subject)) for rule in rules_of_every_bar()]
        if failed := [(rule, outcome) for rule, outcome in found if rule.blocking and outcome.is_error]:
            raise CheckFailed(
                f"{symbol}: " + "; ".join(f"{rule.asset}: {rule.name}: {outcome.found}" for rule, outcome in failed),
                expected="every blocking check to pass",
                remedy="nothing was changed; run `liq run`, which starts anew from the files and tells more",
            )
        done.checks += [outcome.as_result(rule) for rule, outcome in found]
        content = level_datasets(tables, symbol, desk.archive, checks_as_published(done.checks))
    paths = desk.publisher.publish(content)
    done.facts = published_facts(content, paths, desk.publisher)
    return done


def published_until(publisher: Publisher, symbol: str, dataset: str = "liquidation_levels") -> datetime | None:
    """Return the newest bar of what is published of a dataset by timeframe; None where nothing is."""
    manifest = read_manifest(dataset_path(Path(publisher.folder), dataset, symbol, TIMEFRAMES[0]))
    return datetime.fromisoformat(manifest["as_of"]) if manifest else None


def recent_job(symbols: dg.PartitionsDefinition) -> dg.JobDefinition:
    """Return the job that brings every symbol up to the newest closed bar."""

    @dg.op(
        name="newest_bar",
        pool=WAREHOUSE_POOL,
        description="Per symbol: what REST has beyond the archive, appended; the walk goes on; levels, checks, files.",
        required_resource_keys=set(Desk.__dataclass_fields__),
    )
    def newest_bar(context: dg.OpExecutionContext) -> list[str]:
        desk = Desk(
            *(getattr(context.resources, name) for name in ("archive", "rest", "warehouse", "publisher", "clock"))
        )
        said: list[str] = []
        failures: list[str] = []
        reached: set[datetime] = set()
        for symbol in symbols.get_partition_keys():
            if run := busy_elsewhere(context.instance, symbol):
                said.append(f"{symbol}: left to run {run}, which refreshes all of it")
                continue
            try:
                done = refresh_recent(desk, symbol)
            except NoData as error:
                said.append(f"{symbol}: nothing to add to yet; a full run (`liq run`) comes first ({error})")
                continue
            except LiqError as error:  # one bad symbol never stops another
                context.log.error(f"{symbol}: {error}")
                failures.append(str(error))
                continue
            said.append(done.said)
            if done.facts:
                _tell(context, done)
            if done.extended:
                reached.add(done.extended.newest["as_of"])
        if reached:
            tag_run(context, *reached)
        forget_old_runs(context.instance)
        for line in said:
            context.log.info(line)
        if failures:
            raise dg.Failure("\n".join(failures), allow_retries=False)
        return said

    @dg.job(
        name=RECENT_JOB,
        tags=JOB_TAGS,
        executor_def=dg.in_process_executor,
        description="Levels up to the newest closed bar, minutes after it closed: REST, tables, levels, checks, files.",
    )
    def job() -> None:
        newest_bar()

    return job


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


def forget_old_runs(instance: dg.DagsterInstance, kept: int = RUNS_KEPT) -> int:
    """Forget all but the newest runs of this job, their logs included; return how many. Latest values stay."""
    filters = dg.RunsFilter(job_name=RECENT_JOB, statuses=[dg.DagsterRunStatus.SUCCESS])
    old = instance.get_run_ids(filters=filters)[kept:]
    for run_id in old:
        instance.delete_run(run_id)
        # Dagster leaves the run's files behind.
        home = Path(instance.root_directory)
        shutil.rmtree(home / "storage" / run_id, ignore_errors=True)
        for file in (home / "history" / "runs").glob(f"{run_id}.db*"):
            file.unlink(missing_ok=True)
    return len(old)


def _tell(context: dg.OpExecutionContext, done: Refreshed) -> None:
    """Write down in Dagster's history what was made and what the checks found."""
    assert done.extended
    as_of = {"as_of": instant(done.extended.newest["as_of"]), "new_bars": done.extended.new_bars}
    facts: dict[str, dict[str, Any]] = dict.fromkeys((*BASE_TABLES, *LEVEL_TABLES), as_of)
    facts |= {asset: tail_facts(tail) for asset, tail in zip(RECENT_ASSETS, done.tails, strict=True)}
    for asset, metadata in {**facts, "published_levels": done.facts}.items():
        context.log_event(dg.AssetMaterialization(asset, partition=done.symbol, metadata=metadata))
    for check in done.checks:
        evaluation = dg.AssetCheckEvaluation(
            *check_key(check), check.passed, metadata=check.metadata, severity=check.severity,
            description=check.description, partition=done.symbol,
        )  # fmt: skip
        context.log_event(evaluation)  # type: ignore[arg-type]  # taken since Dagster 1.10; its annotation lags behind

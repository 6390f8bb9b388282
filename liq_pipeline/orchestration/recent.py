"""`recent_refresh_job`: every symbol up to the newest closed bar, in one step, minutes after it closed.

Where there are many, processes share the work (newest.py); this one writes down what came of it.

A run of assets costs more in bookkeeping than in work; this one writes down what it made and checked all the same.
Heatmaps and pictures follow every hour.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from typing import Any

import dagster as dg
from dagster._core.storage.tags import RETRY_STRATEGY_TAG

from liq_pipeline.errors import SymbolBusy
from liq_pipeline.orchestration.assets.common import instant, tag_run, version_tags
from liq_pipeline.orchestration.assets.published import published_facts
from liq_pipeline.orchestration.assets.recent import tail_facts
from liq_pipeline.orchestration.lease import lease
from liq_pipeline.orchestration.newest import refresh_each, workers_that_pay
from liq_pipeline.orchestration.runs import RECENT_JOB, busy_elsewhere, forget_old_runs
from liq_pipeline.orchestration.universe import names_of
from liq_pipeline.published.publish import Publisher
from liq_pipeline.transform.newest import RefreshReport, Sources
from liq_pipeline.transform.rules.recent import RECENT_ASSETS
from liq_pipeline.warehouse.schema import BASE_TABLES, FEATURES, LEVEL_TABLES

# A run that lost its process is tried again as a whole: on another machine the tables of its first steps are not there.
JOB_TAGS = {**version_tags(), RETRY_STRATEGY_TAG: "ALL_STEPS"}


def recent_job(symbols: dg.PartitionsDefinition, jobs: int) -> dg.JobDefinition:
    """Return the job that brings every symbol up to the newest closed bar, up to `jobs` of them at once."""

    @dg.op(
        name="newest_bar",
        description="Per symbol: what REST has beyond the archive, appended; the walk goes on; levels, checks, files.",
        required_resource_keys={*Sources.__dataclass_fields__, "reporter"},
    )
    def newest_bar(context: dg.OpExecutionContext) -> list[str]:
        sources = Sources(
            *(getattr(context.resources, name) for name in ("archive", "rest", "warehouse", "publisher", "clock"))
        )
        said: list[str] = []
        failures: list[str] = []
        reached: set[datetime] = set()
        keys = names_of(symbols, context)
        held: dict[str, ExitStack] = {}

        def tell(line: str) -> None:
            said.append(line)
            context.resources.reporter.say(line)

        def wanted() -> Iterator[str]:
            for symbol in keys:
                if run := busy_elsewhere(context.instance, symbol):
                    tell(f"{symbol}: left to run {run}, which refreshes all of it")
                    continue
                if sources.publisher.storage:  # other machines write to the same bucket
                    held[symbol] = ExitStack()
                    try:
                        held[symbol].enter_context(lease(context.instance, context.run.run_id, symbol, 0))
                    except SymbolBusy as error:
                        tell(f"{symbol}: left out: {error}")
                        continue
                yield symbol

        for done in refresh_each(sources, wanted(), workers_that_pay(len(keys), jobs)):
            if done.symbol in held:
                held.pop(done.symbol).close()
            if done.is_new:
                tell(f"{done.symbol}: nothing to add to yet; a full run (`liq run`) comes first ({done.why})")
            elif done.report is None:  # one bad symbol never stops another
                context.log.error(f"{done.why}\n{done.trace}".rstrip())
                failures.append(done.why)
            else:
                tell(done.report.said)
                if done.report.published:
                    _report(context, done.report, sources.publisher)
                if done.report.extended:
                    reached.add(done.report.extended.newest["as_of"])
        if reached:
            tag_run(context, *reached)
        forget_old_runs(context.instance, RECENT_JOB)
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


def _report(context: dg.OpExecutionContext, done: RefreshReport, publisher: Publisher) -> None:
    """Write down in Dagster's history what was made and what the checks found."""
    assert done.extended
    as_of = {"as_of": instant(done.extended.newest["as_of"]), "new_bars": done.extended.new_bars}
    facts: dict[str, dict[str, Any]] = dict.fromkeys((*BASE_TABLES, *LEVEL_TABLES, FEATURES), as_of)
    facts |= {asset: tail_facts(tail) for asset, tail in zip(RECENT_ASSETS, done.tails, strict=True)}
    for asset, metadata in {**facts, "published_levels": published_facts(done.published, publisher)}.items():
        context.log_event(dg.AssetMaterialization(asset, partition=done.symbol, metadata=metadata))
    for check in done.checks:
        evaluation = dg.AssetCheckEvaluation(
            dg.AssetKey(check.asset), check.check, check.outcome.passed, metadata=check.outcome.facts,
            severity=dg.AssetCheckSeverity(check.outcome.severity), description=check.outcome.found,
            partition=done.symbol,
        )  # fmt: skip
        context.log_event(evaluation)  # type: ignore[arg-type]  # taken since Dagster 1.10; its annotation lags behind

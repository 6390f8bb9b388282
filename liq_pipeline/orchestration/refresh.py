"""Run the chain for each symbol, one Dagster run a symbol, in this process. What `liq run` does and the UI shows."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import dagster as dg
from dagster._core.remote_origin import ManagedGrpcPythonEnvCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from liq_pipeline.errors import LiqError
from liq_pipeline.exchange.preflight import unknown_symbols
from liq_pipeline.orchestration.history import dagster_instance
from liq_pipeline.orchestration.resources import Reporter
from liq_pipeline.orchestration.results import Finding, SymbolResult
from liq_pipeline.orchestration.runs import (
    JOB_NAME,
    RECENT_JOB,
    begin_failure_reason,
    failure_reason,
    forget_old_runs,
    process_tags,
)
from liq_pipeline.orchestration.wiring import build_definitions
from liq_pipeline.settings import Settings
from liq_pipeline.system.interrupts import hear_interrupts
from liq_pipeline.system.memory import give_back_large_arrays

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
LOCATION = "liq_pipeline"  # as `liq ui`, workspace.yaml and pyproject.toml name it


def execute(job: dg.JobDefinition, instance: dg.DagsterInstance, **how: Any) -> dg.ExecuteInProcessResult:
    """Execute a job in this process, as a run of the code location that `liq ui` serves.

    Dagster's pages of jobs and its timeline leave out runs that come from no code location.
    """
    target = LoadableTargetOrigin(executable_path=sys.executable, module_name=LOCATION)
    location = ManagedGrpcPythonEnvCodeLocationOrigin(target, LOCATION)
    origin = RemoteRepositoryOrigin(location, "__repository__").get_job_origin(job.name)
    # `execute_in_process` makes the run by this method, and has no argument for its origin.
    create = partial(dg.DagsterInstance.create_run_for_job, instance, remote_job_origin=origin)
    instance.create_run_for_job = create  # type: ignore[method-assign]
    return job.execute_in_process(instance=instance, raise_on_error=False, tags=process_tags(), run_config=QUIET, **how)


def refresh(
    settings: Settings,
    reporter: Reporter | None = None,
    unknown: Mapping[str, LiqError] | None = None,
    symbols: Iterable[str] | None = None,
) -> Iterator[SymbolResult]:
    """Run the chain for each symbol, one after the other. One symbol's failure does not stop another.

    Args:
        settings: which symbols, from where, to where.
        reporter: told about long work.
        unknown: what `preflight.unknown_symbols` found, if it was asked already.
        symbols: those of the settings' that are wanted, as they come; default: all.

    Raises:
        ArchiveForbidden, ArchiveUnreachable, UnknownSymbol: as `preflight.unknown_symbols`.
        SettingsError, StorageFailed, HistoryUnusable: as `dagster_instance`.
    """
    give_back_large_arrays()
    unknown = unknown_symbols(settings) if unknown is None else unknown
    definitions = build_definitions(settings, reporter)
    job = definitions.resolve_job_def(JOB_NAME)
    with dagster_instance(settings.home) as instance, hear_interrupts() as interrupted:
        for symbol in settings.symbols if symbols is None else symbols:
            if symbol in unknown:
                yield SymbolResult(symbol, errors=[str(unknown[symbol])])
                continue
            outcome = execute(job, instance, partition_key=symbol)
            if interrupted() or _was_interrupted(outcome):
                raise KeyboardInterrupt
            forget_old_runs(instance, JOB_NAME, symbol)
            yield _result(symbol, outcome)


def refresh_newest(settings: Settings, reporter: Reporter | None = None) -> tuple[list[str], list[str]]:
    """Bring every symbol up to the newest closed bar; return what was done and what went wrong, in words.

    Args:
        settings: which symbols, from where, to where; how many at once.
        reporter: told what was done, symbol by symbol.
    """
    job = build_definitions(settings, reporter).resolve_job_def(RECENT_JOB)
    with dagster_instance(settings.home) as instance, hear_interrupts() as interrupted:
        outcome = execute(job, instance)
        was_interrupted = interrupted()
    if was_interrupted or _was_interrupted(outcome):
        raise KeyboardInterrupt
    if not outcome.success:
        return [], [failure_reason(e) for e in outcome.all_events if e.event_type is dg.DagsterEventType.STEP_FAILURE]
    return outcome.output_for_node("newest_bar"), []


def _was_interrupted(outcome: dg.ExecuteInProcessResult) -> bool:
    """Tell whether Ctrl-C ended the run: Dagster takes it for a failure of the step that it hit."""
    failed = (event for event in outcome.all_events if event.event_type is dg.DagsterEventType.STEP_FAILURE)
    return any("DagsterExecutionInterruptedError" in str(event.step_failure_data.error) for event in failed)


def _result(symbol: str, outcome: dg.ExecuteInProcessResult) -> SymbolResult:
    result = SymbolResult(symbol)
    for evaluation in outcome.get_asset_check_evaluations():
        if evaluation.passed:
            result.checks_passed += 1
        else:
            result.findings.append(
                Finding(
                    evaluation.asset_key.to_user_string(), evaluation.check_name, evaluation.severity.value,
                    evaluation.description or "",
                )
            )  # fmt: skip
    for event in outcome.all_events:
        if event.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION:
            materialization = event.step_materialization_data.materialization
            result.published |= materialization.asset_key.to_user_string() == "published_levels"
            fetched = materialization.metadata.get("fetched")
            result.fetched += fetched.value if isinstance(fetched, dg.IntMetadataValue) and fetched.value else 0
        elif event.event_type is dg.DagsterEventType.STEP_FAILURE:
            result.errors.append(failure_reason(event))
        elif event.event_type is dg.DagsterEventType.RUN_FAILURE and not result.errors:
            result.errors.append(begin_failure_reason(event))
    return result

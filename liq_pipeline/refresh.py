"""Run the chain for each symbol, one Dagster run a symbol, in this process. What `liq run` does and the UI shows."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.remote_origin import ManagedGrpcPythonEnvCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from filelock import FileLock

from liq_pipeline.assets.archive import NO_FILE_WAS_LOST
from liq_pipeline.automation import JOB_NAME
from liq_pipeline.checks.plausibility import PLAUSIBLE
from liq_pipeline.definitions import build_definitions
from liq_pipeline.errors import ArchiveForbidden, ArchiveUnreachable, LiqError
from liq_pipeline.exchange.archive import METRICS, open_archive
from liq_pipeline.recent import RECENT_JOB, end_dead_runs, process_tags
from liq_pipeline.resources import Reporter
from liq_pipeline.settings import Settings

LOSSES = {NO_FILE_WAS_LOST, *PLAUSIBLE.values()}  # checks that tell of lost data
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
CONFIG = Path(__file__).with_name("dagster.yaml")
CONFIGS_WE_SHIPPED = {  # sha256; a test demands that today's is among them
    "beeafeac07f1b033df7a2634fa035c3f07507a9bd452232e3566da2d017bcf5d",
    "d1c6c2fa3682559d0e79b30c1677a18dfb0177a0b8815a464a67c38fb9ede6f6",
    "87ffd594dbbe077c60c685631d8b1408a997b95522508291cd37a369cb632a8d",
    "3f690c6a12c81db1b696609dea31080cdb91fedaa83de7c9556d41454fc799d2",
}
LOCATION = "liq_pipeline"  # as `liq ui`, workspace.yaml and pyproject.toml name it


@dataclass(frozen=True)
class Finding:
    """A check that did not pass."""

    asset: str
    check: str
    severity: str
    text: str


@dataclass
class SymbolResult:
    """What became of one symbol.

    Attributes:
        symbol: which.
        published: whether its files were published in this run.
        fetched: files fetched.
        errors: what stopped it, in words.
        findings: checks that did not pass.
        checks_passed: how many did.
    """

    symbol: str
    published: bool = False
    fetched: int = 0
    errors: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    checks_passed: int = 0

    @property
    def lost_data(self) -> bool:
        """Whether the symbol could not be published, or a part of its data was lost."""
        return (
            not self.published
            or bool(self.errors)
            or any(finding.check in LOSSES and finding.severity == "ERROR" for finding in self.findings)
        )

    @property
    def has_error_findings(self) -> bool:
        """Whether a check failed with severity ERROR."""
        return any(finding.severity == "ERROR" for finding in self.findings)


@contextmanager
def dagster_instance(home: Path) -> Iterator[dg.DagsterInstance]:
    """Open Dagster's history in `home`; made on first use.

    Two processes that make it at once would fail on each other's tables: they take turns. A `dagster.yaml` that an
    older version left there is replaced, unless somebody has changed it.
    """
    home = home.absolute()
    home.mkdir(parents=True, exist_ok=True)
    with FileLock(home / ".init.lock"):
        config = home / CONFIG.name
        if not config.exists() or hashlib.sha256(config.read_bytes()).hexdigest() in CONFIGS_WE_SHIPPED:
            shutil.copy(CONFIG, config)
        instance = dg.DagsterInstance.from_config(str(home))
        instance.get_runs(limit=1)  # touches the tables
    with instance:
        end_dead_runs(instance)
        yield instance


def queue_advice(instance: dg.DagsterInstance) -> str:
    """Return what to do if runs would not wait for each other in this instance's queue; empty if they do."""
    pools = instance.get_concurrency_config().pool_config
    if pools.pool_granularity and pools.pool_granularity.value == "run" and pools.default_pool_limit == 1:
        return ""
    return (
        f"{instance.root_directory}/{CONFIG.name} does not make runs wait for each other: one may check what another "
        f"is writing. To do: take over `concurrency: pools:` from {CONFIG}"
    )


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


def refresh(settings: Settings, reporter: Reporter | None = None) -> Iterator[SymbolResult]:
    """Run the chain for each symbol. One symbol's failure does not stop another.

    Raises:
        ArchiveForbidden, ArchiveUnreachable: the archive does not answer; asked once, before anything is run.
    """
    _ask_once(settings)
    definitions = build_definitions(settings, reporter)
    job = definitions.resolve_job_def(JOB_NAME)
    with dagster_instance(settings.home) as instance:
        for symbol in settings.symbols:
            outcome = execute(job, instance, partition_key=symbol)
            if _was_interrupted(outcome):
                raise KeyboardInterrupt
            yield _result(symbol, outcome)


def refresh_newest(settings: Settings) -> tuple[list[str], list[str]]:
    """Bring every symbol up to the newest closed bar; return what was done and what went wrong, in words."""
    job = build_definitions(settings).resolve_job_def(RECENT_JOB)
    with dagster_instance(settings.home) as instance:
        outcome = execute(job, instance)
    if _was_interrupted(outcome):
        raise KeyboardInterrupt
    if not outcome.success:
        return [], [_why(e) for e in outcome.all_events if e.event_type is dg.DagsterEventType.STEP_FAILURE]
    return outcome.output_for_node("newest_bar"), []


def _ask_once(settings: Settings) -> None:
    """Find out whether the archive answers: one clear message is better than the same from every asset and retry."""
    try:
        archive = open_archive(settings.archive, settings.listing_url, needs_checksums=not settings.no_checksums)
        archive.list_files(METRICS.prefix(settings.symbols[0]))
    except (ArchiveForbidden, ArchiveUnreachable) as error:
        here = {
            symbol: sum(1 for _ in settings.raw_dir.glob(f"data/**/{symbol}/**/*.zip")) for symbol in settings.symbols
        }
        counts = ", ".join(f"{symbol} {count}" for symbol, count in here.items())
        raise type(error)(
            f"{error.problem}. Nothing was changed; files already in {settings.raw_dir}: {counts}",
            expected=error.expected,
            remedy=f"{error.remedy.rstrip('.')}; `liq demo` shows the whole chain without the exchange",
        ) from error


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
            result.errors.append(_why(event))
    return result


def _why(event: dg.DagsterEvent) -> str:
    data = event.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return f"{event.step_key}: {data.user_failure_data.description}"
    error = data.error
    ours = {kind.__name__ for kind in LiqError.__subclasses__()}  # these already say what to do; causes are older
    while error and error.cause and error.cls_name not in ours:
        error = error.cause
    return f"{event.step_key}: {error.message.strip() if error else 'failed'}"

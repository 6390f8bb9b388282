"""Group `archive`: the exchange's daily zip files, mirrored, verified and recorded in a manifest."""

import dagster as dg

from liq_pipeline.exchange.keys import ArchiveDataset
from liq_pipeline.exchange.report import NoProgress, Progress, SyncReport
from liq_pipeline.orchestration.assets.common import acting, now_and_then
from liq_pipeline.orchestration.resources import ArchiveResource, ClockResource, Reporter
from liq_pipeline.orchestration.results import NO_FILE_WAS_LOST

# On top of the retries around each request and each file: an outage of minutes.
_RETRY = dg.RetryPolicy(max_retries=2, delay=10, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)


def archive_assets(symbols: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """Return `raw_open_interest` and `raw_klines`."""

    def lost_nothing(asset: str) -> list[dg.AssetCheckSpec]:
        return [
            dg.AssetCheckSpec(
                NO_FILE_WAS_LOST,
                asset=asset,
                description="Every day that the archive offers, and every day between its first and last, is here and "
                "passed its checks. Files that failed are in quarantine; the rest is used.",
                partitions_def=symbols,
            )
        ]

    @dg.asset(
        partitions_def=symbols,
        group_name="archive",
        kinds={"binance", "zip"},
        retry_policy=_RETRY,
        check_specs=lost_nothing("raw_open_interest"),
    )
    def raw_open_interest(
        context: dg.AssetExecutionContext,
        archive: ArchiveResource,
        clock: ClockResource,
        reporter: dg.ResourceParam[Reporter],
    ) -> dg.MaterializeResult:
        """Daily `metrics` files: open interest every 5 minutes, as the exchange publishes them.

        One zip per day with its checksum, from `data/futures/um/daily/metrics/`. Only what is missing or was rewritten
        is fetched; what fails its checksum or its format goes to quarantine.
        """
        return _mirror(context, archive, clock, reporter, archive.open_interest_files)

    @dg.asset(
        partitions_def=symbols,
        group_name="archive",
        kinds={"binance", "zip"},
        retry_policy=_RETRY,
        check_specs=lost_nothing("raw_klines"),
    )
    def raw_klines(
        context: dg.AssetExecutionContext,
        archive: ArchiveResource,
        clock: ClockResource,
        reporter: dg.ResourceParam[Reporter],
    ) -> dg.MaterializeResult:
        """Daily `klines` files: prices and volumes per bar of the base interval, as the exchange publishes them.

        One zip per day with its checksum, from `data/futures/um/daily/klines/`. Only what is missing or was rewritten
        is fetched; what fails its checksum or its format goes to quarantine.
        """
        return _mirror(context, archive, clock, reporter, archive.kline_files)

    return [raw_open_interest, raw_klines]


class _LoggedToo:
    """Tells Dagster's log of files that are fetched, and somebody else, who may draw a bar."""

    def __init__(self, context: dg.AssetExecutionContext, label: str, other: Progress) -> None:
        self.log, self.label, self.other = context.log.info, label, other
        self.tell = now_and_then(context.log.info)
        self.done = self.total = 0

    def start(self, total_files: int, total_bytes: int) -> None:
        self.total = total_files
        self.log(f"{self.label}: {total_files} files to fetch, {total_bytes / 1e6:.1f} MB")
        self.other.start(total_files, total_bytes)

    def advance(self, files: int = 1, bytes: int = 0) -> None:
        self.done += files
        self.tell(f"{self.label}: {self.done} of {self.total} files")
        self.other.advance(files, bytes)

    def finish(self) -> None:
        self.other.finish()


def _mirror(
    context: dg.AssetExecutionContext,
    archive: ArchiveResource,
    clock: ClockResource,
    reporter: Reporter,
    dataset: ArchiveDataset,
) -> dg.MaterializeResult:
    with acting():
        label = f"{context.partition_key} {dataset.name}"
        progress = _LoggedToo(context, label, reporter.track(label) or NoProgress())
        report = archive.sync(dataset, context.partition_key, clock.now(), progress)
    for problem in report.problems:
        context.log.error(problem.message)
    return dg.MaterializeResult(
        metadata={
            "files": len(report.files),
            "fetched": report.fetched,
            "fetched_bytes": report.fetched_bytes,
            "rewritten": report.rewritten,
            "unverified_files": len(report.unverified),
            "lost_files": len(report.problems) + len(report.holes),
            "first_day": str(report.first_day),
            "last_day": str(report.last_day),
            "not_yet_published": ", ".join(map(str, report.not_yet)) or "none",
        },
        check_results=[_lost_nothing(report)],
    )


def _lost_nothing(report: SyncReport) -> dg.AssetCheckResult:
    messages = [problem.message for problem in report.problems]
    messages += [
        f"{report.symbol} {report.dataset.name}: {day} is missing from the archive, with days before and after it"
        for day in report.holes
    ]
    unverified = f", {len(report.unverified)} of them not verified: no .CHECKSUM" if report.unverified else ""
    return dg.AssetCheckResult(
        check_name=NO_FILE_WAS_LOST,
        passed=not messages,
        # A bad rewrite of a file whose older version stays in use costs nothing yet.
        severity=dg.AssetCheckSeverity.ERROR if report.lost_data else dg.AssetCheckSeverity.WARN,
        description="\n".join(messages) or f"{len(report.files)} files are good{unverified}",
        metadata={"lost_files": len(messages)},
    )

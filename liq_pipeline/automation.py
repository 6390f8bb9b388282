"""When things run by themselves: the daily schedule, and the sensor for late and rewritten files."""

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import dagster as dg

from liq_pipeline.clock import Clock
from liq_pipeline.errors import LiqError
from liq_pipeline.resources import ArchiveSource

JOB_NAME = "refresh"
SCHEDULE = "30 9 * * *"  # the exchange publishes yesterday's files at about 08:30 UTC (exchange.md 1.4)
RAN_RECENTLY = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=48), warn_window=timedelta(hours=30))


def refresh_job() -> Any:
    """Return the job that runs the whole chain with every check, for one symbol."""
    return dg.define_asset_job(
        JOB_NAME,
        selection=dg.AssetSelection.all(),
        description="The whole chain for one symbol: files, tables, positions, levels, checks, published files.",
    )


def daily_refresh(symbols: dg.PartitionsDefinition) -> dg.ScheduleDefinition:
    """Return the schedule that refreshes every symbol each day."""

    @dg.schedule(
        name="daily_refresh",
        job_name=JOB_NAME,
        cron_schedule=SCHEDULE,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Every day at 09:30 UTC, after the exchange has published the day before: one run per symbol.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        day = f"{context.scheduled_execution_time:%Y-%m-%d}"
        for symbol in symbols.get_partition_keys():
            yield dg.RunRequest(run_key=f"daily-{symbol}-{day}", partition_key=symbol)

    return schedule


def late_and_rewritten_files(symbols: dg.PartitionsDefinition) -> dg.SensorDefinition:
    """Return the sensor that compares the archive's listing with the local copy."""

    @dg.sensor(
        name="late_and_rewritten_files",
        job_name=JOB_NAME,
        minimum_interval_seconds=3600,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Every hour: does the archive list a file that is not here, or one that was rewritten? Then a run "
        "is requested for its symbol, once per state of the listing.",
    )
    def sensor(
        context: dg.SensorEvaluationContext, archive: ArchiveSource, clock: Clock
    ) -> list[dg.RunRequest] | dg.SkipReason:
        requests, unreachable = [], []
        for symbol in symbols.get_partition_keys():
            try:
                wanted = [
                    file
                    for dataset in (archive.open_interest_files, archive.kline_files)
                    for file in archive.plan(dataset, symbol, clock.now())
                ]
            except LiqError as error:
                context.log.warning(f"{symbol}: {error}")
                unreachable.append(f"{symbol}: {error}")
                continue
            if not wanted:
                continue
            state = "\n".join(f"{file.key} {file.etag} {file.size}" for file in wanted)
            digest = hashlib.sha256(state.encode()).hexdigest()[:16]
            context.log.info(f"{symbol}: {len(wanted)} files to fetch, the first {wanted[0].key}")
            requests.append(dg.RunRequest(run_key=f"listing-{symbol}-{digest}", partition_key=symbol))
        # Dagster takes either run requests or one reason to skip.
        if requests:
            return requests
        return dg.SkipReason("; ".join(unreachable) or "the local copy holds everything that the archive lists")

    return sensor

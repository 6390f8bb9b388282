"""When things run by themselves: each day, when the archive has changed, at each new bar; and pictures each hour."""

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import dagster as dg

from liq_pipeline.errors import LiqError
from liq_pipeline.orchestration.recent import JOB_TAGS
from liq_pipeline.orchestration.resources import ArchiveResource, ClockResource, PublisherResource, RestResource
from liq_pipeline.orchestration.runs import (
    JOB_NAME,
    PICTURE_JOB,
    RECENT_JOB,
    UNFINISHED,
    end_dead_runs,
    forget_old_runs,
)
from liq_pipeline.orchestration.universe import names_of
from liq_pipeline.transform.newest import published_until

SCHEDULE = "30 9 * * *"  # the exchange publishes yesterday's files at about 08:30 UTC (exchange.md 1.4)
LOOK_EVERY_SECONDS = 30
SETTLING = timedelta(seconds=15)  # the exchange needs some seconds after a bar has closed
PICTURED = "liquidation_heatmap"
RAN_RECENTLY = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=48), warn_window=timedelta(hours=30))


def refresh_job(pictures: bool) -> Any:
    """Return the job that runs the whole chain with every check, for one symbol."""
    everything = dg.AssetSelection.all()
    return dg.define_asset_job(
        JOB_NAME,
        selection=everything if pictures else everything - dg.AssetSelection.assets("published_views"),
        tags=JOB_TAGS,
        description="The whole chain for one symbol: files, tables, positions, levels, checks, published files.",
    )


def picture_job(*, whole: bool) -> Any:
    """Return the job that draws the pictures anew, for one symbol.

    Args:
        whole: do all else, too: on one of several machines, whose warehouse may not be the newest.
    """
    drawn = dg.AssetSelection.groups("heatmaps") | dg.AssetSelection.assets("published_heatmaps", "published_views")
    return dg.define_asset_job(
        PICTURE_JOB,
        selection=dg.AssetSelection.all() if whole else drawn,
        tags=JOB_TAGS,
        description="Heatmaps, pictures and pages of one symbol, from the positions as they are.",
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
        for symbol in names_of(symbols, context):
            yield dg.RunRequest(run_key=f"daily-{symbol}-{day}", partition_key=symbol)

    return schedule


def late_and_rewritten_files(symbols: dg.PartitionsDefinition) -> dg.SensorDefinition:
    """Return the sensor that compares the archive's listing with the local copy."""

    @dg.sensor(
        name="late_and_rewritten_files_sensor",
        job_name=JOB_NAME,
        minimum_interval_seconds=3600,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Every hour: does the archive list a file that is not here, or one that was rewritten? Then a run "
        "is requested for its symbol, once per state of the listing.",
    )
    def sensor(
        context: dg.SensorEvaluationContext, archive: ArchiveResource, clock: ClockResource
    ) -> list[dg.RunRequest] | dg.SkipReason:
        end_dead_runs(context.instance)
        requests, unreachable = [], []
        for symbol in names_of(symbols, context):
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


def dead_runs() -> dg.SensorDefinition:
    """Return the sensor that marks runs as failed whose process was killed."""

    @dg.sensor(
        name="dead_runs_sensor",
        minimum_interval_seconds=LOOK_EVERY_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Every 30 s: is there a run whose process was killed? It could not say so itself, and the queue "
        "would wait for it.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        dead = end_dead_runs(context.instance)
        return dg.SkipReason(f"marked as failed: {', '.join(dead)}" if dead else "every process is alive")

    return sensor


def old_runs(symbols: dg.PartitionsDefinition) -> dg.SensorDefinition:
    """Return the sensor that keeps Dagster's history from growing for ever."""

    @dg.sensor(
        name="old_runs_sensor",
        minimum_interval_seconds=3600,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Every hour: forgets the oldest finished runs of each symbol, logs and all, where the jobs of the "
        "schedules have more than are kept. What was launched by hand from an asset's page stays.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        count = sum(
            forget_old_runs(context.instance, job, symbol)
            for symbol in names_of(symbols, context)
            for job in (JOB_NAME, PICTURE_JOB)
        )
        return dg.SkipReason(f"runs forgotten: {count}")

    return sensor


def hourly_pictures(symbols: dg.PartitionsDefinition, is_on: bool) -> dg.ScheduleDefinition:
    """Return the schedule that draws the pictures of what `recent_refresh_job` brought."""

    @dg.schedule(
        name="hourly_pictures",
        job_name=PICTURE_JOB,
        cron_schedule="7 * * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING if is_on else dg.DefaultScheduleStatus.STOPPED,
        description="Seven minutes past each hour: heatmaps, pictures and pages, where levels are newer than these.",
    )
    def schedule(
        context: dg.ScheduleEvaluationContext, publisher: PublisherResource
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        hour = f"{context.scheduled_execution_time:%Y-%m-%dT%H}"
        late = [
            symbol
            for symbol in names_of(symbols, context)
            if published_until(publisher, symbol, PICTURED) != published_until(publisher, symbol)
        ]
        if not late:
            yield dg.SkipReason("the pictures show the newest levels")
        for symbol in late:
            yield dg.RunRequest(run_key=f"pictures-{symbol}-{hour}", partition_key=symbol)

    return schedule


def recent_refresh(
    symbols: dg.PartitionsDefinition, bar_minutes: int, speed: float, is_on: bool
) -> dg.SensorDefinition:
    """Return the sensor that starts `recent_refresh_job` when a bar has closed that is not published yet.

    Args:
        symbols: which are looked at.
        bar_minutes: width of a bar.
        speed: how much faster than the real clock ours goes; 0 counts as 1.
        is_on: whether there is a REST interface to ask.
    """
    bar = timedelta(minutes=bar_minutes)

    @dg.sensor(
        name="recent_refresh_sensor",
        job_name=RECENT_JOB,
        minimum_interval_seconds=max(2, int(LOOK_EVERY_SECONDS / max(1.0, speed))),
        default_status=dg.DefaultSensorStatus.RUNNING if is_on else dg.DefaultSensorStatus.STOPPED,
        description="Has a bar closed that is not published yet? Then one run for all symbols, never two at a time.",
    )
    def sensor(
        context: dg.SensorEvaluationContext, publisher: PublisherResource, rest: RestResource, clock: ClockResource
    ) -> dg.RunRequest | dg.SkipReason:
        if not rest.url:
            return dg.SkipReason("REST is off (LIQ_REST): the archive alone")
        end_dead_runs(context.instance)
        unfinished = dg.RunsFilter(job_name=RECENT_JOB, statuses=UNFINISHED)
        if running := context.instance.get_run_ids(filters=unfinished, limit=1):
            return dg.SkipReason(f"run {running[0]} is running")
        now = clock.now()
        newest = {symbol: published_until(publisher, symbol) for symbol in names_of(symbols, context)}
        if not any(newest.values()):
            return dg.SkipReason("nothing is published yet: launch `refresh_job` once, or wait for its schedule")
        if refusal := rest.refusal(now):
            return dg.SkipReason(refusal)
        due = sorted(symbol for symbol, as_of in newest.items() if as_of and now >= as_of + bar + SETTLING)
        if not due:
            oldest = min(as_of for as_of in newest.values() if as_of)
            return dg.SkipReason(f"the newest bar is published; the next closes at {oldest + bar:%H:%M} UTC")
        return dg.RunRequest(tags={"due": ", ".join(due)[:200]})

    return sensor

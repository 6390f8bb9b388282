"""When somebody is told: Dagster sensors over what is published, and over runs that failed."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow.parquet as pq

from liq_pipeline.alerts.alerts import Alert, AlertSender, stale_alert, zone_alert
from liq_pipeline.alerts.zones import Reached, Zone, zones
from liq_pipeline.errors import PublishedDamaged
from liq_pipeline.model.if_reached import TARGETS_PCT
from liq_pipeline.orchestration.resources import ClockResource, PublisherResource
from liq_pipeline.orchestration.runs import failure_reason
from liq_pipeline.orchestration.universe import names_of
from liq_pipeline.published.if_reached import DATASET, LEVELS, fits_of, longest, reached_at
from liq_pipeline.published.layout import dataset_path
from liq_pipeline.published.manifests import read_manifest
from liq_pipeline.settings import Settings
from liq_pipeline.transform.newest import published_until

ZONE_TIMEFRAME = "30d"  # older positions are few; shorter maps leave out what waits since last week
ZONE_HOURS = 4  # the horizon of what gets liquidated until a zone is reached
PRICE_IS_KNOWN = timedelta(hours=1)  # an older price says nothing of where price is
NOBODY = "no address: LIQ_ALERT_URLS"
_MOST_TEXT = 900  # characters; services cut longer messages


def alert_desk(settings: Settings) -> AlertSender:
    """Return the desk that the settings ask for."""
    return AlertSender(
        settings.alert_urls,
        settings.data_dir.absolute() / "alerts" / "memory.json",
        timedelta(hours=settings.alert_cooldown_hours),
        settings.alert_daily_cap,
    )


def alert_sensors(symbols: dg.PartitionsDefinition, settings: Settings) -> list[dg.SensorDefinition]:
    """Return the sensors: stale data, price near a zone, failed runs."""
    status = dg.DefaultSensorStatus.RUNNING if settings.alert_urls else dg.DefaultSensorStatus.STOPPED
    limit = timedelta(hours=settings.alert_stale_hours)

    @dg.sensor(
        name="alert_stale_data_sensor",
        minimum_interval_seconds=600,
        default_status=status,
        description="Tells when the newest published bar of a symbol is older than LIQ_ALERT_STALE_HOURS.",
    )
    def stale(
        context: dg.SensorEvaluationContext,
        publisher: PublisherResource,
        clock: ClockResource,
        alerts: dg.ResourceParam[AlertSender],
    ) -> dg.SkipReason:
        now = clock.now()
        newest = {symbol: published_until(publisher, symbol) for symbol in names_of(symbols, context)}
        found = [stale_alert(symbol, as_of, now, limit) for symbol, as_of in newest.items() if as_of]
        return _told(alerts, [alert for alert in found if alert], clock)

    @dg.sensor(
        name="alert_price_near_zone_sensor",
        minimum_interval_seconds=60,
        default_status=status,
        description="Tells when price comes within LIQ_ALERT_ZONE_PCT of a cluster of estimated liquidation levels of "
        "at least LIQ_ALERT_ZONE_USD. Silent while the published price is older than an hour.",
    )
    def near_zone(
        context: dg.SensorEvaluationContext,
        publisher: PublisherResource,
        clock: ClockResource,
        alerts: dg.ResourceParam[AlertSender],
    ) -> dg.SkipReason:
        found: list[Alert] = []
        for symbol in names_of(symbols, context):
            as_of = published_until(publisher, symbol)
            if not as_of or clock.now() - as_of > PRICE_IS_KNOWN:
                continue
            path = dataset_path(Path(publisher.folder), "liquidation_levels", symbol, ZONE_TIMEFRAME)
            levels = pq.read_table(path, partitioning=None)
            if not levels.num_rows:
                continue
            price, as_of = levels["current_price"][0].as_py(), levels["as_of"][0].as_py()
            near = zones(levels, settings.alert_zone_pct, settings.alert_zone_usd)
            ways = _until_far_edges(Path(publisher.folder), symbol, near) if near else []
            found += [
                zone_alert(symbol, zone, price, as_of, ZONE_TIMEFRAME, way)
                for zone, way in zip(near, ways, strict=True)
            ]  # fmt: skip
        return _told(alerts, found, clock)

    @dg.run_failure_sensor(
        name="alert_failures_sensor",
        minimum_interval_seconds=30,
        default_status=status,
        description="Tells when a run failed for good: which blocking check, or which step, and why.",
    )
    def failures(
        context: dg.RunFailureSensorContext, clock: ClockResource, alerts: dg.ResourceParam[AlertSender]
    ) -> dg.SkipReason:
        if context.dagster_run.tags.get("dagster/will_retry") == "true":
            return dg.SkipReason("the run is tried again")
        return _told(alerts, [failure_alert(context)], clock)

    return [stale, near_zone, failures]


def _until_far_edges(published: Path, symbol: str, near: list[Zone]) -> list[Reached | None]:
    """Return what gets liquidated until the far edge of each zone is reached; None where nobody knows."""
    manifest = read_manifest(dataset_path(published, DATASET, symbol))
    try:
        fit = longest(fits_of(manifest), ZONE_HOURS) if manifest else None
    except PublishedDamaged:  # said elsewhere; the zone is worth an alert all the same
        fit = None
    if fit is None or not fit.is_shown:
        return [None] * len(near)
    levels = pq.read_table(dataset_path(published, "liquidation_levels", symbol, LEVELS), partitioning=None)
    price = levels["current_price"][0].as_py()
    # A zone that goes on beyond the farthest target is spoken of up to there.
    farthest = {"long": price * (1 - TARGETS_PCT[-1] / 100), "short": price * (1 + TARGETS_PCT[-1] / 100)}
    ends = [(max if zone.side == "long" else min)(zone.far_edge, farthest[zone.side]) for zone in near]
    return [reached_at(levels, fit, zone.side, end) for zone, end in zip(near, ends, strict=True)]


def failure_alert(context: dg.RunFailureSensorContext) -> Alert:
    """Return one alert for a failed run. A blocking check that failed is the reason; what it stopped is not."""
    run = context.dagster_run
    symbol = run.tags.get("dagster/partition", "")
    checks = [
        f"{check.asset_key.to_user_string()}: {check.check_name}: {check.description or 'failed'}"
        for check in _failed_checks(context)
    ]
    steps = [failure_reason(event) for event in context.get_step_failure_events()]
    reasons = checks or steps or [str(context.failure_event.message)]
    what = "a blocking check failed" if checks else "a run failed"
    name = f"{run.job_name.removesuffix('_job')} {symbol}".strip()
    return Alert(
        "failure",
        f"failure:{run.job_name}:{symbol}",
        f"{name}: {what}",
        f"{'; '.join(reasons)[:_MOST_TEXT]} (run {run.run_id[:8]}). What was published before stays.",
    )


def _failed_checks(context: dg.RunFailureSensorContext) -> list[Any]:
    entries = context.instance.all_logs(context.dagster_run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    found = [entry.get_dagster_event().asset_check_evaluation_data for entry in entries]
    return [
        check
        for check in found
        if not check.passed and check.blocking is not False and check.severity is dg.AssetCheckSeverity.ERROR
    ]


def _told(desk: AlertSender, found: list[Alert], clock: ClockResource) -> dg.SkipReason:
    return dg.SkipReason(str(desk.tell(found, clock.now())) if desk.is_on else NOBODY)

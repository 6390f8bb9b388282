"""The wiring: assets, checks, automation, resources, for given settings. No logic."""

from __future__ import annotations

import warnings
from importlib.metadata import version
from typing import Any

import dagster as dg

from liq_pipeline.clock import clock_of
from liq_pipeline.exchange.brackets import use_brackets_below
from liq_pipeline.exchange.kept import fetch_shared
from liq_pipeline.model.compiled import keep_compiled_below
from liq_pipeline.model.walk import use_model
from liq_pipeline.orchestration.alert_sensors import alert_desk, alert_sensors
from liq_pipeline.orchestration.assets.archive import archive_assets
from liq_pipeline.orchestration.assets.common import OWNERS
from liq_pipeline.orchestration.assets.features import feature_assets
from liq_pipeline.orchestration.assets.heatmaps import heatmap_assets
from liq_pipeline.orchestration.assets.levels import level_assets
from liq_pipeline.orchestration.assets.market import market_assets
from liq_pipeline.orchestration.assets.positions import position_assets
from liq_pipeline.orchestration.assets.published import published_assets
from liq_pipeline.orchestration.assets.recent import recent_assets
from liq_pipeline.orchestration.assets.validation import validation_assets
from liq_pipeline.orchestration.automation import (
    RAN_RECENTLY,
    daily_refresh,
    dead_runs,
    hourly_pictures,
    late_and_rewritten_files,
    old_runs,
    picture_job,
    recent_refresh,
    refresh_job,
)
from liq_pipeline.orchestration.checks import all_checks
from liq_pipeline.orchestration.recent import recent_job
from liq_pipeline.orchestration.resources import (
    ArchiveResource,
    ClockResource,
    NoReporter,
    PublisherResource,
    Reporter,
    RestResource,
    TruthFiles,
    WarehouseResource,
)
from liq_pipeline.orchestration.universe import partitions_of, universe_sensors
from liq_pipeline.settings import Settings
from liq_pipeline.symbols import known
from liq_pipeline.system.objects import objects_at
from liq_pipeline.system.ports import web_address
from liq_pipeline.validation.named import NamedTruth

# Checks per partition are in preview; without them one symbol's result would hide another's.
warnings.filterwarnings("ignore", category=dg.PreviewWarning)
# So are, in beta, links from an asset to its code.
warnings.filterwarnings("ignore", "(Class|Function) `.*([cC]ode_?[rR]eference).*`", dg.BetaWarning)


def build_definitions(settings: Settings, reporter: Reporter | None = None) -> dg.Definitions:
    """Wire the product for these settings."""
    keep_compiled_below(settings.compiled_dir)
    if settings.storage:
        fetch_shared(objects_at(settings.storage), settings.raw_dir)
    use_brackets_below(settings.raw_dir)
    use_model(settings.model)
    has_rest = settings.rest_url is not None
    symbols, service = partitions_of(settings), web_address(*_served_at(settings))
    definitions = dg.Definitions(
        assets=dg.with_source_code_references(
            [
                *archive_assets(symbols),
                *recent_assets(symbols),
                *market_assets(symbols),
                *position_assets(symbols),
                *level_assets(symbols),
                *heatmap_assets(symbols, service),
                *feature_assets(symbols),
                *published_assets(symbols, service),
                *validation_assets(symbols),
            ]
        ),
        asset_checks=all_checks(symbols),
        jobs=[
            refresh_job(settings.pictures),
            recent_job(symbols, settings.jobs),
            picture_job(whole=bool(settings.storage)),
        ],
        schedules=[daily_refresh(symbols), hourly_pictures(symbols, has_rest)],
        sensors=[
            dead_runs(),
            old_runs(symbols),
            late_and_rewritten_files(symbols),
            *universe_sensors(symbols, settings),
            recent_refresh(symbols, settings.bar_minutes, settings.replay_speed, has_rest),
            *alert_sensors(symbols, settings),
        ],
        resources=_resources(settings, reporter),
        # One process, one step at a time: DuckDB has one writer, and a process per step costs more than the step.
        executor=dg.in_process_executor,
    )
    return definitions.map_asset_specs(func=_of_every_asset)


def _resources(settings: Settings, reporter: Reporter | None) -> dict[str, Any]:
    known_symbols = known(settings) or ()
    truth = NamedTruth(settings.truth, known_symbols)
    return {
        "archive": ArchiveResource(
            location=settings.archive,
            listing_url=settings.listing_url,
            raw_dir=str(settings.raw_dir.absolute()),
            bar_minutes=settings.bar_minutes,
            since=str(settings.since or ""),
            workers=settings.workers,
            needs_checksums=not settings.no_checksums,
            storage=settings.storage,
            patience_seconds=settings.lock_timeout_seconds,
        ),
        "rest": RestResource(url=settings.rest_url or "", raw_dir=str(settings.raw_dir.absolute())),
        "warehouse": WarehouseResource(
            database=str(settings.database.absolute()),
            lock_timeout_seconds=settings.lock_timeout_seconds,
            memory_limit=settings.memory_limit,
        ),
        "publisher": PublisherResource(
            folder=str(settings.published_dir.absolute()),
            source_label=settings.source_label,
            code_version=version("liq_pipeline"),
            storage=settings.storage,
            patience_seconds=settings.lock_timeout_seconds,
            database=str(settings.database.absolute()),
        ),
        "truth": TruthFiles(
            files={one: [str(path.absolute()) for path in truth.files_of(one)] for one in known_symbols},
            problems={one: truth.problems_of(one) for one in known_symbols},
            recorded=str(settings.recorded_dir.absolute()),
        ),
        "alerts": dg.ResourceDefinition.hardcoded_resource(alert_desk(settings)),
        "clock": ClockResource(**clock_of(settings).model_dump()),
        "reporter": dg.ResourceDefinition.hardcoded_resource(reporter or NoReporter()),
    }


def _served_at(settings: Settings) -> tuple[str, int]:
    """Return host and port of the service as a browser on this machine finds it."""
    everywhere = settings.serve_host in ("0.0.0.0", "::")
    return "127.0.0.1" if everywhere else settings.serve_host, settings.serve_port or 8000


def _of_every_asset(spec: dg.AssetSpec) -> dg.AssetSpec:
    return dg.apply_freshness_policy(spec, RAN_RECENTLY).replace_attributes(owners=OWNERS)

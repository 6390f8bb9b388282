"""The wiring: assets, checks, automation, resources. No logic."""

from __future__ import annotations

import warnings
from importlib.metadata import version

import dagster as dg

from liq_pipeline.alert_sensors import alert_desk, alert_sensors
from liq_pipeline.assets.archive import archive_assets
from liq_pipeline.assets.heatmaps import heatmap_assets
from liq_pipeline.assets.levels import level_assets
from liq_pipeline.assets.market import market_assets
from liq_pipeline.assets.positions import position_assets
from liq_pipeline.assets.published import published_assets
from liq_pipeline.assets.recent import recent_assets
from liq_pipeline.assets.validation import TruthFiles, validation_assets
from liq_pipeline.automation import (
    RAN_RECENTLY,
    daily_refresh,
    hourly_pictures,
    late_and_rewritten_files,
    picture_job,
    recent_refresh,
    refresh_job,
)
from liq_pipeline.checks.groups import all_checks
from liq_pipeline.clock import clock_of
from liq_pipeline.model.compiled import keep_compiled_below
from liq_pipeline.recent import recent_job
from liq_pipeline.resources import ArchiveSource, Reporter, RestSource, Silence
from liq_pipeline.settings import Settings, load_settings
from liq_pipeline.warehouse.publish import Publisher
from liq_pipeline.warehouse.warehouse import Warehouse

# Checks per partition are in preview; without them one symbol's result would hide another's.
warnings.filterwarnings("ignore", category=dg.PreviewWarning)
# So are, in beta, links from an asset to its code.
warnings.filterwarnings("ignore", "(Class|Function) `.*([cC]ode_?[rR]eference).*`", dg.BetaWarning)


def build_definitions(settings: Settings, reporter: Reporter | None = None) -> dg.Definitions:
    """Wire the product for these settings."""
    keep_compiled_below(settings.compiled_dir)
    has_rest = settings.rest_url is not None
    symbols = dg.StaticPartitionsDefinition(list(settings.symbols))
    definitions = dg.Definitions(
        assets=dg.with_source_code_references(
            [
                *archive_assets(symbols),
                *recent_assets(symbols),
                *market_assets(symbols),
                *position_assets(symbols),
                *level_assets(symbols),
                *heatmap_assets(symbols),
                *published_assets(symbols),
                *validation_assets(symbols),
            ]
        ),
        asset_checks=all_checks(symbols),
        jobs=[refresh_job(), recent_job(symbols), picture_job()],
        schedules=[daily_refresh(symbols), hourly_pictures(symbols, has_rest)],
        sensors=[
            late_and_rewritten_files(symbols),
            recent_refresh(symbols, settings.bar_minutes, settings.replay_speed, has_rest),
            *alert_sensors(symbols, settings),
        ],
        resources={
            "archive": ArchiveSource(
                location=settings.archive,
                listing_url=settings.listing_url,
                raw_dir=str(settings.raw_dir.absolute()),
                bar_minutes=settings.bar_minutes,
                since=str(settings.since or ""),
                workers=settings.workers,
                needs_checksums=not settings.no_checksums,
            ),
            "rest": RestSource(url=settings.rest_url or "", raw_dir=str(settings.raw_dir.absolute())),
            "warehouse": Warehouse(
                database=str(settings.database.absolute()),
                lock_timeout_seconds=settings.lock_timeout_seconds,
                memory_limit=settings.memory_limit,
            ),
            "publisher": Publisher(
                folder=str(settings.published_dir.absolute()),
                source_label=settings.source_label,
                code_version=version("liq_pipeline"),
            ),
            "truth": TruthFiles(
                files={
                    symbol: [str(path.absolute()) for path in settings.truth_of(symbol)] for symbol in settings.symbols
                },
                problems={symbol: settings.truth_problems(symbol) for symbol in settings.symbols},
            ),
            "alerts": dg.ResourceDefinition.hardcoded_resource(alert_desk(settings)),
            "clock": clock_of(settings),
            "reporter": dg.ResourceDefinition.hardcoded_resource(reporter or Silence()),
        },
        # One process, one step at a time: DuckDB has one writer, and a process per step costs more than the step.
        executor=dg.in_process_executor,
    )
    return definitions.map_asset_specs(func=lambda spec: dg.apply_freshness_policy(spec, RAN_RECENTLY))


defs = build_definitions(load_settings())

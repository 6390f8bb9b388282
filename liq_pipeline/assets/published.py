"""Group `published`: the files that others read. Runs only after every blocking check of the same run has passed."""

from datetime import datetime
from pathlib import Path
from typing import Any

import dagster as dg

from liq_pipeline.assets.common import (
    OWNERS,
    WAREHOUSE_POOL,
    checks_of_this_run,
    failure,
    instant,
    iso,
    model_facts,
    share_pct,
)
from liq_pipeline.assets.levels import coverage_pct, level_facts
from liq_pipeline.assets.pictures import picture_assets
from liq_pipeline.errors import LiqError
from liq_pipeline.model.levels import TIMEFRAMES
from liq_pipeline.resources import ArchiveSource
from liq_pipeline.warehouse.layout import LEVELS_SCHEMA, OI_DELTA_SCHEMA, margin_note
from liq_pipeline.warehouse.publish import Dataset, Publisher
from liq_pipeline.warehouse.warehouse import LEVEL_TABLES, Reads, Warehouse

_CHECKED = (*LEVEL_TABLES, "oi_delta", "position_survival")


def published_assets(symbols: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """Return `published_levels`, `published_heatmaps` and `published_views`."""

    @dg.asset(
        pool=WAREHOUSE_POOL,
        partitions_def=symbols,
        deps=_CHECKED,
        group_name="published",
        kinds={"parquet"},
        owners=OWNERS,
    )
    def published_levels(
        context: dg.AssetExecutionContext, warehouse: Warehouse, publisher: Publisher, archive: ArchiveSource
    ) -> dg.MaterializeResult:
        """Estimated liquidation levels and `oi_delta` as Parquet files with manifests, replaced whole.

        `data/published/<dataset>/symbol=<SYMBOL>/[timeframe=<TF>/]<dataset>.parquet`. Written only after every check of
        the same run; a reader never sees a half-written file.
        """
        checks = checks_of_this_run(context, _CHECKED)
        try:
            datasets = level_datasets(warehouse, context.partition_key, archive, checks)
        except LiqError as error:
            raise failure(error) from error
        paths = publisher.publish(datasets)
        return dg.MaterializeResult(metadata=published_facts(datasets, paths, publisher))

    return [published_levels, *picture_assets(symbols)]


def level_datasets(tables: Reads, symbol: str, archive: ArchiveSource, checks: list[dict[str, Any]]) -> list[Dataset]:
    """Return what is published of a symbol's levels: every timeframe, and `oi_delta`, with their manifests."""
    newest = tables.newest_bar(symbol)
    shared: dict[str, Any] = {
        "as_of": iso(newest["as_of"]),
        "first_ts": iso(newest["first_ts"]),
        "bar_minutes": archive.bar_minutes,
        "checksums": archive.checksums(symbol, newest["first_ts"].date()),
        "open_interest_contracts": newest["open_interest"],
        "rest_rows": tables.read("rest_rows", symbol=symbol).to_pylist()[0],
        **model_facts(symbol, newest["first_ts"], newest["as_of"]),
        "checks": checks,
    }
    datasets = []
    coverage = coverage_pct(tables, symbol)
    for timeframe, table in zip(TIMEFRAMES, LEVEL_TABLES, strict=True):
        rows = tables.sql(
            f"SELECT * FROM {table} WHERE symbol = $symbol ORDER BY side, leverage, price_low", symbol=symbol
        ).cast(LEVELS_SCHEMA)
        facts = level_facts(rows, coverage[timeframe])
        manifest = {**shared, "current_price": newest["current_price"], **facts}
        datasets.append(Dataset("liquidation_levels", symbol, rows, manifest, timeframe))
    deltas = tables.sql("SELECT * FROM oi_delta WHERE symbol = $symbol ORDER BY ts", symbol=symbol)
    whole = {**shared, "first_ts": iso(deltas["ts"][0].as_py())}  # settled contracts of the ticker included
    datasets.append(Dataset("oi_delta", symbol, deltas.cast(OI_DELTA_SCHEMA), whole))
    return datasets


def published_facts(datasets: list[Dataset], paths: list[Path], publisher: Publisher) -> dict[str, Any]:
    """Return what the UI shows of published levels."""
    shares = {
        f"{side}_pct_of_open_interest_{dataset.timeframe}": share_pct(
            dataset.manifest[f"{side}_contracts"], dataset.manifest["open_interest_contracts"]
        )
        for dataset in datasets
        if dataset.timeframe
        for side in ("long", "short")
    }
    manifest = datasets[0].manifest
    return {
        "as_of": instant(datetime.fromisoformat(manifest["as_of"])),
        "files": len(paths),
        "path": dg.MetadataValue.path(publisher.folder),
        "margin_brackets": margin_note(manifest) or manifest["margin_brackets"],
        **shares,
    }

"""Group `published`: the files that others read. Runs only after every blocking check of the same run has passed."""

from typing import Any

import dagster as dg

from liq_pipeline.assets.common import OWNERS, checks_of_this_run, failure, instant, iso
from liq_pipeline.assets.levels import coverage_pct, level_facts
from liq_pipeline.assets.pictures import picture_assets
from liq_pipeline.errors import LiqError
from liq_pipeline.model.levels import TIMEFRAMES
from liq_pipeline.model.walk import MODEL_NAME, MODEL_VERSION, WalkParameters
from liq_pipeline.resources import ArchiveSource
from liq_pipeline.warehouse.layout import LEVELS_SCHEMA, OI_DELTA_SCHEMA
from liq_pipeline.warehouse.publish import Dataset, Publisher
from liq_pipeline.warehouse.warehouse import LEVEL_TABLES, Warehouse


def published_assets(symbols: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """Return `published_levels`, `published_heatmaps` and `published_views`."""

    @dg.asset(
        partitions_def=symbols,
        deps=[*LEVEL_TABLES, "oi_delta", "position_survival"],
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
        symbol = context.partition_key
        checks = checks_of_this_run(context)
        try:
            newest = warehouse.newest_bar(symbol)
        except LiqError as error:
            raise failure(error) from error
        shared: dict[str, Any] = {
            "as_of": iso(newest["as_of"]),
            "first_ts": iso(newest["first_ts"]),
            "bar_minutes": archive.bar_minutes,
            "open_interest_contracts": newest["open_interest"],
            "model": {"name": MODEL_NAME, "version": MODEL_VERSION, "parameters": vars(WalkParameters())},
            "checks": checks,
        }
        datasets = []
        totals: dict[str, float] = {}
        coverage = coverage_pct(warehouse, symbol)
        for timeframe, table in zip(TIMEFRAMES, LEVEL_TABLES, strict=True):
            rows = warehouse.sql(
                f"SELECT * FROM {table} WHERE symbol = $symbol ORDER BY side, leverage, price_low", symbol=symbol
            ).cast(LEVELS_SCHEMA)
            facts = level_facts(rows, coverage[timeframe])
            totals |= {f"{name}_{timeframe}": value for name, value in facts.items() if name.endswith("_usd")}
            manifest = {**shared, "current_price": newest["current_price"], **facts}
            datasets.append(Dataset("liquidation_levels", symbol, rows, manifest, timeframe))
        deltas = warehouse.sql("SELECT * FROM oi_delta WHERE symbol = $symbol ORDER BY ts", symbol=symbol)
        datasets.append(Dataset("oi_delta", symbol, deltas.cast(OI_DELTA_SCHEMA), shared))
        paths = publisher.publish(datasets)
        return dg.MaterializeResult(
            metadata={
                "as_of": instant(newest["as_of"]),
                "files": len(paths),
                "path": dg.MetadataValue.path(publisher.folder),
                **totals,
            }
        )

    return [published_levels, *picture_assets(symbols)]

"""Group `published`, the part that people look at: heatmap cells and candles as files, pictures and pages of them."""

from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa

from liq_pipeline.assets.common import OWNERS, WAREHOUSE_POOL, checks_of_this_run, failure, instant, iso, model_facts
from liq_pipeline.assets.heatmaps import read_candles
from liq_pipeline.clock import Clock
from liq_pipeline.errors import LiqError
from liq_pipeline.model.heatmap import BURN_IN, COLUMN_WIDTHS
from liq_pipeline.resources import ArchiveSource
from liq_pipeline.warehouse.layout import CANDLES_SCHEMA, HEATMAP_SCHEMA
from liq_pipeline.warehouse.publish import Dataset, Publisher, Views
from liq_pipeline.warehouse.warehouse import HEATMAP_TABLES, Warehouse


def picture_assets(symbols: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """Return `published_heatmaps` and `published_views`."""

    @dg.asset(
        pool=WAREHOUSE_POOL,
        partitions_def=symbols,
        deps=[*HEATMAP_TABLES, "klines"],
        group_name="published",
        kinds={"parquet"},
        owners=OWNERS,
    )
    def published_heatmaps(
        context: dg.AssetExecutionContext, warehouse: Warehouse, publisher: Publisher, archive: ArchiveSource
    ) -> dg.MaterializeResult:
        """Heatmap cells, and the candles of the same columns, as Parquet files with manifests, replaced whole.

        `data/published/{liquidation_heatmap,candles}/symbol=<SYMBOL>/timeframe=<TF>/`. Written only after every check
        of the same run.
        """
        symbol = context.partition_key
        checks = checks_of_this_run(context, HEATMAP_TABLES)
        try:
            newest = warehouse.newest_bar(symbol)
        except LiqError as error:
            raise failure(error) from error
        shared = {
            "as_of": iso(newest["as_of"]),
            "first_ts": iso(newest["first_ts"]),
            "bar_minutes": archive.bar_minutes,
            "checksums": archive.checksums(symbol, newest["first_ts"].date()),
            "current_price": newest["current_price"],
            "open_interest_contracts": newest["open_interest"],
        }
        model = model_facts(symbol, newest["first_ts"], newest["as_of"])
        datasets: list[Dataset] = []
        for timeframe, table in zip(COLUMN_WIDTHS, HEATMAP_TABLES, strict=True):
            cells = warehouse.sql(
                f"SELECT * FROM {table} WHERE symbol = $symbol ORDER BY ts, side, price_low", symbol=symbol
            ).cast(HEATMAP_SCHEMA)
            instants = np.unique(cells["ts"].to_numpy()).astype("datetime64[us]")
            candles = read_candles(warehouse, symbol, timeframe, instants).cast(CANDLES_SCHEMA)
            facts = shared | column_facts(cells, instants, newest["first_ts"], COLUMN_WIDTHS[timeframe])
            datasets.append(
                Dataset("liquidation_heatmap", symbol, cells, facts | model | {"checks": checks}, timeframe)
            )
            datasets.append(Dataset("candles", symbol, candles, facts, timeframe))
        paths = publisher.publish(datasets)
        return dg.MaterializeResult(
            metadata={
                "as_of": instant(newest["as_of"]),
                "files": len(paths),
                "path": dg.MetadataValue.path(publisher.folder),
                "bytes": sum(path.stat().st_size for path in paths),
            }
        )

    @dg.asset(
        pool=WAREHOUSE_POOL,
        partitions_def=symbols,
        deps=[published_heatmaps, "published_levels"],
        group_name="published",
        kinds={"matplotlib", "plotly"},
        owners=OWNERS,
    )
    def published_views(context: dg.AssetExecutionContext, publisher: Publisher, clock: Clock) -> dg.MaterializeResult:
        """Pictures and pages of what is published: `heatmap.{png,html,json}`, `map.png`, `levels.csv`.

        `data/published/views/symbol=<SYMBOL>/timeframe=<TF>/`, drawn from the published files alone. The page opens
        from disk; all pages share one plotly file in `views/assets/`.
        """
        from liq_pipeline.views.everything import draw_all, shared_files

        symbol, folder = context.partition_key, Path(publisher.folder)
        views = []
        for timeframe in COLUMN_WIDTHS:
            views.append(Views(symbol, timeframe, *draw_all(folder, symbol, timeframe, clock.now())))
            context.log.info(f"{symbol}: drew {timeframe}, {len(views)} of {len(COLUMN_WIDTHS)}")
        paths = publisher.publish_views(views, shared_files())
        pages = {
            f"page_{path.parent.name.removeprefix('timeframe=')}": dg.MetadataValue.path(path.absolute())
            for path in paths
            if path.name == "heatmap.html"
        }
        return dg.MaterializeResult(
            metadata={"files": len(paths), "bytes": sum(path.stat().st_size for path in paths), **pages}
        )

    return [published_heatmaps, published_views]


def column_facts(cells: pa.Table, instants: np.ndarray, first_ts: Any, width: np.timedelta64) -> dict[str, Any]:
    """Return what a reader of the cells needs to know of the columns."""
    begin = instants[0].item()
    history = begin - first_ts.replace(tzinfo=None)
    return {
        "columns": int(instants.size),
        "column_seconds": int((np.diff(instants).min() if instants.size > 1 else width) / np.timedelta64(1, "s")),
        "first_column": begin.isoformat() + "Z",
        "bin_width": round(cells["price_high"][0].as_py() - cells["price_low"][0].as_py(), 12),
        "burn_in_days": history.total_seconds() / 86_400,
        "is_burned_in": history >= BURN_IN.item(),
    }

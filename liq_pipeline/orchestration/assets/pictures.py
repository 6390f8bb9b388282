"""Group `published`, the part that people look at: heatmap cells and candles as files, pictures and pages of them."""

from datetime import datetime
from pathlib import Path

import dagster as dg

from liq_pipeline.model.heatmap import COLUMN_WIDTHS
from liq_pipeline.orchestration.assets.common import (
    acting,
    checks_of_this_run,
    instant,
    page_link,
)
from liq_pipeline.orchestration.resources import ArchiveResource, ClockResource, PublisherResource, WarehouseResource
from liq_pipeline.published.publish import Views
from liq_pipeline.transform.datasets import heatmap_datasets
from liq_pipeline.warehouse.schema import HEATMAP_TABLES


def picture_assets(symbols: dg.PartitionsDefinition, service: str) -> list[dg.AssetsDefinition]:
    """Return `published_heatmaps` and `published_views`; `service` is where `liq serve` would answer."""

    @dg.asset(
        partitions_def=symbols,
        deps=[*HEATMAP_TABLES, "klines"],
        group_name="published",
        kinds={"parquet"},
    )
    def published_heatmaps(
        context: dg.AssetExecutionContext,
        warehouse: WarehouseResource,
        publisher: PublisherResource,
        archive: ArchiveResource,
    ) -> dg.MaterializeResult:
        """Heatmap cells, and the candles of the same columns, as Parquet files with manifests, replaced whole.

        `data/published/{liquidation_heatmap,candles}/<SYMBOL>/<TF>.parquet`. Written only after every check
        of the same run.
        """
        with acting():
            checks = checks_of_this_run(context, HEATMAP_TABLES)
            with warehouse.transaction(context.partition_key) as tables:
                datasets = heatmap_datasets(tables, context.partition_key, archive, checks)
            paths = publisher.publish(datasets)
        return dg.MaterializeResult(
            metadata={
                "as_of": instant(datetime.fromisoformat(datasets[0].manifest["as_of"])),
                "files": len(paths),
                "path": dg.MetadataValue.path(publisher.folder),
                "bytes": sum(path.stat().st_size for path in paths),
            }
        )

    @dg.asset(
        partitions_def=symbols,
        deps=[published_heatmaps, "published_levels", "if_reached"],
        group_name="published",
        kinds={"matplotlib"},
    )
    def published_views(
        context: dg.AssetExecutionContext, publisher: PublisherResource, clock: ClockResource
    ) -> dg.MaterializeResult:
        """Pictures and pages of what is published: `heatmap.{png,html}`, `map.png`.

        `data/published/views/<SYMBOL>/<TF>/`, drawn from the published files alone. The page opens
        from disk; all pages share a script and a style in `views/assets/`.
        """
        from liq_pipeline.views.everything import draw_all, shared_files

        symbol, folder = context.partition_key, Path(publisher.folder)
        views = []
        for timeframe in COLUMN_WIDTHS:
            views.append(Views(symbol, timeframe, *draw_all(folder, symbol, timeframe, clock.now())))
            context.log.info(f"{symbol}: drew {timeframe}, {len(views)} of {len(COLUMN_WIDTHS)}")
        paths = publisher.publish_views(views, shared_files())
        pages = {f"page_{one.timeframe}": page_link(service, symbol, one.timeframe) for one in views}
        return dg.MaterializeResult(
            metadata={
                "files": len(paths),
                "path": dg.MetadataValue.path(folder / "views" / symbol),
                "bytes": sum(path.stat().st_size for path in paths),
                **pages,
            }
        )

    return [published_heatmaps, published_views]

"""Group `published`: the files that others read. Runs only after every blocking check of the same run has passed."""

from datetime import datetime
from typing import Any

import dagster as dg

from liq_pipeline.model.timeframes import TIMEFRAMES
from liq_pipeline.orchestration.assets.common import (
    acting,
    checks_of_this_run,
    instant,
    share_pct,
)
from liq_pipeline.orchestration.assets.pictures import picture_assets
from liq_pipeline.orchestration.resources import (
    ArchiveResource,
    ClockResource,
    PublisherResource,
    WarehouseResource,
)
from liq_pipeline.published.manifests import margin_note
from liq_pipeline.published.publish import PublishedDataset, Publisher
from liq_pipeline.transform.datasets import level_datasets
from liq_pipeline.warehouse.schema import FEATURES, LEVEL_TABLES

_CHECKED = (*LEVEL_TABLES, "oi_delta", "position_survival", FEATURES)


def published_assets(symbols: dg.PartitionsDefinition, service: str) -> list[dg.AssetsDefinition]:
    """Return `published_levels`, `published_heatmaps` and `published_views`."""

    @dg.asset(
        partitions_def=symbols,
        deps=_CHECKED,
        group_name="published",
        kinds={"parquet"},
    )
    def published_levels(
        context: dg.AssetExecutionContext,
        warehouse: WarehouseResource,
        publisher: PublisherResource,
        archive: ArchiveResource,
        clock: ClockResource,
    ) -> dg.MaterializeResult:
        """Levels, features, positions and `oi_delta` as Parquet files with manifests, replaced whole.

        `data/published/<dataset>/<SYMBOL>/<TF or dataset>.parquet`. Written only after every check of
        the same run; a reader never sees a half-written file. The first run of a day also leaves an entry in
        `levels_history`, which is never written again.
        """
        with acting():
            checks = checks_of_this_run(context, _CHECKED)
            with warehouse.transaction(context.partition_key) as tables:
                datasets = level_datasets(tables, context.partition_key, archive, checks, clock.now())
            publisher.publish(datasets)
        return dg.MaterializeResult(metadata=published_facts(datasets, publisher))

    return [published_levels, *picture_assets(symbols, service)]


def published_facts(datasets: list[PublishedDataset], publisher: Publisher) -> dict[str, Any]:
    """Return what the UI shows of published levels."""
    shares = {
        f"{side}_pct_of_open_interest_{dataset.timeframe}": share_pct(
            dataset.manifest[f"{side}_contracts"], dataset.manifest["open_interest_contracts"]
        )
        for dataset in datasets
        if dataset.timeframe in TIMEFRAMES
        for side in ("long", "short")
    }
    manifest = datasets[0].manifest
    return {
        "as_of": instant(datetime.fromisoformat(manifest["as_of"])),
        "files": len(datasets),
        "path": dg.MetadataValue.path(publisher.folder),
        "margin_brackets": margin_note(manifest) or manifest["margin_brackets"],
        **shares,
    }

"""Group `published`: the files that others read. Runs only after every blocking check of the same run has passed."""

from typing import Any

import dagster as dg

from liq_pipeline.assets.common import OWNERS, failure, instant
from liq_pipeline.assets.levels import level_facts
from liq_pipeline.errors import LiqError
from liq_pipeline.model.levels import TIMEFRAMES
from liq_pipeline.model.walk import MODEL_NAME, MODEL_VERSION, WalkParameters
from liq_pipeline.resources import ArchiveSource
from liq_pipeline.warehouse.publish import LEVELS_SCHEMA, OI_DELTA_SCHEMA, Dataset, Publisher
from liq_pipeline.warehouse.warehouse import LEVEL_TABLES, Warehouse


def published_assets(symbols: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """Return `published_levels`."""

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
        checks = _checks_of_this_run(context)
        if not checks:
            raise dg.Failure(
                "Nothing was published: this run evaluated no check. To do: launch the job `refresh`, or select the "
                "upstream assets with their checks.",
                allow_retries=False,
            )
        try:
            newest = warehouse.newest_bar(symbol)
        except LiqError as error:
            raise failure(error) from error
        shared: dict[str, Any] = {
            "as_of": _iso(newest["as_of"]),
            "first_ts": _iso(newest["first_ts"]),
            "bar_minutes": archive.bar_minutes,
            "open_interest_contracts": newest["open_interest"],
            "model": {"name": MODEL_NAME, "version": MODEL_VERSION, "parameters": vars(WalkParameters())},
            "checks": checks,
        }
        datasets = []
        totals: dict[str, float] = {}
        for timeframe, table in zip(TIMEFRAMES, LEVEL_TABLES, strict=True):
            rows = warehouse.sql(
                f"SELECT * FROM {table} WHERE symbol = $symbol ORDER BY side, leverage, price_low", symbol=symbol
            ).cast(LEVELS_SCHEMA)
            facts = level_facts(rows, newest, timeframe)
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

    return [published_levels]


def _checks_of_this_run(context: dg.AssetExecutionContext) -> list[dict[str, Any]]:
    """Return what the checks of this run found, ordered by name."""
    entries = context.instance.all_logs(context.run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    found = []
    for entry in entries:
        evaluation = entry.get_dagster_event().asset_check_evaluation_data
        found.append(
            {
                "asset": evaluation.asset_key.to_user_string(),
                "check": evaluation.check_name,
                "passed": evaluation.passed,
                "severity": evaluation.severity.value,
            }
        )
    return sorted(found, key=lambda item: (item["asset"], item["check"]))


def _iso(instant_: Any) -> str:
    return str(instant_.isoformat().replace("+00:00", "Z"))

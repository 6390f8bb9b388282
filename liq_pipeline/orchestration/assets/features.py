"""Group `features`: what lies near the price, bar by bar."""

from datetime import datetime

import dagster as dg

from liq_pipeline.model.walk import model_version
from liq_pipeline.orchestration.assets.common import acting, instant, preview, share_pct, table_metadata, tag_run
from liq_pipeline.orchestration.resources import WarehouseResource
from liq_pipeline.transform.features import write_features
from liq_pipeline.warehouse.schema import FEATURES


def feature_assets(symbols: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """Return `liquidation_features`."""

    @dg.asset(
        name=FEATURES,
        partitions_def=symbols,
        deps=["position_cohorts", "position_survival", "klines", "oi_delta"],
        metadata=table_metadata(FEATURES),
        group_name="features",
        kinds={"duckdb", "python"},
        code_version=model_version(),
    )
    def liquidation_features(context: dg.AssetExecutionContext, warehouse: WarehouseResource) -> dg.MaterializeResult:
        """Estimated exposure within 0.5, 1, 2 and 5 % of the price, the nearest large zones and imbalance, per bar.

        Each row is as of its bar's close: nothing later is in it. What a bot merges with its candles.
        """
        symbol = context.partition_key
        with acting(), warehouse.transaction(symbol) as tables:
            rows = write_features(tables, symbol)
        last = rows.slice(rows.num_rows - 1).to_pylist()[0]
        as_of: datetime = last["ts"]
        tag_run(context, as_of)
        return dg.MaterializeResult(
            metadata={
                "dagster/partition_row_count": rows.num_rows,
                "as_of": instant(as_of),
                "long_within_5_pct_of_all": share_pct(last["long_usd_within_5_pct"], last["long_notional_usd"]),
                "short_within_5_pct_of_all": share_pct(last["short_usd_within_5_pct"], last["short_notional_usd"]),
                "preview": preview(rows.slice(max(rows.num_rows - 5, 0))),
            }
        )

    return [liquidation_features]

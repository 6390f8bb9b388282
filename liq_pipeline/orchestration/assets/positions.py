"""Group `positions`: who is still in, from when, at which leverage."""

from collections.abc import Iterator
from datetime import UTC

import dagster as dg

from liq_pipeline.model.margin import has_own_brackets
from liq_pipeline.model.walk import model_version
from liq_pipeline.orchestration.assets.common import (
    acting,
    preview,
    share_pct,
    table_metadata,
    tag_run,
)
from liq_pipeline.orchestration.resources import WarehouseResource
from liq_pipeline.transform.positions import walk_whole


def position_assets(symbols: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """Return `position_cohorts` and `position_survival`, which come from one walk."""

    @dg.multi_asset(
        specs=[
            dg.AssetSpec(
                "position_cohorts",
                deps=["oi_delta", "klines"],
                description="Estimated positions: what opened in one bar, on one side; and for each leverage, when "
                "price touched its liquidation price. The view `position_cells` has a row per leverage, "
                "`living_positions` tells what is left.\n\n"
                "Liquidation price: `long E·(1 − 1/L)/(1 − m)`, `short E·(1 + 1/L)/(1 + m)`. "
                "Every other table is a filter over this one and `position_survival`.",
                metadata=table_metadata("position_cohorts"),
                group_name="positions",
                kinds={"duckdb", "python"},
                code_version=model_version(),
                partitions_def=symbols,
            ),
            dg.AssetSpec(
                "position_survival",
                deps=["oi_delta", "klines"],
                description="Per bar and side: the survival factor of positions, and the open interest that is "
                "tracked, untracked and liquidated. `tracked + untracked = open interest`.",
                metadata=table_metadata("position_survival"),
                group_name="positions",
                kinds={"duckdb", "python"},
                code_version=model_version(),
                partitions_def=symbols,
            ),
        ],
        name="positions",
        can_subset=True,
    )
    def positions(context: dg.AssetExecutionContext, warehouse: WarehouseResource) -> Iterator[dg.MaterializeResult]:
        symbol = context.partition_key
        if not has_own_brackets(symbol):
            context.log.warning(f"{symbol} has no margin brackets of its own; the default (1.5 %, 50x) stands in")
        context.log.info(f"{symbol}: walking over its bars")
        with acting(), warehouse.transaction(symbol) as tables:
            result, written = walk_whole(tables, symbol)
        context.log.info(
            f"{symbol}: walked over {result.bars.ts.size} bars, {written['position_cohorts'].num_rows} positions opened"
        )
        tag_run(context, result.bars.ts[-1].item().replace(tzinfo=UTC))
        shares = {
            f"{side}_tracked_pct": share_pct(
                float(walked.tracked[-1]), float(walked.tracked[-1] + walked.untracked[-1])
            )
            for side, walked in result.sides.items()
        }
        for table, rows in written.items():
            last = preview(rows.slice(max(0, rows.num_rows - 5)))
            metadata = {"dagster/partition_row_count": rows.num_rows, **shares, "preview": last}
            if dg.AssetKey(table) in context.selected_asset_keys:
                yield dg.MaterializeResult(asset_key=table, metadata=metadata)
            else:  # both come from one walk and fit only each other: whichever is selected, both are written
                context.log_event(dg.AssetMaterialization(table, partition=symbol, metadata=metadata))

    return [positions]

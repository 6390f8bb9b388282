"""Group `levels`: where liquidations wait, per timeframe. Four filters over one walk, summed in one pass."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from liq_pipeline.model.timeframes import TIMEFRAMES
from liq_pipeline.model.walk import model_version
from liq_pipeline.orchestration.assets.common import (
    acting,
    instant,
    preview,
    share_pct,
    table_metadata,
    tag_run,
)
from liq_pipeline.orchestration.resources import WarehouseResource
from liq_pipeline.transform.levels import coverage_pct, largest_levels, level_facts, write_levels


def level_assets(symbols: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """Return `liquidation_levels_1d`, `_7d`, `_30d` and `_90d`."""

    @dg.multi_asset(
        specs=[
            dg.AssetSpec(
                f"liquidation_levels_{timeframe}",
                deps=["position_cohorts"],
                description=f"Estimated liquidation levels of positions younger than {timeframe}, one row per side, "
                "leverage and price bin.\n\nAnchored to the newest complete bar, never to the wall clock. Longs lie "
                "below the price, shorts above it. `notional_usd = contracts × liquidation price`: exposure, not a "
                "forecast.",
                metadata=table_metadata(f"liquidation_levels_{timeframe}"),
                group_name="levels",
                kinds={"duckdb", "python"},
                code_version=model_version(),
                partitions_def=symbols,
            )
            for timeframe in TIMEFRAMES
        ],
        name="liquidation_levels",
        can_subset=True,
    )
    def levels(context: dg.AssetExecutionContext, warehouse: WarehouseResource) -> Iterator[dg.MaterializeResult]:
        symbol = context.partition_key
        chosen = [
            name for name in TIMEFRAMES if dg.AssetKey(f"liquidation_levels_{name}") in context.selected_asset_keys
        ]
        with acting(), warehouse.transaction(symbol) as tables:
            newest = tables.newest_bar(symbol)
            by_timeframe = write_levels(tables, symbol, newest, chosen)
            coverage = coverage_pct(tables, symbol)
        tag_run(context, newest["as_of"])
        for timeframe, rows in by_timeframe.items():
            yield dg.MaterializeResult(
                asset_key=f"liquidation_levels_{timeframe}",
                metadata={
                    "dagster/partition_row_count": rows.num_rows,
                    "as_of": instant(newest["as_of"]),
                    "current_price_usd": f"{newest['current_price']:,.10g}",
                    **level_shares(level_facts(rows, coverage[timeframe]), newest["open_interest"]),
                    "largest_levels": preview(largest_levels(rows)),
                },
            )

    return [levels]


def level_shares(facts: dict[str, float], open_interest: float) -> dict[str, Any]:
    """Return `level_facts` as the UI shows them: shares are plotted, sums are read."""
    shown: dict[str, Any] = {}
    for side in ("long", "short"):
        shown[f"{side}_pct_of_open_interest"] = share_pct(facts[f"{side}_contracts"], open_interest)
        shown[f"{side}_notional_usd"] = f"{facts[f'{side}_notional_usd']:,.0f}"
    return shown | {"coverage_pct": facts["coverage_pct"]}

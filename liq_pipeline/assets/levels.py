"""Group `levels`: where liquidations wait, per timeframe. Four filters over one walk, summed in one pass."""

from collections.abc import Collection, Iterator
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from liq_pipeline.assets.common import (
    OWNERS,
    WAREHOUSE_POOL,
    failure,
    instant,
    preview,
    share_pct,
    table_metadata,
    tag_run,
)
from liq_pipeline.errors import LiqError
from liq_pipeline.model.levels import TIMEFRAMES, Cells, Levels, liquidation_levels
from liq_pipeline.model.walk import MODEL_VERSION
from liq_pipeline.warehouse.layout import LEVELS_SCHEMA
from liq_pipeline.warehouse.warehouse import Reads, Tables, Warehouse


def level_assets(symbols: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """Return `liquidation_levels_1d`, `_7d`, `_30d` and `_90d`."""

    @dg.multi_asset(
        pool=WAREHOUSE_POOL,
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
                owners=OWNERS,
                code_version=MODEL_VERSION,
                partitions_def=symbols,
            )
            for timeframe in TIMEFRAMES
        ],
        name="liquidation_levels",
        can_subset=True,
    )
    def levels(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Iterator[dg.MaterializeResult]:
        symbol = context.partition_key
        chosen = [
            name for name in TIMEFRAMES if dg.AssetKey(f"liquidation_levels_{name}") in context.selected_asset_keys
        ]
        try:
            with warehouse.transaction() as tables:
                newest = tables.newest_bar(symbol)
                by_timeframe = write_levels(tables, symbol, newest, chosen)
                coverage = coverage_pct(tables, symbol)
        except LiqError as error:
            raise failure(error) from error
        tag_run(context, newest["as_of"])
        for timeframe, rows in by_timeframe.items():
            yield dg.MaterializeResult(
                asset_key=f"liquidation_levels_{timeframe}",
                metadata={
                    "dagster/row_count": rows.num_rows,
                    "as_of": instant(newest["as_of"]),
                    "current_price_usd": f"{newest['current_price']:,.10g}",
                    **level_shares(level_facts(rows, coverage[timeframe]), newest["open_interest"]),
                    "largest_levels": preview(largest_levels(rows)),
                },
            )

    return [levels]


def write_levels(
    tables: Tables, symbol: str, newest: dict[str, Any], timeframes: Collection[str] = tuple(TIMEFRAMES)
) -> dict[str, pa.Table]:
    """Sum the living cells, replace the levels of these timeframes, and return them."""
    as_of = np.datetime64(newest["as_of"].replace(tzinfo=None), "us")
    living = cells_of(tables.read("living_cells", symbol=symbol))
    by_timeframe = {
        timeframe: level_rows(found, symbol, timeframe, newest["as_of"], newest["current_price"])
        for timeframe, found in liquidation_levels(living, as_of, newest["current_price"], timeframes).items()
    }
    for timeframe, rows in by_timeframe.items():
        tables.replace(f"liquidation_levels_{timeframe}", symbol, rows)
    return by_timeframe


def cells_of(rows: pa.Table) -> Cells:
    """Turn rows of `queries/living_cells.sql` into arrays."""
    columns = {name: rows[name].to_numpy() for name in rows.column_names}
    columns["opened_at"] = columns["opened_at"].astype("datetime64[us]")
    return Cells(**columns)


def level_rows(found: Levels, symbol: str, timeframe: str, as_of: Any, current_price: float) -> pa.Table:
    """Return the rows of one `liquidation_levels_<timeframe>`, as they are published."""
    count = found.contracts.size
    middle = (found.price_low + found.price_high) / 2
    return pa.table(
        {
            "symbol": pa.repeat(symbol, count),
            "timeframe": pa.repeat(timeframe, count),
            "as_of": pa.repeat(pa.scalar(as_of, pa.timestamp("us", "UTC")), count),
            "side": np.where(found.is_long, "long", "short"),
            "leverage": found.leverage,
            "price_low": found.price_low,
            "price_high": found.price_high,
            "contracts": found.contracts,
            "notional_usd": found.notional_usd,
            "current_price": np.full(count, current_price),
            "distance_pct": 100 * (middle / current_price - 1),
        },
        schema=LEVELS_SCHEMA,
    )


def level_facts(rows: pa.Table, covered_pct: float) -> dict[str, float]:
    """Return the totals per side, and how much of the timeframe the data covers."""
    facts: dict[str, float] = {}
    for side in ("long", "short"):
        of_side = rows.filter(pc.equal(rows["side"], side))
        facts[f"{side}_contracts"] = pc.sum(of_side["contracts"]).as_py() or 0.0
        facts[f"{side}_notional_usd"] = pc.sum(of_side["notional_usd"]).as_py() or 0.0
    facts["coverage_pct"] = covered_pct
    return facts


def level_shares(facts: dict[str, float], open_interest: float) -> dict[str, Any]:
    """Return `level_facts` as the UI shows them: shares are plotted, sums are read."""
    shown: dict[str, Any] = {}
    for side in ("long", "short"):
        shown[f"{side}_pct_of_open_interest"] = share_pct(facts[f"{side}_contracts"], open_interest)
        shown[f"{side}_notional_usd"] = f"{facts[f'{side}_notional_usd']:,.0f}"
    return shown | {"coverage_pct": facts["coverage_pct"]}


def largest_levels(rows: pa.Table, limit: int = 5) -> pa.Table:
    """Return the price bins that hold most, all leverages together, the largest first; rounded, for people."""
    bins = rows.group_by(["side", "price_low", "price_high"]).aggregate(
        [("notional_usd", "sum"), ("distance_pct", "min")]
    )
    bins = bins.sort_by([("notional_usd_sum", "descending"), ("price_low", "ascending")]).slice(0, limit)
    ends = zip(bins["price_low"].to_pylist(), bins["price_high"].to_pylist(), strict=True)
    return pa.table(
        {
            "side": bins["side"],
            "price_usd": [f"{low:,.10g} – {high:,.10g}" for low, high in ends],
            "distance_pct": pc.round(bins["distance_pct_min"], 2),
            "notional_usd": [f"{usd:,.0f}" for usd in bins["notional_usd_sum"].to_pylist()],
        }
    )


def coverage_pct(tables: Reads, symbol: str) -> dict[str, float]:
    """Return which share of each timeframe's bars was observed, in percent: neither before the data, nor in a gap."""
    observed = tables.read("coverage", symbol=symbol).to_pylist()[0]
    return {timeframe: 100 * observed[f"covered_{timeframe}"] for timeframe in TIMEFRAMES}

"""Group `positions`: who is still in, from when, at which leverage."""

from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg
import numpy as np
import pyarrow as pa

from liq_pipeline.assets.common import OWNERS, WAREHOUSE_POOL, preview, share_pct, table_metadata, tag_run
from liq_pipeline.model.margin import has_own_brackets
from liq_pipeline.model.walk import MODEL_VERSION, SideWalk, Walk, WalkInput, walk
from liq_pipeline.warehouse.warehouse import BEGINNING, Reads, Tables, Warehouse


def read_walk_input(tables: Reads, symbol: str, since: datetime | str = BEGINNING) -> WalkInput:
    """Read what the walk needs of a symbol, from an instant on."""
    return walk_input_of(tables.read("walk_input", symbol=symbol, since=since))


def walk_input_of(rows: pa.Table) -> WalkInput:
    """Turn rows of `queries/walk_input.sql` into arrays."""
    columns = {name: rows[name].to_numpy() for name in rows.column_names}
    columns["ts"] = columns["ts"].astype("datetime64[us]")
    return WalkInput(**columns)


def position_assets(symbols: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """Return `position_cohorts` and `position_survival`, which come from one walk."""

    @dg.multi_asset(
        pool=WAREHOUSE_POOL,
        specs=[
            dg.AssetSpec(
                "position_cohorts",
                deps=["oi_delta", "klines"],
                description="Estimated positions: what opened in one bar, on one side, at one leverage; whether and "
                "when price touched its liquidation price. The view `living_positions` tells what is left.\n\n"
                "Liquidation price: `long E·(1 − 1/L)/(1 − m)`, `short E·(1 + 1/L)/(1 + m)`. "
                "Every other table is a filter over this one and `position_survival`.",
                metadata=table_metadata("position_cohorts"),
                group_name="positions",
                kinds={"duckdb", "python"},
                owners=OWNERS,
                code_version=MODEL_VERSION,
                partitions_def=symbols,
            ),
            dg.AssetSpec(
                "position_survival",
                deps=["oi_delta", "klines"],
                description="Per bar and side: the survival factor of positions, and the open interest that is "
                "tracked, untracked, liquidated, opened and closed. `tracked + untracked = open interest`.",
                metadata=table_metadata("position_survival"),
                group_name="positions",
                kinds={"duckdb", "python"},
                owners=OWNERS,
                code_version=MODEL_VERSION,
                partitions_def=symbols,
            ),
        ],
        name="positions",
        can_subset=True,
    )
    def positions(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Iterator[dg.MaterializeResult]:
        symbol = context.partition_key
        if not has_own_brackets(symbol):
            context.log.warning(f"{symbol} has no margin brackets of its own; the default (1.5 %, 50x) stands in")
        context.log.info(f"{symbol}: walking over its bars")
        with warehouse.transaction() as tables:
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
            metadata = {"dagster/row_count": rows.num_rows, **shares, "preview": last}
            if dg.AssetKey(table) in context.selected_asset_keys:
                yield dg.MaterializeResult(asset_key=table, metadata=metadata)
            else:  # both come from one walk and fit only each other: whichever is selected, both are written
                context.log_event(dg.AssetMaterialization(table, partition=symbol, metadata=metadata))

    return [positions]


def walk_whole(tables: Tables, symbol: str) -> tuple[Walk, dict[str, pa.Table]]:
    """Walk over all bars, replace the tables of positions, and return the walk and what was written."""
    result = walk(read_walk_input(tables, symbol), symbol)
    rows = {"position_cohorts": cohort_rows(result, symbol), "position_survival": survival_rows(result, symbol)}
    for table, content in rows.items():
        tables.replace(table, symbol, content)
    return result, rows


def cohort_rows(result: Walk, symbol: str) -> pa.Table:
    """Return the rows of `position_cohorts`: cells in which something was opened, by side, bar, leverage."""
    return pa.concat_tables([_cohorts_of(result, walked, symbol) for walked in result.sides.values()])


def _cohorts_of(result: Walk, walked: SideWalk, symbol: str) -> pa.Table:
    bar, tier = np.nonzero(walked.contracts_opened)
    end = walked.liquidated_at[bar, tier]
    ts = result.bars.ts
    ended = np.where(end < ts.size, ts[np.minimum(end, ts.size - 1)], np.datetime64("NaT", "us"))
    count = bar.size
    return pa.table(
        {
            "symbol": pa.repeat(symbol, count),
            "opened_at": _utc(ts[bar]),
            "side": pa.repeat(walked.side, count),
            "leverage": np.array(result.parameters.ladder)[tier],
            "entry_price": result.bars.entry_price[bar],
            "liquidation_price": walked.liquidation_price[bar, tier],
            "contracts_opened": walked.contracts_opened[bar, tier],
            "opening_log_survival": walked.log_survival[bar],
            "liquidated_at": _utc(ended),
        }
    )


def survival_rows(result: Walk, symbol: str) -> pa.Table:
    """Return the rows of `position_survival`, by side, bar."""
    ts = _utc(result.bars.ts)
    names = ("log_survival", "tracked", "untracked", "liquidated", "opened", "closed")
    return pa.concat_tables(
        [
            pa.table(
                {
                    "symbol": pa.repeat(symbol, len(ts)),
                    "ts": ts,
                    "side": pa.repeat(walked.side, len(ts)),
                    **{name: getattr(walked, name) for name in names},
                }
            )
            for walked in result.sides.values()
        ]
    )


def _utc(instants: np.ndarray) -> pa.Array:
    return pa.array(instants.astype("datetime64[us]")).cast(pa.timestamp("us", "UTC"))

"""Group `market`: what the files say, as tables on one clock, and how many contracts each bar opened or closed."""

from collections.abc import Iterator

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from liq_pipeline.exchange.formats import Parsed
from liq_pipeline.orchestration.assets.common import (
    acting,
    instant,
    preview,
    share_pct,
    table_metadata,
    tag_run,
)
from liq_pipeline.orchestration.resources import (
    ArchiveResource,
    ClockResource,
    Reporter,
    RestResource,
    WarehouseResource,
)
from liq_pipeline.transform.market import load_market

DESCRIPTIONS = {
    "open_interest": "Reported open interest every 5 minutes, in contracts, one row per snapshot instant.\n\n"
    "Labels are turned into the instant of the snapshot (their meaning changed on 2026-06-25) before doubled rows are "
    "removed. Prints of zero or less become null; so do those that contradict the bars or the prints beside them, and "
    "`bad_print` says why. Gaps stay gaps. The newest hours come from REST until the archive has them; `source` tells.",
    "klines": "Prices and volumes per bar of the base interval, one row per bar, named by its closing instant.\n\n"
    "Prices and volumes that contradict each other, the bars beside them or open interest become null; `bad_print` "
    "says why. The view `klines_15m` rolls the bars up into whole quarter hours.",
}


def market_assets(symbols: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """Return `open_interest`, `klines` and `oi_delta`."""

    @dg.multi_asset(
        specs=[
            dg.AssetSpec(
                table,
                deps=[f"raw_{table}", f"recent_{table}"],
                description=description,
                metadata=table_metadata(table),
                group_name="market",
                kinds={"duckdb"},
                partitions_def=symbols,
            )
            for table, description in DESCRIPTIONS.items()
        ],
        name="feeds",
        can_subset=True,
    )
    def feeds(
        context: dg.AssetExecutionContext,
        archive: ArchiveResource,
        rest: RestResource,
        clock: ClockResource,
        warehouse: WarehouseResource,
        reporter: dg.ResourceParam[Reporter],
    ) -> Iterator[dg.MaterializeResult]:
        symbol = context.partition_key
        with acting():
            loaded = load_market(warehouse, archive, rest, symbol, clock.now())
        if warehouse.was_replaced(symbol):
            reporter.say(line := f"{symbol}: its warehouse was made by another version: filled anew from data/raw")
            context.log.info(line)
        for table, rows in (("open_interest", loaded.judged.open_interest), ("klines", loaded.judged.klines)):
            if dg.AssetKey(table) in context.selected_asset_keys:
                yield _filled(table, loaded.parsed[table], rows, loaded.rest_rows[table])

    @dg.asset(
        partitions_def=symbols,
        deps=list(DESCRIPTIONS),
        group_name="market",
        kinds={"duckdb", "sql"},
        metadata=table_metadata("oi_delta"),
    )
    def oi_delta(context: dg.AssetExecutionContext, warehouse: WarehouseResource) -> dg.MaterializeResult:
        """Change of open interest per bar, in contracts and USD: positive where positions were opened.

        `oi_delta = q_t − q_{t−1}` in contracts, `oi_delta_usd = oi_delta × entry_price`. The first row is null. Across
        missing snapshots the change is spread in proportion to volume and flagged `is_interpolated`.
        """
        symbol = context.partition_key
        with acting(), warehouse.transaction(symbol) as tables:
            count = tables.rebuild("oi_delta", symbol)
            newest = tables.newest_bar(symbol)
            tail = tables.sql("SELECT * FROM oi_delta WHERE symbol = $symbol ORDER BY ts DESC LIMIT 5", symbol=symbol)
            interpolated = tables.sql(
                "SELECT count(*) AS bars FROM oi_delta WHERE symbol = $symbol AND is_interpolated", symbol=symbol
            )
        tag_run(context, newest["as_of"])
        return dg.MaterializeResult(
            metadata={
                "dagster/partition_row_count": count,
                "as_of": instant(newest["as_of"]),
                "first_bar": instant(newest["first_ts"]),
                "interpolated_pct": share_pct(interpolated["bars"][0].as_py(), count),
                "open_interest_contracts": f"{newest['open_interest']:,.10g}",
                "preview": preview(tail),
            }
        )

    return [feeds, oi_delta]


def _filled(table: str, parsed: Parsed, rows: pa.Table, rest_rows: int) -> dg.MaterializeResult:
    ts: pa.ChunkedArray = rows["ts"]
    value = "open_interest" if table == "open_interest" else "close"
    return dg.MaterializeResult(
        asset_key=table,
        metadata={
            "dagster/partition_row_count": rows.num_rows,
            "files": len(parsed.facts),
            "first_ts": instant(pc.min(ts).as_py()),
            "as_of": instant(pc.max(ts).as_py()),
            "rest_rows": rest_rows,
            "bad_prints": pc.sum(pc.or_(rows[value].is_null(), rows["bad_print"].is_valid())).as_py(),
            **{f"quirk/{name}": count for name, count in parsed.notes.items()},
            "preview": preview(rows.slice(max(0, rows.num_rows - 5))),
        },
    )

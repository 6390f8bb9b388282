"""Group `market`: what the files say, as tables on one clock, and how many contracts each bar opened or closed."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import dagster as dg
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
from liq_pipeline.assets.feeds import fill_feeds
from liq_pipeline.clock import Clock
from liq_pipeline.errors import LiqError, NoData
from liq_pipeline.exchange.archive import Dataset
from liq_pipeline.exchange.formats import Parsed, read_klines, read_open_interest
from liq_pipeline.resources import ArchiveSource, RestSource
from liq_pipeline.warehouse.warehouse import Warehouse

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
                owners=OWNERS,
                partitions_def=symbols,
            )
            for table, description in DESCRIPTIONS.items()
        ],
        name="feeds",
        pool=WAREHOUSE_POOL,
        can_subset=True,
    )
    def feeds(
        context: dg.AssetExecutionContext,
        archive: ArchiveSource,
        rest: RestSource,
        clock: Clock,
        warehouse: Warehouse,
    ) -> Iterator[dg.MaterializeResult]:
        # Each is judged by the other, so both are read and written whichever was asked for.
        symbol = context.partition_key
        try:
            now = clock.now()
            files = {
                "open_interest": _files(archive, archive.open_interest_files, symbol, now),
                "klines": _files(archive, archive.kline_files, symbol, now),
            }
            parsed = {
                "open_interest": _whole(read_open_interest(files["open_interest"], symbol)),
                "klines": _whole(read_klines(files["klines"], symbol, f"{archive.bar_minutes}m")),
            }
            tails = {
                "open_interest": rest.rows(archive.open_interest_files, symbol),
                "klines": rest.rows(archive.kline_files, symbol),
            }
            known = {table: _known_at(now, parsed[table].table, tails[table]) for table in parsed}
            with warehouse.transaction() as tables:
                judged = fill_feeds(tables, symbol, known["open_interest"], known["klines"])
        except LiqError as error:
            raise failure(error) from error
        for table, rows in (("open_interest", judged.open_interest), ("klines", judged.klines)):
            if dg.AssetKey(table) in context.selected_asset_keys:
                yield _filled(table, parsed[table], rows, tails[table].num_rows)

    @dg.asset(
        pool=WAREHOUSE_POOL,
        partitions_def=symbols,
        deps=list(DESCRIPTIONS),
        group_name="market",
        kinds={"duckdb", "sql"},
        owners=OWNERS,
        metadata=table_metadata("oi_delta"),
    )
    def oi_delta(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult:
        """Change of open interest per bar, in contracts and USD: positive where positions were opened.

        `oi_delta = q_t − q_{t−1}` in contracts, `oi_delta_usd = oi_delta × entry_price`. The first row is null. Across
        missing snapshots the change is spread in proportion to volume and flagged `is_interpolated`.
        """
        symbol = context.partition_key
        count = warehouse.rebuild("oi_delta", symbol)
        try:
            newest = warehouse.newest_bar(symbol)
        except LiqError as error:
            raise failure(error) from error
        tag_run(context, newest["as_of"])
        tail = warehouse.sql("SELECT * FROM oi_delta WHERE symbol = $symbol ORDER BY ts DESC LIMIT 5", symbol=symbol)
        spread = warehouse.sql(
            "SELECT count(*) AS bars FROM oi_delta WHERE symbol = $symbol AND is_interpolated", symbol=symbol
        )
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": count,
                "as_of": instant(newest["as_of"]),
                "first_bar": instant(newest["first_ts"]),
                "interpolated_pct": share_pct(spread["bars"][0].as_py(), count),
                "open_interest_contracts": f"{newest['open_interest']:,.10g}",
                "preview": preview(tail),
            }
        )

    return [feeds, oi_delta]


def _files(archive: ArchiveSource, dataset: Dataset, symbol: str, now: datetime) -> list[Path]:
    files = archive.good_files(dataset, symbol, now)
    if not files:
        raise NoData(
            f"{symbol} has no good {dataset.name} file since {archive.first_day(now)}",
            expected="at least one day in the archive",
            remedy="look at the symbol's raw assets and their quarantine, or choose an earlier --since",
        )
    return files


def _whole(parsed: Parsed) -> Parsed:
    """Return what was parsed. The mirror has already quarantined bad files; one that is bad now was damaged since."""
    if parsed.bad:
        raise parsed.bad[0][1]
    return parsed


def _known_at(now: datetime, archived: pa.Table, tail: pa.Table) -> pa.Table:
    """Return the rows that were known at `now`: in a replay the day's file holds bars that had not closed yet."""
    rows = pa.concat_tables([archived, tail]).sort_by("ts")
    known = rows.filter(pc.less_equal(rows["ts"], pa.scalar(now, pa.timestamp("us", "UTC"))))
    if not known.num_rows:
        raise NoData(
            f"all {rows.num_rows} rows are later than now ({now:%Y-%m-%d %H:%M} UTC)",
            expected="data older than now",
            remedy="check the clock, or LIQ_NOW",
        )
    return known


def _filled(table: str, parsed: Parsed, rows: pa.Table, rest_rows: int) -> dg.MaterializeResult:
    ts: pa.ChunkedArray = rows["ts"]
    value = "open_interest" if table == "open_interest" else "close"
    return dg.MaterializeResult(
        asset_key=table,
        metadata={
            "dagster/row_count": rows.num_rows,
            "files": len(parsed.facts),
            "first_ts": instant(pc.min(ts).as_py()),
            "as_of": instant(pc.max(ts).as_py()),
            "rest_rows": rest_rows,
            "bad_prints": pc.sum(pc.or_(rows[value].is_null(), rows["bad_print"].is_valid())).as_py(),
            **{f"quirk/{name}": count for name, count in parsed.notes.items()},
            "preview": preview(rows.slice(max(0, rows.num_rows - 5))),
        },
    )

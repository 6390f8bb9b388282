"""Group `market`: what the files say, as tables on one clock, and how many contracts each bar opened or closed."""

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
from liq_pipeline.clock import Clock
from liq_pipeline.errors import LiqError, NoData
from liq_pipeline.exchange.archive import Dataset
from liq_pipeline.exchange.formats import Parsed, read_klines, read_open_interest
from liq_pipeline.resources import ArchiveSource, RestSource
from liq_pipeline.warehouse.warehouse import Warehouse


def market_assets(symbols: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """Return `open_interest`, `klines` and `oi_delta`."""

    @dg.asset(
        pool=WAREHOUSE_POOL,
        partitions_def=symbols,
        deps=["raw_open_interest", "recent_open_interest"],
        group_name="market",
        kinds={"duckdb"},
        owners=OWNERS,
        metadata=table_metadata("open_interest"),
    )
    def open_interest(
        context: dg.AssetExecutionContext,
        archive: ArchiveSource,
        rest: RestSource,
        clock: Clock,
        warehouse: Warehouse,
    ) -> dg.MaterializeResult:
        """Reported open interest every 5 minutes, in contracts, one row per snapshot instant.

        Labels are turned into the instant of the snapshot (their meaning changed on 2026-06-25) before doubled rows are
        removed. Prints of zero or less become null. Gaps stay gaps. The newest hours come from REST until the archive
        has them; `source` tells.
        """
        symbol = context.partition_key
        try:
            now = clock.now()
            parsed = _whole(read_open_interest(_files(archive, archive.open_interest_files, symbol, now), symbol))
            tail = rest.rows(archive.open_interest_files, symbol)
            known = _known_at(now, parsed.table, tail)
        except LiqError as error:
            raise failure(error) from error
        rows = warehouse.replace("open_interest", symbol, known)
        return _filled(
            parsed, known, rows, {"rest_rows": tail.num_rows, "bad_prints": known["open_interest"].null_count}
        )

    @dg.asset(
        pool=WAREHOUSE_POOL,
        partitions_def=symbols,
        deps=["raw_klines", "recent_klines"],
        group_name="market",
        kinds={"duckdb"},
        owners=OWNERS,
        metadata=table_metadata("klines"),
    )
    def klines(
        context: dg.AssetExecutionContext,
        archive: ArchiveSource,
        rest: RestSource,
        clock: Clock,
        warehouse: Warehouse,
    ) -> dg.MaterializeResult:
        """Prices and volumes per bar of the base interval, one row per bar, named by its closing instant.

        The view `klines_15m` rolls them up into whole quarter hours.
        """
        symbol = context.partition_key
        try:
            now = clock.now()
            files = _files(archive, archive.kline_files, symbol, now)
            parsed = _whole(read_klines(files, symbol, f"{archive.bar_minutes}m"))
            tail = rest.rows(archive.kline_files, symbol)
            known = _known_at(now, parsed.table, tail)
        except LiqError as error:
            raise failure(error) from error
        rows = warehouse.replace("klines", symbol, known)
        return _filled(parsed, known, rows, {"rest_rows": tail.num_rows})

    @dg.asset(
        pool=WAREHOUSE_POOL,
        partitions_def=symbols,
        deps=[open_interest, klines],
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

    return [open_interest, klines, oi_delta]


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


def _filled(parsed: Parsed, known: pa.Table, rows: int, more: dict[str, int]) -> dg.MaterializeResult:
    ts: pa.ChunkedArray = known["ts"]
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": rows,
            "files": len(parsed.facts),
            "first_ts": instant(pc.min(ts).as_py()),
            "as_of": instant(pc.max(ts).as_py()),
            **more,
            **{f"quirk/{name}": count for name, count in parsed.notes.items()},
            "preview": preview(known.slice(max(0, known.num_rows - 5))),
        }
    )

"""The exchange's files and newest hours, into the tables `open_interest` and `klines`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from liq_pipeline.errors import NoData
from liq_pipeline.exchange.formats import Parsed, read_klines, read_open_interest
from liq_pipeline.exchange.judged import Judged
from liq_pipeline.exchange.keys import ArchiveDataset
from liq_pipeline.exchange.sources import ArchiveSource, RestSource
from liq_pipeline.transform.feeds import fill_feeds
from liq_pipeline.warehouse.warehouse import Warehouse


@dataclass(frozen=True)
class Loaded:
    """What was loaded of a symbol.

    Attributes:
        parsed: what the archive's files hold, by table.
        rest_rows: how many rows REST added, by table.
        judged: rows as they are in the tables now.
    """

    parsed: dict[str, Parsed]
    rest_rows: dict[str, int]
    judged: Judged


def load_market(warehouse: Warehouse, archive: ArchiveSource, rest: RestSource, symbol: str, now: datetime) -> Loaded:
    """Replace both tables of a symbol: each is judged by the other, so both are read and written.

    Raises:
        NoData: no good file, or no row that was known at `now`.
        FormatError: a file was damaged since the mirror verified it.
    """
    datasets = {"open_interest": archive.open_interest_files, "klines": archive.kline_files}
    files = {table: _files(archive, dataset, symbol, now) for table, dataset in datasets.items()}
    parsed = {
        "open_interest": _whole(read_open_interest(files["open_interest"], symbol)),
        "klines": _whole(read_klines(files["klines"], symbol, f"{archive.bar_minutes}m")),
    }
    tails = {table: rest.rows(dataset, symbol) for table, dataset in datasets.items()}
    known = {table: _known_at(now, parsed[table].table, tails[table]) for table in parsed}
    with warehouse.transaction(symbol) as tables:
        judged = fill_feeds(tables, symbol, known["open_interest"], known["klines"])
    return Loaded(parsed, {table: tail.num_rows for table, tail in tails.items()}, judged)


def _files(archive: ArchiveSource, dataset: ArchiveDataset, symbol: str, now: datetime) -> list[Path]:
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

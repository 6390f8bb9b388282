"""The folder of a recording: forced orders by symbol and day, when we listened, and what could not be taken.

    forced_orders/symbol=<SYMBOL>/day=<YYYY-MM-DD>/forced_orders.parquet    ORDER_SCHEMA, by ts
    coverage/day=<YYYY-MM-DD>/coverage.parquet                              COVERAGE_SCHEMA; between two rows is a gap
    quarantine/day=<YYYY-MM-DD>/quarantine.parquet                          QUARANTINE_SCHEMA

Every file is replaced whole (temporary name, fsync, rename): there is never a half one. Days are UTC; a day's file is
read, joined with what is new and written again, so that a restart continues it and doubles vanish.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from liq_pipeline.errors import RecorderBusy, RecordingFailed
from liq_pipeline.exchange.forced_orders import (
    COVERAGE_SCHEMA,
    IDENTITY,
    ORDER_SCHEMA,
    QUARANTINE_SCHEMA,
    ForcedOrder,
)
from liq_pipeline.system.storage import written_whole

ORDERS, COVERAGE, QUARANTINE = "forced_orders", "coverage", "quarantine"


@dataclass(frozen=True)
class Connected:
    """A stretch of time in which we listened: [since, until), UTC, and why it ended (empty: it has not)."""

    since: datetime
    until: datetime
    symbols: tuple[str, ...]
    ended_by: str = ""


@dataclass(frozen=True)
class Reject:
    """A message that was not taken."""

    received_at: datetime
    reason: str
    message: str


@dataclass
class Batch:
    """What is new since the last write."""

    orders: list[ForcedOrder] = field(default_factory=list)
    connected: list[Connected] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)


class RecordingFolder:
    """The folder, held by one recorder at a time, as a context manager.

    Args:
        folder: such as `data/recorded`; made where it is missing.
        report: told what is unusual, in a line.

    Raises:
        RecorderBusy: on entering: another recorder holds it.
        RecordingFailed: on entering: it cannot be written.
    """

    def __init__(self, folder: Path, report: Callable[[str], None] = lambda _: None) -> None:
        self.folder, self.report = folder, report
        self._lock = FileLock(folder / ".recorder.lock")

    def __enter__(self) -> Self:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
        except Timeout:
            raise RecorderBusy(
                f"another recorder writes into {self.folder}",
                remedy="stop it, or give this one another folder with --data",
            ) from None
        except OSError as error:
            raise RecordingFailed(f"{self.folder} cannot be written: {error}", remedy="choose another --data") from None
        for draft in self.folder.rglob(".*.tmp"):  # of a recorder that was killed while it wrote
            draft.unlink(missing_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def write(self, batch: Batch) -> dict[str, int]:
        """Add what is new; return the number of new orders by symbol.

        Orders are written before the coverage: time is never called covered whose orders are not on the disk.

        Raises:
            OSError: it cannot be written. Writing the same batch again later is safe.
        """
        added: dict[str, int] = defaultdict(int)
        by_file: dict[tuple[str, date], list[ForcedOrder]] = defaultdict(list)
        for order in batch.orders:
            by_file[order.symbol, order.ts.date()].append(order)
        for (symbol, day), orders in by_file.items():
            added[symbol] += self._join(orders_path(self.folder, symbol, day), _order_table(orders), _without_doubles)
        for day, pieces in _by_day(batch.connected).items():
            self._join(_day_path(self.folder, COVERAGE, day), _coverage_table(pieces), _united)
        rejects: dict[date, list[Reject]] = defaultdict(list)
        for reject in batch.rejects:
            rejects[reject.received_at.date()].append(reject)
        for day, some in rejects.items():
            rows = [{item.name: getattr(one, item.name) for item in fields(one)} for one in some]
            table = pa.Table.from_pylist(rows, schema=QUARANTINE_SCHEMA)
            self._join(_day_path(self.folder, QUARANTINE, day), table, lambda found: found)
        return dict(added)

    def _join(self, path: Path, new: pa.Table, tidy: Callable[[pa.Table], pa.Table]) -> int:
        """Replace a file by what it held and what is new; return by how many rows it grew."""
        old = self._read(path, new.schema)
        whole = tidy(pa.concat_tables([old, new]))
        if not whole.equals(old):
            with written_whole(path) as draft:
                pq.write_table(whole, draft)
        return whole.num_rows - old.num_rows

    def _read(self, path: Path, schema: pa.Schema) -> pa.Table:
        try:
            return _table(path, schema) if path.exists() else schema.empty_table()
        except (pa.ArrowInvalid, pa.ArrowKeyError, ValueError) as error:
            # Not ours: we only ever rename whole files. Set aside, so that recording goes on.
            aside = path.with_name(f"{path.name}.damaged")
            path.replace(aside)
            self.report(f"{path} is damaged ({str(error)[:120]}); set aside as {aside.name}, the day begins anew")
            if path.stem == ORDERS:
                # What it held is lost, so its day is not covered any more until now.
                day = date.fromisoformat(path.parent.name.removeprefix("day="))
                coverage = _day_path(self.folder, COVERAGE, day)
                if coverage.exists():
                    coverage.replace(coverage.with_name(f"{coverage.name}.damaged"))
            return schema.empty_table()


def orders_path(folder: Path, symbol: str, day: date) -> Path:
    """Return where the forced orders of a symbol's UTC day lie."""
    return folder / ORDERS / f"symbol={symbol}" / f"day={day}" / f"{ORDERS}.parquet"


def read_orders(folder: Path, symbol: str) -> pa.Table:
    """Return the recorded orders of a symbol, by ts; `ORDER_SCHEMA`."""
    files = sorted((folder / ORDERS / f"symbol={symbol}").glob(f"day=*/{ORDERS}.parquet"))
    return pa.concat_tables([_table(file, ORDER_SCHEMA) for file in files] or [ORDER_SCHEMA.empty_table()])


def read_coverage(folder: Path, symbol: str) -> list[tuple[datetime, datetime]] | None:
    """Return when orders of the symbol were listened to: [from, until) by time, not touching each other.

    None if the folder holds no coverage at all: then nobody knows.
    """
    files = sorted((folder / COVERAGE).glob(f"day=*/{COVERAGE}.parquet"))
    if not files:
        return None
    rows = [row for file in files for row in _table(file, COVERAGE_SCHEMA).to_pylist() if symbol in row["symbols"]]
    united: list[tuple[datetime, datetime]] = []
    for since, until in sorted((row["connected_from"], row["connected_until"]) for row in rows):
        if united and since <= united[-1][1]:
            united[-1] = united[-1][0], max(united[-1][1], until)
        else:
            united.append((since, until))
    return united


def read_set_aside(folder: Path) -> list[datetime]:
    """Return when messages arrived that were not understood, in order: what they told is unknown."""
    files = sorted((folder / QUARANTINE).glob(f"day=*/{QUARANTINE}.parquet"))
    return sorted(at for file in files for at in _table(file, QUARANTINE_SCHEMA)["received_at"].to_pylist())


def _table(path: Path, schema: pa.Schema) -> pa.Table:
    with pq.ParquetFile(path) as file:  # not `read_table`: the names of the folders say nothing that is not in the file
        return file.read().select(schema.names).cast(schema)


def _day_path(folder: Path, dataset: str, day: date) -> Path:
    return folder / dataset / f"day={day}" / f"{dataset}.parquet"


def _order_table(orders: list[ForcedOrder]) -> pa.Table:
    return pa.table({name: [getattr(one, name) for one in orders] for name in ORDER_SCHEMA.names}, schema=ORDER_SCHEMA)


def _without_doubles(table: pa.Table) -> pa.Table:
    """Keep the first of equal rows, by time."""
    others = [name for name in ORDER_SCHEMA.names if name not in IDENTITY]
    once = table.group_by(list(IDENTITY), use_threads=False).aggregate([(name, "first") for name in others])
    once = once.rename_columns([*IDENTITY, *others]).select(ORDER_SCHEMA.names)
    return once.sort_by([("ts", "ascending"), ("event_time", "ascending")]).cast(ORDER_SCHEMA)


def _by_day(stretches: list[Connected]) -> dict[date, list[Connected]]:
    """Cut stretches at UTC midnight, so that every day's file tells of its own day."""
    pieces: dict[date, list[Connected]] = defaultdict(list)
    for one in stretches:
        for since, until in _days_between(one.since, one.until):
            ended_by = one.ended_by if until == one.until else ""
            pieces[since.date()].append(Connected(since, until, one.symbols, ended_by))
    return pieces


def _days_between(since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    while since < until:
        midnight = datetime.combine(since.date(), datetime.min.time(), UTC) + timedelta(days=1)
        yield since, min(midnight, until)
        since = midnight


def _coverage_table(pieces: list[Connected]) -> pa.Table:
    rows = [
        {
            "connected_from": one.since,
            "connected_until": one.until,
            "symbols": sorted(one.symbols),
            "ended_by": one.ended_by,
        }
        for one in pieces
    ]
    return pa.Table.from_pylist(rows, schema=COVERAGE_SCHEMA)


def _united(table: pa.Table) -> pa.Table:
    """Join stretches of the same symbols that overlap or touch; the later end says why it ended."""
    rows: list[dict] = []
    for row in sorted(table.to_pylist(), key=lambda row: (row["symbols"], row["connected_from"])):
        last = rows[-1] if rows else None
        if last and last["symbols"] == row["symbols"] and row["connected_from"] <= last["connected_until"]:
            if row["connected_until"] >= last["connected_until"]:
                last["connected_until"], last["ended_by"] = row["connected_until"], row["ended_by"]
        else:
            rows.append(row)
    rows.sort(key=lambda row: row["connected_from"])
    return pa.Table.from_pylist(rows, schema=COVERAGE_SCHEMA)

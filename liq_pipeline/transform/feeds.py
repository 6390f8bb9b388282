"""The one place where the exchange's two feeds enter the tables: open interest and klines are judged by each other.

Full runs replace a symbol's rows, the quick refresh adds to them; neither can leave the judgement out.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from liq_pipeline.exchange.formats import KLINES_SCHEMA, OPEN_INTEREST_SCHEMA
from liq_pipeline.exchange.judged import Judged, judge
from liq_pipeline.exchange.settlements import (
    Settlement,
    contracts_of_bars,
    contracts_of_snapshots,
    find_settlements,
)
from liq_pipeline.warehouse.schema import SETTLEMENTS
from liq_pipeline.warehouse.tables import Tables

SCHEMAS = {"open_interest": OPEN_INTEREST_SCHEMA, "klines": KLINES_SCHEMA}
CONTEXT = timedelta(days=3)  # what new rows are measured against; more than a stretch at the end takes to be believed


def fill_feeds(tables: Tables, symbol: str, open_interest: pa.Table, klines: pa.Table) -> Judged:
    """Replace the symbol's rows of both feeds. Return them as they are in the tables now.

    Args:
        tables: inside a transaction.
        symbol: whose.
        open_interest, klines: rows in the schemas of `exchange.formats`, by `ts`.
    """
    settlements = find_settlements(symbol, open_interest, klines)
    judged = _judge(settlements, open_interest, klines)
    tables.replace("open_interest", symbol, judged.open_interest)
    tables.replace("klines", symbol, judged.klines)
    tables.replace(SETTLEMENTS, symbol, _settlement_rows(symbol, settlements))
    return judged


def add_to_feeds(tables: Tables, symbol: str, open_interest: pa.Table, klines: pa.Table) -> list[datetime]:
    """Add the rows of both feeds whose instants are not here yet, and return the instants of all rows that changed.

    New rows are judged; what is here stays as it is, until a full run judges everything anew. Where new rows tell that
    a contract ended, or that it did not, the rows since then are numbered anew, and those that are given judged anew.
    """
    given = {
        name: rows.select(SCHEMAS[name].names).cast(SCHEMAS[name])
        for name, rows in (("open_interest", open_interest), ("klines", klines))
    }
    new = {name: _not_here(tables, name, symbol, rows) for name, rows in given.items()}
    if not any(rows.num_rows for rows in new.values()):
        return []
    known = _settlements(tables, symbol)
    since = _context(tables, symbol, new, known)
    here = {name: _here(tables, name, symbol, since) for name in new}
    whole = {
        name: pa.concat_tables([_without(rows, given[name]), _since(given[name], since)]).sort_by("ts")
        for name, rows in here.items()
    }
    settlements = [settled for settled in known if settled.resumed_at < since]
    settlements += find_settlements(symbol, whole["open_interest"], whole["klines"])
    judged = _judge(settlements, whole["open_interest"], whole["klines"])
    rows_of = {"open_interest": judged.open_interest, "klines": judged.klines}
    if _instants(settlements) == _instants(known):
        for name, rows in rows_of.items():
            if new[name].num_rows:
                tables.append(name, symbol, _only(rows, new[name]))
        return [ts for rows in new.values() for ts in rows["ts"].to_pylist()]
    for name, rows in rows_of.items():
        numbers = rows.select(["ts", "contract"])
        stays = _without(_stored(tables, name, symbol, since), given[name]).drop_columns("contract")
        stays = stays.join(numbers, "ts", join_type="left outer")
        tables.replace(name, symbol, stays, since)
        tables.append(name, symbol, _only(rows, given[name]))
    tables.replace(SETTLEMENTS, symbol, _settlement_rows(symbol, settlements))
    return [ts for rows in whole.values() for ts in rows["ts"].to_pylist()]


def _context(tables: Tables, symbol: str, new: dict[str, pa.Table], known: list[Settlement]) -> datetime:
    """Return from when on rows are needed to judge new ones: a pause may be longer than the context."""
    last = tables.read("last_traded", symbol=symbol).to_pylist()[0]
    first_new = [pc.min(rows["ts"]).as_py() for rows in new.values() if rows.num_rows]
    since = min(*first_new, *(ts for ts in last.values() if ts)) - CONTEXT
    for settlement in reversed(known):
        if settlement.resumed_at >= since:
            since = min(since, settlement.settled_at - CONTEXT)
    return since


def _judge(settlements: list[Settlement], open_interest: pa.Table, klines: pa.Table) -> Judged:
    """Judge each contract by itself, and note of which contract each row is."""
    snapshots, bars = contracts_of_snapshots(settlements, open_interest), contracts_of_bars(settlements, klines)
    judged = judge(open_interest, klines, snapshots, bars)
    return Judged(
        judged.open_interest.append_column("contract", pa.array(snapshots)),
        judged.klines.append_column("contract", pa.array(bars)),
    )


def _settlements(tables: Tables, symbol: str) -> list[Settlement]:
    rows = tables.sql(f"SELECT * FROM {SETTLEMENTS} WHERE symbol = $symbol ORDER BY resumed_at", symbol=symbol)
    return [
        Settlement(row["settled_at"], row["resumed_at"], row["is_listed"], row["found"]) for row in rows.to_pylist()
    ]


def _instants(settlements: list[Settlement]) -> list[tuple[datetime, datetime]]:
    return [(settlement.settled_at, settlement.resumed_at) for settlement in settlements]


def _settlement_rows(symbol: str, settlements: list[Settlement]) -> pa.Table:
    return pa.table(
        {
            "symbol": pa.array([symbol] * len(settlements), pa.string()),
            "settled_at": pa.array([found.settled_at for found in settlements], pa.timestamp("us", "UTC")),
            "resumed_at": pa.array([found.resumed_at for found in settlements], pa.timestamp("us", "UTC")),
            "is_listed": pa.array([found.is_listed for found in settlements], pa.bool_()),
            "found": pa.array([found.found for found in settlements], pa.string()),
        }
    )


def _not_here(tables: Tables, table: str, symbol: str, rows: pa.Table) -> pa.Table:
    if not rows.num_rows:
        return rows
    return _without(rows, _here(tables, table, symbol, pc.min(rows["ts"]).as_py()))


def _here(tables: Tables, table: str, symbol: str, since: datetime) -> pa.Table:
    return _stored(tables, table, symbol, since).select(SCHEMAS[table].names).cast(SCHEMAS[table])


def _stored(tables: Tables, table: str, symbol: str, since: datetime) -> pa.Table:
    return tables.sql(f"SELECT * FROM {table} WHERE symbol = $symbol AND ts >= $since", symbol=symbol, since=since)


def _since(rows: pa.Table, since: datetime) -> pa.Table:
    return rows.filter(pc.greater_equal(rows["ts"], pa.scalar(since, rows["ts"].type)))


def _only(rows: pa.Table, these: pa.Table) -> pa.Table:
    return rows.filter(pc.is_in(rows["ts"], these["ts"].combine_chunks()))


def _without(rows: pa.Table, these: pa.Table) -> pa.Table:
    return rows.filter(pc.invert(pc.is_in(rows["ts"], these["ts"].combine_chunks())))

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
from liq_pipeline.warehouse.warehouse import SETTLEMENTS, Tables

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
    """Add the rows of both feeds whose instants are not here yet, and return these instants.

    New rows are judged; what is here stays as it is, until a full run judges everything anew.
    """
    new = {
        "open_interest": _not_here(tables, "open_interest", symbol, open_interest),
        "klines": _not_here(tables, "klines", symbol, klines),
    }
    if not any(rows.num_rows for rows in new.values()):
        return []
    since = min(pc.min(rows["ts"]).as_py() for rows in new.values() if rows.num_rows)
    last = tables.read("last_traded", symbol=symbol).to_pylist()[0]  # a pause may be longer than the context
    since = min([since, *(ts for ts in last.values() if ts)]) - CONTEXT
    whole = {
        table: pa.concat_tables([_here(tables, table, symbol, since), rows]).sort_by("ts")
        for table, rows in new.items()
    }
    settlements = _with_new(tables, symbol, whole, last["klines"])
    judged = _judge(settlements, whole["open_interest"], whole["klines"])
    for table, rows in (("open_interest", judged.open_interest), ("klines", judged.klines)):
        added = rows.filter(pc.is_in(rows["ts"], new[table]["ts"].combine_chunks()))
        if added.num_rows:
            tables.append(table, symbol, added)
    return [ts for rows in new.values() for ts in rows["ts"].to_pylist()]


def _judge(settlements: list[Settlement], open_interest: pa.Table, klines: pa.Table) -> Judged:
    """Judge each contract by itself, and note of which contract each row is."""
    snapshots, bars = contracts_of_snapshots(settlements, open_interest), contracts_of_bars(settlements, klines)
    judged = judge(open_interest, klines, snapshots, bars)
    return Judged(
        judged.open_interest.append_column("contract", pa.array(snapshots)),
        judged.klines.append_column("contract", pa.array(bars)),
    )


def _with_new(tables: Tables, symbol: str, whole: dict[str, pa.Table], known_to: datetime | None) -> list[Settlement]:
    """Return the settlements that are known, and those that the new rows bring; these are written down."""
    rows = tables.sql(f"SELECT * FROM {SETTLEMENTS} WHERE symbol = $symbol ORDER BY resumed_at", symbol=symbol)
    known = [
        Settlement(row["settled_at"], row["resumed_at"], row["is_listed"], row["found"]) for row in rows.to_pylist()
    ]
    new = [
        settlement
        for settlement in find_settlements(symbol, whole["open_interest"], whole["klines"])
        if known_to and settlement.resumed_at >= known_to
    ]
    if new:
        tables.append(SETTLEMENTS, symbol, _settlement_rows(symbol, new))
    return known + new


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
    rows = rows.select(SCHEMAS[table].names).cast(SCHEMAS[table])
    if not rows.num_rows:
        return rows
    here = _here(tables, table, symbol, pc.min(rows["ts"]).as_py())
    return rows.filter(pc.invert(pc.is_in(rows["ts"], here["ts"].combine_chunks())))


def _here(tables: Tables, table: str, symbol: str, since: datetime) -> pa.Table:
    names = ", ".join(SCHEMAS[table].names)
    rows = tables.sql(
        f"SELECT {names} FROM {table} WHERE symbol = $symbol AND ts >= $since", symbol=symbol, since=since
    )
    return rows.cast(SCHEMAS[table])

"""The one place where the exchange's two feeds enter the tables: open interest and klines are judged by each other.

Full runs replace a symbol's rows, the quick refresh adds to them; neither can leave the judgement out.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from liq_pipeline.exchange.formats import KLINES_SCHEMA, OPEN_INTEREST_SCHEMA
from liq_pipeline.exchange.judged import Judged, judge
from liq_pipeline.warehouse.warehouse import Tables

SCHEMAS = {"open_interest": OPEN_INTEREST_SCHEMA, "klines": KLINES_SCHEMA}
CONTEXT = timedelta(days=3)  # what new rows are measured against; more than a stretch at the end takes to be believed


def fill_feeds(tables: Tables, symbol: str, open_interest: pa.Table, klines: pa.Table) -> Judged:
    """Replace the symbol's rows of both feeds. Return them as they are in the tables now.

    Args:
        tables: inside a transaction.
        symbol: whose.
        open_interest, klines: rows in the schemas of `exchange.formats`, by `ts`.
    """
    judged = judge(open_interest, klines)
    tables.replace("open_interest", symbol, judged.open_interest)
    tables.replace("klines", symbol, judged.klines)
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
    since = min(pc.min(rows["ts"]).as_py() for rows in new.values() if rows.num_rows) - CONTEXT
    whole = {
        table: pa.concat_tables([_here(tables, table, symbol, since), rows]).sort_by("ts")
        for table, rows in new.items()
    }
    judged = judge(whole["open_interest"], whole["klines"])
    for table, rows in (("open_interest", judged.open_interest), ("klines", judged.klines)):
        added = rows.filter(pc.is_in(rows["ts"], new[table]["ts"].combine_chunks()))
        if added.num_rows:
            tables.append(table, symbol, added)
    return [ts for rows in new.values() for ts in rows["ts"].to_pylist()]


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

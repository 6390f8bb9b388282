"""A small warehouse, every row of it written by hand: two contracts of one ticker, and another symbol beside it.

Rows are put in in disorder. Bars 00:05 and 00:10 are of the contract before; the bar of 00:25 has bad prices; the other
symbol has more contracts, newer bars and larger numbers, so that nothing of it may be taken for one's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from liq_pipeline.model.entries import layout
from liq_pipeline.warehouse.tables import Tables
from liq_pipeline.warehouse.warehouse import Warehouse

SYMBOL, OTHER = "BTCUSDT", "ETHUSDT"
CELLS = layout().place.size

# symbol, closes at, open, high, low, close, volume, quote volume, contract, source
KLINES = [
    (SYMBOL, 35, 109, 131, 89, 110, 17, 1870, 2, "rest"),
    (SYMBOL, 10, 12, 17, 11, 16, 3, 41, 1, "rest"),
    (SYMBOL, 20, 103, 109, 94, 107, None, 713, 2, "archive"),
    (OTHER, 20, 7000, 9000, 6000, 7500, 70, 490_000, 3, "rest"),
    (SYMBOL, 5, 11, 13, 10, 12, 2, 23, 1, "archive"),
    (SYMBOL, 30, 108, 127, 106, 109, 13, 1417, 2, "archive"),
    (OTHER, 45, 7500, 9100, 6100, 7600, 71, 540_000, 3, "rest"),
    (SYMBOL, 25, None, None, None, None, 11, 1100, 2, "archive"),
    (SYMBOL, 15, 101, 113, 97, 103, 5, 505, 2, "archive"),
    (OTHER, 35, 7100, 9200, 6200, 7700, 73, 550_000, 3, "rest"),
    (SYMBOL, 40, 110, 111, 104, 105, 0, 0, 2, "rest"),
]
# symbol, ts, contracts, value in USD, contract, source, bad print
SNAPSHOTS = [
    (SYMBOL, 20, 217, 22_785, 2, "archive", None),
    (SYMBOL, 5, 61, 732, 1, "archive", None),
    (OTHER, 45, 5100, 9e6, 3, "rest", None),
    (SYMBOL, 35, 0, 1, 2, "rest", None),
    (SYMBOL, 15, 200, 20_600, 2, "archive", None),
    (SYMBOL, 30, 241, 26_000, 2, "rest", None),
    (SYMBOL, 10, 59, 944, 1, "archive", None),
    (OTHER, 20, 5000, 8e6, 3, "archive", None),
    (SYMBOL, 25, None, 0, 2, "rest", None),
    (SYMBOL, 40, None, 5, 2, "rest", "leaps"),
]
# symbol, ts, open interest, contract, entry price, volume, whether it was spread
DELTAS = [
    (SYMBOL, 30, 241, 2, 109.0, 13, True),
    (SYMBOL, 10, 59, 1, 13.5, 3, False),
    (OTHER, 20, 5000, 3, 7100.0, 70, False),
    (SYMBOL, 15, 200, 2, 101.5, 5, False),
    (SYMBOL, 35, 233, 2, 110.5, 17, False),
    (OTHER, 45, 5100, 3, 7300.0, 71, False),
    (SYMBOL, 5, 61, 1, 11.5, 2, False),
    (SYMBOL, 20, 217, 2, 103.5, 6.9, False),
    (OTHER, 35, 5050, 3, 7200.0, 73, False),
]
# symbol, ts, side, log survival, tracked, untracked
SURVIVAL = [
    (SYMBOL, 35, "short", -0.7, 71, 162),
    (SYMBOL, 20, "long", -0.2, 17, 200),
    (OTHER, 45, "short", -9.0, 100, 5000),
    (SYMBOL, 15, "short", -0.1, 3, 197),
    (SYMBOL, 30, "long", -0.3, 41, 200),
    (OTHER, 20, "long", -7.0, 50, 4950),
    (SYMBOL, 30, "short", -0.5, 43, 198),
    (SYMBOL, 15, "long", 0.0, 0, 200),
    (OTHER, 45, "long", -8.0, 90, 5010),
    (SYMBOL, 35, "long", -1.1, 37, 196),
    (OTHER, 20, "short", -6.0, 60, 4940),
    (SYMBOL, 20, "short", -0.4, 19, 198),
]
# symbol, opened at, side, contracts, margin rate, leverages, minutes until the end by cell (None: alive)
COHORTS = [
    (SYMBOL, 30, "short", 24.0, 0.005, 12, [5, *[None] * (CELLS - 1)]),
    (SYMBOL, 20, "long", 26.0, 0.004, 13, [None] * (CELLS - 2) + [10, 15]),
    (OTHER, 20, "long", 1300.0, 0.01, 10, [None] * CELLS),
    (SYMBOL, 20, "short", 39.0, 0.004, 13, [None] * 13),  # as version 1 of the model stored it
]


def at(minutes: float) -> datetime:
    return datetime(2026, 6, 1, tzinfo=UTC) + timedelta(minutes=minutes)


@contextmanager
def opened_and_filled(folder: Path) -> Iterator[Tables]:
    """Open a warehouse that holds all of it."""
    with Warehouse(database=str(folder / "liq.duckdb")).opened(SYMBOL) as tables:
        fill(tables)
        yield tables


@contextmanager
def undone(tables: Tables) -> Iterator[Tables]:
    """Inside, the tables may be changed."""
    tables.connection.begin()
    yield tables
    tables.connection.rollback()


def fill(tables: Tables) -> None:
    """Put in all of it, and a settlement between the two contracts."""
    connection = tables.connection
    _put(connection, "klines", [
        dict(zip(("open", "high", "low", "close", "volume", "quote_volume", "contract", "source"), more, strict=True))
        | {"symbol": symbol, "ts": at(ts), "open_time": at(ts - 5),
           "bad_print": "prices" if more[0] is None else "volume" if more[4] is None else None}
        for symbol, ts, *more in KLINES
    ])  # fmt: skip
    names = ("open_interest", "open_interest_value_usd", "contract", "source", "bad_print")
    _put(connection, "open_interest", [
        dict(zip(names, more, strict=True)) | {"symbol": symbol, "ts": at(ts)} for symbol, ts, *more in SNAPSHOTS
    ])  # fmt: skip
    names = ("open_interest", "contract", "entry_price", "volume", "is_interpolated")
    _put(connection, "oi_delta", [
        dict(zip(names, more, strict=True)) | {"exchange": "binance", "symbol": symbol, "ts": at(ts)}
        for symbol, ts, *more in DELTAS
    ])  # fmt: skip
    _put(connection, "position_survival", [
        dict(zip(("side", "log_survival", "tracked", "untracked"), more, strict=True))
        | {"symbol": symbol, "ts": at(ts), "liquidated": 0.0}
        for symbol, ts, *more in SURVIVAL
    ])  # fmt: skip
    names = ("side", "contracts_opened", "maintenance_margin_rate", "leverages", "liquidated_after_minutes")
    kinds = {"leverages": pa.int32(), "liquidated_after_minutes": pa.list_(pa.int32())}
    for symbol, opened_at, *more in COHORTS:
        row = pa.Table.from_pylist(
            [{"symbol": symbol, "opened_at": at(opened_at)} | dict(zip(names, more, strict=True))]
        )
        for name, kind in kinds.items():
            row = row.set_column(row.schema.get_field_index(name), name, row[name].cast(kind))
        tables.append("position_cohorts", symbol, row)
    connection.execute("INSERT INTO settlements VALUES (?, ?, ?, true, 'listed')", [SYMBOL, at(10), at(12)])


def _put(connection: duckdb.DuckDBPyConnection, table: str, rows: list[dict]) -> None:
    connection.register("by_hand", pa.Table.from_pylist(rows))
    connection.execute(f"INSERT INTO {table} BY NAME FROM by_hand")
    connection.unregister("by_hand")


def rows_of(tables: Tables, query: str, *names: str, **more: Any) -> list[tuple]:
    """Return what a named query gives: these columns of each row, instants in minutes."""
    found = tables.read(query, symbol=SYMBOL, **more).to_pylist()
    return [tuple(short(row[name]) for name in names) for row in found]


def short(value: Any) -> Any:
    return round((value - at(0)).total_seconds() / 60) if hasattr(value, "tzinfo") else value

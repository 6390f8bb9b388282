"""The tables over one open connection: read, replaced, extended. Whether a change stays is up to who opened it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from liq_pipeline.errors import NoData
from liq_pipeline.model.entries import layout
from liq_pipeline.system.storage import write_whole
from liq_pipeline.warehouse.schema import BEGINNING, FILE_TABLES, STORED_AS, STORED_TABLES, file_ddl, named_query

T = TypeVar("T")

_IS_DUCKDB_1 = duckdb.__version__.startswith("1.")


def arrow_rows(connection: duckdb.DuckDBPyConnection, text: str, parameters: dict[str, Any]) -> pa.Table:
    """Run a query with bound parameters and return its rows.

    DuckDB 1.x materialises a relation that has parameters row by row, 20 times slower than a plain result; 2.x has that
    mended, and copies plain results.
    """
    if _IS_DUCKDB_1:
        return connection.execute(text, parameters).to_arrow_table()
    return connection.sql(text, params=parameters).to_arrow_table()


def table_file(folder: Path, table: str) -> Path:
    """Return where the rows of a table that is a file lie."""
    return folder / f"{table}.parquet"


def show_files(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Let a new connection see files under the names of their tables; where there is none, an empty one."""
    connection.execute(file_ddl())
    for table in FILE_TABLES:
        file = table_file(folder, table)
        try:
            pq.read_metadata(file)
        except FileNotFoundError:
            continue
        except pa.ArrowInvalid:  # damaged: as if it had not been made; the next full run makes it
            file.unlink()
            continue
        _show(connection, folder, table)


def _show(connection: duckdb.DuckDBPyConnection, folder: Path, table: str) -> None:
    name = str(table_file(folder, table)).replace("'", "''")
    connection.execute(f"DROP TABLE {table}; CREATE TEMP VIEW {table} AS FROM read_parquet('{name}')")


class Tables:
    """The warehouse's tables over one open connection; whether what is changed stays is up to who opened it."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, files: Path) -> None:
        self.connection, self.files = connection, files
        self._made: dict[tuple[str, ...], tuple[Collection[str], Any]] = {}

    def once(self, name: tuple[str, ...], sources: Collection[str], make: Callable[[], T]) -> T:
        """Return what is made of some tables: kept until one of them changes. Nobody may change it."""
        if name not in self._made:
            self._made[name] = sources, make()
        found: T = self._made[name][1]
        return found

    def store_file(self, table: str, data: bytes) -> None:
        """Replace a table by a Parquet file with all of its rows; at once, whatever becomes of the transaction."""
        is_new = not self.file_of(table).exists()
        write_whole(self.file_of(table), data)
        if is_new:  # else the view is there, and reads what the file holds now
            _show(self.connection, self.files, table)

    def file_of(self, table: str) -> Path:
        """Return the Parquet file of a table that is one."""
        return table_file(self.files, _known(table))

    def replace(self, table: str, symbol: str, rows: pa.Table, since: datetime | None = None) -> int:
        """Replace the symbol's rows, or those at an instant and later, by these. Return how many there are now."""
        self._delete(table, symbol, since)
        return self.append(table, symbol, rows)

    def append(self, table: str, symbol: str, rows: pa.Table) -> int:
        """Add these rows of the symbol. Return how many there are now."""
        self._changes(table)
        with self._relation("new_rows", _narrow(rows) if table in STORED_AS else rows):
            self.connection.execute(f"INSERT INTO {_stored(table)} BY NAME FROM new_rows")
        return self.count(table, symbol)

    def rebuild(self, table: str, symbol: str) -> int:
        """Replace the symbol's rows by what `queries/<table>.sql` gives."""
        self._delete(table, symbol)
        return self.extend(table, symbol, BEGINNING)

    def extend(self, table: str, symbol: str, since: datetime | str) -> int:
        """Add what `queries/<table>.sql` gives after an instant. Return how many rows there are now."""
        self._changes(table)
        self.connection.execute(f"INSERT INTO {table} BY NAME {named_query(table)}", {"symbol": symbol, "since": since})
        return self.count(table, symbol)

    def end_positions(self, symbol: str, rows: pa.Table) -> None:
        """Write down when positions were liquidated: rows of opened_at, side, liquidated_after_minutes."""
        self._changes("position_cohorts")
        with self._relation("ended_rows", _narrow(rows)):
            self.connection.execute(
                "UPDATE cohorts AS c SET ends = e.ends FROM ended_rows AS e "
                "WHERE c.symbol = $symbol AND c.opened_at = e.opened_at AND c.side = e.side",
                {"symbol": symbol},
            )

    def count(self, table: str, symbol: str) -> int:
        """Return how many rows the symbol has."""
        rows = self.sql(f"SELECT count(*) AS n FROM {_stored(table)} WHERE symbol = $symbol", symbol=symbol)
        return int(rows["n"][0].as_py())

    def read(self, query: str, **parameters: Any) -> pa.Table:
        """Run `queries/<query>.sql` with bound parameters and return its rows."""
        return self.sql(named_query(query), **parameters)

    def sql(self, text: str, **parameters: Any) -> pa.Table:
        """Run a query with bound parameters and return its rows."""
        return arrow_rows(self.connection, text, parameters)

    def newest_bar(self, symbol: str) -> dict[str, Any]:
        """Return as_of and first_ts (UTC), current_price (USD) and open_interest (contracts) of a symbol.

        Raises:
            NoData: the symbol has no bar with both klines and open interest.
        """
        row = self.newest_row(symbol)
        if row["as_of"] is None:
            raise NoData(
                f"{symbol} has no bar with both klines and an open interest above zero",
                expected="at least one day on which both are recorded",
                remedy="look at the checks of open_interest and klines; widen --since",
            )
        return row

    def newest_row(self, symbol: str) -> dict[str, Any]:
        """Return the same, each None where the symbol has no such bar."""
        sources = ("oi_delta", "klines")
        row: dict[str, Any]
        (row,) = self.once(("newest bar", symbol), sources, lambda: self.read("newest_bar", symbol=symbol).to_pylist())
        return dict(row)

    def _changes(self, table: str) -> None:
        known = _known(table)
        self._made = {name: made for name, made in self._made.items() if known not in made[0]}

    @contextmanager
    def _relation(self, name: str, rows: pa.Table) -> Iterator[None]:
        self.connection.register(name, rows)
        try:
            yield
        finally:
            with suppress(duckdb.Error):  # in an aborted transaction; its own error is the one to see
                self.connection.unregister(name)

    def _delete(self, table: str, symbol: str, since: datetime | None = None) -> None:
        self._changes(table)
        parameters: dict[str, Any] = {"symbol": symbol} | ({"since": since} if since else {})
        later = " AND ts >= $since" if since else ""
        self.connection.execute(f"DELETE FROM {_stored(table)} WHERE symbol = $symbol{later}", parameters)


def _narrow(rows: pa.Table) -> pa.Table:
    """Return rows of `position_cohorts` as they are stored: the list as a column for each cell, no entry price."""
    lived = rows["liquidated_after_minutes"].combine_chunks()
    values, most = lived.flatten(), layout().place.size
    width = len(values) // len(lived) if len(lived) else most
    cells = [values.take(np.arange(cell, len(values), width)) for cell in range(width)]
    cells += [pa.nulls(len(lived), pa.int32())] * (most - width)  # of version 1 of the model
    kept = [name for name in rows.column_names if name not in ("liquidated_after_minutes", "entry_price")]
    narrow = {
        "cells": pa.repeat(pa.scalar(width, pa.int32()), len(lived)),
        "ends": pa.StructArray.from_arrays(cells, [f"c{cell + 1}" for cell in range(most)]),
    }
    return pa.table({name: rows[name] for name in kept} | narrow)


def _stored(table: str) -> str:
    return STORED_AS.get(_known(table), table)


def _known(table: str) -> str:
    if table not in (*STORED_TABLES, *FILE_TABLES):
        raise ValueError(f"{table!r} is not a table of the warehouse: {', '.join((*STORED_TABLES, *FILE_TABLES))}")
    return table

"""DuckDB behind one resource: it locks, connects, runs `sql/*.sql`, and always closes.

What belongs here: connections, tables, named queries. What does not: formulas, HTTP, published files.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import dagster as dg
import duckdb
import pyarrow as pa
from dagster_duckdb import DuckDBResource
from filelock import FileLock, Timeout

from liq_pipeline.errors import LiqError, NoData, OutOfMemory, StorageFailed, WarehouseLocked, WarehouseUnusable
from liq_pipeline.storage import writing

SQL_DIR = Path(__file__).with_name("sql")
TIMEFRAMES = ("1d", "7d", "30d", "90d")
BASE_TABLES = ("open_interest", "klines", "oi_delta", "position_cohorts", "position_survival")
LEVEL_TABLES = tuple(f"liquidation_levels_{timeframe}" for timeframe in TIMEFRAMES)
HEATMAP_TABLES = tuple(f"liquidation_heatmap_{timeframe}" for timeframe in TIMEFRAMES)
_IS_DUCKDB_1 = duckdb.__version__.startswith("1.")
BEGINNING = "-infinity"
"""As `since`: everything."""
SETTLEMENTS = "settlements"
TABLES = BASE_TABLES + LEVEL_TABLES + HEATMAP_TABLES
"""Those that are assets."""
EVERY_TABLE = (*TABLES, SETTLEMENTS)


@cache
def _ddl() -> str:
    statements = [(SQL_DIR / f"{table}.sql").read_text(encoding="utf-8") for table in (*BASE_TABLES, SETTLEMENTS)]
    for name in ("liquidation_levels", "liquidation_heatmap"):
        template = (SQL_DIR / f"{name}.sql").read_text(encoding="utf-8")
        statements += [template.replace("{timeframe}", timeframe) for timeframe in TIMEFRAMES]
    return "\n".join(statements)


@cache
def named_query(name: str) -> str:
    """Return the text of `sql/queries/<name>.sql`."""
    return (SQL_DIR / "queries" / f"{name}.sql").read_text(encoding="utf-8")


@cache
def table_schemas() -> dict[str, dg.TableSchema]:
    """Return each table's columns with type, nullability, description and unit, as `sql/*.sql` declares them."""
    with duckdb.connect(":memory:") as connection:
        connection.execute(_ddl())
        rows = connection.execute(
            "SELECT table_name, column_name, data_type, is_nullable, comment FROM duckdb_columns() "
            "WHERE NOT internal ORDER BY table_name, column_index"
        ).fetchall()
    columns: dict[str, list[dg.TableColumn]] = {}
    for table, name, kind, nullable, comment in rows:
        described = re.fullmatch(r"(?P<text>.*?)(?: \[(?P<unit>[^\]]+)\])?", comment or "")
        assert described
        columns.setdefault(table, []).append(
            dg.TableColumn(
                name=name,
                type=kind,
                description=described["text"],
                constraints=dg.TableColumnConstraints(nullable=nullable),
                tags={"unit": described["unit"]} if described["unit"] else {},
            )
        )
    return {table: dg.TableSchema(columns=columns[table]) for table in TABLES}


def _ensure_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the tables that `sql/*.sql` declares. A file made by another version starts anew: all of it is derived."""
    version = hashlib.sha256(_ddl().encode()).hexdigest()
    known = dict(connection.execute("SELECT table_name, comment FROM duckdb_tables() WHERE NOT internal").fetchall())
    if known.get("warehouse_version") == version:
        return
    connection.begin()
    for (view,) in connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall():
        connection.execute(f'DROP VIEW "{view}"')
    for table in known:
        connection.execute(f'DROP TABLE "{table}"')
    connection.execute(_ddl())
    connection.execute("CREATE TABLE warehouse_version AS SELECT $version AS version", {"version": version})
    connection.execute(f"COMMENT ON TABLE warehouse_version IS '{version}'")  # a digest: nothing to escape
    connection.commit()


def _connect(path: Path, config: dict[str, Any]) -> duckdb.DuckDBPyConnection:
    try:
        return duckdb.connect(str(path), config=config)
    except duckdb.Error as error:
        raise _typed(error, path) or WarehouseUnusable(
            f"{path} cannot be opened: {error}",
            expected="a DuckDB file of this or an older version",
            remedy=f"if the file is damaged, delete {path.parent} and run again: all of it is made from data/raw",
        ) from error


def _typed(error: duckdb.Error, path: Path) -> LiqError | None:
    """Return what an error of DuckDB means that is not about the query; None if it is."""
    said = str(error).partition("\n")[0]
    if isinstance(error, duckdb.OutOfMemoryException):
        return OutOfMemory(
            f"DuckDB needs more memory ({said})", remedy="raise LIQ_MEMORY_LIMIT, or load less (--since)"
        )
    refusals = {
        "no space left": ("the disk is full", "make room there, then run again: what was written before stays"),
        "file too large": ("the file would be larger than is allowed", "raise the limit (ulimit -f), then run again"),
        "read-only": ("the file system is read-only", "make it writable, or choose another folder (--data)"),
        "permission denied": ("no permission", "make it writable for this user, or choose another folder (--data)"),
    }
    for sign, (why, remedy) in refusals.items():
        if sign in str(error).lower():
            return StorageFailed(f"{path} cannot be written: {why} ({said})", remedy=remedy)
    return None


@contextmanager
def _typed_errors(path: Path) -> Iterator[None]:
    try:
        with writing(path):
            yield
    except (duckdb.Error, RuntimeError) as error:
        # Ctrl-C while DuckDB is at work: else it would be a failed query, and the next step would begin.
        if isinstance(error, duckdb.InterruptException) or "interrupted" in str(error).lower():
            raise KeyboardInterrupt from error
        if isinstance(error, duckdb.Error) and (found := _typed(error, path)):
            raise found from error
        raise


def arrow_rows(connection: duckdb.DuckDBPyConnection, text: str, parameters: dict[str, Any]) -> pa.Table:
    """Run a query with bound parameters and return its rows.

    DuckDB 1.x materialises a relation that has parameters row by row, 20 times slower than a plain result; 2.x has that
    mended, and copies plain results.
    """
    if _IS_DUCKDB_1:
        return connection.execute(text, parameters).to_arrow_table()
    return connection.sql(text, params=parameters).to_arrow_table()


class Reads(Protocol):
    """What reads the tables: the warehouse, which connects each time, or `Tables` over an open connection."""

    def read(self, query: str, **parameters: Any) -> pa.Table:
        """Run `queries/<query>.sql` with bound parameters and return its rows."""

    def sql(self, text: str, **parameters: Any) -> pa.Table:
        """Run a query with bound parameters and return its rows."""

    def newest_bar(self, symbol: str) -> dict[str, Any]:
        """Return as_of and first_ts (UTC), current_price (USD) and open_interest (contracts) of a symbol."""


class Tables:
    """The warehouse's tables over one open connection; whether what is changed stays is up to who opened it."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection

    def replace(self, table: str, symbol: str, rows: pa.Table, since: datetime | None = None) -> int:
        """Replace the symbol's rows, or those at an instant and later, by these. Return how many there are now."""
        self._delete(table, symbol, since)
        return self.append(table, symbol, rows)

    def append(self, table: str, symbol: str, rows: pa.Table) -> int:
        """Add these rows of the symbol. Return how many there are now."""
        _known(table)
        with self._relation("new_rows", rows):
            self.connection.execute(f"INSERT INTO {table} BY NAME FROM new_rows")
        return self.count(table, symbol)

    def rebuild(self, table: str, symbol: str) -> int:
        """Replace the symbol's rows by what `queries/<table>.sql` gives."""
        self._delete(table, symbol)
        return self.extend(table, symbol, BEGINNING)

    def extend(self, table: str, symbol: str, since: datetime | str) -> int:
        """Add what `queries/<table>.sql` gives after an instant. Return how many rows there are now."""
        _known(table)
        self.connection.execute(f"INSERT INTO {table} BY NAME {named_query(table)}", {"symbol": symbol, "since": since})
        return self.count(table, symbol)

    def end_positions(self, symbol: str, rows: pa.Table) -> None:
        """Write down when cells were liquidated: rows of opened_at, side, leverage, ended."""
        with self._relation("ended_rows", rows):
            self.connection.execute(
                "UPDATE position_cohorts AS c SET liquidated_at = e.ended FROM ended_rows AS e "
                "WHERE c.symbol = $symbol "
                "AND c.opened_at = e.opened_at AND c.side = e.side AND c.leverage = e.leverage",
                {"symbol": symbol},
            )

    def forget(self, symbol: str) -> None:
        """Remove the symbol's rows from every table."""
        for table in EVERY_TABLE:
            self._delete(table, symbol)

    def count(self, table: str, symbol: str) -> int:
        """Return how many rows the symbol has."""
        rows = self.sql(f"SELECT count(*) AS n FROM {_known(table)} WHERE symbol = $symbol", symbol=symbol)
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
        row: dict[str, Any] = self.read("newest_bar", symbol=symbol).to_pylist()[0]
        if row["as_of"] is None:
            raise NoData(
                f"{symbol} has no bar with both klines and an open interest above zero",
                expected="at least one day on which both are recorded",
                remedy="look at the checks of open_interest and klines; widen --since",
            )
        return row

    @contextmanager
    def _relation(self, name: str, rows: pa.Table) -> Iterator[None]:
        self.connection.register(name, rows)
        try:
            yield
        finally:
            with suppress(duckdb.Error):  # in an aborted transaction; its own error is the one to see
                self.connection.unregister(name)

    def _delete(self, table: str, symbol: str, since: datetime | None = None) -> None:
        parameters: dict[str, Any] = {"symbol": symbol} | ({"since": since} if since else {})
        later = " AND ts >= $since" if since else ""
        self.connection.execute(f"DELETE FROM {_known(table)} WHERE symbol = $symbol{later}", parameters)


def _known(table: str) -> str:
    if table not in EVERY_TABLE:
        raise ValueError(f"{table!r} is not a table of the warehouse: {', '.join(EVERY_TABLE)}")
    return table


class Warehouse(DuckDBResource):
    """The DuckDB file, one process at a time.

    The stock resource leaks its connection on errors and polls for the lock; this one takes a file lock, which the
    kernel releases when its process dies, and says who holds it when waiting takes too long.

    Args:
        database: path of the file; its folder is made on first use.
        lock_timeout_seconds: how long to wait for another process.
        memory_limit: DuckDB's, for example '2GB'.
    """

    lock_timeout_seconds: float = 600
    memory_limit: str = "2GB"

    @contextmanager
    def get_connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Connect, in UTC, with every table in place.

        Raises:
            WarehouseLocked: another process did not let go in time; the message names it.
            StorageFailed, OutOfMemory: the disk or the memory limit is used up, now or inside the `with`.
        """
        path = Path(self.database)
        with _typed_errors(path), self._lock(path):
            connection = _connect(
                path,
                config={
                    "custom_user_agent": "dagster",
                    "memory_limit": self.memory_limit,
                    # Extensions are linked in; looking for more would reach for the network.
                    "autoinstall_known_extensions": "false",
                    **self.connection_config,
                },
            )
            try:
                connection.execute("SET TimeZone = 'UTC'")
                _ensure_tables(connection)
                yield connection
            except BaseException:
                connection.interrupt()  # after Ctrl-C its threads would go on, and closing wait for them
                raise
            finally:
                connection.close()

    @contextmanager
    def _lock(self, path: Path) -> Iterator[None]:
        path.parent.mkdir(parents=True, exist_ok=True)
        holder = path.with_suffix(".holder.json")
        lock = FileLock(path.with_suffix(".lock"))
        try:
            lock.acquire(timeout=self.lock_timeout_seconds)
        except Timeout:
            who = holder.read_text(encoding="utf-8") if holder.exists() else "unknown"
            raise WarehouseLocked(
                f"{path} has been locked for {self.lock_timeout_seconds:g} s by {who}",
                expected="another run to finish within the time-out",
                remedy="wait for that process or stop it, or raise LIQ_LOCK_TIMEOUT_SECONDS",
            ) from None
        try:
            holder.write_text(json.dumps({"pid": os.getpid(), "command": " ".join(sys.argv)[:200]}), encoding="utf-8")
            yield
        finally:
            lock.release()

    @contextmanager
    def transaction(self) -> Iterator[Tables]:
        """Connect, and make all changes or none."""
        with self.get_connection() as connection:
            connection.begin()
            try:
                yield Tables(connection)
                connection.commit()
            except BaseException:
                connection.interrupt()  # as above; then closing undoes what was begun
                with suppress(duckdb.Error):  # a full disk ends the transaction by itself; its error is the one to see
                    connection.rollback()
                raise

    def replace(self, table: str, symbol: str, rows: pa.Table) -> int:
        """Replace the symbol's rows by these, in one transaction. Return how many there are now."""
        with self.transaction() as tables:
            return tables.replace(table, symbol, rows)

    def rebuild(self, table: str, symbol: str) -> int:
        """Replace the symbol's rows by what `queries/<table>.sql` gives, in one transaction."""
        with self.transaction() as tables:
            return tables.rebuild(table, symbol)

    def read(self, query: str, **parameters: Any) -> pa.Table:
        """Run `queries/<query>.sql` with bound parameters and return its rows."""
        return self.sql(named_query(query), **parameters)

    def sql(self, text: str, **parameters: Any) -> pa.Table:
        """Run a query with bound parameters and return its rows."""
        with self.get_connection() as connection:
            return Tables(connection).sql(text, **parameters)

    def newest_bar(self, symbol: str) -> dict[str, Any]:
        """Return as_of and first_ts (UTC), current_price (USD) and open_interest (contracts) of a symbol.

        Raises:
            NoData: the symbol has no bar with both klines and open interest.
        """
        with self.get_connection() as connection:
            return Tables(connection).newest_bar(symbol)

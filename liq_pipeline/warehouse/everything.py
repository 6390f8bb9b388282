"""All symbols at once, for people who look around: views over every symbol's file; nothing here can change them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from liq_pipeline.errors import LiqError, NoData
from liq_pipeline.warehouse.schema import FILE_TABLES


def answer(folder: Path, query: str, *, as_csv: bool) -> tuple[str, list[str]]:
    """Return what a query gives, as a table for people or as CSV, and the symbols that were left out.

    Raises:
        NoData: as `every_symbol`.
        LiqError: the query is wrong, or would change something; in DuckDB's words.
    """
    with every_symbol(folder) as (connection, busy):
        try:
            rows = connection.sql(query)
            if rows is None:
                return "", busy
            return (rows.df().to_csv(index=False) if as_csv else str(rows)), busy
        except duckdb.Error as error:
            raise LiqError(
                str(error).strip(),
                remedy="see the tables with: liq sql 'SHOW TABLES', and columns with: liq sql 'DESCRIBE klines'",
            ) from error


@contextmanager
def every_symbol(folder: Path) -> Iterator[tuple[duckdb.DuckDBPyConnection, list[str]]]:
    """Yield a connection whose views hold the rows of every symbol, in UTC, and the symbols that are being written.

    Those are left out: DuckDB lets nobody read a file that another process writes.

    Args:
        folder: of the symbols' files, `data/warehouse`.

    Raises:
        NoData: there is no file, or all are being written.
    """
    attached: dict[str, Path] = {}
    busy: list[str] = []
    with duckdb.connect(":memory:", config={"autoinstall_known_extensions": "false"}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for path in sorted(folder.glob("*.duckdb")):
            try:
                connection.execute(f"ATTACH {_text(str(path))} AS {_name(path.stem)} (READ_ONLY)")
                attached[path.stem] = path
            except duckdb.IOException:
                busy.append(path.stem)
        if not attached:
            raise NoData(
                f"{folder} has no tables that can be read" + (f": runs write {', '.join(busy)}" if busy else ""),
                expected="tables that `liq run` filled",
                remedy="wait for the run" if busy else "liq run, or name the folder with --data",
            )
        for name, symbols in _names(connection, list(attached)).items():
            rows = " UNION ALL BY NAME ".join(f"FROM {_name(symbol)}.main.{_name(name)}" for symbol in symbols)
            connection.execute(f"CREATE VIEW {_name(name)} AS {rows}")
        for table in FILE_TABLES:
            files = [file for path in attached.values() if (file := path.with_suffix("") / f"{table}.parquet").exists()]
            if files:
                listed = ", ".join(_text(str(file)) for file in files)
                connection.execute(f"CREATE VIEW {table} AS FROM read_parquet([{listed}])")
        yield connection, busy


def remove_file_of_all(folder: Path) -> bool:
    """Remove the one file that an older version kept all symbols in, and tell whether there was one.

    All of it can be made again.
    """
    old = folder / "liq.duckdb"
    if not old.exists():
        return False
    for path in (old, *(old.with_suffix(suffix) for suffix in (".duckdb.wal", ".lock", ".holder.json"))):
        path.unlink(missing_ok=True)
    return True


def _names(connection: duckdb.DuckDBPyConnection, symbols: list[str]) -> dict[str, list[str]]:
    """Return the tables and views, each with the symbols whose files have it."""
    rows = connection.execute(
        "SELECT table_name, database_name FROM duckdb_tables() "
        "WHERE NOT internal AND table_name <> 'warehouse_version' "
        "UNION ALL SELECT view_name, database_name FROM duckdb_views() WHERE NOT internal ORDER BY ALL"
    ).fetchall()
    found: dict[str, list[str]] = {}
    for name, database in rows:
        if database in symbols:
            found.setdefault(name, []).append(database)
    return found


def _name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"

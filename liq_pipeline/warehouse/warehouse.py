"""The DuckDB files, one for each symbol: each locks, connects, makes its tables, and always closes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import duckdb
from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, PrivateAttr

from liq_pipeline.errors import LiqError, OutOfMemory, StorageFailed, WarehouseLocked, WarehouseUnusable
from liq_pipeline.system.storage import writing
from liq_pipeline.warehouse.schema import ddl
from liq_pipeline.warehouse.tables import Tables, show_files

SYMBOL = "{symbol}"
FORMAT = {"storage_compatibility_version": "v1.5.0", "default_block_size": "65536"}
"""Of new files. Both of DuckDB's defaults (what DuckDB 1.0 reads; 262,144 bytes) take a third more."""

FEWEST_FREE_BLOCKS = 32
"""Below that, 2 MB, a file is left as it is."""


def _is_of_another_version(connection: duckdb.DuckDBPyConnection) -> bool:
    known = dict(connection.execute("SELECT table_name, comment FROM duckdb_tables() WHERE NOT internal").fetchall())
    return bool(known) and known.get("warehouse_version") != _version()


def _version() -> str:
    return hashlib.sha256((ddl() + str(FORMAT)).encode()).hexdigest()


def _ensure_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the tables that `sql/*.sql` declares in a new file."""
    known = connection.execute("SELECT count(*) FROM duckdb_tables() WHERE NOT internal").fetchone()
    if known and known[0]:
        return
    connection.begin()
    connection.execute(ddl())
    connection.execute("CREATE TABLE warehouse_version AS SELECT $version AS version", {"version": _version()})
    connection.execute(f"COMMENT ON TABLE warehouse_version IS '{_version()}'")  # a digest: nothing to escape
    connection.commit()


def _written_without_gaps(connection: duckdb.DuckDBPyConnection, path: Path) -> bool:
    """Write what a connection's file holds to another one, if more than a third of it is free; tell whether it was.

    What is replaced leaves free blocks: every other full run would double the file. Where there is no room for both
    files, the old one stays.
    """
    name = str(path).replace("'", "''")
    version, size = FORMAT["storage_compatibility_version"], FORMAT["default_block_size"]
    try:
        connection.execute("CHECKPOINT")
        found = connection.execute("SELECT database_name, used_blocks, free_blocks FROM pragma_database_size()")
        database, used, free = found.fetchall()[0]
        is_sparse = free > max(used / 2, FEWEST_FREE_BLOCKS)
        if is_sparse:
            connection.execute(f"ATTACH '{name}' AS fresh (STORAGE_VERSION '{version}', BLOCK_SIZE {size})")
            connection.execute(f'COPY FROM DATABASE "{database}" TO fresh; DETACH fresh')
    except duckdb.Error:
        return False
    return is_sparse


def _connect(path: Path, config: dict[str, Any]) -> duckdb.DuckDBPyConnection:
    try:
        return duckdb.connect(str(path), config=config)
    except duckdb.Error as error:
        raise _typed(error, path) or WarehouseUnusable(
            f"{path} cannot be opened: {error}",
            expected="a DuckDB file of this or an older version",
            remedy=f"if the file is damaged, delete {path} and run again: all of it is made from data/raw",
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


class Warehouse(BaseModel):
    """The DuckDB files, one for each symbol, each for one process at a time.

    A file lock, which the kernel releases when its process dies, keeps others out; who waits too long is told who holds
    it. Work on one symbol never waits for work on another.

    Args:
        database: path of a file, where `{symbol}` stands for the symbol; its folder is made on first use.
        lock_timeout_seconds: how long to wait for another process.
        memory_limit: DuckDB's, for example '2GB'.
    """

    model_config = ConfigDict(frozen=True)

    database: str
    lock_timeout_seconds: float = 600
    memory_limit: str = "2GB"

    _keeps: bool = PrivateAttr(False)
    _kept: dict[Path, tuple[ExitStack, Tables]] = PrivateAttr(default_factory=dict)
    _replaced: set[Path] = PrivateAttr(default_factory=set)

    def file_of(self, symbol: str) -> Path:
        """Return the file of a symbol."""
        path = Path(self.database)
        return path.with_name(path.name.replace(SYMBOL, symbol))

    def was_replaced(self, symbol: str) -> bool:
        """Tell whether a file of another version was found here, and an empty one put in its place."""
        return self.file_of(symbol) in self._replaced

    @contextmanager
    def kept_open(self) -> Iterator[None]:
        """Inside, the file that was used last stays open and locked: opening and closing cost more than a query."""
        self._keeps = True
        try:
            yield
        finally:
            self._keeps = False
            self._let_go()

    @contextmanager
    def get_connection(self, symbol: str) -> Iterator[duckdb.DuckDBPyConnection]:
        """Connect to the file of a symbol, as `opened`: what `dagster-duckdb` gives."""
        with self.opened(symbol) as tables:
            yield tables.connection

    @contextmanager
    def opened(self, symbol: str) -> Iterator[Tables]:
        """Connect to the file of a symbol, in UTC, with every table in place.

        Raises:
            WarehouseLocked: another process did not let go in time; the message names it.
            StorageFailed, OutOfMemory: the disk or the memory limit is used up, now or inside the `with`.
        """
        path = self.file_of(symbol)
        with _typed_errors(path):
            if path not in self._kept:
                self._let_go()
                with ExitStack() as stack:
                    connection = stack.enter_context(self._connected(path))
                    self._kept[path] = stack.pop_all(), Tables(connection, path.with_suffix(""))
            try:
                yield self._kept[path][1]
            except BaseException as error:
                self._let_go(error)
                raise
            if not self._keeps:
                self._let_go()

    def _let_go(self, error: BaseException | None = None) -> None:
        for path in list(self._kept):
            stack, _ = self._kept.pop(path)
            stack.__exit__(type(error) if error else None, error, error.__traceback__ if error else None)

    @contextmanager
    def _connected(self, path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
        fresh = path.with_suffix(".fresh")
        with self._lock(path):
            for left in (fresh, fresh.with_suffix(".fresh.wal")):  # by a process that was killed
                left.unlink(missing_ok=True)
            config = {
                "custom_user_agent": "dagster",
                "memory_limit": self.memory_limit,
                "threads": 1,  # more cost more in all; other cores work on other symbols
                # Extensions are linked in; looking for more would reach for the network.
                "autoinstall_known_extensions": "false",
                **FORMAT,
            }
            connection = _connect(path, config)
            if _is_of_another_version(connection):  # all of it is derived, and an emptied file would keep its size
                connection.close()
                for old in (path, path.with_suffix(".duckdb.wal")):
                    old.unlink(missing_ok=True)
                connection = _connect(path, config)
                self._replaced.add(path)
            try:
                connection.execute("SET TimeZone = 'UTC'")
                _ensure_tables(connection)
                show_files(connection, path.with_suffix(""))
                yield connection
                is_written = _written_without_gaps(connection, fresh)
            except BaseException:
                connection.interrupt()  # after Ctrl-C its threads would go on, and closing wait for them
                raise
            finally:
                connection.close()
            if is_written:
                fresh.replace(path)
            else:
                fresh.unlink(missing_ok=True)  # half of it, on a disk that is full

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

    def remove(self, symbol: str) -> None:
        """Remove the file of a symbol; all of it can be made again."""
        path = self.file_of(symbol)
        with self._lock(path):
            for leftover in (
                path,
                path.with_suffix(".duckdb.wal"),
                path.with_suffix(".fresh"),
                path.with_suffix(".holder.json"),
                path.with_suffix(".lock"),
            ):
                leftover.unlink(missing_ok=True)
            shutil.rmtree(path.with_suffix(""), ignore_errors=True)

    @contextmanager
    def transaction(self, symbol: str) -> Iterator[Tables]:
        """Connect to the file of a symbol, and make all changes or none."""
        with self.opened(symbol) as tables:
            tables.connection.begin()
            try:
                yield tables
                tables.connection.commit()
            except BaseException:
                tables.connection.interrupt()  # as above; then closing undoes what was begun
                with suppress(duckdb.Error):  # a full disk ends the transaction by itself; its error is the one to see
                    tables.connection.rollback()
                raise

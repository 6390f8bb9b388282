"""Dagster's SQLite event log, the same files and tables, through connections that stay open.

Dagster makes an engine and a connection for every access, and waits for the disk at every commit: 1,200 times for one
symbol, a fifth of the CPU time of a run. Here each file has one connection. Commits go to the operating system at once,
so a process that is killed loses none and every reader sees them; they are not flushed to the disk one by one
(SQLite's WAL with synchronous=NORMAL): only a power cut can cost the last of them, never the file.
"""

from __future__ import annotations

import os
import sqlite3
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from dagster import StringSource
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME
from dagster._core.storage.sqlite import create_db_conn_string
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool

BUSY_SECONDS = 30  # as Dagster's own
OPEN_FILES = 8  # the index, and the runs that were used last


class EventLog(SqliteEventLogStorage):
    """The event log of a Dagster home.

    Args:
        base_dir: folder of the files, `<home>/history/runs`.
        inst_data: how Dagster's configuration names it.
    """

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._connections: OrderedDict[str, Connection] = OrderedDict()
        self._tables: set[str] = set()
        self._empty = b""  # a run's file without an event
        super().__init__(base_dir, inst_data)

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """Return what `dagster.yaml` says of it."""
        return {"home": StringSource}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Self:
        """Return the event log of a home."""
        return cls(str(Path(config_value["home"]) / "history" / "runs"), inst_data)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            connection = self._opened(shard)
            try:
                with connection.begin():
                    yield connection
            except BaseException:
                self._close(shard)  # whatever state it is in, the next access begins anew
                raise

    def _opened(self, shard: str) -> Connection:
        if shard in self._initialized_dbs and not Path(self.path_for_shard(shard)).exists():
            self._close(shard)  # its run was forgotten, or somebody removed the file
            self._initialized_dbs.discard(shard)
        if shard not in self._connections:
            engine = create_engine(
                create_db_conn_string(self._base_dir, shard),
                poolclass=StaticPool,
                connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
            )
            event.listen(engine, "connect", _without_flushing_each_commit)
            if shard not in self._initialized_dbs:
                self._make(shard, engine)
                self._initialized_dbs.add(shard)
            self._connections[shard] = engine.connect()
        self._connections.move_to_end(shard)
        while len(self._connections) > OPEN_FILES:
            self._close(next(iter(self._connections)))
        return self._connections[shard]

    def _make(self, shard: str, engine: Engine) -> None:
        """Make the tables of a file, where it has none; a further run's as a copy of the first one's, still empty.

        Dagster reads all of its 89 migrations for each file, to note down the newest: as long as ten events take.
        """
        file = Path(self.path_for_shard(shard))
        is_new = shard != INDEX_SHARD_NAME and not file.exists()
        if is_new and self._empty:
            copy = file.with_suffix(f".{os.getpid()}.new")
            copy.write_bytes(self._empty)
            with suppress(FileExistsError):  # another process made it at the same moment: looked at below
                os.link(copy, file)
                is_new = False
            copy.unlink()
            if not is_new:
                return
        self._initdb(engine)
        if is_new and not self._empty:
            with engine.connect() as connection:
                driver = connection.connection.driver_connection
                assert isinstance(driver, sqlite3.Connection)
                if not connection.execute(text("SELECT count(*) FROM event_logs")).scalar_one():
                    self._empty = driver.serialize()

    def _close(self, shard: str) -> None:
        connection = self._connections.pop(shard, None)
        if connection is not None:
            with suppress(SQLAlchemyError):
                connection.close()
            connection.engine.dispose()

    def has_table(self, table_name: str) -> bool:
        """Tell whether the index has a table; it is never taken away."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def dispose(self) -> None:
        """Close all."""
        super().dispose()
        with self._db_lock:
            for shard in list(self._connections):
                self._close(shard)


def _without_flushing_each_commit(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA synchronous = NORMAL")

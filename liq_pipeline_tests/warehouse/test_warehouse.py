"""One DuckDB file, one process at a time, whole or not at all."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from liq_pipeline.errors import NoData, WarehouseLocked, WarehouseUnusable
from liq_pipeline.warehouse import warehouse as module
from liq_pipeline.warehouse.warehouse import LEVEL_TABLES, TABLES, Warehouse, table_schemas

# Columns whose numbers or instants mean nothing without a unit; all others are names, flags and counts.
UNITLESS = {
    "symbol", "timeframe", "side", "source", "is_interpolated", "trade_count", "file_date", "contract",
}  # fmt: skip


@contextmanager
def _another_process_holding(path: Path) -> Iterator[subprocess.Popen[str]]:
    code = (
        "import sys, time\n"
        "from liq_pipeline.warehouse.warehouse import Warehouse\n"
        f"with Warehouse(database={str(path)!r}).get_connection():\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.readline()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


class TestTables:
    @pytest.mark.parametrize("table", TABLES)
    def test_every_table_says_what_it_holds(self, table: str, empty: Warehouse) -> None:
        (comment,) = empty.sql("SELECT comment FROM duckdb_tables() WHERE table_name = $t", t=table)["comment"]

        assert comment.as_py()

    @pytest.mark.parametrize("table", TABLES)
    def test_every_column_has_a_description_and_where_it_measures_something_a_unit(self, table: str) -> None:
        for column in table_schemas()[table].columns:
            assert column.description, column.name
            assert ("unit" in column.tags) != (column.name in UNITLESS), column.name

    def test_every_table_is_keyed_by_symbol(self) -> None:
        for table in TABLES:
            symbol, *_ = table_schemas()[table].columns
            assert (symbol.name, symbol.constraints.nullable) == ("symbol", False)

    def test_the_four_timeframes_have_the_same_columns(self) -> None:
        names = [[column.name for column in table_schemas()[table].columns] for table in LEVEL_TABLES]

        assert all(other == names[0] for other in names)

    def test_a_file_made_by_another_version_starts_anew(self, warehouse: Warehouse, monkeypatch) -> None:
        other = module._ddl() + "\nCREATE TABLE invented (x INTEGER);"
        monkeypatch.setattr(module, "_ddl", lambda: other)

        assert warehouse.sql("SELECT count(*) AS n FROM klines")["n"].to_pylist() == [0]
        assert warehouse.sql("SELECT count(*) AS n FROM invented")["n"].to_pylist() == [0]

    def test_a_file_of_this_version_keeps_its_rows(self, warehouse: Warehouse) -> None:
        first = warehouse.sql("SELECT count(*) AS n FROM klines")

        assert first["n"][0].as_py() == 2880
        assert warehouse.sql("SELECT count(*) AS n FROM klines") == first


class TestConnection:
    def test_it_is_closed_after_use(self, empty: Warehouse) -> None:
        with empty.get_connection() as connection:
            pass

        with pytest.raises(duckdb.ConnectionException):
            connection.execute("SELECT 1")

    def test_it_is_closed_and_the_lock_free_after_an_error(self, empty: Warehouse) -> None:
        with pytest.raises(ZeroDivisionError), empty.get_connection() as connection:
            raise ZeroDivisionError

        with pytest.raises(duckdb.ConnectionException):
            connection.execute("SELECT 1")
        assert empty.sql("SELECT 1 AS one")["one"].to_pylist() == [1]

    def test_the_lock_is_free_after_a_connection_that_could_not_be_made(self, empty: Warehouse) -> None:
        Path(empty.database).parent.mkdir()
        Path(empty.database).write_bytes(b"not a database" * 1000)
        for _ in range(2):  # a lock that leaked would make the second attempt wait, and say so
            with (
                pytest.raises(WarehouseUnusable, match=r"To do: .*delete"),
                empty.get_connection(),
            ):
                pass

    def test_instants_are_utc_whatever_the_host_thinks(self, empty: Warehouse, monkeypatch) -> None:
        monkeypatch.setenv("TZ", "America/New_York")
        time.tzset()
        try:
            table = empty.sql("SELECT TIMESTAMPTZ '2026-06-01 00:00:00+00' AS ts, current_setting('TimeZone') AS zone")
        finally:
            monkeypatch.undo()
            time.tzset()

        assert table["zone"].to_pylist() == ["UTC"]
        assert table.schema.field("ts").type == pa.timestamp("us", "UTC")
        assert table["ts"][0].as_py() == datetime(2026, 6, 1, tzinfo=UTC)

    def test_values_are_bound_never_formatted(self, empty: Warehouse) -> None:
        nasty = "'; DROP TABLE klines; --"

        assert empty.sql("SELECT $v AS v", v=nasty)["v"].to_pylist() == [nasty]


class TestLock:
    def test_a_second_process_waits_until_the_first_is_done(self, empty: Warehouse) -> None:
        with _another_process_holding(Path(empty.database)) as holder:
            assert holder.stdin
            started = time.monotonic()
            threading.Timer(0.5, holder.kill).start()
            empty.sql("SELECT 1 AS one")
            waited = time.monotonic() - started

        assert 0.4 < waited < 60

    def test_a_time_out_names_the_holder_and_what_to_do(self, empty: Warehouse) -> None:
        impatient = Warehouse(database=empty.database, lock_timeout_seconds=0.2)

        with _another_process_holding(Path(empty.database)) as holder, pytest.raises(WarehouseLocked) as caught:
            impatient.sql("SELECT 1")

        assert f'"pid": {holder.pid}' in str(caught.value)
        assert "LIQ_LOCK_TIMEOUT_SECONDS" in str(caught.value)
        assert "0.2 s" in str(caught.value)

    def test_the_lock_dies_with_its_process(self, empty: Warehouse) -> None:
        with _another_process_holding(Path(empty.database)) as holder:
            holder.send_signal(signal.SIGKILL)
            holder.wait()
            started = time.monotonic()
            empty.sql("SELECT 1")

        assert time.monotonic() - started < 2

    def test_the_holder_is_written_down_while_the_lock_is_held(self, empty: Warehouse) -> None:
        with empty.get_connection():
            holder = json.loads(Path(empty.database).with_suffix(".holder.json").read_text())

        assert set(holder) == {"pid", "command"}


class TestReplace:
    def _bars(self, count: int, symbol: str = "BTCUSDT") -> pa.Table:
        first = datetime(2026, 6, 1, tzinfo=UTC)
        closed = [first + timedelta(minutes=5 * (n + 1)) for n in range(count)]
        prices = {name: [100.0] * count for name in ("open", "high", "low", "close", "volume", "quote_volume")}
        return pa.table(
            {
                "symbol": [symbol] * count,
                "ts": pa.array(closed, pa.timestamp("us", "UTC")),
                "open_time": pa.array([ts - timedelta(minutes=5) for ts in closed], pa.timestamp("us", "UTC")),
                **prices,
                "source": ["test"] * count,
            }
        )

    def _count(self, warehouse: Warehouse, symbol: str = "BTCUSDT") -> int:
        return warehouse.sql("SELECT count(*) AS n FROM klines WHERE symbol = $s", s=symbol)["n"][0].as_py()

    def test_twice_gives_what_once_gives(self, empty: Warehouse) -> None:
        assert empty.replace("klines", "BTCUSDT", self._bars(3)) == 3
        assert empty.replace("klines", "BTCUSDT", self._bars(3)) == 3
        assert self._count(empty) == 3

    def test_old_rows_are_gone(self, empty: Warehouse) -> None:
        empty.replace("klines", "BTCUSDT", self._bars(3))

        assert empty.replace("klines", "BTCUSDT", self._bars(1)) == 1

    def test_other_symbols_are_left_alone(self, empty: Warehouse) -> None:
        empty.replace("klines", "ETHUSDT", self._bars(2, "ETHUSDT"))
        empty.replace("klines", "BTCUSDT", self._bars(3))

        assert self._count(empty, "ETHUSDT") == 2

    def test_a_failure_in_the_middle_leaves_the_old_rows(self, empty: Warehouse) -> None:
        empty.replace("klines", "BTCUSDT", self._bars(3))
        bad = self._bars(2).drop_columns(["close"])  # the column must not be null: the insert fails after the delete

        with pytest.raises(duckdb.ConstraintException):
            empty.replace("klines", "BTCUSDT", bad)

        assert self._count(empty) == 3

    def test_columns_are_matched_by_name_not_by_place(self, empty: Warehouse) -> None:
        bars = self._bars(1)
        empty.replace("klines", "BTCUSDT", bars.select(list(reversed(bars.column_names))))

        assert empty.sql("SELECT close, source FROM klines").to_pylist() == [{"close": 100.0, "source": "test"}]

    def test_an_unknown_table_is_refused(self, empty: Warehouse) -> None:
        with pytest.raises(ValueError, match="'users' is not a table of the warehouse"):
            empty.replace("users", "BTCUSDT", self._bars(1))


def test_a_symbol_without_a_bar_has_no_newest_bar_and_the_error_says_what_to_do(empty: Warehouse) -> None:
    with pytest.raises(NoData, match=r"BTCUSDT has no bar with both klines and an open.*To do: .*widen --since"):
        empty.newest_bar("BTCUSDT")


class TestQuarterHours:
    def test_three_bars_make_one(self, book) -> None:
        book.fill([100] * 6, volumes=[1, 2, 3, 4, 5, 6])

        rows = book.warehouse.sql("SELECT * FROM klines_15m ORDER BY ts").to_pylist()

        assert [f"{row['open_time']:%H:%M}-{row['ts']:%H:%M}" for row in rows] == ["00:00-00:15", "00:15-00:30"]
        assert [row["volume"] for row in rows] == [6, 15]
        assert {(row["open"], row["high"], row["low"], row["close"]) for row in rows} == {(100, 102, 99, 101)}

    def test_open_and_close_are_those_of_the_first_and_the_last_bar(self, book) -> None:
        book.fill([100] * 3)
        with book.warehouse.get_connection() as connection:
            connection.execute("UPDATE klines SET open = minute(open_time), close = minute(ts)")

        (row,) = book.warehouse.sql("SELECT open, close FROM klines_15m").to_pylist()

        assert row == {"open": 0, "close": 15}

    def test_a_quarter_hour_with_a_missing_bar_is_left_out(self, book) -> None:
        book.fill([100] * 6, missing_bars=[4])

        rows = book.warehouse.sql("SELECT ts FROM klines_15m").to_pylist()

        assert [f"{row['ts']:%H:%M}" for row in rows] == ["00:15"]

    def test_bars_of_fifteen_minutes_are_themselves(self, book) -> None:
        book.fill([100])
        with book.warehouse.get_connection() as connection:
            connection.execute("UPDATE klines SET ts = open_time + INTERVAL 15 MINUTE")

        assert book.warehouse.sql("SELECT close FROM klines_15m").to_pylist() == [{"close": 101}]

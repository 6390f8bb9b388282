"""One DuckDB file, one process at a time, whole or not at all."""

from __future__ import annotations

import json
import signal
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from liq_pipeline.errors import NoData, WarehouseLocked, WarehouseUnusable
from liq_pipeline.published.publish import parquet_bytes
from liq_pipeline.published.schemas import HEATMAP_SCHEMA
from liq_pipeline.warehouse import warehouse as module
from liq_pipeline.warehouse.schema import FILE_TABLES, LEVEL_TABLES, TABLES, table_columns
from liq_pipeline.warehouse.warehouse import Warehouse
from liq_pipeline_tests.once import another_process_holding, once

# Columns whose numbers or instants mean nothing without a unit; all others are names, flags and counts.
UNITLESS = {
    "exchange", "symbol", "timeframe", "side", "source", "is_interpolated", "trade_count", "file_date", "contract",
}  # fmt: skip


class TestTables:
    @pytest.mark.parametrize("table", TABLES)
    def test_every_table_says_what_it_holds(self, table: str, empty: Warehouse) -> None:
        (comment,) = once(empty).sql(
            "SELECT comment FROM duckdb_tables() WHERE table_name = $t "
            "UNION ALL SELECT comment FROM duckdb_views() WHERE view_name = $t",
            t=table,
        )["comment"]

        assert comment.as_py()

    @pytest.mark.parametrize("table", TABLES)
    def test_every_column_has_a_description_and_where_it_measures_something_a_unit(self, table: str) -> None:
        for column in table_columns()[table]:
            assert column.description, column.name
            assert bool(column.unit) != (column.name in UNITLESS), column.name

    def test_every_table_is_keyed_by_symbol_and_those_that_are_published_by_exchange_before(self) -> None:
        for table in TABLES:
            keys = [column for column in table_columns()[table][:2] if column.name in ("exchange", "symbol")]
            is_published = table in ("oi_delta", *LEVEL_TABLES, *FILE_TABLES)
            assert [key.name for key in keys] == (["exchange", "symbol"] if is_published else ["symbol"])
            assert not any(key.nullable for key in keys)

    def test_the_four_timeframes_have_the_same_columns(self) -> None:
        names = [[column.name for column in table_columns()[table]] for table in LEVEL_TABLES]

        assert all(other == names[0] for other in names)

    def test_a_file_made_by_another_version_starts_anew(self, warehouse: Warehouse, monkeypatch) -> None:
        other = module.ddl() + "\nCREATE TABLE invented (x INTEGER);"
        monkeypatch.setattr(module, "ddl", lambda: other)

        assert once(warehouse).sql("SELECT count(*) AS n FROM klines")["n"].to_pylist() == [0]
        assert once(warehouse).sql("SELECT count(*) AS n FROM invented")["n"].to_pylist() == [0]
        assert warehouse.was_replaced("BTCUSDT")

    def test_a_file_of_this_version_keeps_its_rows(self, warehouse: Warehouse) -> None:
        first = once(warehouse).sql("SELECT count(*) AS n FROM klines")

        assert first["n"][0].as_py() == 2880
        assert once(warehouse).sql("SELECT count(*) AS n FROM klines") == first
        assert not warehouse.was_replaced("BTCUSDT")


class TestConnection:
    def test_it_is_closed_after_use(self, empty: Warehouse) -> None:
        with empty.get_connection("BTCUSDT") as connection:
            pass

        with pytest.raises(duckdb.ConnectionException):
            connection.execute("SELECT 1")

    def test_it_is_closed_and_the_lock_free_after_an_error(self, empty: Warehouse) -> None:
        with pytest.raises(ZeroDivisionError), empty.get_connection("BTCUSDT") as connection:
            raise ZeroDivisionError

        with pytest.raises(duckdb.ConnectionException):
            connection.execute("SELECT 1")
        assert once(empty).sql("SELECT 1 AS one")["one"].to_pylist() == [1]

    def test_the_lock_is_free_after_a_connection_that_could_not_be_made(self, empty: Warehouse) -> None:
        Path(empty.database).parent.mkdir()
        Path(empty.database).write_bytes(b"not a database" * 1000)
        for _ in range(2):  # a lock that leaked would make the second attempt wait, and say so
            with (
                pytest.raises(WarehouseUnusable, match=r"To do: .*delete"),
                empty.get_connection("BTCUSDT"),
            ):
                pass

    def test_instants_are_utc_whatever_the_host_thinks(self, empty: Warehouse, monkeypatch) -> None:
        monkeypatch.setenv("TZ", "America/New_York")
        time.tzset()
        try:
            table = once(empty).sql(
                "SELECT TIMESTAMPTZ '2026-06-01 00:00:00+00' AS ts, current_setting('TimeZone') AS zone"
            )
        finally:
            monkeypatch.undo()
            time.tzset()

        assert table["zone"].to_pylist() == ["UTC"]
        assert table.schema.field("ts").type == pa.timestamp("us", "UTC")
        assert table["ts"][0].as_py() == datetime(2026, 6, 1, tzinfo=UTC)

    def test_values_are_bound_never_formatted(self, empty: Warehouse) -> None:
        nasty = "'; DROP TABLE klines; --"

        assert once(empty).sql("SELECT $v AS v", v=nasty)["v"].to_pylist() == [nasty]


class TestLock:
    def test_a_second_process_waits_until_the_first_is_done(self, empty: Warehouse) -> None:
        with another_process_holding(Path(empty.database)) as holder:
            assert holder.stdin
            started = time.monotonic()
            threading.Timer(0.5, holder.kill).start()
            once(empty).sql("SELECT 1 AS one")
            waited = time.monotonic() - started

        assert 0.4 < waited < 60

    def test_a_time_out_names_the_holder_and_what_to_do(self, empty: Warehouse) -> None:
        impatient = Warehouse(database=empty.database, lock_timeout_seconds=0.2)

        with another_process_holding(Path(empty.database)) as holder, pytest.raises(WarehouseLocked) as caught:
            once(impatient).sql("SELECT 1")

        assert f'"pid": {holder.pid}' in str(caught.value)
        assert "LIQ_LOCK_TIMEOUT_SECONDS" in str(caught.value)
        assert "0.2 s" in str(caught.value)

    def test_the_lock_dies_with_its_process(self, empty: Warehouse) -> None:
        with another_process_holding(Path(empty.database)) as holder:
            holder.send_signal(signal.SIGKILL)
            holder.wait()
            started = time.monotonic()
            once(empty).sql("SELECT 1")

        assert time.monotonic() - started < 2

    def test_the_holder_is_written_down_while_the_lock_is_held(self, empty: Warehouse) -> None:
        with empty.get_connection("BTCUSDT"):
            holder = json.loads(Path(empty.database).with_suffix(".holder.json").read_text())

        assert set(holder) == {"pid", "command"}


class TestFilesOfSymbols:
    @pytest.fixture
    def by_symbol(self, tmp_path: Path) -> Warehouse:
        return Warehouse(database=str(tmp_path / "warehouse" / "{symbol}.duckdb"), lock_timeout_seconds=0.2)

    def test_each_symbol_has_its_own_and_work_on_one_does_not_wait_for_another(self, by_symbol: Warehouse) -> None:
        with another_process_holding(by_symbol.file_of("BTCUSDT")):
            assert once(by_symbol, "ETHUSDT").sql("SELECT 1 AS one")["one"].to_pylist() == [1]
            with pytest.raises(WarehouseLocked, match=r"BTCUSDT\.duckdb has been locked"):
                once(by_symbol).sql("SELECT 1")

        assert by_symbol.file_of("ETHUSDT").exists()

    def test_a_damaged_file_costs_one_symbol(self, by_symbol: Warehouse) -> None:
        by_symbol.file_of("BTCUSDT").parent.mkdir()
        by_symbol.file_of("BTCUSDT").write_bytes(b"not a database" * 1000)

        with pytest.raises(WarehouseUnusable, match=r"delete \S*BTCUSDT\.duckdb and run again"):
            once(by_symbol).sql("SELECT 1")
        assert once(by_symbol, "ETHUSDT").sql("SELECT 1 AS one").num_rows == 1

    def test_a_connection_has_one_thread_since_other_cores_work_on_other_symbols(self, by_symbol: Warehouse) -> None:
        assert once(by_symbol).sql("SELECT current_setting('threads') AS n")["n"].to_pylist() == [1]

    def test_inside_kept_open_one_connection_serves_all_transactions_of_a_symbol(self, by_symbol: Warehouse) -> None:
        with by_symbol.kept_open():
            with by_symbol.transaction("BTCUSDT") as first:
                first.connection.execute("CREATE TEMP TABLE of_this_connection AS SELECT 1 AS one")
            with by_symbol.transaction("BTCUSDT") as second:
                assert second.sql("FROM of_this_connection")["one"].to_pylist() == [1]
            impatient = Warehouse(database=by_symbol.database, lock_timeout_seconds=0.2)
            with pytest.raises(WarehouseLocked):  # nobody else comes in between
                once(impatient).sql("SELECT 1")

        assert once(impatient).sql("SELECT 1 AS one").num_rows == 1

    def test_inside_kept_open_another_symbol_closes_the_one_before(self, by_symbol: Warehouse) -> None:
        other = Warehouse(database=by_symbol.database, lock_timeout_seconds=0.2)
        with by_symbol.kept_open():
            once(by_symbol).sql("SELECT 1")
            once(by_symbol, "ETHUSDT").sql("SELECT 1")
            assert once(other).sql("SELECT 1 AS one").num_rows == 1

    def test_inside_kept_open_what_failed_is_undone_and_the_next_begins_anew(self, by_symbol: Warehouse) -> None:
        with by_symbol.kept_open():
            with pytest.raises(duckdb.ConversionException), by_symbol.transaction("BTCUSDT") as tables:
                tables.connection.execute("CREATE TABLE half (one INTEGER); INSERT INTO half VALUES ('x')")
            names = once(by_symbol).sql("SELECT table_name FROM duckdb_tables()")["table_name"].to_pylist()

        assert "half" not in names
        assert "klines" in names

    def test_a_damaged_heatmap_counts_as_not_made(self, by_symbol: Warehouse) -> None:
        with by_symbol.transaction("BTCUSDT") as tables:
            file = tables.file_of("liquidation_heatmap_1d")
        file.parent.mkdir()
        file.write_bytes(b"PAR1 and then nothing")

        assert once(by_symbol).count("liquidation_heatmap_1d", "BTCUSDT") == 0
        assert not file.exists()
        with by_symbol.transaction("BTCUSDT") as tables:
            for _ in range(2):
                tables.store_file("liquidation_heatmap_1d", parquet_bytes(HEATMAP_SCHEMA.empty_table()))
            assert tables.sql("FROM liquidation_heatmap_1d").schema.names == HEATMAP_SCHEMA.names

    def test_a_removed_symbol_leaves_no_file(self, by_symbol: Warehouse) -> None:
        with by_symbol.transaction("BTCUSDT") as tables:
            tables.store_file("liquidation_heatmap_1d", parquet_bytes(HEATMAP_SCHEMA.empty_table()))
        by_symbol.remove("BTCUSDT")

        assert list(by_symbol.file_of("BTCUSDT").parent.iterdir()) == []


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
        return once(warehouse).sql("SELECT count(*) AS n FROM klines WHERE symbol = $s", s=symbol)["n"][0].as_py()

    def test_twice_gives_what_once_gives(self, empty: Warehouse) -> None:
        assert once(empty).replace("klines", "BTCUSDT", self._bars(3)) == 3
        assert once(empty).replace("klines", "BTCUSDT", self._bars(3)) == 3
        assert self._count(empty) == 3

    def test_old_rows_are_gone(self, empty: Warehouse) -> None:
        once(empty).replace("klines", "BTCUSDT", self._bars(3))

        assert once(empty).replace("klines", "BTCUSDT", self._bars(1)) == 1

    def test_other_symbols_are_left_alone(self, empty: Warehouse) -> None:
        once(empty).replace("klines", "ETHUSDT", self._bars(2, "ETHUSDT"))
        once(empty).replace("klines", "BTCUSDT", self._bars(3))

        assert self._count(empty, "ETHUSDT") == 2

    def test_a_failure_in_the_middle_leaves_the_old_rows(self, empty: Warehouse) -> None:
        once(empty).replace("klines", "BTCUSDT", self._bars(3))
        bad = self._bars(2).drop_columns(["close"])  # the column must not be null: the insert fails after the delete

        with pytest.raises(duckdb.ConstraintException):
            once(empty).replace("klines", "BTCUSDT", bad)

        assert self._count(empty) == 3

    def test_columns_are_matched_by_name_not_by_place(self, empty: Warehouse) -> None:
        bars = self._bars(1)
        once(empty).replace("klines", "BTCUSDT", bars.select(list(reversed(bars.column_names))))

        assert once(empty).sql("SELECT close, source FROM klines").to_pylist() == [{"close": 100.0, "source": "test"}]

    def test_an_unknown_table_is_refused(self, empty: Warehouse) -> None:
        with pytest.raises(ValueError, match="'users' is not a table of the warehouse"):
            once(empty).replace("users", "BTCUSDT", self._bars(1))


def test_a_symbol_without_a_bar_has_no_newest_bar_and_the_error_says_what_to_do(empty: Warehouse) -> None:
    with pytest.raises(NoData, match=r"BTCUSDT has no bar with both klines and an open.*To do: .*widen --since"):
        once(empty).newest_bar("BTCUSDT")

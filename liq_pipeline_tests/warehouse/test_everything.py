"""All symbols at once, and what older versions left. (Through the command line: `cli/test_sql.py`.)"""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from liq_pipeline.errors import NoData
from liq_pipeline.warehouse.everything import answer, every_symbol, remove_file_of_all
from liq_pipeline.warehouse.schema import BASE_TABLES, FILE_TABLES, LEVEL_TABLES, TABLES, table_columns
from liq_pipeline.warehouse.warehouse import Warehouse
from liq_pipeline_tests.warehouse.by_hand import SYMBOL, fill


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of two symbols, one with the rows of `by_hand`. Only read them."""
    place = tmp_path_factory.mktemp("everything")
    warehouse = Warehouse(database=str(place / "{symbol}.duckdb"))
    with warehouse.opened(SYMBOL) as tables:
        fill(tables)
    with warehouse.opened("1000'SHIBUSDT"):
        pass
    return place


def test_a_query_is_answered_over_all_files_as_csv_or_as_a_table(folder: Path) -> None:
    query = "SELECT count(*) AS n FROM klines"

    assert answer(folder, query, as_csv=True) == ("n\n11\n", [])
    assert "│    11 │" in answer(folder, query, as_csv=False)[0]


def test_a_statement_without_rows_has_an_empty_answer(folder: Path) -> None:
    text, _ = answer(folder, "SET VARIABLE x = 1", as_csv=True)
    assert text in ("", "Success\n")  # DuckDB 2 has a column there, without rows


def test_every_table_and_view_of_the_files_is_there_and_what_is_the_files_own_is_not(folder: Path) -> None:
    with every_symbol(folder) as (connection, _):
        names = {name for (name,) in connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal AND "
                                                        "database_name = 'memory'").fetchall()}  # fmt: skip

    assert {*LEVEL_TABLES, "klines", "klines_15m", "living_positions", "settlements"} <= names
    assert "warehouse_version" not in names


def test_a_folder_without_files_says_what_to_do(tmp_path: Path) -> None:
    with (
        pytest.raises(NoData, match=r"has no tables that can be read\. Expected: tables .* To do: liq run, or name"),
        every_symbol(tmp_path),
    ):
        pass


class TestTheFileOfAll:
    LEFT = ("liq.duckdb", "liq.duckdb.wal", "liq.lock", "liq.holder.json")

    @pytest.mark.parametrize("left", [LEFT, LEFT[:1]])
    def test_it_is_removed_with_all_that_belongs_to_it(self, left: tuple[str, ...], tmp_path: Path) -> None:
        for name in (*left, "BTCUSDT.duckdb"):
            (tmp_path / name).touch()

        assert remove_file_of_all(tmp_path) is True
        assert [path.name for path in tmp_path.iterdir()] == ["BTCUSDT.duckdb"]

    def test_where_there_is_none_nothing_is_touched(self, tmp_path: Path) -> None:
        (tmp_path / "liq.lock").touch()

        assert remove_file_of_all(tmp_path) is False
        assert (tmp_path / "liq.lock").exists()


def test_tables_are_in_one_order_and_what_may_be_null_is_as_declared() -> None:
    assert (*BASE_TABLES, *LEVEL_TABLES, *FILE_TABLES) == TABLES
    assert tuple(table_columns()) == TABLES
    nullable = {table: {one.name for one in table_columns()[table] if one.nullable} for table in TABLES}
    assert nullable["oi_delta"] == {"oi_delta", "oi_delta_usd"}
    assert nullable["position_cohorts"] == set()  # a view over a table in which nothing is null
    assert nullable["position_survival"] == set()
    assert {"open", "volume", "bad_print"} <= nullable["klines"]
    assert not {"symbol", "ts", "source"} & nullable["klines"]


def test_a_file_may_have_a_name_with_a_quote_in_it(folder: Path) -> None:
    with every_symbol(folder) as (connection, busy), pytest.raises(duckdb.InvalidInputException):
        connection.execute('DELETE FROM "1000\'SHIBUSDT".klines')
    assert busy == []

"""`liq sql`: all symbols in one place, and nothing can be changed."""

from __future__ import annotations

import shutil

import pytest

from liq_pipeline.settings import Settings
from liq_pipeline.warehouse.schema import HEATMAP_TABLES, STORED_AS, STORED_TABLES
from liq_pipeline.warehouse.warehouse import Warehouse
from liq_pipeline_tests.once import another_process_holding


@pytest.fixture
def two(own_run: Settings) -> Settings:
    """The good run's tables, once more as those of ETHUSDT."""
    folder = own_run.database.parent
    shutil.copy(folder / "BTCUSDT.duckdb", folder / "ETHUSDT.duckdb")
    with Warehouse(database=str(own_run.database)).transaction("ETHUSDT") as tables:
        for table in STORED_TABLES:
            tables.connection.execute(f"UPDATE {STORED_AS.get(table, table)} SET symbol = 'ETHUSDT'")
    return own_run


def test_it_sees_every_symbol_in_every_table_and_view(two: Settings, liq) -> None:
    for table in ("klines", "klines_15m", "living_positions", "liquidation_levels_7d"):
        done = liq(
            "sql",
            f"SELECT symbol, count(*) AS n FROM {table} GROUP BY ALL ORDER BY ALL",
            "--csv",
            "--data",
            two.data_dir,
        )

        (head, *rows) = done.out.splitlines()
        assert head == "symbol,n"
        assert [row.split(",")[0] for row in rows] == ["BTCUSDT", "ETHUSDT"], table
        assert len({row.split(",")[1] for row in rows}) == 1


def test_it_sees_heatmaps_and_instants_in_utc(two: Settings, liq) -> None:
    done = liq("sql", f"SELECT max(ts)::VARCHAR AS newest FROM {HEATMAP_TABLES[0]}", "--data", two.data_dir)

    assert done.code == 0, done.err
    assert "2026-06-28 00:00:00+00" in done.out


def test_people_get_a_table_and_programs_get_csv_where_they_ask_for_it(two: Settings, liq) -> None:
    query = "SELECT symbol, count(*) > 0 AS has_bars FROM klines GROUP BY ALL ORDER BY ALL"
    table, rows = (liq("sql", query, *more, "--data", two.data_dir).out.splitlines() for more in ([], ["--csv"]))

    assert rows == ["symbol,has_bars", "BTCUSDT,True", "ETHUSDT,True"]
    assert [line.split() for line in table if "USDT" in line] == [
        ["│", "BTCUSDT", "│", "true", "│"],
        ["│", "ETHUSDT", "│", "true", "│"],
    ]


@pytest.mark.parametrize(
    "statement", ["DELETE FROM klines", 'DELETE FROM "BTCUSDT".klines', 'DROP TABLE "BTCUSDT".klines']
)
def test_nothing_can_be_changed(statement: str, two: Settings, liq) -> None:
    before = (two.database.parent / "BTCUSDT.duckdb").read_bytes()
    done = liq("sql", statement, "--data", two.data_dir)

    assert done.code == 1
    assert "Traceback" not in done.err
    assert (two.database.parent / "BTCUSDT.duckdb").read_bytes() == before


@pytest.mark.parametrize(
    ("query", "says"), [("SELECT * FROM nothing", "nothing does not exist"), ("SELEC 1", "syntax error")]
)
def test_a_query_that_is_wrong_is_said_in_duckdbs_words_with_what_to_do(
    query: str, says: str, two: Settings, liq
) -> None:
    done = liq("sql", query, "--data", two.data_dir)

    assert done.code == 1
    assert says in done.err
    assert "To do: see the tables with: liq sql 'SHOW TABLES'" in done.err


def test_without_tables_it_says_what_to_do(tmp_path, liq) -> None:
    done = liq("sql", "SHOW TABLES", "--data", tmp_path)

    assert done.code == 1
    assert "has no tables that can be read" in done.err
    assert "To do: liq run" in done.err


def test_a_symbol_that_a_run_is_writing_is_left_out_and_named(two: Settings, liq) -> None:
    with another_process_holding(two.database.parent / "ETHUSDT.duckdb"):
        done = liq("sql", "SELECT DISTINCT symbol FROM klines", "--csv", "--data", two.data_dir)

    assert done.out.splitlines() == ["symbol", "BTCUSDT"]
    assert "left out, since runs write them now: ETHUSDT" in done.err

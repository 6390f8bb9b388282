"""New bars without beginning anew: whatever the pieces, the tables are those of one run over everything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from liq_pipeline.errors import NoData
from liq_pipeline.model.walk import NEWEST_VERSION, use_model
from liq_pipeline.transform.incremental import Extended, extend
from liq_pipeline.transform.levels import write_levels
from liq_pipeline.transform.positions import walk_whole
from liq_pipeline.warehouse.schema import LEVEL_TABLES
from liq_pipeline.warehouse.tables import Tables
from liq_pipeline.warehouse.warehouse import Warehouse
from liq_pipeline_tests.once import once

SYMBOL = "BTCUSDT"
DERIVED = ("oi_delta", "position_cohorts", "position_survival", *LEVEL_TABLES)
Rows = dict[str, pa.Table]


@pytest.fixture
def rows(warehouse: Warehouse) -> Rows:
    """All that the exchange gave: open interest and klines of a good run."""
    return {
        table: once(warehouse).sql(f"SELECT * FROM {table} WHERE symbol = 'BTCUSDT' ORDER BY ts")
        for table in ("open_interest", "klines")
    }


@pytest.fixture
def loaded(tmp_path: Path) -> Callable[[Rows], Warehouse]:
    """Make a warehouse that holds these rows and everything that a full run derives from them."""
    made = []

    def load(content: Rows) -> Warehouse:
        made.append(None)
        warehouse = Warehouse(database=str(tmp_path / str(len(made)) / "liq.duckdb"), lock_timeout_seconds=5)
        with warehouse.transaction("BTCUSDT") as tables:
            for table, given in content.items():
                tables.replace(table, SYMBOL, given)
            tables.rebuild("oi_delta", SYMBOL)
            walk_whole(tables, SYMBOL)
            write_levels(tables, SYMBOL, tables.newest_bar(SYMBOL))
        return warehouse

    return load


@pytest.fixture
def version() -> Iterator[Callable[[str], None]]:
    """Use a version of the model for one test."""
    yield use_model
    use_model(NEWEST_VERSION)


def between(content: Rows, after: datetime | None, until: datetime) -> Rows:
    """Return the rows with `after < ts <= until`."""

    def cut(table: pa.Table) -> pa.Table:
        kind = table["ts"].type
        kept = pc.less_equal(table["ts"], pa.scalar(until, kind))
        if after:
            kept = pc.and_(kept, pc.greater(table["ts"], pa.scalar(after, kind)))
        return table.filter(kept)

    return {name: cut(table) for name, table in content.items()}


def derived(warehouse: Warehouse) -> dict[str, list[tuple]]:
    """Return every derived row, exactly."""
    with warehouse.get_connection("BTCUSDT") as connection:
        return {name: connection.sql(f"SELECT * FROM {name} ORDER BY ALL").fetchall() for name in DERIVED}


def add(warehouse: Warehouse, content: Rows) -> Extended:
    with warehouse.transaction("BTCUSDT") as tables:
        return extend(tables, SYMBOL, content["open_interest"], content["klines"])


def same(one: dict[str, list[tuple]], other: dict[str, list[tuple]]) -> None:
    for name in DERIVED:
        assert one[name] == other[name], name


@pytest.mark.parametrize("bars", [1, 7, 300])
def test_bars_added_in_pieces_give_what_one_run_gives_to_the_last_bit(rows: Rows, loaded, bars: int) -> None:
    end = rows["klines"]["ts"][-1].as_py()
    begin = end - bars * timedelta(minutes=5)
    warehouse = loaded(between(rows, None, begin))
    cuts = sorted({begin + n * timedelta(minutes=5) for n in np.random.default_rng(bars).integers(0, bars, 4)} | {end})
    known = begin
    for cut in cuts:
        done = add(warehouse, between(rows, known, cut))
        assert not done.replayed
        assert done.new_bars == (cut - known) / timedelta(minutes=5)
        assert done.newest["as_of"] == cut
        known = cut
    same(derived(warehouse), derived(loaded(rows)))


def test_some_cell_was_liquidated_on_the_way(rows: Rows, loaded) -> None:
    """Else the test above proves little."""
    end = rows["klines"]["ts"][-1].as_py()
    begin = end - timedelta(hours=25)
    warehouse = loaded(between(rows, None, begin))
    add(warehouse, between(rows, begin, end))
    old = once(warehouse).sql(
        "SELECT count(*) AS n FROM position_cells WHERE opened_at <= $b AND liquidated_at > $b", b=begin
    )
    assert old["n"][0].as_py() > 100


def test_the_same_rows_again_change_nothing(rows: Rows, loaded) -> None:
    warehouse = loaded(rows)
    before = derived(warehouse)
    done = add(warehouse, rows)
    assert (done.new_bars, done.replayed) == (0, False)
    same(derived(warehouse), before)


def test_a_bar_without_its_snapshot_waits_for_it(rows: Rows, loaded) -> None:
    end = rows["klines"]["ts"][-1].as_py()
    begin = end - timedelta(minutes=15)
    warehouse = loaded(between(rows, None, begin))
    late = between(rows, begin, end)
    assert add(warehouse, {"open_interest": late["open_interest"].slice(0, 0), "klines": late["klines"]}).new_bars == 0
    done = add(warehouse, late)
    assert (done.new_bars, done.replayed) == (3, False)
    same(derived(warehouse), derived(loaded(rows)))


def test_a_snapshot_that_is_missing_is_spread_over_as_in_one_run(rows: Rows, loaded) -> None:
    end = rows["klines"]["ts"][-1].as_py()
    gap = rows["klines"]["ts"][-4].as_py()
    holed = rows | {"open_interest": rows["open_interest"].filter(pc.not_equal(rows["open_interest"]["ts"], gap))}
    begin = end - timedelta(hours=1)
    warehouse = loaded(between(holed, None, begin))
    for minutes in range(55, -5, -5):
        add(warehouse, between(holed, begin, end - timedelta(minutes=minutes)))
    same(derived(warehouse), derived(loaded(holed)))


def test_a_row_that_changes_the_past_begins_anew(rows: Rows, loaded) -> None:
    gap = rows["klines"]["ts"][-40].as_py()
    holed = rows | {"open_interest": rows["open_interest"].filter(pc.not_equal(rows["open_interest"]["ts"], gap))}
    warehouse = loaded(holed)
    assert add(warehouse, rows).replayed
    same(derived(warehouse), derived(loaded(rows)))


def test_tables_that_another_run_left_half_done_are_walked_anew(rows: Rows, loaded) -> None:
    """Killed between `oi_delta` and the positions."""
    end = rows["klines"]["ts"][-1].as_py()
    warehouse = loaded(between(rows, None, end - timedelta(hours=2)))
    with warehouse.transaction("BTCUSDT") as tables:
        for table, content in between(rows, None, end - timedelta(hours=1)).items():
            tables.replace(table, SYMBOL, content)
        tables.rebuild("oi_delta", SYMBOL)
    assert add(warehouse, rows).replayed
    same(derived(warehouse), derived(loaded(rows)))


def test_another_version_of_the_model_begins_anew(rows: Rows, loaded, version) -> None:
    end = rows["klines"]["ts"][-1].as_py()
    begin = end - timedelta(hours=1)
    warehouse = loaded(between(rows, None, begin))
    version("1")
    assert add(warehouse, between(rows, begin, end)).replayed
    same(derived(warehouse), derived(loaded(rows)))


def test_what_fails_half_way_leaves_everything_as_it_was(rows: Rows, loaded, monkeypatch) -> None:
    end = rows["klines"]["ts"][-1].as_py()
    begin = end - timedelta(hours=1)
    warehouse = loaded(between(rows, None, begin))
    before = derived(warehouse)

    def fail(self: Tables, *_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(Tables, "end_positions", fail)
    with pytest.raises(OSError, match="no space"):
        add(warehouse, between(rows, begin, end))
    same(derived(warehouse), before)
    newest = once(warehouse).sql("SELECT max(ts) AS ts FROM klines")["ts"][0].as_py()
    assert newest == begin


def test_without_any_bar_a_full_run_comes_first(rows: Rows, tmp_path: Path) -> None:
    warehouse = Warehouse(database=str(tmp_path / "none" / "liq.duckdb"), lock_timeout_seconds=5)
    with pytest.raises(NoData, match="BTCUSDT has no bar"):
        add(warehouse, rows)

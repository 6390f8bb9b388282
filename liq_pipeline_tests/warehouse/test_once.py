"""What is made of tables is made once: until one of them changes, or what was begun is undone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress

import pyarrow as pa
import pytest

from liq_pipeline.transform.positions import stored_positions, walk_whole
from liq_pipeline.warehouse.tables import Tables
from liq_pipeline.warehouse.warehouse import Warehouse

SYMBOL = "BTCUSDT"


@pytest.fixture
def counted(book) -> Iterator[tuple[Warehouse, list[float]]]:
    """A warehouse that stays open, with two bars, and a list that grows when the newest bar is read."""
    book.fill([100, 110])
    book.deltas()
    with book.warehouse.kept_open():
        yield book.warehouse, []


def newest(tables: Tables, reads: list[float]) -> float:
    """Return the newest open interest; note it when it is read from the table."""

    def read() -> float:
        reads.append(tables.newest_bar(SYMBOL)["open_interest"])
        return reads[-1]

    return tables.once(("test",), ("oi_delta", "klines"), read)


def test_it_is_made_once_in_all_transactions_of_a_file_that_stays_open(counted) -> None:
    warehouse, reads = counted
    for _ in range(3):
        with warehouse.transaction(SYMBOL) as tables:
            assert newest(tables, reads) == 110

    assert reads == [110]


def test_a_change_of_another_table_leaves_it(counted) -> None:
    warehouse, reads = counted
    with warehouse.transaction(SYMBOL) as tables:
        newest(tables, reads)
        walk_whole(tables, SYMBOL)
        newest(tables, reads)

    assert reads == [110]


def replaced(tables: Tables) -> None:
    tables.replace("oi_delta", SYMBOL, first_row(tables))


def appended(tables: Tables) -> None:
    tables.connection.execute("DELETE FROM oi_delta WHERE open_interest = 110")
    tables.append("oi_delta", SYMBOL, first_row(tables).slice(0, 0))


def rebuilt(tables: Tables) -> None:
    tables.replace("open_interest", SYMBOL, tables.sql("FROM open_interest ORDER BY ts LIMIT 1"))
    tables.rebuild("oi_delta", SYMBOL)


def first_row(tables: Tables) -> pa.Table:
    return tables.sql("FROM oi_delta ORDER BY ts LIMIT 1")


@pytest.mark.parametrize("change", [replaced, appended, rebuilt])
def test_a_change_makes_it_anew(change: Callable[[Tables], None], counted) -> None:
    warehouse, reads = counted
    with warehouse.transaction(SYMBOL) as tables:
        newest(tables, reads)
        change(tables)

        assert newest(tables, reads) == 100


def test_what_was_made_of_undone_changes_is_gone(counted) -> None:
    warehouse, reads = counted
    with suppress(ZeroDivisionError), warehouse.transaction(SYMBOL) as tables:
        replaced(tables)
        assert newest(tables, reads) == 100
        raise ZeroDivisionError

    with warehouse.transaction(SYMBOL) as tables:
        assert newest(tables, reads) == 110


def test_positions_that_are_marked_as_liquidated_are_read_anew(counted) -> None:
    warehouse, _ = counted
    with warehouse.transaction(SYMBOL) as tables:
        _, rows = walk_whole(tables, SYMBOL)
        before = stored_positions(tables, SYMBOL)
        assert stored_positions(tables, SYMBOL) is before

        tables.end_positions(SYMBOL, rows["position_cohorts"].select(["opened_at", "side", "liquidated_after_minutes"]))
        assert stored_positions(tables, SYMBOL) is not before


@pytest.mark.parametrize("change", ["replace", "append", "rebuild", "extend"])
def test_a_name_that_is_no_table_is_refused(change: str, counted) -> None:
    warehouse, _ = counted
    more = {"rebuild": (), "extend": ("-infinity",)}.get(change, (pa.table({}),))
    with pytest.raises(ValueError, match="not a table of the warehouse"), warehouse.transaction(SYMBOL) as tables:
        getattr(tables, change)("positions; DROP TABLE klines", SYMBOL, *more)

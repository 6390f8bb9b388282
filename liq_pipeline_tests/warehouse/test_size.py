"""A warehouse file is as large as what it holds, and no larger."""

from __future__ import annotations

import pytest

from liq_pipeline.warehouse.warehouse import Warehouse
from liq_pipeline_tests.once import once


@pytest.fixture
def full(empty: Warehouse) -> Warehouse:
    """A file with a table of 4 MB, and one of 4 kB."""
    with empty.get_connection("BTCUSDT") as connection:
        connection.execute("CREATE TABLE large AS SELECT random() AS x FROM range(500_000)")
        connection.execute("CREATE TABLE small AS SELECT i AS x FROM range(500) AS t(i)")
        connection.execute("COMMENT ON TABLE small IS 'small'")
    return empty


def test_what_was_removed_takes_no_room_on_disk(full: Warehouse) -> None:
    path = full.file_of("BTCUSDT")
    before = path.stat().st_size

    with full.get_connection("BTCUSDT") as connection:
        connection.execute("DELETE FROM large; CHECKPOINT; CREATE TABLE last AS FROM small")  # behind what is free

    assert path.stat().st_size < before / 4
    with full.get_connection("BTCUSDT") as connection:
        assert connection.execute("SELECT x FROM small").fetchall() == [(i,) for i in range(500)]
        said = connection.execute("SELECT comment FROM duckdb_tables() WHERE table_name = 'small'").fetchone()
        assert said == ("small",)
    assert not full.was_replaced("BTCUSDT")
    assert {one.name for one in path.parent.iterdir()} == {"liq.duckdb", "liq.holder.json", "liq.lock"}


def test_a_file_with_little_room_in_it_is_left(full: Warehouse) -> None:
    number = full.file_of("BTCUSDT").stat().st_ino

    with full.get_connection("BTCUSDT") as connection:
        connection.execute("DELETE FROM small")

    assert full.file_of("BTCUSDT").stat().st_ino == number


def test_where_the_smaller_file_cannot_be_written_the_old_one_stays(full: Warehouse) -> None:
    path = full.file_of("BTCUSDT")
    number, in_the_way = path.stat().st_ino, path.with_suffix(".fresh.wal")

    with full.get_connection("BTCUSDT") as connection:
        connection.execute("DELETE FROM large; CHECKPOINT; CREATE TABLE last AS FROM small")
        in_the_way.mkdir()

    in_the_way.rmdir()
    assert path.stat().st_ino == number
    assert not path.with_suffix(".fresh").exists()
    with full.get_connection("BTCUSDT") as connection:
        assert connection.execute("SELECT count(*) FROM small").fetchone() == (500,)


def test_what_a_killed_process_left_of_it_is_removed(full: Warehouse) -> None:
    fresh = full.file_of("BTCUSDT").with_suffix(".fresh")
    fresh.write_bytes(b"half")
    fresh.with_suffix(".fresh.wal").write_bytes(b"half")

    assert once(full).sql("SELECT count(*) AS n FROM small")["n"].to_pylist() == [500]
    assert list(fresh.parent.glob("*.fresh*")) == []

"""What is stored narrow comes back whole: a view gives every column, bit for bit."""

from __future__ import annotations

import pytest

from liq_pipeline.model.walk import VERSIONS, walk
from liq_pipeline.transform.positions import cohort_rows, read_walk_input
from liq_pipeline.warehouse.warehouse import Warehouse
from liq_pipeline_tests.once import once

SYMBOL = "BTCUSDT"


@pytest.mark.parametrize("version", VERSIONS)
def test_positions_come_back_as_the_walk_gave_them(version: str, warehouse: Warehouse) -> None:
    with warehouse.transaction(SYMBOL) as tables:
        given = cohort_rows(walk(read_walk_input(tables, SYMBOL), SYMBOL, VERSIONS[version]), SYMBOL)
        tables.replace("position_cohorts", SYMBOL, given)
        back = tables.sql("SELECT * FROM position_cohorts ORDER BY side, opened_at")

    given = given.sort_by([("side", "ascending"), ("opened_at", "ascending")])
    assert given.num_rows > 100
    assert back.column_names == given.column_names
    for name in given.column_names:
        assert back[name].to_pylist() == given[name].to_pylist(), name


def test_no_positions_can_be_stored(warehouse: Warehouse) -> None:
    with warehouse.transaction(SYMBOL) as tables:
        whole = tables.sql("SELECT * FROM position_cohorts")
        assert tables.replace("position_cohorts", SYMBOL, whole.slice(0, 0)) == 0
        assert tables.read("cohorts", symbol=SYMBOL).num_rows == 0


def test_a_new_file_has_small_blocks(warehouse: Warehouse) -> None:
    once(warehouse).sql("SELECT 1")
    blocks = once(warehouse).sql("SELECT block_size FROM pragma_database_size()")["block_size"]

    assert blocks.to_pylist() == [65_536]

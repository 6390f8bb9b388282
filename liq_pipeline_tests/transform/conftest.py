"""Warehouses of a test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from liq_pipeline.warehouse.warehouse import Warehouse


@pytest.fixture
def new_warehouse(tmp_path: Path) -> Iterator[Callable[[], Warehouse]]:
    """Return a factory of empty warehouses that stay open until the test ends, as in a run.

    To open and close a file for every query took half of the time of these tests.
    """
    with ExitStack() as until_the_end:
        made = []

        def make() -> Warehouse:
            made.append(None)
            warehouse = Warehouse(database=str(tmp_path / str(len(made)) / "liq.duckdb"), lock_timeout_seconds=5)
            until_the_end.enter_context(warehouse.kept_open())
            return warehouse

        yield make

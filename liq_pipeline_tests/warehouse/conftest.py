"""An empty warehouse, and bars and snapshots written by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from liq_pipeline.exchange.formats import KLINES_SCHEMA, OPEN_INTEREST_SCHEMA
from liq_pipeline.warehouse.tables import Tables
from liq_pipeline.warehouse.warehouse import Warehouse
from liq_pipeline_tests.once import once
from liq_pipeline_tests.warehouse.by_hand import opened_and_filled, undone

START = datetime(2026, 6, 1, tzinfo=UTC)


class Book:
    """Fills a warehouse bar by bar. Bar 0 closes at 2026-06-01 00:05 UTC."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse

    def fill(
        self,
        snapshots: Sequence[float | None],
        volumes: Sequence[float] | None = None,
        missing_bars: Sequence[int] = (),
        symbol: str = "BTCUSDT",
        price: float = 100.0,
    ) -> None:
        """One snapshot and one bar per place; None is a bad print, `missing_bars` have no kline."""
        volumes = volumes or [10.0] * len(snapshots)
        closed = [START + timedelta(minutes=5 * (n + 1)) for n in range(len(snapshots))]
        rows = [
            {"symbol": symbol, "ts": ts, "open_interest": value, "source": "test"}
            for ts, value in zip(closed, snapshots, strict=True)
        ]
        once(self.warehouse).replace("open_interest", symbol, _table(rows, OPEN_INTEREST_SCHEMA))
        bars = [
            {
                "symbol": symbol, "ts": ts, "open_time": ts - timedelta(minutes=5), "open": price, "high": price + 2,
                "low": price - 1, "close": price + 1, "volume": volume, "quote_volume": volume * price,
                "source": "test",
            }
            for number, (ts, volume) in enumerate(zip(closed, volumes, strict=True))
            if number not in missing_bars
        ]  # fmt: skip
        once(self.warehouse).replace("klines", symbol, _table(bars, KLINES_SCHEMA))

    def deltas(self, symbol: str = "BTCUSDT") -> list[dict]:
        """Rebuild `oi_delta` and return its rows."""
        once(self.warehouse).rebuild("oi_delta", symbol)
        return once(self.warehouse).sql("SELECT * FROM oi_delta WHERE symbol = $s ORDER BY ts", s=symbol).to_pylist()


def _table(rows: list[dict], schema: pa.Schema) -> pa.Table:
    return pa.table({name: [row.get(name) for row in rows] for name in schema.names}, schema=schema)


@pytest.fixture
def empty(tmp_path: Path) -> Warehouse:
    return Warehouse(database=str(tmp_path / "empty" / "liq.duckdb"), lock_timeout_seconds=60)


@pytest.fixture
def book(empty: Warehouse) -> Iterator[Book]:
    with empty.kept_open():
        yield Book(empty)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tables]:
    """The tables of `by_hand`. Only read them."""
    with opened_and_filled(tmp_path_factory.mktemp("by_hand")) as tables:
        yield tables


@pytest.fixture
def tables(filled: Tables) -> Iterator[Tables]:
    """The same, for a test that changes them."""
    with undone(filled):
        yield filled

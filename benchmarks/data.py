"""Input of the benchmarks: the real price path where it is there, else a random one of the same size.

Open interest is synthetic in either case (no real one covers the path).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from liq_pipeline.exchange.formats import KLINES_SCHEMA, OPEN_INTEREST_SCHEMA
from liq_pipeline.model.walk import WalkInput
from liq_pipeline.warehouse.warehouse import Warehouse

SYMBOL = "BTCUSDT"
REAL_PATH = Path(__file__).parents[2] / "shared" / "market" / "BTCUSDT-5m.parquet"
FIVE_MINUTES = np.timedelta64(5, "m")
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Market:
    """Five-minute bars with open interest, arrays of one length. Prices and values in USD, the rest in contracts."""

    ts: NDArray[np.datetime64]
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    quote_volume: Floats
    open_interest: Floats

    def last(self, bars: int) -> Market:
        """Return the newest bars."""
        return Market(*(getattr(self, name)[-bars:] for name in self.__dataclass_fields__))

    def walk_input(self) -> WalkInput:
        """Return what the walk reads."""
        entry = np.clip(self.quote_volume / self.volume, self.low, self.high)
        return WalkInput(self.ts, self.open_interest, entry, self.low, self.high, self.close, self.volume)


def whole_path() -> Market:
    """Return the whole BTCUSDT path, 2023-01 to 2026-02."""
    if not REAL_PATH.exists():
        print(f"{REAL_PATH} is absent: a random path of the same size stands in", file=sys.stderr)
        return random_path(329_964)
    rows = {name: column.to_numpy() for name, column in zip(*_columns(pq.read_table(REAL_PATH)), strict=True)}
    # A bar without a trade would divide by zero; the path has a few, during outages.
    volume = np.maximum(rows["volume"], 1e-3)
    ts = rows["open_time"].astype("datetime64[us]") + FIVE_MINUTES
    return _with_interest(ts, rows["open"], rows["high"], rows["low"], rows["close"], volume)


def random_path(bars: int) -> Market:
    """Return a random path with clustered volatility from 2021-12-01 on."""
    rng = np.random.default_rng(11)
    swing = np.exp(np.convolve(rng.normal(0, 1, bars + 287), np.ones(288) / np.sqrt(288), "valid") * 0.4)
    close = np.round(57_000 * np.exp(np.cumsum(rng.standard_t(4, bars) * 0.0012 * swing)), 1)
    opening = np.concatenate([[57_000.0], close[:-1]])
    high = np.round(np.maximum(opening, close) * (1 + rng.exponential(5e-4, bars) * swing), 1)
    low = np.round(np.minimum(opening, close) * (1 - rng.exponential(5e-4, bars) * swing), 1)
    ts = np.datetime64("2021-12-01", "us") + np.arange(1, bars + 1) * FIVE_MINUTES
    return _with_interest(ts, opening, high, low, close, np.round(rng.exponential(600, bars) * swing + 1, 3))


def _columns(table: pa.Table) -> tuple[list[str], list[pa.ChunkedArray]]:
    return table.column_names, table.columns


def _with_interest(
    ts: NDArray[np.datetime64], opening: Floats, high: Floats, low: Floats, close: Floats, volume: Floats
) -> Market:
    rng = np.random.default_rng(12)
    open_interest = np.round(80_000 * np.exp(0.1 * np.sin(np.arange(ts.size) / 5_000) + _reverting(rng, ts.size)), 3)
    return Market(ts, opening, high, low, close, volume, volume * (high + low + close) / 3, open_interest)


def _reverting(rng: np.random.Generator, count: int) -> Floats:
    """Return changes of log open interest that pull back to zero over about a day."""
    span = 288
    kernel = np.exp(-np.arange(5 * span) / span)
    shocks = rng.standard_t(4, count) * 0.001
    return np.asarray(np.convolve(shocks, kernel)[:count], dtype=np.float64)


def kline_rows(market: Market) -> pa.Table:
    """Return rows of the table `klines`."""
    count = market.ts.size
    columns = {
        "symbol": pa.repeat(SYMBOL, count),
        "ts": utc(market.ts),
        "open_time": utc(market.ts - FIVE_MINUTES),
        **{name: getattr(market, name) for name in ("open", "high", "low", "close", "volume", "quote_volume")},
        "trade_count": pa.nulls(count, pa.int64()),
        "taker_buy_volume": pa.nulls(count, pa.float64()),
        "taker_buy_quote_volume": pa.nulls(count, pa.float64()),
        "source": pa.repeat("archive", count),
    }
    return pa.table(columns, schema=KLINES_SCHEMA)


def open_interest_rows(market: Market, known: NDArray[np.bool_] | None = None) -> pa.Table:
    """Return rows of the table `open_interest`, of the bars that are known (default: all)."""
    known = np.ones(market.ts.size, dtype=bool) if known is None else known
    count, ts = int(known.sum()), market.ts[known]
    columns = {
        "symbol": pa.repeat(SYMBOL, count),
        "ts": utc(ts),
        "open_interest": market.open_interest[known],
        "open_interest_value_usd": (market.open_interest * market.close)[known],
        "create_time": utc(ts),
        "file_date": pa.array(ts.astype("datetime64[D]")),
        "source": pa.repeat("archive", count),
    }
    full = {
        field.name: columns[field.name] if field.name in columns else pa.nulls(count, field.type)
        for field in OPEN_INTEREST_SCHEMA
    }
    return pa.table(full, schema=OPEN_INTEREST_SCHEMA)


def utc(instants: NDArray[np.datetime64]) -> pa.Array:
    """Return instants as Arrow timestamps in UTC."""
    return pa.array(instants.astype("datetime64[us]")).cast(pa.timestamp("us", "UTC"))


@contextmanager
def temporary_warehouse() -> Iterator[Warehouse]:
    """Make a warehouse in a temporary folder."""
    with TemporaryDirectory(prefix="liq-bench-") as folder:
        yield Warehouse(database=str(Path(folder) / "bench.duckdb"))

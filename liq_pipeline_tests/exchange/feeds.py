"""Both tables of a symbol from real days, in which tests plant what contradicts itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from liq_pipeline.exchange.formats import read_klines, read_open_interest
from liq_pipeline.exchange.judged import judge

PRICES = ("open", "high", "low", "close")
MIRRORS = [
    ("btc-15m-2026-03", "BTCUSDT", "15m"),
    *[("multi-5m-2026-01", symbol, bar) for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT") for bar in ("5m", "15m")],
]


@dataclass(frozen=True)
class Feeds:
    """Both tables of a symbol; `plant` changes some rows of one column."""

    open_interest: pa.Table
    klines: pa.Table

    def plant(self, table: str, rows, **changes: float | Callable) -> Feeds:
        changed = getattr(self, table)
        for name, change in changes.items():
            values = np.array(changed[name].to_numpy(), dtype=float)
            values[rows] = change(values[rows]) if callable(change) else change
            at = changed.column_names.index(name)
            changed = changed.set_column(at, name, pa.array(values, from_pandas=True))
        return Feeds(**{**vars(self), table: changed})

    def found(self, table: str) -> dict[int, str]:
        """Return the bad rows of a table, and what is said of each."""
        reasons = getattr(judge(self.open_interest, self.klines), table)["bad_print"].to_pylist()
        return {row: reason.split(": ")[0] for row, reason in enumerate(reasons) if reason}

    def rows_of_day(self, table: str, which: int) -> np.ndarray:
        days = (getattr(self, table)["ts"].to_numpy() - np.timedelta64(1, "us")).astype("datetime64[D]")
        return np.flatnonzero(days == np.unique(days)[which])


@dataclass(frozen=True)
class times:  # reads as a verb where it is used; its name is part of the tests' names
    factor: float

    def __call__(self, values: np.ndarray) -> np.ndarray:
        return values * self.factor


def feeds_of(archive: Path, mirror: str, symbol: str, bar: str) -> Feeds:
    base = archive / mirror / "data" / "futures" / "um" / "daily"
    return Feeds(
        read_open_interest(sorted((base / "metrics" / symbol).glob("*.zip")), symbol).table,
        read_klines(sorted((base / "klines" / symbol / bar).glob("*.zip")), symbol, bar).table,
    )


def years(shared_archive: Path, name: str) -> Feeds:
    """Real bars of years, with an open interest that follows nothing but their closes."""
    import pyarrow.parquet as pq

    bars = pq.read_table(shared_archive.parent / "market" / f"{name}.parquet")
    opened = bars["open_time"].to_numpy().astype("datetime64[us]")
    instants = pa.timestamp("us", "UTC")
    closes = pa.array(opened + np.timedelta64(15 if "15m" in name else 5, "m")).cast(instants)
    typical = (bars["high"].to_numpy() + bars["low"].to_numpy() + bars["close"].to_numpy()) / 3
    nothing = pa.nulls(len(closes), pa.float64())
    klines = {
        "ts": closes, "open_time": pa.array(opened).cast(instants), **{n: bars[n] for n in (*PRICES, "volume")},
        "quote_volume": bars["volume"].to_numpy() * typical, "taker_buy_volume": nothing,
        "taker_buy_quote_volume": nothing,
    }  # fmt: skip
    open_interest = {
        "ts": closes, "open_interest": np.full(len(closes), 1e6),
        "open_interest_value_usd": bars["close"].to_numpy() * 1e6,
    }  # fmt: skip
    return Feeds(pa.table(open_interest), pa.table(klines))

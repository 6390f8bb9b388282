"""Real days of one contract turned into two contracts under one name: silence, zeros, new scales."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from liq_pipeline.exchange.formats import KLINES_LAYOUT, METRICS_LAYOUT, read_klines, read_open_interest
from liq_pipeline.simulator.files import kline_key, metrics_key, write_zip

SYMBOL = "BTCUSDT"
PRICES = ("open", "high", "low", "close")


@dataclass(frozen=True)
class Feeds:
    """Open interest and klines of one ticker."""

    open_interest: pa.Table
    klines: pa.Table

    def scaled(self, since: str, price: float = 1, contracts: float = 1) -> Feeds:
        """Return them with prices and contracts multiplied from an instant on."""
        bars = self.klines["open_time"].to_numpy() >= np.datetime64(since)
        # What closes a bar at that instant belongs to the old scale.
        snapshots = self.open_interest["ts"].to_numpy() > np.datetime64(since)
        factors = dict.fromkeys(PRICES, price) | {"volume": contracts, "quote_volume": price * contracts}
        return Feeds(
            _times(
                self.open_interest,
                snapshots,
                {"open_interest": contracts, "open_interest_value_usd": price * contracts},
            ),
            _times(self.klines, bars, factors),
        )

    def silent(self, since: str, hours: float) -> Feeds:
        """Return them without what lies within a pause."""
        begin = np.datetime64(since)
        end = begin + np.timedelta64(int(60 * hours), "m")
        snapshots, opened = self.open_interest["ts"].to_numpy(), self.klines["open_time"].to_numpy()
        return Feeds(
            self.open_interest.filter(pa.array((snapshots <= begin) | (snapshots > end))),
            self.klines.filter(pa.array((opened < begin) | (opened >= end))),
        )

    def zero(self, since: str, hours: float) -> Feeds:
        """Return them with open interest of zero (null in the tables) for some hours."""
        begin = np.datetime64(since)
        end = begin + np.timedelta64(int(60 * hours), "m")
        ts = self.open_interest["ts"].to_numpy()
        inside = (ts > begin) & (ts <= end)
        return self.printed(inside, value=0.0)

    def absurd(self, day: str) -> Feeds:
        """Return them with open interest that cannot be (null, and its value null) for a day."""
        ts = self.open_interest["ts"].to_numpy()
        return self.printed((ts > np.datetime64(day)) & (ts <= np.datetime64(day) + np.timedelta64(1, "D")), value=None)

    def printed(self, rows: np.ndarray, value: float | None) -> Feeds:
        """Return them with null for the contracts of some snapshots, and this for their value."""
        changed = self.open_interest
        for name, cell in (("open_interest", None), ("open_interest_value_usd", value)):
            cells = pc.if_else(pa.array(rows), pa.scalar(cell, pa.float64()), changed[name])
            changed = changed.set_column(changed.column_names.index(name), name, cells)
        return Feeds(changed, self.klines)

    def since(self, instant: str) -> Feeds:
        """Return what comes after an instant."""
        snapshots, opened = self.open_interest["ts"].to_numpy(), self.klines["open_time"].to_numpy()
        return Feeds(
            self.open_interest.filter(pa.array(snapshots > np.datetime64(instant))),
            self.klines.filter(pa.array(opened >= np.datetime64(instant))),
        )

    def until(self, instant: str) -> Feeds:
        """Return what lies at an instant and before."""
        snapshots, closed = self.open_interest["ts"].to_numpy(), self.klines["ts"].to_numpy()
        return Feeds(
            self.open_interest.filter(pa.array(snapshots <= np.datetime64(instant))),
            self.klines.filter(pa.array(closed <= np.datetime64(instant))),
        )


def real_days(shared_archive: Path) -> Feeds:
    """Return a month of BTCUSDT: bars of 15 minutes, open interest of every 5."""
    base = shared_archive / "btc-15m-2026-03" / "data" / "futures" / "um" / "daily"
    return Feeds(
        read_open_interest(sorted((base / "metrics" / SYMBOL).glob("*.zip")), SYMBOL).table,
        read_klines(sorted((base / "klines" / SYMBOL / "15m").glob("*.zip")), SYMBOL, "15m").table,
    )


def _times(table: pa.Table, rows: np.ndarray, factors: dict[str, float]) -> pa.Table:
    for name, factor in factors.items():
        values = pc.if_else(pa.array(rows), pc.multiply(table[name], factor), table[name])
        table = table.set_column(table.column_names.index(name), name, values)
    return table


def write_archive(feeds: Feeds, folder: Path, symbol: str, interval: str = "15m") -> None:
    """Write them as the exchange's daily files, under a symbol's name. A day without rows has no file."""
    snapshots = feeds.open_interest.to_pylist()
    for day, rows in _by_day(snapshots):
        lines = [
            f"{row['ts']:%Y-%m-%d %H:%M:%S},{symbol},{row['open_interest'] or 0},"
            f"{row['open_interest_value_usd'] if row['open_interest'] else 0},,,,"
            for row in rows
        ]
        _write(folder, metrics_key(symbol, day), ",".join(METRICS_LAYOUT.types), lines)
    for day, rows in _by_day(feeds.klines.to_pylist()):
        lines = [
            f"{_ms(row['open_time'])},{row['open']},{row['high']},{row['low']},{row['close']},{row['volume']},"
            f"{_ms(row['ts']) - 1},{row['quote_volume']},0,0,0,0"
            for row in rows
        ]
        _write(folder, kline_key(symbol, interval, day), ",".join(KLINES_LAYOUT.types), lines)


def _by_day(rows: list[dict]) -> list[tuple[date, list[dict]]]:
    """Return rows by the day whose file holds them: until 2026-06-24 files end with the next day's midnight."""
    days: dict[date, list[dict]] = {}
    for row in rows:
        days.setdefault((row["ts"] - timedelta(microseconds=1)).date(), []).append(row)
    return sorted(days.items())


def _write(folder: Path, key: str, header: str, lines: list[str]) -> None:
    (folder / key).parent.mkdir(parents=True, exist_ok=True)
    write_zip(folder, key, "\n".join([header, *lines]) + "\n")


def _ms(instant: datetime) -> int:
    return round(1000 * instant.timestamp())


VARIANTS = {
    "LITUSDT: silence, prices ÷ 100, open interest × 100": (
        lambda real: real.silent("2026-03-15T09:00", 32.5).scaled("2026-03-16T17:30", 0.01, 100), "2026-03-16T17:30",
    ),
    "silence, prices × .5, open interest × .01": (
        lambda real: real.silent("2026-03-15T09:00", 32.5).scaled("2026-03-16T17:30", 0.5, 0.01), "2026-03-16T17:30",
    ),
    "redenominated from one bar to the next": (
        lambda real: real.scaled("2026-03-25T06:00", 1000, 0.001), "2026-03-25T06:00",
    ),
    "open interest of zero, and the same scale afterwards": (
        lambda real: real.zero("2026-03-20T00:00", 24), "2026-03-21T00:00",
    ),
    "two of them": (
        lambda real: real.silent("2026-03-15T09:00", 32.5)
        .scaled("2026-03-16T17:30", 0.1, 10)
        .silent("2026-04-01T00:00", 12)
        .scaled("2026-04-01T12:00", 10, 0.1),
        "2026-04-01T12:00",
    ),
    "within the last day": (
        lambda real: real.silent("2026-04-11T00:00", 8).scaled("2026-04-11T08:00", 0.01, 100), "2026-04-11T08:00",
    ),
}  # fmt: skip

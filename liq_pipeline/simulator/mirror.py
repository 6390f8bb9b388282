"""Writes a market as the archive would: daily zips and sidecars in the real layout, defects included.

The label of a metrics row is the instant of its snapshot up to the file of 2026-06-24, and five minutes before it from
2026-06-25 on (exchange.md 1.7).
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from liq_pipeline.simulator import defects as flaws
from liq_pipeline.simulator.defects import ALL_DEFECTS
from liq_pipeline.simulator.files import (
    ROOT,
    corrupt_zip,
    garbage_row,
    kline_key,
    metrics_key,
    remove_day,
    rewrite_day,
    write_bytes,
    write_zip,
    wrong_checksum,
)
from liq_pipeline.simulator.market import Columns, Market
from liq_pipeline.simulator.paths import decimals

__all__ = [
    "ALL_DEFECTS",
    "corrupt_zip",
    "garbage_row",
    "kline_key",
    "metrics_key",
    "publish",
    "remove_day",
    "rewrite_day",
    "wrong_checksum",
]

LABEL_CHANGE = date(2026, 6, 25)
METRICS_HEADER = (
    "create_time,symbol,sum_open_interest,sum_open_interest_value,count_toptrader_long_short_ratio,"
    "sum_toptrader_long_short_ratio,count_long_short_ratio,sum_taker_long_short_vol_ratio"
)
KLINE_HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
)


def publish(
    market: Market,
    folder: Path,
    *,
    intervals: Collection[str] = ("5m", "15m"),
    defects: Collection[str] = ALL_DEFECTS,
) -> None:
    """Write every day of a market under `folder`. The same market gives the same bytes.

    Args:
        market: what to publish.
        folder: the root of the mirror; `data/futures/um/daily/...` is made under it.
        intervals: widths of the klines; multiples of the market's bar, of an hour at most.
        defects: names out of `ALL_DEFECTS`.

    Raises:
        ValueError: an unknown defect, or an interval that the bars do not divide.
    """
    if unknown := set(defects) - ALL_DEFECTS:
        raise ValueError(f"unknown defects {sorted(unknown)}; there are {sorted(ALL_DEFECTS)}")
    symbol = market.config.symbol
    (folder / ROOT / "metrics" / symbol).mkdir(parents=True, exist_ok=True)
    _publish_metrics(market, folder, defects)
    for interval in intervals:
        (folder / ROOT / "klines" / symbol / interval).mkdir(parents=True, exist_ok=True)
        _publish_klines(market, folder, interval, defects)
    if "junk_keys" in defects:
        write_bytes(folder, f"{ROOT}/metrics/{symbol}/{symbol}-metrics-1993.zip", b"not a zip")
        for interval in intervals:
            write_bytes(folder, f"{ROOT}/klines/{symbol}/{interval}/part-00000-residue.zip", b"not a zip")


def _publish_metrics(market: Market, folder: Path, defects: Collection[str]) -> None:
    config = market.config
    bodies = _metrics_bodies(market)
    per_day, days = len(bodies) // config.days, config.days
    for number in range(days):
        day = config.first_day + timedelta(days=number)
        first = number * per_day
        stamps = market.bars["ts"][first : first + per_day]
        labels = _labels(stamps, day)
        lines = [f"{label}{body}" for label, body in zip(labels, bodies[first : first + per_day], strict=True)]
        # A midnight label in two neighbours: the file of the later day has the right values.
        twin_after = "midnight_in_two_files" in defects and flaws.hits("midnight_in_two_files", number, days)
        twin_before = "midnight_in_two_files" in defects and flaws.hits("midnight_in_two_files", number - 1, days)
        head: list[str] = []
        tail: list[str] = []
        if day < LABEL_CHANGE:
            if twin_before and number > 0:
                head = [f"{_labels(stamps[:1] - (stamps[1] - stamps[0]), day)[0]}{bodies[first - 1]}"]
            if twin_after and number + 1 < days and day + timedelta(days=1) < LABEL_CHANGE:
                lines[-1] = flaws.wrong_twin(lines[-1])
        elif twin_after and number + 1 < days:
            after = market.bars["ts"][first + per_day : first + per_day + 1]
            tail = [flaws.wrong_twin(f"{_labels(after, day)[0]}{bodies[first + per_day]}")]
        lines = head + lines + tail
        for name, spoil in flaws.ROW_DEFECTS.items():
            if name in defects and flaws.hits(name, number, days):
                lines = spoil(lines)
        write_zip(folder, metrics_key(config.symbol, day), "\n".join([METRICS_HEADER, *lines]) + "\n")


def _labels(stamps: NDArray[np.datetime64], day: date) -> list[str]:
    shift = np.timedelta64(5 if day >= LABEL_CHANGE else 0, "m")
    return [text.replace("T", " ") for text in (stamps - shift).astype("datetime64[s]").astype(str).tolist()]


def _metrics_bodies(market: Market) -> list[str]:
    """Return each row without its label, with the comma before it."""
    bars, symbol = market.bars, market.config.symbol
    contracts = market.open_interest
    rng = np.random.Generator(np.random.PCG64(market.config.seed))
    # Ratios wander around a mild majority of longs; nothing reads more into them.
    drift = np.cumsum(rng.standard_normal((3, contracts.size)) * 0.002, axis=1)
    accounts, top_positions, everybody = np.exp(0.35 + 0.4 * np.tanh(drift))
    sold = bars["volume"] - bars["taker_buy_volume"]
    taker = bars["taker_buy_volume"] / np.maximum(sold, 0.001)
    row = f",{symbol},%.3f00000,%.8f,%.8f,%.8f,%.8f,%.8f"
    columns = (contracts, contracts * bars["close"], accounts, top_positions, everybody, taker)
    return [row % cells for cells in zip(*(column.tolist() for column in columns), strict=True)]


def _publish_klines(market: Market, folder: Path, interval: str, defects: Collection[str]) -> None:
    config = market.config
    minutes = 60 if interval == "1h" else int(interval.removesuffix("m"))
    if minutes % config.bar_minutes or 60 % minutes:
        raise ValueError(f"cannot build {interval} klines from bars of {config.bar_minutes} minutes")
    bars = _merge(market.bars, minutes // config.bar_minutes)
    opened = bars["open_time"].astype(np.int64)
    price = f"%.{decimals(config.tick)}f"
    row = f"%d,{price},{price},{price},{price},%.3f,%d,%.4f,%d,%.3f,%.4f,0"
    columns = (
        opened,
        *(bars[name] for name in ("open", "high", "low", "close", "volume")),
        opened + minutes * 60_000 - 1,
        *(bars[name] for name in ("quote_volume", "trade_count", "taker_buy_volume", "taker_buy_quote_volume")),
    )
    lines = [row % cells for cells in zip(*(column.tolist() for column in columns), strict=True)]
    per_day = 1440 // minutes
    for number in range(config.days):
        headless = "headerless_klines" in defects and flaws.hits("headerless_klines", number, config.days)
        of_day = lines[number * per_day : (number + 1) * per_day]
        text = "\n".join(of_day if headless else [KLINE_HEADER, *of_day]) + "\n"
        write_zip(folder, kline_key(config.symbol, interval, config.first_day + timedelta(days=number)), text)


def _merge(bars: Columns, width: int) -> Columns:
    """Return bars `width` times as wide."""
    if width == 1:
        return bars
    pick = {"open_time": 0, "open": 0, "ts": -1, "close": -1}
    merged: Columns = {}
    for name, column in bars.items():
        grid = column.reshape(-1, width)
        if name in pick:
            merged[name] = grid[:, pick[name]]
        elif name in ("high", "low"):
            merged[name] = grid.max(axis=1) if name == "high" else grid.min(axis=1)
        else:
            merged[name] = grid.sum(axis=1)
    return merged

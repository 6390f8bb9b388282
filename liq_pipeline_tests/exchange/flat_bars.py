"""Bars of equal prices and snapshots of equal contracts, with other values in some rows."""

from __future__ import annotations

import numpy as np

from liq_pipeline.exchange.feeds import Bars, Snapshots

START, WIDTH = np.datetime64("2026-06-20", "us"), np.timedelta64(15, "m")
COUNT, ROW = 40, 20
NAN, INF = np.nan, np.inf
ALL = ("open", "high", "low", "close")


def bars(rows: slice | list[int] | None = None, count: int = COUNT, **planted: object) -> Bars:
    """Bars of a price of 100 and a volume of 10, with other values in some rows, the one in the middle by default."""
    of = {name: np.full(count, 100.0) for name in ALL}
    of |= {"volume": np.full(count, 10.0), "quote_volume": np.full(count, 1000.0)}
    of |= {"taker_buy_volume": np.full(count, 4.0), "taker_buy_quote_volume": np.full(count, 400.0)}
    for name, value in planted.items():
        of[name][[ROW] if rows is None else rows] = value
    return Bars(START + np.arange(1, count + 1) * WIDTH, WIDTH, of, np.full(count, None))


def snapshots(count: int = COUNT, **planted: tuple[object, object]) -> Snapshots:
    """A thousand contracts at 100 with the end of each bar; name=(rows, values) for others."""
    of = {"contracts": np.full(count, 1e3), "value": np.full(count, 1e5)}
    for name, (rows, values) in planted.items():
        of[name][rows] = values
    return Snapshots(START + np.arange(1, count + 1) * WIDTH, of["contracts"], of["value"], np.full(count, None))


def reasons(judged: Bars | Snapshots) -> dict[int, str]:
    return {row: reason for row, reason in enumerate(judged.reason) if reason}

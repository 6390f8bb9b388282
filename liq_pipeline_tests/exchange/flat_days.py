"""Days on which nothing happens: price 100, 1,000 contracts; what tests do to them is all that there is to find."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from liq_pipeline.exchange import contract_changes
from liq_pipeline_tests.exchange.reused_ticker import Feeds

START = np.datetime64("2026-03-01T00:00", "us")
BAR = np.timedelta64(15, "m")


def flat(days: float = 9, *, minutes: int = 5) -> Feeds:
    """Bars of 15 minutes, snapshots of every so many."""
    opened = START + np.arange(int(days * 96)) * BAR
    ts = START + np.arange(1, int(days * 1440 / minutes) + 1) * np.timedelta64(minutes, "m")
    prices = {name: np.full(opened.size, 100.0) for name in ("open", "high", "low", "close")}
    volumes = {"volume": np.full(opened.size, 10.0), "quote_volume": np.full(opened.size, 1000.0)}
    return Feeds(
        pa.table({"ts": ts, "open_interest": np.full(ts.size, 1e3), "open_interest_value_usd": np.full(ts.size, 1e5)}),
        pa.table({"ts": opened + BAR, "open_time": opened} | prices | volumes),
    )


def at(hours: float) -> str:
    """An instant so many hours after the start."""
    return str(START + np.timedelta64(round(60 * hours), "m"))


def hours_since_start(instant: np.datetime64) -> float:
    return float((instant - START) / np.timedelta64(1, "h"))


def changed(feeds: Feeds) -> list[contract_changes.Change]:
    return contract_changes.find_changes(contract_changes.Feeds.of(feeds.open_interest, feeds.klines))


def when(feeds: Feeds) -> list[tuple[float, float]]:
    """When contracts ended and began, in hours since the start."""
    return [(hours_since_start(one.settled), hours_since_start(one.resumed)) for one in changed(feeds)]


def paused(hours: float, price: float = 1, contracts: float = 1, *, since: float = 80) -> Feeds:
    """Both feeds silent for so long, then another scale."""
    return flat().silent(at(since), hours).scaled(at(since + hours), price, contracts)


def bars_with(feeds: Feeds, opened_at: float, **values: float) -> Feeds:
    """The bar that opens then has other values."""
    row = int(np.flatnonzero(feeds.klines["open_time"].to_numpy() == np.datetime64(at(opened_at)))[0])
    klines = feeds.klines
    for name, value in values.items():
        cells = klines[name].to_numpy().copy()
        cells[row] = value
        klines = klines.set_column(klines.column_names.index(name), name, pa.array(cells))
    return Feeds(feeds.open_interest, klines)

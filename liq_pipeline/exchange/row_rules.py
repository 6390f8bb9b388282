"""What a kline must be, whatever it comes from: archive files, REST, COIN-M. The one place that says so.

Hard rules only: a row that breaks one cannot be read as what it claims to be. Each rule is a mask over rows and the
words for what was expected. (Open interest has softer ones: a cell that cannot be is blanked, `blank_bad_prints`.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from liq_pipeline.exchange.quirks import LARGEST, SMALLEST, ohlc_nonsense

PRICES = ("open", "high", "low", "close")
AMOUNTS = ("volume", "quote_volume", "trade_count", "taker_buy_volume", "taker_buy_quote_volume")
KLINE_NUMBERS = (*PRICES, *AMOUNTS)

Fault = tuple[np.ndarray, str]


def kline_faults(columns: Mapping[str, np.ndarray]) -> Iterator[Fault]:
    """Yield, for each rule that some row of a kline breaks, the rows that break it and what was expected.

    Args:
        columns: `KLINE_NUMBERS`, each of one length. Every cell is needed: a kline without its volume, or without its
            number of trades, is half a row. A blank cell is NaN.
    """
    prices = [columns[name] for name in PRICES]
    enclosed = "positive prices, low ≤ open and close ≤ high"
    if (nonsense := ohlc_nonsense(*prices)).any():
        for name, values in zip(PRICES, prices, strict=True):
            yield from _broken(~np.isfinite(values), f"a finite number as {name} ({enclosed})")
        yield nonsense, enclosed
    yield from _broken(columns["high"] > LARGEST, f"prices of at most {LARGEST:g}")
    yield from _broken(columns["low"] < SMALLEST, f"positive prices of at least {SMALLEST:g}")
    for name in AMOUNTS:
        values = columns[name]
        if np.all((values >= 0) & (values <= LARGEST)):
            continue
        yield from _broken(~np.isfinite(values), f"a finite number as {name}")
        yield from _broken(values < 0, f"{name} of zero or more")
        yield from _broken(values > LARGEST, f"{name} of at most {LARGEST:g}")
    yield from _broken(np.floor(columns["trade_count"]) < columns["trade_count"], "a whole number as trade_count")


def _broken(rows: np.ndarray, expected: str) -> Iterator[Fault]:
    if rows.any():
        yield rows, expected

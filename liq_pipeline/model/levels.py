"""Liquidation levels: what is alive, summed over (side, leverage, price bin), for every timeframe in one pass."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liq_pipeline.model.timeframes import TIMEFRAMES

Floats = NDArray[np.float64]

SPANS = {name: np.timedelta64(days, "D") for name, days in TIMEFRAMES.items()}
"""Timeframes as spans of time."""

LEVERAGE_CLASSES = {"10x": 10.0, "25x": 25.0, "50x": 50.0, "over_50x": np.inf}
"""Highest leverage of each class, lowest class first; the last one holds all above 50x."""

_BIN_SHARE_OF_PRICE = 0.001
_MOST_KEYS = 1_000_000


@dataclass(frozen=True)
class Cells:
    """Living cells, arrays of one length.

    Attributes:
        opened_at: closing instant of the bar that opened the cell, datetime64[us], UTC.
        is_long: side.
        leverage: leverage.
        liquidation_price: USD.
        contracts: what is left at `as_of`.
    """

    opened_at: NDArray[np.datetime64]
    is_long: NDArray[np.bool_]
    leverage: Floats
    liquidation_price: Floats
    contracts: Floats


@dataclass(frozen=True)
class Levels:
    """Levels of one timeframe, ordered by side (long first), leverage, price. Arrays of one length.

    Attributes:
        is_long, leverage: the group.
        price_low, price_high: edges of the bin, USD, cut at the current price.
        contracts: base asset.
        notional_usd: `Σ contracts × liquidation price`.
    """

    is_long: NDArray[np.bool_]
    leverage: Floats
    price_low: Floats
    price_high: Floats
    contracts: Floats
    notional_usd: Floats


def bin_width(price: float) -> float:
    """Return the largest 1-2-5 step not above 0.1 % of the price, USD (BTC at 90,000: 50; SOL at 150: 0.1)."""
    if not price > 0:
        raise ValueError(f"price must be positive, not {price}")
    limit = price * _BIN_SHARE_OF_PRICE
    exponent = int(np.floor(np.log10(limit))) + 1
    steps = (float(f"{digit}e{power}") for power in (exponent, exponent - 1, exponent - 2) for digit in (5, 2, 1))
    return next(step for step in steps if step <= limit * (1 + 1e-12))


def bin_edge(index: NDArray[np.int64], width: float) -> Floats:
    """Return the lower edge of each bin, as the nearest double to the decimal number that people read."""
    return np.asarray(index * width if width >= 1 else index / round(1 / width), dtype=np.float64)


def bin_index(price: Floats, width: float) -> NDArray[np.int64]:
    """Return the bin that holds each price: `edge(i) <= price < edge(i + 1)`, exactly."""
    index = np.floor(price / width).astype(np.int64)
    index -= price < bin_edge(index, width)
    index += price >= bin_edge(index + 1, width)
    return index


def liquidation_levels(
    cells: Cells, as_of: np.datetime64, current_price: float, timeframes: Collection[str] = tuple(TIMEFRAMES)
) -> dict[str, Levels]:
    """Sum the living cells into levels, for each timeframe.

    A timeframe holds the cells with `opened_at > as_of − T`; each contains the shorter ones exactly, bin by bin.

    Args:
        cells: the living cells; longs lie below the current price, shorts above.
        as_of: the newest complete bar.
        current_price: its close, USD; bins are cut there, so that none straddles it.
        timeframes: which are wanted.

    Raises:
        ValueError: a cell lies on the wrong side of the price (it should have been liquidated).
    """
    _refuse_cells_beyond(cells, current_price)
    width = bin_width(current_price)
    spans = np.array(list(SPANS.values()))
    frame = np.searchsorted(spans, as_of - cells.opened_at, side="right")  # the shortest timeframe that holds the cell
    index = bin_index(cells.liquidation_price, width)
    lowest, count = (int(index.min()), int(np.ptp(index)) + 1) if index.size else (0, 1)
    leverages, rank = np.unique(cells.leverage, return_inverse=True)

    # A grid of the groups that occur: no sorting, and in a group the cells add up in the order in which they opened.
    series = np.where(cells.is_long, 0, leverages.size) + rank
    occurring, group = _numbered(series * count + index - lowest)
    groups = occurring.size
    shape = (spans.size + 1, groups)  # the last row holds cells older than every timeframe
    slot = frame * groups + group
    totals = (
        np.bincount(slot, weights, shape[0] * groups).reshape(shape)[:-1]
        for weights in (cells.contracts, cells.contracts * cells.liquidation_price)
    )
    # Adding up over timeframes what the next shorter one lacks keeps 1d <= 7d <= 30d <= 90d exact in floating point.
    total_contracts, total_notional = (np.cumsum(total, axis=0) for total in totals)

    result = {}
    for row, name in enumerate(TIMEFRAMES):
        if name not in timeframes:
            continue
        some = np.flatnonzero(total_contracts[row])
        series, above = np.divmod(occurring[some], count)
        is_long, bins = series < leverages.size, above + lowest
        low, high = bin_edge(bins, width), bin_edge(bins + 1, width)
        result[name] = Levels(
            is_long=is_long,
            leverage=leverages[series % leverages.size],
            price_low=np.where(is_long, low, np.maximum(low, current_price)),
            price_high=np.where(is_long, np.minimum(high, current_price), high),
            contracts=total_contracts[row][some],
            notional_usd=total_notional[row][some],
        )
    return result


def _refuse_cells_beyond(cells: Cells, current_price: float) -> None:
    wrong = cells.is_long == (cells.liquidation_price >= current_price)
    wrong &= cells.contracts > 0
    if wrong.any():
        worst = int(np.flatnonzero(wrong)[0])
        raise ValueError(
            f"{int(wrong.sum())} living cells lie beyond the current price {current_price}, for example a "
            f"{'long' if cells.is_long[worst] else 'short'} at {cells.liquidation_price[worst]}"
        )


def _numbered(keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the keys that occur, ascending, and the number of each key among them; keys are from 0 on."""
    if not keys.size or keys.max() > _MOST_KEYS:  # far apart, as after a fall to a thousandth: no memory for the rest
        return np.unique(keys, return_inverse=True)
    occurs = np.zeros(keys.max() + 1, dtype=bool)
    occurs[keys] = True
    return np.flatnonzero(occurs), (np.cumsum(occurs) - 1)[keys]

"""Models to compare with, never to publish. Here: the legacy system's, with its exact semantics (model.md 2).

What it does differently from the walk: it reads positions from the change of the *USD value* of open interest, gives
all of a candle to one side, spreads today's open interest over the whole window, anchors the window to the wall clock,
uses a liquidation formula that lies too far out, and never removes a level that price has crossed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from liq_pipeline.model.crossing import first_touch
from liq_pipeline.model.margin import CLASSIC_LADDER, Side

Floats = NDArray[np.float64]

_MAINTENANCE_RATES = ((10.0, 0.004), (50.0, 0.01), (np.inf, 0.025))  # up to this leverage: this rate
_ENTRY_BINS_USD = ((np.timedelta64(7, "D"), 200.0), (np.timedelta64(30, "D"), 500.0))
_WIDEST_ENTRY_BIN_USD = 1500.0


@dataclass(frozen=True)
class LegacyInput:
    """Candles on one grid, oldest first, all of one length.

    Attributes:
        ts: closing instants, datetime64[us], UTC.
        open, high, low, close: USD.
        quote_volume: traded volume, USD.
        open_interest_value_usd: open interest at `ts`, USD; no nulls.
    """

    ts: NDArray[np.datetime64]
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    quote_volume: Floats
    open_interest_value_usd: Floats


@dataclass(frozen=True)
class LegacyLevels:
    """The legacy system's levels, one per candle and leverage, by candle, leverage. Arrays of one length.

    Attributes:
        bar: index of the candle in the input.
        is_long: side.
        leverage: leverage.
        liquidation_price: USD.
        notional_usd: share of the latest open interest, USD.
    """

    bar: NDArray[np.int64]
    is_long: NDArray[np.bool_]
    leverage: Floats
    liquidation_price: Floats
    notional_usd: Floats


def legacy_maintenance_rate(leverage: ArrayLike) -> Floats:
    """Return the rate that reproduces the published numbers: .4 % up to 10x, 1 % up to 50x, 2.5 % beyond."""
    limits, rates = (np.array(column) for column in zip(*_MAINTENANCE_RATES, strict=True))
    return np.asarray(rates[np.searchsorted(limits, np.asarray(leverage, dtype=float))], dtype=np.float64)


def legacy_liquidation_price(side: Side, entry_price: ArrayLike, leverage: ArrayLike) -> Floats:
    """Return `E·(1 ∓ (1 − m)/L)`, minus for longs. Too far out: it takes the rate of the margin, not of the notional.

    Args:
        side: 'long' or 'short'.
        entry_price: E, USD. Broadcasts with the leverage.
        leverage: L.
    """
    factor = np.asarray(leverage, dtype=float)
    distance = (1 - legacy_maintenance_rate(factor)) / factor
    return np.asarray(entry_price, dtype=float) * (1 - distance if side == "long" else 1 + distance)


def legacy_entry_bin(span: np.timedelta64) -> float:
    """Return the width of the entry bins, USD: 200 for windows up to 7 days, 500 up to 30 days, 1500 beyond."""
    return next((width for limit, width in _ENTRY_BINS_USD if span <= limit), _WIDEST_ENTRY_BIN_USD)


def legacy_levels(bars: LegacyInput, span: np.timedelta64, now: np.datetime64 | None = None) -> LegacyLevels:
    """Return the legacy system's levels.

    The latest open interest is spread, in proportion to quote volume, over the candles of the window in which its USD
    value rose; a rising candle (`close ≥ open`) is all long, a falling one all short. Each share is split over the
    classic ladder, entered at `floor(close / bin)·bin`, and kept if it lies beyond the current price now. What price
    did in between plays no part.

    Args:
        bars: at least one candle.
        span: width of the window.
        now: the wall clock; the window is `ts > now − span`. None: the newest candle.

    Raises:
        ValueError: no candles.
    """
    if not bars.ts.size:
        raise ValueError("the legacy model needs at least one candle")
    since = (bars.ts[-1] if now is None else now) - span
    delta_usd = np.diff(bars.open_interest_value_usd, prepend=np.nan)
    bar = np.flatnonzero((bars.ts > since) & (delta_usd > 0))
    volume = bars.quote_volume[bar]
    shares = volume / volume.sum() if volume.sum() > 0 else np.zeros(bar.size)

    ladder, weights = np.array(list(CLASSIC_LADDER)), np.array(list(CLASSIC_LADDER.values()))
    width = legacy_entry_bin(span)
    entry = np.floor(bars.close[bar] / width)[:, None] * width
    is_long = np.broadcast_to((bars.close[bar] >= bars.open[bar])[:, None], (bar.size, ladder.size))
    price = np.where(
        is_long, legacy_liquidation_price("long", entry, ladder), legacy_liquidation_price("short", entry, ladder)
    )
    notional = bars.open_interest_value_usd[-1] * shares[:, None] * weights
    current = bars.close[-1]
    kept = np.where(is_long, price < current, price > current)
    row, place = np.nonzero(kept)
    return LegacyLevels(bar[row], is_long[kept], ladder[place], price[kept], notional[kept])


def legacy_levels_crossed(bars: LegacyInput, levels: LegacyLevels) -> NDArray[np.bool_]:
    """Tell which levels price has reached since their candle closed, though they are still shown. Shape (levels,).

    Args:
        bars: the candles that the levels came from.
        levels: what `legacy_levels` returned.
    """
    ladder = np.array(list(CLASSIC_LADDER))
    place = np.searchsorted(ladder, levels.leverage)
    crossed = np.zeros(levels.bar.size, dtype=bool)
    for sign, extreme, mine in ((1.0, bars.low, levels.is_long), (-1.0, -bars.high, ~levels.is_long)):
        price = np.full((bars.ts.size, ladder.size), np.nan)
        price[levels.bar[mine], place[mine]] = sign * levels.liquidation_price[mine]
        touched = first_touch(extreme, price)
        crossed[mine] = touched[levels.bar[mine], place[mine]] < bars.ts.size
    return crossed

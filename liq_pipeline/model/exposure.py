"""What stands in the way of each bar: positions alive *before* the bar, inside its range or a little beyond.

Nothing later than the bar enters. Where open interest is coarser than the bars, it is known only at its own instants:
between two of them the state goes on with the last known value, and the change is spread over the past bars by volume
once it is known (`WalkInput.open_interest` holds that spreading; it must not be read before its time).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from liq_pipeline.model.compiled import compiled
from liq_pipeline.model.crossing import cells_by_bar
from liq_pipeline.model.lifecycle import Churn, churned_share
from liq_pipeline.model.margin import SIDES, Side
from liq_pipeline.model.walk import Walk

Floats = NDArray[np.float64]

CLASS_EDGES = (30.0, 60.0, 110.0)
"""Leverage classes: up to 30x, to 60x, to 110x, above."""
MARGINS = (0.0, 0.001, 0.0025, 0.005)
"""How far beyond the bar's extreme exposure is counted, as a share of the price; 0 is what the bar touches."""

_GRID = 0.0001  # buckets of one basis point for the margins; what the bar touches is counted exactly
_LARGEST_EXPONENT = 200.0


class Market(NamedTuple):
    """What is known of the bars, shape (bars,).

    Attributes:
        extreme, close: USD; the extreme is the low for longs, the high for shorts.
        open_interest, volume: contracts.
        newest_known: index of the newest bar up to each whose open interest was observed.
    """

    extreme: Floats
    close: Floats
    open_interest: Floats
    volume: Floats
    newest_known: NDArray[np.int64]


class Cells(NamedTuple):
    """One side's cells, shape (bars, cells), but for the last.

    Attributes:
        contracts: opened.
        shares: of the bar's contracts.
        price: liquidation price, USD.
        touched: bar that liquidates the cell, `bars` where none does.
        log_survival: shape (bars,).
    """

    contracts: Floats
    shares: Floats
    price: Floats
    touched: NDArray[np.int32]
    log_survival: Floats


def leverage_class(ladder: Floats) -> NDArray[np.int64]:
    """Return the class of each leverage."""
    return np.searchsorted(np.array(CLASS_EDGES), ladder, side="left")


def bar_exposure(walked: Walk, known: NDArray[np.bool_]) -> dict[Side, Floats]:
    """Return the USD at risk before each bar, per side.

    Args:
        walked: both sides' life over the bars.
        known: shape (bars,); whether the open interest of the bar was observed (not spread).

    Returns:
        Per side, shape (bars, classes, margins): contracts × liquidation price of the cells that opened before the bar
        and lie at most `margin` beyond its extreme. The first bar has none.
    """
    bars, parameters = walked.bars, walked.parameters
    index = np.arange(bars.ts.size)
    newest_known = np.maximum.accumulate(np.where(known, index, 0))
    classes = leverage_class(parameters.layout.leverage)
    result: dict[Side, Floats] = {}
    churn = Churn(parameters.churn_per_turnover, parameters.churn_cap)
    for side in SIDES:
        one = walked.sides[side]
        sign, extreme = (1.0, bars.low) if side == "long" else (-1.0, bars.high)
        total = one.contracts_opened.sum(axis=1, keepdims=True)
        shares = one.contracts_opened / np.where(total > 0, total, 1.0)
        cells = Cells(one.contracts_opened, shares, one.liquidation_price, one.liquidated_at, one.log_survival)
        market = Market(extreme, bars.close, bars.open_interest, bars.volume, newest_known)
        result[side] = _exposure(sign, market, cells, churn, classes, len(CLASS_EDGES) + 1, np.array(MARGINS))
    return result


@compiled(nogil=True)
def _exposure(
    sign: float,
    market: Market,
    cells: Cells,
    churn: Churn,
    leverage_classes: NDArray[np.int64],
    classes: int,
    margins: Floats,
) -> Floats:
    """Return the USD at risk before each bar of one side, shape (bars, classes, margins).

    Cells whose opening is known lie in a book: USD by bucket of the logarithm of the price, so that a margin is a sum
    of buckets. Between two known snapshots of open interest, cells are provisional: what was liquidated and what
    churned opens anew, in the shares that the bar turns out to have.

    Args:
        sign: 1 for longs, -1 for shorts.
        market, cells: as described there.
        churn: how positions turn over.
        leverage_classes: class of each cell, shape (cells,).
        classes: number of classes.
        margins: shares of the price beyond the extreme, rising from 0.
    """
    extreme, close, newest_known = market.extreme, market.close, market.newest_known
    contracts, price, touched, log_survival = cells.contracts, cells.price, cells.touched, cells.log_survival
    bars, width = price.shape
    result = np.zeros((bars, classes, margins.size))
    far = margins.max()
    first, cell = cells_by_bar(touched.ravel(), bars)

    origin = np.log(close.min()) - 0.5
    buckets = int((np.log(close.max()) + 0.5 - origin) / _GRID) + 1
    book = np.zeros((buckets, classes))
    scale = 0.0  # book holds usd · exp(scale − log_survival)
    booked = 0  # cells opened in bars before this one are in the book
    provisional = np.zeros((bars, width))
    fork = 0.0  # log survival since the newest known bar
    fork_at = np.zeros(bars)
    for t in range(1, bars):
        anchor = newest_known[t - 1]
        # Book what has become known.
        if booked <= anchor:
            fork = 0.0
            if scale - log_survival[anchor] > _LARGEST_EXPONENT:
                book *= np.exp(log_survival[anchor] - scale)
                scale = log_survival[anchor]
            for i in range(booked, anchor + 1):
                for k in range(width):
                    if contracts[i, k] > 0.0 and touched[i, k] >= t:
                        at = int((np.log(price[i, k]) - origin) / _GRID)
                        if 0 <= at < buckets:
                            usd = contracts[i, k] * price[i, k] * np.exp(scale - log_survival[i])
                            book[at, leverage_classes[k]] += usd
            booked = anchor + 1
        alive = np.exp(log_survival[anchor] + fork - scale)
        # What the bar touches, exactly.
        gone = 0.0
        for position in range(first[t], first[t + 1]):
            i, k = divmod(cell[position], width)
            if i >= t or (i < booked and contracts[i, k] <= 0.0):
                continue
            if i < booked:
                left = contracts[i, k] * np.exp(log_survival[anchor] + fork - log_survival[i])
                at = int((np.log(price[i, k]) - origin) / _GRID)
                if 0 <= at < buckets:
                    usd = contracts[i, k] * price[i, k] * np.exp(scale - log_survival[i])
                    book[at, leverage_classes[k]] = max(book[at, leverage_classes[k]] - usd, 0.0)
            else:
                left = provisional[i, k] * np.exp(fork - fork_at[i])
            gone += left
            result[t, leverage_classes[k], 0] += left * price[i, k]
        # A little beyond the extreme.
        if far > 0.0:
            nearest = np.log(extreme[t])
            for m in range(1, margins.size):
                for c in range(classes):
                    result[t, c, m] = result[t, c, 0]
            from_ = int((nearest - origin) / _GRID)
            for step in range(int(far / _GRID) + 1):
                at = from_ - step if sign > 0 else from_ + step
                if 0 <= at < buckets:
                    for m in range(1, margins.size):
                        if step * _GRID <= margins[m]:
                            for c in range(classes):
                                result[t, c, m] += book[at, c] * alive
            for i in range(booked, t):
                for k in range(width):
                    if provisional[i, k] > 0.0 and touched[i, k] > t:
                        beyond = sign * (nearest - np.log(price[i, k]))
                        left = provisional[i, k] * np.exp(fork - fork_at[i]) * price[i, k]
                        for m in range(1, margins.size):
                            if beyond <= margins[m]:
                                result[t, leverage_classes[k], m] += left
        # Go on with what is known: open interest stays, volume turns positions over.
        if newest_known[t] != t:
            last_known = market.open_interest[anchor]
            share = churned_share(churn, market.volume[t], last_known)
            fork += np.log(1.0 - share)
            fork_at[t] = fork
            opened = gone + share * max(last_known - gone, 0.0)
            for k in range(width):
                inside = sign * price[t, k] >= sign * close[t]
                provisional[t, k] = 0.0 if inside or not price[t, k] > 0.0 else opened * cells.shares[t, k]
    return result

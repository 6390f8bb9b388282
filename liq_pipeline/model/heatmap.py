"""Heatmap: what was alive when, over time × price (model.md 5).

A column is the state at its closing instant: a band starts in the column in which it was opened, brightens as more
opens at the same price, fades as positions close, and ends before the column whose candle touches it. A column shows
every position alive at that time, whatever its age.

Added at opening, taken off at the touch, scaled by survival from column to column: O(cells + columns × rows).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liq_pipeline.model.compiled import compiled
from liq_pipeline.model.levels import LEVERAGE_CLASSES, SPANS, bin_edge, bin_index, bin_width
from liq_pipeline.model.margin import SIDES, Side
from liq_pipeline.model.positions import Cohorts

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

COLUMN_WIDTHS = {"1d": np.timedelta64(5, "m"), "7d": np.timedelta64(30, "m"),
                 "30d": np.timedelta64(2, "h"), "90d": np.timedelta64(6, "h")}  # fmt: skip
"""Width of a column per timeframe; one bar where bars are wider."""

BURN_IN = np.timedelta64(20, "D")
MAX_ROWS = 1500
"""Rows from the lowest to the highest living cell, at most; a day's picture is finer, it shows less of them."""
MAX_ROWS_1D = 3000
_COARSER = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


@dataclass(frozen=True)
class Heatmap:
    """Cells that hold something, ordered by side (long first), price, column. Arrays of one length but for `ts`.

    Attributes:
        ts: closing instant of each column, datetime64[us], UTC.
        bin_width: height of a row, USD: the levels' bin width or a multiple of it.
        column: index into `ts`.
        is_long: side.
        price_low, price_high: edges of the row, USD.
        contracts: what is alive at `ts`.
        notional_usd: contracts × liquidation price, summed.
        by_class: notional per leverage class, shape (cells, classes).
    """

    ts: NDArray[np.datetime64]
    bin_width: float
    column: Integers
    is_long: NDArray[np.bool_]
    price_low: Floats
    price_high: Floats
    contracts: Floats
    notional_usd: Floats
    by_class: Floats


def column_instants(ts: NDArray[np.datetime64], timeframe: str) -> NDArray[np.datetime64]:
    """Return the closing instants of a timeframe's columns, oldest first; the last one is the newest bar's.

    Columns begin after the burn-in: 20 days, or half of the history where that is less (a map that starts with every
    position unknown would start empty).

    Args:
        ts: closing instants of the bars, oldest first.
        timeframe: '1d', '7d', '30d' or '90d'.
    """
    as_of = ts[-1]
    bar = np.diff(ts).min() if ts.size > 1 else COLUMN_WIDTHS[timeframe]
    width = max(COLUMN_WIDTHS[timeframe], bar).astype("timedelta64[us]")
    burned_in = ts[0] + min(BURN_IN.astype("timedelta64[us]"), (as_of - ts[0]) // 2)
    count = min(SPANS[timeframe], as_of - burned_in) // width
    instants: NDArray[np.datetime64] = as_of - width * np.arange(max(1, int(count)))[::-1]
    return instants


def heatmap(
    cohorts: Cohorts,
    ts: NDArray[np.datetime64],
    log_survival: Mapping[Side, Floats],
    columns: NDArray[np.datetime64],
    current_price: float,
    max_rows: int = MAX_ROWS,
) -> Heatmap:
    """Sum the cells alive at each column's closing instant, per side and price row.

    Args:
        cohorts: every cell that was alive at one of the columns, ordered by `opened`; others do no harm.
        ts: closing instants of the bars.
        log_survival: per side ('long', 'short'), shape (bars,).
        columns: closing instants, ascending, from the first bar to the newest.
        current_price: USD, decides the height of the rows.
        max_rows: bins are added together until there are no more rows than this.
    """
    ends = np.searchsorted(ts, columns, side="right") - 1
    seen = (cohorts.opened <= ends[-1]) & (cohorts.ended > ends[0]) & (cohorts.contracts_opened > 0)
    base = bin_width(current_price)
    prices = cohorts.liquidation_price[seen]
    reach = np.array([prices.min(), prices.max()]) if prices.size else np.array([current_price] * 2)
    lowest, highest = bin_index(reach, base).tolist()
    coarser = next((k for k in _COARSER if highest // k - lowest // k < max_rows), _COARSER[-1])
    first = lowest // coarser
    rows = highest // coarser - first + 1

    contracts, alive = [], []
    for side in SIDES:  # one after the other: each takes memory for itself
        mine = np.flatnonzero(seen & (cohorts.is_long == (side == "long")))
        ended, price = cohorts.ended[mine], cohorts.liquidation_price[mine]
        states = _states(
            cohorts.opened[mine], ended, np.argsort(ended, kind="stable"), bin_index(price, base) // coarser - first,
            np.searchsorted(list(LEVERAGE_CLASSES.values()), cohorts.leverage[mine]), cohorts.contracts_opened[mine],
            price, log_survival[side], ends, rows, len(LEVERAGE_CLASSES),
        )  # fmt: skip
        contracts.append(states[0])
        alive.append(states[1])
    which, where, column = np.nonzero(np.stack([of_side.T for of_side in alive]))  # longs first, price, column
    amounts = np.concatenate([of_side.swapaxes(0, 1)[seen.T] for of_side, seen in zip(contracts, alive, strict=True)])
    low = bin_edge((where + first) * coarser, base)
    high = bin_edge((where + first + 1) * coarser, base)
    by_class = amounts[:, 1:]
    return Heatmap(
        columns, base * coarser, column, which == 0, low, high, amounts[:, 0], by_class.sum(axis=1), by_class
    )  # fmt: skip


@compiled(nogil=True)
def _states(
    opened: Integers,
    ended: Integers,
    by_end: Integers,
    row: Integers,
    klass: Integers,
    contracts: Floats,
    price: Floats,
    log_survival: Floats,
    ends: Integers,
    rows: int,
    classes: int,
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return per column and row: contracts, then notional per class; and which rows hold a living cell."""
    states = np.zeros((ends.size, rows, 1 + classes))
    alive = np.zeros((ends.size, rows), dtype=np.bool_)
    state = np.zeros((rows, 1 + classes))
    living = np.zeros((rows, classes), dtype=np.int64)
    before, next_open, next_end = -1, 0, 0
    for c in range(ends.size):
        end = ends[c]
        if before >= 0:
            state *= np.exp(log_survival[end] - log_survival[before])
        while next_end < by_end.size and ended[by_end[next_end]] <= end:
            cell = by_end[next_end]
            next_end += 1
            if opened[cell] > before:
                continue  # opened and ended between two columns: never seen
            left = contracts[cell] * np.exp(log_survival[end] - log_survival[opened[cell]])
            r, k = row[cell], 1 + klass[cell]
            living[r, k - 1] -= 1
            # What cancels must leave nothing: a rounding residue is not a position.
            state[r, k] = max(state[r, k] - left * price[cell], 0.0) if living[r, k - 1] else 0.0
            state[r, 0] = max(state[r, 0] - left, 0.0) if living[r].any() else 0.0
        while next_open < opened.size and opened[next_open] <= end:
            cell = next_open
            next_open += 1
            if ended[cell] <= end:
                continue
            left = contracts[cell] * np.exp(log_survival[end] - log_survival[opened[cell]])
            r, k = row[cell], 1 + klass[cell]
            living[r, k - 1] += 1
            state[r, 0] += left
            state[r, k] += left * price[cell]
        states[c] = state
        for r in range(rows):
            alive[c, r] = state[r, 0] > 0.0
        before = end
    return states, alive

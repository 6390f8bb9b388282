"""The compiled loop of the walk: one side, bar after bar (model.md 3).

`bars` = number of bars, `cells` = cells that a bar opens, `older` = cells that opened up to bar 0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from liq_pipeline.model.compiled import compiled
from liq_pipeline.model.crossing import cells_by_bar

Floats = NDArray[np.float64]


class Churn(NamedTuple):
    """How positions turn over.

    Attributes:
        per_turnover: churned share of open interest per unit of turnover (volume ÷ open interest).
        cap: highest share that churns in one bar.
    """

    per_turnover: float
    cap: float


class SideInput(NamedTuple):
    """One side's bars, in the orientation of longs: prices of shorts are negated.

    Attributes:
        open_interest, volume: contracts, shape (bars,).
        close: USD, shape (bars,).
        price: liquidation prices, USD, shape (bars, cells); NaN where the leverage cannot exist.
        touched: the first later bar that reaches each price, `bars` where none does; shape (bars, cells).
        weights: share of each cell in what opens, shape (epochs, cells).
        epoch: row of `weights` in force, shape (bars,).
    """

    open_interest: Floats
    volume: Floats
    close: Floats
    price: Floats
    touched: NDArray[np.int32]
    weights: Floats
    epoch: NDArray[np.int64]


class SideStart(NamedTuple):
    """Where the side stands after bar 0.

    Attributes:
        tracked, untracked: contracts.
        log_survival: at bar 0.
        contracts, opening_log_survival: of the older cells, shape (older,).
        touched: the first bar that reaches each of them, `bars` where none does; shape (older,).
    """

    tracked: float
    untracked: float
    log_survival: float
    contracts: Floats
    opening_log_survival: Floats
    touched: NDArray[np.int32]


class SideLife(NamedTuple):
    """What became of the side.

    Attributes:
        log_survival: shape (bars,).
        tracked, untracked, liquidated, opened, closed: contracts, shape (bars,).
        contracts: opened in each cell, shape (bars, cells).
        liquidated_at: `SideInput.touched`, but the cell's own bar where it died inside it; shape (bars, cells).
    """

    log_survival: Floats
    tracked: Floats
    untracked: Floats
    liquidated: Floats
    opened: Floats
    closed: Floats
    contracts: Floats
    liquidated_at: NDArray[np.int32]


@compiled(nogil=True, inline="always")
def churned_share(churn: Churn, turned_over: float, open_interest: float) -> float:
    """Return the share of positions that change hands in a bar without a change of open interest (model.md 3)."""
    return min(churn.cap, churn.per_turnover * max(turned_over, 0.0) / open_interest)


@compiled(nogil=True, error_model="numpy")
def walk_side(side: SideInput, start: SideStart, churn: Churn) -> SideLife:
    """Walk one side from its state after bar 0 on. Changes nothing that it is given."""
    open_interest, volume, price = side.open_interest, side.volume, side.price
    bars, width = price.shape
    log_survival, tracked, untracked = np.zeros(bars), np.zeros(bars), np.zeros(bars)
    liquidated, opened, closed = np.zeros(bars), np.zeros(bars), np.zeros(bars)
    contracts = np.zeros((bars, width))
    liquidated_at = side.touched.copy()
    first, cells = cells_by_bar(side.touched.ravel(), bars)
    first_older, older = cells_by_bar(start.touched, bars)

    live, rest = start.tracked, start.untracked
    tracked[0], untracked[0], log_survival[0] = live, rest, start.log_survival
    for t in range(1, bars):
        # 1. Liquidate what this bar touches.
        gone = 0.0
        for at in range(first_older[t], first_older[t + 1]):
            cell = older[at]
            gone += start.contracts[cell] * np.exp(log_survival[t - 1] - start.opening_log_survival[cell])
        for at in range(first[t], first[t + 1]):
            i, k = divmod(cells[at], width)
            if contracts[i, k] > 0.0 and liquidated_at[i, k] == t:
                gone += contracts[i, k] * np.exp(log_survival[t - 1] - log_survival[i])
        live = max(live - gone, 0.0)
        # 2. Net flow: what open interest says, plus the takers-over of the liquidated.
        before = live + rest  # what the books hold, not q − X: rounding errors do not add up from bar to bar
        net = open_interest[t] - before
        keep = 1.0
        if net < 0.0:
            keep = open_interest[t] / before  # 1 − f, without cancellation when almost everything closes
        # 3. Churn: positions turn over even when open interest is flat.
        turned_over = volume[t] - abs(open_interest[t] - open_interest[t - 1])
        share = churned_share(churn, turned_over, open_interest[t])
        reopened = share * keep * before
        factor = keep * (1.0 - share)
        live *= factor
        rest *= factor
        log_survival[t] = log_survival[t - 1] + np.log(factor)
        # 4. Open.
        new = max(net, 0.0) + reopened
        for k in range(width):
            amount = new * side.weights[side.epoch[t], k]
            contracts[t, k] = amount
            if amount > 0.0:
                if price[t, k] >= side.close[t]:
                    # Died inside its own bar; another took it over, at a price that we do not know.
                    liquidated_at[t, k] = t
                    rest += amount
                else:
                    live += amount
        liquidated[t], opened[t], closed[t] = gone, new, (1.0 - keep) * before + reopened
        tracked[t], untracked[t] = live, rest
    return SideLife(log_survival, tracked, untracked, liquidated, opened, closed, contracts, liquidated_at)

"""The walk as model.md 3 states it, cell by cell, in plain Python: slow, and independent of `walk.py`.

Every cell carries its own contracts; nothing is shared between cells. The two sides are written out separately.
"""

from dataclasses import dataclass

import numpy as np


@dataclass
class ReferenceSide:
    """One side: per cell (bars, tiers), per bar (bars,). `liquidated_at` is `bars` where the cell is alive."""

    liquidation_price: np.ndarray
    opened_in_cell: np.ndarray
    left_in_cell: np.ndarray
    liquidated_at: np.ndarray
    tracked: np.ndarray
    untracked: np.ndarray
    liquidated: np.ndarray
    opened: np.ndarray
    closed: np.ndarray


def reference_walk(bars, side, ladder, weights, mmr=0.004, churn_per_turnover=0.05, churn_cap=0.3, extremes_share=0.3):
    """Walk one side. `weights` sum to 1, one per leverage. Cells: the ladder at the VWAP; from 50x on at low, high."""
    q, volume = bars.open_interest, bars.volume
    cells_of_a_bar = []
    for leverage, weight in zip(ladder, weights, strict=True):
        rest = weight * (1 - extremes_share) if leverage >= 50 else weight
        cells_of_a_bar.append((bars.entry_price, leverage, rest))
    for entry in (bars.low, bars.high) if extremes_share else ():
        for leverage, weight in zip(ladder, weights, strict=True):
            if leverage >= 50:
                cells_of_a_bar.append((entry, leverage, weight * extremes_share / 2))
    count, tiers = q.size, len(cells_of_a_bar)
    price = np.empty((count, tiers))
    for i in range(count):
        for k, (entry, leverage, _) in enumerate(cells_of_a_bar):
            if side == "long":
                price[i, k] = entry[i] * (1 - 1 / leverage) / (1 - mmr)
            else:
                price[i, k] = entry[i] * (1 + 1 / leverage) / (1 + mmr)
    cells: dict[tuple[int, int], float] = {}
    opened_in_cell = np.zeros((count, tiers))
    died = np.full((count, tiers), count)
    tracked, untracked, liquidated, opened, closed = (np.zeros(count) for _ in range(5))
    rest = untracked[0] = q[0]

    for t in range(1, count):
        touched = [
            key for key in cells if (bars.low[t] <= price[key] if side == "long" else bars.high[t] >= price[key])
        ]
        gone = 0.0
        for key in touched:
            gone += cells.pop(key)
            died[key] = t

        flow = (q[t] - q[t - 1]) + gone
        if flow < 0:
            share = min(1.0, -flow / (q[t - 1] - gone))
            closed[t] += share * (sum(cells.values()) + rest)
            cells = {key: contracts * (1 - share) for key, contracts in cells.items()}
            rest *= 1 - share

        share = min(churn_cap, churn_per_turnover * max(volume[t] - abs(q[t] - q[t - 1]), 0.0) / q[t])
        churn = share * (sum(cells.values()) + rest)
        closed[t] += churn
        cells = {key: contracts * (1 - share) for key, contracts in cells.items()}
        rest *= 1 - share

        opened[t] = max(flow, 0.0) + churn
        for k in range(tiers):
            contracts = opened[t] * cells_of_a_bar[k][2]
            if contracts <= 0:
                continue
            opened_in_cell[t, k] = contracts
            if price[t, k] >= bars.close[t] if side == "long" else price[t, k] <= bars.close[t]:
                died[t, k] = t
                rest += contracts
            else:
                cells[t, k] = contracts
        tracked[t], untracked[t], liquidated[t] = sum(cells.values()), rest, gone

    left = np.zeros((count, tiers))
    for key, contracts in cells.items():
        left[key] = contracts
    return ReferenceSide(price, opened_in_cell, left, died, tracked, untracked, liquidated, opened, closed)

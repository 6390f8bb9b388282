"""The compiled loop of the walk: one side, bar after bar (model.md 3)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from liq_pipeline.model.compiled import compiled

Floats = NDArray[np.float64]


@compiled(nogil=True)
def walk_side(
    open_interest: Floats,
    volume: Floats,
    settle: Floats,
    price: Floats,
    touched: NDArray[np.int32],
    weights: Floats,
    epoch: NDArray[np.int64],
    gamma: float,
    churn_cap: float,
    tracked_before: float,
    untracked_before: float,
    log_survival_before: float,
    older_contracts: Floats,
    older_log_survival: Floats,
    older_touched: NDArray[np.int32],
) -> tuple[Floats, Floats, Floats, Floats, Floats, Floats, Floats]:
    """Walk one side in the orientation of longs, from its state after bar 0 on; `older` cells opened up to then.

    Changes `touched` where a slice dies inside its own bar.
    """
    bars, tiers = price.shape
    log_survival, tracked, untracked = np.zeros(bars), np.zeros(bars), np.zeros(bars)
    liquidated, opened, closed = np.zeros(bars), np.zeros(bars), np.zeros(bars)
    contracts = np.zeros((bars, tiers))

    # Per bar a list of the cells that it touches, in their own order (so that sums are reproducible).
    nobody = np.int32(-1)
    first = np.full(bars, nobody, dtype=np.int32)
    following = np.empty(bars * tiers, dtype=np.int32)
    for i in range(bars - 1, -1, -1):
        for k in range(tiers - 1, -1, -1):
            t = touched[i, k]
            if t < bars:
                following[i * tiers + k] = first[t]
                first[t] = i * tiers + k
    first_older = np.full(bars, nobody, dtype=np.int32)
    following_older = np.empty(older_touched.size, dtype=np.int32)
    for cell in range(older_touched.size - 1, -1, -1):
        t = older_touched[cell]
        if t < bars:
            following_older[cell] = first_older[t]
            first_older[t] = cell

    live, rest = tracked_before, untracked_before
    tracked[0], untracked[0], log_survival[0] = live, rest, log_survival_before
    for t in range(1, bars):
        # 1. Liquidate what this bar touches.
        gone = 0.0
        older = first_older[t]
        while older != nobody:
            gone += older_contracts[older] * np.exp(log_survival[t - 1] - older_log_survival[older])
            older = following_older[older]
        cell = first[t]
        while cell != nobody:
            i = cell // tiers
            k = cell - i * tiers
            if contracts[i, k] > 0.0 and touched[i, k] == t:
                gone += contracts[i, k] * np.exp(log_survival[t - 1] - log_survival[i])
            cell = following[cell]
        live = max(live - gone, 0.0)
        # 2. Net flow: what open interest says, plus the takers-over of the liquidated.
        before = live + rest  # what the books hold, not q − X: rounding errors do not add up from bar to bar
        net = open_interest[t] - before
        keep = 1.0
        if net < 0.0:
            keep = open_interest[t] / before  # 1 − f, without cancellation when almost everything closes
        # 3. Churn: positions turn over even when open interest is flat.
        turnover = max(volume[t] - abs(open_interest[t] - open_interest[t - 1]), 0.0)
        churn = min(churn_cap, gamma * turnover / open_interest[t])
        reopened = churn * keep * before
        factor = keep * (1.0 - churn)
        live *= factor
        rest *= factor
        log_survival[t] = log_survival[t - 1] + np.log(factor)
        # 4. Open.
        new = max(net, 0.0) + reopened
        for k in range(tiers):
            amount = new * weights[epoch[t], k]
            contracts[t, k] = amount
            if amount > 0.0:
                if price[t, k] >= settle[t]:
                    touched[t, k] = t  # died inside its own bar; somebody took it over, at a price we do not know
                    rest += amount
                else:
                    live += amount
        liquidated[t], opened[t], closed[t] = gone, new, (1.0 - keep) * before + reopened
        tracked[t], untracked[t] = live, rest
    return log_survival, tracked, untracked, liquidated, opened, closed, contracts

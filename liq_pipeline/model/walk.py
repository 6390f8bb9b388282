"""The position lifecycle: who is still in, from when, at which leverage (model.md 3).

Every contract of open interest is a long and a short. Per side the walk keeps tracked cells (bar of opening × leverage)
and an untracked remainder; tracked + untracked = open interest at every bar. Because closing and churn are pro rata,
one survival factor per side and bar stands for the fate of every cell:

    remaining(i, T) = opened · exp(log_survival(T) − log_survival(i))        until the price touches the cell
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numba import njit
from numpy.typing import NDArray

from liq_pipeline.model.crossing import first_touch
from liq_pipeline.model.margin import LADDER, Side, bracket_epochs, liquidation_price

Floats = NDArray[np.float64]
SIDES: tuple[Side, Side] = ("long", "short")

MODEL_NAME = "position-lifecycle"
MODEL_VERSION = "1"


@dataclass(frozen=True)
class WalkParameters:
    """What the walk assumes. The defaults were measured on real data (model.md 6).

    Attributes:
        ladder: leverages that traders choose from.
        weights: share of each leverage in what opens; None for equal shares.
        gamma: churned share of open interest per unit of turnover.
        churn_cap: highest share that churns in one bar.
    """

    ladder: tuple[float, ...] = LADDER
    weights: tuple[float, ...] | None = None
    gamma: float = 0.05
    churn_cap: float = 0.3

    def __post_init__(self) -> None:
        if self.weights is not None and len(self.weights) != len(self.ladder):
            raise ValueError(f"{len(self.ladder)} leverages but {len(self.weights)} weights")
        if self.weights is not None and min(self.weights) < 0:
            raise ValueError(f"weights must not be negative: {self.weights}")
        if not self.gamma >= 0:
            raise ValueError(f"gamma must not be negative: {self.gamma}")
        if not 0 <= self.churn_cap < 1:
            raise ValueError(f"churn_cap must be at least 0 and below 1: {self.churn_cap}")


@dataclass(frozen=True)
class WalkInput:
    """Bars on one grid, oldest first, all of one length; no nulls.

    Attributes:
        ts: closing instants, datetime64[us], UTC.
        open_interest: contracts at `ts`, positive.
        entry_price: the bar's VWAP, USD.
        low, high, close: USD.
        volume: contracts traded in the bar.
    """

    ts: NDArray[np.datetime64]
    open_interest: Floats
    entry_price: Floats
    low: Floats
    high: Floats
    close: Floats
    volume: Floats


@dataclass(frozen=True)
class SideWalk:
    """What became of one side. `bars` = number of bars, `tiers` = number of leverages.

    Attributes:
        side: 'long' or 'short'.
        log_survival, tracked, untracked, liquidated, opened, closed: shape (bars,), contracts but for the first.
            `liquidated` is what the price touched, `opened` and `closed` include churn.
        liquidation_price: USD, shape (bars, tiers); NaN where the leverage cannot exist.
        contracts_opened: shape (bars, tiers).
        liquidated_at: index of the bar that touched the cell, `bars` where it is alive; shape (bars, tiers).
    """

    side: Side
    log_survival: Floats
    tracked: Floats
    untracked: Floats
    liquidated: Floats
    opened: Floats
    closed: Floats
    liquidation_price: Floats
    contracts_opened: Floats
    liquidated_at: NDArray[np.int32]

    def contracts_open(self, at: int | None = None) -> Floats:
        """Return what is left of each cell after bar `at` (default: the newest), shape (bars, tiers)."""
        at = self.log_survival.size - 1 if at is None else at
        known = slice(0, at + 1)
        survival = np.exp(self.log_survival[at] - self.log_survival[known])
        left = np.zeros_like(self.contracts_opened)
        left[known] = np.where(self.liquidated_at[known] > at, self.contracts_opened[known] * survival[:, None], 0.0)
        return left


@dataclass(frozen=True)
class Walk:
    """Both sides' lifecycle over the same bars."""

    bars: WalkInput
    parameters: WalkParameters
    sides: dict[Side, SideWalk] = field(default_factory=dict)


@njit(cache=True, nogil=True)
def _walk_side(
    open_interest: Floats,
    volume: Floats,
    settle: Floats,
    price: Floats,
    touched: NDArray[np.int32],
    weights: Floats,
    epoch: NDArray[np.int64],
    gamma: float,
    churn_cap: float,
) -> tuple[Floats, Floats, Floats, Floats, Floats, Floats, Floats]:
    """Walk one side in the orientation of longs. Changes `touched` where a slice dies inside its own bar."""
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

    live, rest = 0.0, open_interest[0]
    untracked[0] = rest
    for t in range(1, bars):
        # 1. Liquidate what this bar touches.
        gone = 0.0
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


def walk(
    bars: WalkInput,
    symbol: str,
    parameters: WalkParameters | None = None,
    prices: Mapping[Side, Floats] | None = None,
) -> Walk:
    """Walk positions through their life, both sides.

    Args:
        bars: the input, at least one bar.
        symbol: decides the margin brackets (dated).
        parameters: what the walk assumes.
        prices: liquidation prices to use instead of the formula's, per side, shape (bars, tiers).

    Raises:
        ValueError: empty or unusable input (nulls, open interest not positive, no leverage of the ladder allowed).
    """
    parameters = parameters or WalkParameters()
    if not bars.ts.size:
        raise ValueError("the walk needs at least one bar")
    for name in ("open_interest", "entry_price", "low", "high", "close", "volume"):
        if not np.isfinite(getattr(bars, name)).all():
            raise ValueError(f"{name} has nulls; spread or drop them before the walk")
    if not (bars.open_interest > 0).all():
        raise ValueError("open interest must be positive at every bar")

    ladder = np.array(parameters.ladder)
    epoch, history = bracket_epochs(symbol, bars.ts)
    allowed = np.array([table.allows(ladder) for table in history])
    shares = np.where(allowed, np.ones(ladder.size) if parameters.weights is None else parameters.weights, 0.0)
    if not (shares.sum(axis=1) > 0).all():
        raise ValueError(f"no leverage of the ladder {parameters.ladder} is allowed for {symbol}")
    weights = shares / shares.sum(axis=1, keepdims=True)
    if prices is None:
        mmr = np.array([table.mmr[0] for table in history])[epoch]  # taken as small: first bracket, cum 0
        prices = {side: liquidation_price(side, bars.entry_price[:, None], ladder, mmr[:, None]) for side in SIDES}

    result: dict[Side, SideWalk] = {}
    for side in SIDES:
        # Shorts are longs upside down: one kernel serves both.
        sign, extreme = (1.0, bars.low) if side == "long" else (-1.0, -bars.high)
        price = prices[side] if allowed.all() else np.where(allowed[epoch], prices[side], np.nan)
        oriented = price if side == "long" else -price
        touched = first_touch(extreme, oriented)
        log_survival, tracked, untracked, liquidated, opened, closed, contracts = _walk_side(
            bars.open_interest,
            bars.volume,
            sign * bars.close,
            oriented,
            touched,
            weights,
            epoch,
            parameters.gamma,
            parameters.churn_cap,
        )
        result[side] = SideWalk(
            side, log_survival, tracked, untracked, liquidated, opened, closed, price, contracts, touched
        )
    return Walk(bars, parameters, result)

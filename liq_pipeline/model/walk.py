"""The position lifecycle: who is still in, from when, at which leverage (model.md 3).

Every contract of open interest is a long and a short. Per side the walk keeps tracked cells (bar of opening × leverage
and entry price) and an untracked remainder; tracked + untracked = open interest at every bar. Because closing and churn
are pro rata, one survival factor per side and bar stands for the fate of every cell:

    remaining(i, T) = opened · exp(log_survival(T) − log_survival(i))        until the price touches the cell
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from liq_pipeline.model.crossing import first_touch
from liq_pipeline.model.entries import ENTRIES, EXTREMES_SHARE, Layout, layout
from liq_pipeline.model.lifecycle import Churn, SideInput, SideStart, walk_side
from liq_pipeline.model.margin import LADDER, SIDES, Side, bracket_epochs, liquidation_price
from liq_pipeline.model.positions import SideState

Floats = NDArray[np.float64]

MODEL_NAME = "position-lifecycle"


@dataclass(frozen=True)
class WalkParameters:
    """What the walk assumes. The defaults were measured on real data (model.md 6).

    Attributes:
        ladder: leverages that traders choose from.
        weights: share of each leverage in what opens; None for equal shares.
        churn_per_turnover: churned share of open interest per unit of turnover.
        churn_cap: highest share that churns in one bar.
        extremes_share: of what opens at high leverages, the part that enters at the bar's low and high, half each; the
            rest enters at its VWAP. 0: all of it, as in version 1 of the model.
    """

    ladder: tuple[float, ...] = LADDER
    weights: tuple[float, ...] | None = None
    churn_per_turnover: float = 0.05
    churn_cap: float = 0.3
    extremes_share: float = EXTREMES_SHARE

    def __post_init__(self) -> None:
        if self.weights is not None and len(self.weights) != len(self.ladder):
            raise ValueError(f"{len(self.ladder)} leverages but {len(self.weights)} weights")
        if self.weights is not None and min(self.weights) < 0:
            raise ValueError(f"weights must not be negative: {self.weights}")
        if not self.churn_per_turnover >= 0:
            raise ValueError(f"churn_per_turnover must not be negative: {self.churn_per_turnover}")
        if not 0 <= self.churn_cap < 1:
            raise ValueError(f"churn_cap must be at least 0 and below 1: {self.churn_cap}")
        if not 0 <= self.extremes_share < 1:
            raise ValueError(f"extremes_share must be at least 0 and below 1: {self.extremes_share}")

    @property
    def layout(self) -> Layout:
        """The cells that a bar opens."""
        return layout(self.ladder, self.extremes_share)


VERSIONS = {"1": WalkParameters(extremes_share=0.0), "2": WalkParameters()}
"""What the versions of the model assume."""
NEWEST_VERSION = "2"
_used = [NEWEST_VERSION]  # what `use_model` was given


def use_model(version: str) -> None:
    """Let this process walk by a version of the model: '1' or '2'.

    Raises:
        ValueError: there is no such version.
    """
    if version not in VERSIONS:
        raise ValueError(f"model {version}; there are {', '.join(VERSIONS)}")
    _used[:] = [version]


def model_version() -> str:
    """Return the version of the model that this process walks by."""
    return _used[0]


def parameters_in_use() -> WalkParameters:
    """Return what the walk assumes unless it is told otherwise."""
    return VERSIONS[model_version()]


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
    """What became of one side. `bars` = number of bars, `cells` = cells that a bar opens (`Layout`).

    Attributes:
        side: 'long' or 'short'.
        log_survival, tracked, untracked, liquidated, opened, closed: shape (bars,), contracts but for the first.
            `liquidated` is what the price touched, `opened` and `closed` include churn.
        liquidation_price: USD, shape (bars, cells); NaN where the leverage cannot exist.
        contracts_opened: shape (bars, cells).
        liquidated_at: index of the bar that touched the cell, `bars` where it is alive; shape (bars, cells).
        older_liquidated_at: the same for the older cells of a walk that went on from a state; shape (older cells,).
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
    older_liquidated_at: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))

    def contracts_open(self, at: int | None = None) -> Floats:
        """Return what is left of each cell after bar `at` (default: the newest), shape (bars, cells).

        Older cells of a walk that went on from a state are not among them.
        """
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


def walk(
    bars: WalkInput,
    symbol: str,
    parameters: WalkParameters | None = None,
    prices: Mapping[Side, Floats] | None = None,
    after: Mapping[Side, SideState] | None = None,
) -> Walk:
    """Walk positions through their life, both sides.

    Going on from a state gives what one walk over all bars gives, bit for bit; the first bar is then the one that the
    state is of, and nothing opens in it.

    Args:
        bars: the input, at least one bar.
        symbol: decides the margin brackets (dated).
        parameters: what the walk assumes; None: `parameters_in_use`.
        prices: liquidation prices to use instead of the formula's, per side, shape (bars, cells).
        after: go on from where each side stood after the first bar; without it, nothing is known before that bar.

    Raises:
        ValueError: empty or unusable input (nulls, open interest not positive, no leverage of the ladder allowed).
    """
    parameters = parameters or parameters_in_use()
    _check(bars)
    ladder, cells = np.array(parameters.ladder), parameters.layout
    epoch, history = bracket_epochs(symbol, bars.ts)
    allowed = np.array([table.allows(ladder) for table in history])
    weights = _weights(parameters, allowed, symbol)
    if prices is None:
        mmr = np.array([table.mmr[0] for table in history])[epoch]  # taken as small: first bracket, cum 0
        entry = entry_prices(bars)[:, cells.entry]
        prices = {side: liquidation_price(side, entry, cells.leverage, mmr[:, None]) for side in SIDES}

    churn = Churn(parameters.churn_per_turnover, parameters.churn_cap)
    result: dict[Side, SideWalk] = {}
    for side in SIDES:
        price = prices[side] if allowed.all() else np.where(allowed[epoch][:, cells.place], prices[side], np.nan)
        state = after[side] if after else _unknown(bars.open_interest[0])
        result[side] = _walk_one(side, bars, price, weights, epoch, state, churn)
    return Walk(bars, parameters, result)


def entry_prices(bars: WalkInput) -> Floats:
    """Return the prices at which positions open, shape (bars, len(ENTRIES)): VWAP, low, high of each bar."""
    columns = {"vwap": bars.entry_price, "low": bars.low, "high": bars.high}
    return np.column_stack([columns[name] for name in ENTRIES])


def _walk_one(
    side: Side,
    bars: WalkInput,
    price: Floats,
    weights: Floats,
    epoch: NDArray[np.int64],
    state: SideState,
    churn: Churn,
) -> SideWalk:
    # Shorts are longs upside down: one kernel serves both.
    sign, extreme = (1.0, bars.low) if side == "long" else (-1.0, -bars.high)
    oriented = price if side == "long" else -price
    touched = first_touch(extreme, oriented)
    older = _first_touch_of_older(extreme, sign * state.liquidation_price)
    life = walk_side(
        SideInput(bars.open_interest, bars.volume, sign * bars.close, oriented, touched, weights, epoch),
        SideStart(
            state.tracked,
            state.untracked,
            state.log_survival,
            state.contracts_opened,
            state.opening_log_survival,
            older,
        ),
        churn,
    )
    return SideWalk(
        side, life.log_survival, life.tracked, life.untracked, life.liquidated, life.opened, life.closed, price,
        life.contracts, life.liquidated_at, older,
    )  # fmt: skip


def _weights(parameters: WalkParameters, allowed: NDArray[np.bool_], symbol: str) -> Floats:
    """Return the share of each cell in what opens, shape (epochs, cells)."""
    shares = np.where(allowed, np.ones(len(parameters.ladder)) if parameters.weights is None else parameters.weights, 0)
    if not (shares.sum(axis=1) > 0).all():
        raise ValueError(f"no leverage of the ladder {parameters.ladder} is allowed for {symbol}")
    cells = parameters.layout
    return np.asarray((shares / shares.sum(axis=1, keepdims=True))[:, cells.place] * cells.share)


def _check(bars: WalkInput) -> None:
    if not bars.ts.size:
        raise ValueError("the walk needs at least one bar")
    for name in ("open_interest", "entry_price", "low", "high", "close", "volume"):
        if not np.isfinite(getattr(bars, name)).all():
            raise ValueError(f"{name} has nulls; spread or drop them before the walk")
    if not (bars.open_interest > 0).all():
        raise ValueError("open interest must be positive at every bar")


def _unknown(open_interest: float) -> SideState:
    """Return the state at the beginning of history: all of the open interest is of unknown origin."""
    none = np.empty(0)
    return SideState(0.0, float(open_interest), 0.0, none, none, none)


def _first_touch_of_older(extreme: Floats, price: Floats) -> NDArray[np.int32]:
    """Return the first bar after the first whose extreme is at or below each price, or the number of bars."""
    lowest = np.minimum.accumulate(np.concatenate([[np.inf], extreme[1:]]))
    # The running minimum falls from bar to bar: the first bar at or below a price is found by bisection.
    return np.searchsorted(-lowest, -price, side="left").astype(np.int32)

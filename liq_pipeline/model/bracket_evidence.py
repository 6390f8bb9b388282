"""Are the margin brackets right? Forced orders tell: their trigger lies inside the bar in which they traded.

A forced order's price p is the bankruptcy price of its position. With the maintenance rate m it was triggered at
p/(1 − m) for a long, p/(1 + m) for a short, and the market was there at that time. So each order allows the rates from
one end of its bar to the other, and the rate that most orders allow is the best. Source: ../shared/docs/forecast.md 4,
where real orders told .4 from .5 %.

Only orders within the first bracket count: larger positions have higher rates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liq_pipeline.model.scoring import Estimate, Resampler

Floats = NDArray[np.float64]

STEP = 0.0001
LADDER = np.arange(0, 1001) * STEP
"""Rates that are tried: 0 to 10 %."""
RESOLUTION = 0.0005
"""The interval is never narrower than this on either side: triggers go by the mark price, bars by the last one."""
AS_GOOD = 0.01
"""Rates that as many orders allow but for this share do as well as the best: wide bars allow many rates."""
FEWEST_ORDERS = 100
_SHOWN = (-0.002, -0.001, -0.0005, 0.0, 0.0005, 0.001, 0.002)


@dataclass(frozen=True)
class BracketTest:
    """What forced orders say of a maintenance rate. Rates in percent.

    Attributes:
        orders: how many were judged.
        table_pct: the rate of the first bracket that the model uses.
        table_share: share of the orders whose trigger lies in its own bar with that rate.
        best_pct: the rate under which most do; its interval (circular blocks of three days) holds what does as well.
        best_share: their share.
        shares: the same for rates around the table's, and for 0: pairs of rate and share.
    """

    orders: int
    table_pct: float
    table_share: float
    best_pct: Estimate
    best_share: float
    shares: list[tuple[float, float]]

    @property
    def table_is_within(self) -> bool:
        """Whether the table's rate lies in the interval of the best one."""
        best = self.best_pct
        margin = 100 * RESOLUTION + 1e-9
        return min(best.low, best.value - margin) <= self.table_pct <= max(best.high, best.value + margin)


def judge_brackets(
    is_long: NDArray[np.bool_], price: Floats, low: Floats, high: Floats, days: Floats, table: float
) -> BracketTest | None:
    """Test a maintenance rate; None where there are fewer than `FEWEST_ORDERS`.

    Args:
        is_long: whether the order closes a long.
        price: bankruptcy price, USD.
        low, high: of the bar in which it traded, USD.
        days: when, ascending.
        table: the rate that the model uses.
    """
    if price.size < FEWEST_ORDERS:
        return None
    least = np.where(is_long, 1 - price / low, price / high - 1)
    most = np.where(is_long, 1 - price / high, price / low - 1)
    resampler = Resampler(days)
    # Each order allows the rungs first .. end - 1: one more at the first, one less at the end, summed along the ladder.
    first, end = np.searchsorted(LADDER, least - 1e-9), np.searchsorted(LADDER, most + 1e-9, side="right")
    change = np.zeros((resampler.units, LADDER.size + 1))
    np.add.at(change, (resampler.unit, first), 1.0)
    np.add.at(change, (resampler.unit, np.maximum(first, end)), -1.0)
    allowed = np.cumsum(change, axis=1)[:, :-1]
    whole, drawn = allowed.sum(axis=0), resampler.counts @ allowed
    best = float(LADDER[whole == whole.max()].mean())
    as_good = drawn >= drawn.max(axis=1, keepdims=True) * (1 - AS_GOOD)
    lowest, highest = LADDER[as_good.argmax(axis=1)], LADDER[LADDER.size - 1 - as_good[:, ::-1].argmax(axis=1)]

    def share(rate: float) -> float:
        return float(((least - 1e-9 <= rate) & (rate <= most + 1e-9)).mean())

    near = [0.0, *(round(table + more, 6) for more in _SHOWN if table + more > 0)]
    return BracketTest(
        orders=int(price.size),
        table_pct=round(100 * table, 6),
        table_share=share(table),
        best_pct=Estimate(*(round(100 * one, 4) for one in (
            best, float(np.percentile(lowest, 2.5)), float(np.percentile(highest, 97.5))
        ))),
        best_share=float(whole.max() / price.size),
        shares=[(round(100 * rate, 4), share(rate)) for rate in near],
    )  # fmt: skip

"""Do forced orders fall on mapped levels? Within the range of their own bar, beside another time's map.

For each order: of evenly spaced prices from the close before to its bar's extreme, the share at which less is mapped
than where it was triggered (an AUC, .5 by chance); and the same with the map of another time at the same distances from
its price. What is left after the difference is knowledge about this time. Source: ../shared/docs/forecast.md 4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liq_pipeline.model.alignment import MarketData
from liq_pipeline.model.margin import SIDES
from liq_pipeline.model.scoring import Estimate, Resampler
from liq_pipeline.model.walk import Walk

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

PRICES = 20  # in the range of a bar
HALF_WIDTH = 0.0005  # what is mapped within .05 % of a price counts as there
MOST_ORDERS = 2_000
FEWEST_ORDERS = 100
WARM_UP = np.timedelta64(2, "D")
OTHER_TIME = np.timedelta64(1, "D")
_NARROWEST = 0.0005  # of a range, relative: in a narrower one every price is the same level


@dataclass(frozen=True)
class PriceLevelScore:
    """What the price-level test found.

    Attributes:
        orders: how many were looked at.
        auc: chance that less is mapped at another price of the bar's range than at the order's.
        auc_of_another_time: the same with the map of a day before at equal distances.
        gain: the difference, paired; interval by circular blocks of three days.
    """

    orders: int
    auc: Estimate
    auc_of_another_time: Estimate
    gain: Estimate


def score_price_levels(
    walked: Walk, data: MarketData, is_long: NDArray[np.bool_], trigger: Floats, bar: Integers
) -> PriceLevelScore | None:
    """Score the map at the triggers of forced orders; None where there are too few.

    Args:
        walked: the walk; of it only what was known before each order's bar is used.
        data: its bars.
        is_long: whether an order closes a long.
        trigger: its price, USD.
        bar: in which it traded, ascending.
    """
    bars = data.walk_input
    before = np.maximum(bar - 1, 0)
    extreme = np.where(is_long, bars.low[bar], bars.high[bar])
    reach = np.where(is_long, -1.0, 1.0) * (extreme / bars.close[before] - 1)
    usable = (bars.ts[bar] >= bars.ts[0] + WARM_UP) & (reach > _NARROWEST)
    usable &= (trigger >= bars.low[bar]) & (trigger <= bars.high[bar])
    chosen = np.flatnonzero(usable)
    chosen = chosen[:: max(1, -(-chosen.size // MOST_ORDERS))]
    if chosen.size < FEWEST_ORDERS:
        return None
    newest = np.maximum.accumulate(np.where(data.known, np.arange(data.known.size), 0))
    cells = [_cells_by_price(walked, column) for column in (0, 1)]
    rows = np.empty((chosen.size, 2))
    for row, one in enumerate(chosen):
        at, side = int(before[one]), cells[0 if is_long[one] else 1]
        other = max(int(np.searchsorted(bars.ts, bars.ts[at] - OTHER_TIME, side="right")) - 1, 0)
        path = np.linspace(bars.close[at], extreme[one], PRICES + 1)[1:] / bars.close[at]
        asked = np.append(path, trigger[one] / bars.close[at])
        for column, origin in enumerate((at, other)):
            found = _mapped_at(side, asked * bars.close[origin], int(newest[origin]), origin)
            there, own = found[:-1], found[-1]
            rows[row, column] = (there < own).mean() + 0.5 * (there == own).mean()
    days = (bars.ts[bar[chosen]] - bars.ts[bar[chosen]][0]) / np.timedelta64(1, "D")
    resampler = Resampler(days)
    whole, drawn = resampler.sums(np.column_stack([np.ones(chosen.size), rows]))
    with np.errstate(invalid="ignore", divide="ignore"):
        mean, means = whole[1:] / whole[0], drawn[:, 1:] / drawn[:, :1]
    return PriceLevelScore(
        int(chosen.size),
        resampler.figure(mean[0], means[:, 0]),
        resampler.figure(mean[1], means[:, 1]),
        resampler.figure(mean[0] - mean[1], means[:, 0] - means[:, 1]),
    )


@dataclass(frozen=True)
class _Cells:
    """Every cell of a side, by price: bar that opened it, bar that touched it, USD at opening, the side's survival.

    `log_survival` is that of each bar; `before` that of the bar in which the cell opened.
    """

    price: Floats
    bar: Integers
    ended: Integers
    usd: Floats
    before: Floats
    log_survival: Floats


def _cells_by_price(walked: Walk, column: int) -> _Cells:
    one = walked.sides[SIDES[column]]
    bar, cell = np.nonzero(one.contracts_opened > 0)
    order = np.argsort(one.liquidation_price[bar, cell], kind="stable")
    bar, cell = bar[order], cell[order]
    price, ended = one.liquidation_price[bar, cell], one.liquidated_at[bar, cell].astype(np.int64)
    usd = one.contracts_opened[bar, cell] * price
    return _Cells(price, bar, ended, usd, one.log_survival[bar], one.log_survival)


def _mapped_at(cells: _Cells, prices: Floats, known: int, origin: int) -> Floats:
    """Return what was mapped around each price at a bar's close, up to a factor that all share."""
    span = np.searchsorted(cells.price, [prices.min() * (1 - HALF_WIDTH), prices.max() * (1 + HALF_WIDTH)])
    band = slice(*span)
    lives = (cells.bar[band] <= known) & (cells.ended[band] > origin)
    price = cells.price[band][lives]
    usd = cells.usd[band][lives] * np.exp(cells.log_survival[known] - cells.before[band][lives])
    summed = np.concatenate([[0.0], np.cumsum(usd)])
    first, last = (np.searchsorted(price, prices * (1 + sign * HALF_WIDTH)) for sign in (-1, 1))
    return np.asarray(summed[last] - summed[first])

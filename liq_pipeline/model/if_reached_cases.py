"""Targets that were reached, with what was liquidated on the way, and what had been mapped there beforehand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liq_pipeline.model.alignment import MarketData, Steps
from liq_pipeline.model.if_reached import HIGH_LEVERAGE, HORIZON_HOURS, TARGETS_PCT, Cases
from liq_pipeline.model.margin import SIDES
from liq_pipeline.model.walk import Walk

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_AT_ONCE = 48  # origins that are summed together


def cases_of(walked: Walk, data: MarketData, steps: Steps, origins: Integers) -> Cases:
    """Return every target that was reached from each origin within the longest horizon.

    Of the step in which a target is reached, the part counts that the adverse path had covered by then; reported
    liquidations must be known all the way.

    Args:
        walked: the walk over all bars; at each origin only what was known then is used.
        data: its bars.
        steps: reported liquidations.
        origins: bars at which steps end, ascending.
    """
    mapped = mapped_on_the_way(walked, data, origins)
    bars = data.walk_input
    number, column, target, bar = _touches(data, steps, origins)
    at = origins[number]
    first, step = np.searchsorted(steps.first, at + 1), np.searchsorted(steps.last, bar)
    sign = np.where(column == 0, -1.0, 1.0)
    distance = np.array(TARGETS_PCT)[target]
    price = bars.close[at] * (1 + sign * distance / 100)
    before = np.append(bars.close[:1], bars.close[:-1])
    adverse = np.column_stack([np.maximum(before - bars.low, 0.0), np.maximum(bars.high - before, 0.0)])
    path, usd = (np.concatenate([np.zeros((1, 2)), np.cumsum(one, axis=0)]) for one in (adverse, steps.usd))
    covered = path[bar, column] - path[steps.first[step], column] + np.maximum(sign * (price - before[bar]), 0.0)
    whole = path[steps.last[step] + 1, column] - path[steps.first[step], column]
    share = np.clip(np.divide(covered, whole, out=np.ones(bar.size), where=whole > 0), 0.0, 1.0)
    got = usd[step, column] - usd[first, column] + share * steps.usd[step, column]
    return Cases(at, bars.ts[at], bars.ts[bar], column, distance, got, mapped[number, column, target])


def _touches(data: MarketData, steps: Steps, origins: Integers) -> tuple[Integers, Integers, Integers, Integers]:
    """Return, of each target that was reached: place of its origin, side, place of the target, bar that reached it."""
    bars, targets = data.walk_input, np.array(TARGETS_PCT)
    # The last step of each unbroken row of steps.
    breaks = np.append(np.flatnonzero(steps.first[1:] != steps.last[:-1] + 1), steps.end.size - 1)
    horizon = np.timedelta64(max(HORIZON_HOURS), "h")
    rows = [np.empty((4, 0), dtype=np.int64)]
    for number, at in enumerate(origins):
        start = int(np.searchsorted(steps.first, at + 1))
        if start == steps.end.size or steps.first[start] != at + 1:
            continue
        last = min(
            int(breaks[np.searchsorted(breaks, start)]),
            int(np.searchsorted(steps.end, bars.ts[at] + horizon, side="right")) - 1,
        )
        ahead = slice(at + 1, int(steps.last[last]) + 1)
        for column, sign, extreme in ((0, -1.0, -bars.low[ahead]), (1, 1.0, bars.high[ahead])):
            # The furthest so far only grows: bisection finds the first bar at or beyond a target.
            furthest = np.maximum.accumulate(extreme)
            price = bars.close[at] * (1 + sign * targets / 100)
            place = np.searchsorted(furthest, sign * price, side="left")
            hit = np.flatnonzero(place < furthest.size)
            rows.append(np.stack([np.full(hit.size, number), np.full(hit.size, column), hit, at + 1 + place[hit]]))
    number_, column_, target, bar = np.concatenate(rows, axis=1)
    return number_, column_, target, bar


def mapped_on_the_way(walked: Walk, data: MarketData, origins: Integers) -> Floats:
    """Return mapped USD between the price and each target, from what was known at each origin.

    Shape (origins, 2 sides, targets, 2): up to 60x, and above.
    """
    newest = np.maximum.accumulate(np.where(data.known, np.arange(data.known.size), 0))
    result = np.zeros((origins.size, 2, len(TARGETS_PCT), 2))
    for column in range(len(SIDES)):
        cells = cells_by_price(walked, column)
        for start in range(0, origins.size, _AT_ONCE):
            some = slice(start, start + _AT_ONCE)
            result[some, column] = _mapped(cells, newest[origins[some]], origins[some], data.walk_input.close, column)
    return result


@dataclass(frozen=True)
class Cells:
    """Every cell of a side, by price: bar that opened it, bar that touched it, USD at opening, class, side's survival.

    `log_survival` is that of each bar; `before` that of the bar in which the cell opened.
    """

    price: Floats
    bar: Integers
    ended: Integers
    usd: Floats
    is_high: NDArray[np.bool_]
    before: Floats
    log_survival: Floats


def cells_by_price(walked: Walk, column: int) -> Cells:
    """Return every cell of a side (0: longs, 1: shorts)."""
    one = walked.sides[SIDES[column]]
    bar, tier = np.nonzero(one.contracts_opened > 0)
    order = np.argsort(one.liquidation_price[bar, tier], kind="stable")
    bar, tier = bar[order], tier[order]
    price = one.liquidation_price[bar, tier]
    is_high = (walked.parameters.layout.leverage > HIGH_LEVERAGE)[tier]
    usd = one.contracts_opened[bar, tier] * price
    ended = one.liquidated_at[bar, tier].astype(np.int64)
    return Cells(price, bar, ended, usd, is_high, one.log_survival[bar], one.log_survival)


def _mapped(cells: Cells, known: Integers, origins: Integers, close: Floats, column: int) -> Floats:
    """Return what is mapped between the price and each target at some neighbouring origins; (origins, targets, 2).

    Cells that live all the while are summed along the price once; only those that open or end meanwhile, each time.
    """
    targets, now = np.array(TARGETS_PCT) / 100, close[origins]
    below, above = (targets[-1], 0.0) if column == 0 else (0.0, targets[-1])
    least, most = now.min() * (1 - below), now.max() * (1 + above)
    band = slice(*np.searchsorted(cells.price, [least * (1 - 1e-9), most * (1 + 1e-9)]))
    bar, ended, before = cells.bar[band], cells.ended[band], cells.before[band]
    left = np.exp(cells.log_survival[known[0]] - before)  # of all cells alike: from here on the side shrinks together
    shrunk = np.exp(cells.log_survival[known] - cells.log_survival[known[0]])
    usd = (cells.usd[band] * left)[:, None] * np.stack([~cells.is_high[band], cells.is_high[band]], axis=1)
    stays = (bar <= known[0]) & (ended > origins[-1])
    comes = np.flatnonzero(~stays & (bar <= known[-1]) & (ended > origins[0]))
    price, summed = cells.price[band][stays], np.concatenate([np.zeros((1, 2)), np.cumsum(usd[stays], axis=0)])
    result = np.empty((origins.size, targets.size, 2))
    for number, at in enumerate(origins):
        here = comes[(bar[comes] <= known[number]) & (ended[comes] > at)]
        own, own_usd = cells.price[band][here], usd[here]
        own_summed = np.concatenate([np.zeros((1, 2)), np.cumsum(own_usd, axis=0)])
        ends = now[number] * (1 - targets if column == 0 else 1 + targets)
        total = np.zeros((targets.size, 2))
        for prices, sums in ((price, summed), (own, own_summed)):
            start = np.searchsorted(prices, now[number], side="right" if column == 0 else "left")
            stop = np.searchsorted(prices, ends, side="left" if column == 0 else "right")
            total += np.abs(sums[start] - sums[stop])
        result[number] = total * shrunk[number]
    return result

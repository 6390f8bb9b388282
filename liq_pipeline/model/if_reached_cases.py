"""Targets that were reached, with what was liquidated on the way, and what had been mapped there beforehand."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from liq_pipeline.model.alignment import MarketData, Steps
from liq_pipeline.model.compiled import compiled
from liq_pipeline.model.if_reached import HIGH_LEVERAGE, HORIZON_HOURS, TARGETS_PCT, Cases
from liq_pipeline.model.margin import SIDES
from liq_pipeline.model.walk import Walk

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class _Opened(NamedTuple):
    """What opened on one side, by bar of opening; arrays of one length but for the last, which is by bar."""

    bar: Integers
    ended: NDArray[np.int32]
    price: Floats
    contracts: Floats
    is_high: NDArray[np.bool_]
    log_survival: Floats


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
    is_high = walked.parameters.layout.leverage > HIGH_LEVERAGE
    close = data.walk_input.close[origins]
    sides = []
    for side in SIDES:
        one = walked.sides[side]
        bar, cell = np.nonzero(one.contracts_opened > 0)
        opened = _Opened(
            bar, one.liquidated_at[bar, cell], one.liquidation_price[bar, cell], one.contracts_opened[bar, cell],
            is_high[cell], one.log_survival,
        )  # fmt: skip
        sides.append(_mapped(opened, origins, newest[origins], close, np.array(TARGETS_PCT) / 100))
    return np.stack(sides, axis=1)


@compiled(nogil=True)
def _mapped(opened: _Opened, origins: Integers, known: Integers, close: Floats, targets: Floats) -> Floats:
    """Return the same of one side, shape (origins, targets, 2).

    Args:
        opened: the cells.
        origins, known: bars, ascending: where the question is asked, and up to where open interest was known.
        close: the price at each origin, USD.
        targets: distances, as shares of the price, ascending.
    """
    result = np.zeros((origins.size, targets.size, 2))
    alive = np.empty(opened.bar.size, dtype=np.int64)
    size, added = 0, 0
    for number in range(origins.size):
        # Cells come by the bar that opened them; what was touched once never comes back.
        while added < opened.bar.size and opened.bar[added] <= known[number]:
            alive[size] = added
            size, added = size + 1, added + 1
        kept = 0
        for position in range(size):
            cell = alive[position]
            if opened.ended[cell] <= origins[number]:
                continue
            alive[kept] = cell
            kept += 1
            distance = abs(opened.price[cell] / close[number] - 1)
            if distance > targets[-1]:
                continue
            band = np.searchsorted(targets, distance)
            survived = np.exp(opened.log_survival[known[number]] - opened.log_survival[opened.bar[cell]])
            result[number, band, int(opened.is_high[cell])] += opened.contracts[cell] * survived * opened.price[cell]
        size = kept
        for band in range(1, targets.size):
            for kind in range(2):
                result[number, band, kind] += result[number, band - 1, kind]
    return result

"""What lies near the price, bar by bar: exposure within some percent, the nearest large zones, imbalance.

One pass over the bars. Weights are kept relative to a survival of long ago, so that nothing is touched when a side
shrinks; sums up to a price come from a tree over the sorted liquidation prices (Fenwick 1994, "A new data structure
for cumulative frequency tables").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liq_pipeline.model.compiled import compiled
from liq_pipeline.model.margin import SIDES, Side
from liq_pipeline.model.positions import Cohorts

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

DISTANCES_PCT = (0.5, 1.0, 2.0, 5.0)
"""How far from the price exposure is summed, in percent of the price."""
ZONE_PCT, ZONES_WITHIN_PCT, LARGE_QUANTILE = 0.1, 10.0, 0.9
"""A zone is a bin of 0.1 % on a grid of logarithms; large: among the largest tenth of its side's within 10 %."""

_STEP = np.log1p(ZONE_PCT / 100)
_REACH = int(np.log1p(ZONES_WITHIN_PCT / 100) / _STEP)
_RESCALE_AT = -30.0  # of log survival since the reference: e^30 times a position is exact enough in a double
_RESIDUE = 1e-12  # of the whole side: what rounding leaves of positions that are gone


@dataclass(frozen=True)
class SideFeatures:
    """One side's features, shape (bars,), but for `within_usd`: shape (bars, distances).

    Attributes:
        within_usd: notional within each of `DISTANCES_PCT` of the close, USD.
        total_usd: notional of the whole side, USD.
        zone_usd: notional of the nearest large zone, USD; NaN where there is none.
        zone_distance_pct: from the close to the middle of that zone, in percent; negative below.
    """

    within_usd: Floats
    total_usd: Floats
    zone_usd: Floats
    zone_distance_pct: Floats


def features(
    cohorts: Cohorts, close: Floats, log_survival: Mapping[Side, Floats], first: int = 0
) -> dict[Side, SideFeatures]:
    """Return what lies near the price at the end of each bar, per side.

    Args:
        cohorts: all cells of the walk, ordered by bar of opening.
        close: last price of each bar, USD, shape (bars,).
        log_survival: per side, shape (bars,).
        first: index of the first bar that is wanted; those before it are passed over.
    """
    result: dict[Side, SideFeatures] = {}
    for side in SIDES:
        mine = cohorts.is_long == (side == "long")
        seen = np.flatnonzero(mine & (cohorts.ended > first) & (cohorts.contracts_opened > 0))
        opened, ended = cohorts.opened[seen], cohorts.ended[seen]
        price = cohorts.liquidation_price[seen]
        order = np.argsort(price, kind="stable")
        rank = np.empty(order.size, np.int64)
        rank[order] = np.arange(order.size)
        sign = -1.0 if side == "long" else 1.0
        edges = close[first:, None] * (1 + sign * np.array(DISTANCES_PCT) / 100)
        # Longs at or above the lower edge, shorts at or below the upper one.
        bounds = np.searchsorted(price[order], edges, side="left" if side == "long" else "right")
        zone = np.floor(np.log(price) / _STEP).astype(np.int64)
        lowest = int(zone.min()) if zone.size else 0
        here = np.floor(np.log(close[first:]) / _STEP).astype(np.int64) - lowest
        zones = int(zone.max()) - lowest + 1 if zone.size else 0
        within, total, usd, place = _pass(
            opened, ended, np.argsort(ended, kind="stable"), rank, zone - lowest,
            cohorts.contracts_opened[seen] * price, log_survival[side], bounds, here, first, zones, side == "long",
        )  # fmt: skip
        middle = np.exp((place + lowest + 0.5) * _STEP)
        distance = np.where(np.isnan(usd), np.nan, 100 * (middle / close[first:] - 1))
        result[side] = SideFeatures(within, total, usd, distance)
    return result


@compiled(nogil=True)
def _pass(
    opened: Integers,
    ended: Integers,
    by_end: Integers,
    rank: Integers,
    zone: Integers,
    notional: Floats,
    log_survival: Floats,
    bounds: Integers,
    here: Integers,
    first: int,
    zones: int,
    is_long: bool,
) -> tuple[Floats, Floats, Floats, Integers]:
    """Return per bar from `first` on: USD within each bound, of the side, of the nearest large zone; and that zone."""
    bars, cells = log_survival.size - first, opened.size
    within, total = np.zeros((bars, bounds.shape[1])), np.zeros(bars)
    zone_usd, zone_place = np.full(bars, np.nan), np.zeros(bars, np.int64)
    tree, bins = np.zeros(cells + 1), np.zeros(zones)
    living = np.zeros(zones, np.int64)
    some = np.empty(_REACH + 1)
    where = np.empty(_REACH + 1, np.int64)
    alive, next_open, next_end = 0, 0, 0
    reference = log_survival[0]
    for bar in range(log_survival.size):
        now = log_survival[bar]
        if now - reference < _RESCALE_AT:
            scale = np.exp(now - reference)
            tree *= scale
            bins *= scale
            reference = now
        while next_open < cells and opened[next_open] <= bar:
            cell = next_open
            next_open += 1
            if ended[cell] > bar:
                amount = notional[cell] * np.exp(reference - log_survival[opened[cell]])
                bins[zone[cell]] += amount
                living[zone[cell]] += 1
                alive += 1
                node = rank[cell] + 1
                while node <= cells:
                    tree[node] += amount
                    node += node & -node
        while next_end < cells and ended[by_end[next_end]] <= bar:
            cell = by_end[next_end]
            next_end += 1
            if opened[cell] >= ended[cell]:
                continue  # ended in the bar in which it opened: never added
            amount = notional[cell] * np.exp(reference - log_survival[opened[cell]])
            living[zone[cell]] -= 1
            alive -= 1
            # What cancels must leave nothing: a rounding residue is not a position.
            bins[zone[cell]] = max(bins[zone[cell]] - amount, 0.0) if living[zone[cell]] else 0.0
            node = rank[cell] + 1
            while node <= cells:
                tree[node] -= amount
                node += node & -node
        if not alive:
            tree[:] = 0.0
        if bar < first:
            continue
        row, left = bar - first, np.exp(now - reference)
        whole = max(_sum_below(tree, cells), 0.0)
        narrower = 0.0
        for place in range(bounds.shape[1]):
            below = _sum_below(tree, bounds[row, place])
            amount = whole - below if is_long else below
            if amount > _RESIDUE * whole:
                narrower = max(narrower, amount)
            within[row, place] = narrower * left
        total[row] = max(whole, narrower) * left
        count = 0
        for away in range(_REACH + 1):
            place = here[row] - away if is_long else here[row] + away
            if 0 <= place < zones and living[place] > 0:
                some[count], where[count] = bins[place], place
                count += 1
        if count:
            least = np.quantile(some[:count], LARGE_QUANTILE)
            for found in range(count):
                if some[found] >= least:
                    zone_usd[row], zone_place[row] = some[found] * left, where[found]
                    break
    return within, total, zone_usd, zone_place


@compiled(nogil=True)
def _sum_below(tree: Floats, count: int) -> float:
    """Return the sum over the `count` lowest prices."""
    found = 0.0
    while count > 0:
        found += tree[count]
        count -= count & -count
    return found

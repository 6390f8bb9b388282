"""How much gets liquidated on the way to a price, given that the price is reached: a median and a range.

    ln(1 + Y/1000) = a + b·ln d + c1·ln(1 + M_lo/1000) + c2·ln(1 + M_hi/1000) + z·s(d),    s(d) = min(d, 2)^(−β)

Y is the reported USD of a side from now until the price first reaches a target at distance d (in %), if it does so
within the horizon; M_lo and M_hi are the mapped USD between the price and the target, up to 60x and above. Longs are
liquidated on the way down, shorts on the way up. Source of the formula: ../shared/docs/forecast.md 3, where 36 were
tried. Fitted by weighted least squares on what was known at the time (docs/model.md 7).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from liq_pipeline.model.margin import SIDES

if TYPE_CHECKING:  # readers use the formula, and start without a compiler
    from liq_pipeline.model.alignment import MarketData, Steps
    from liq_pipeline.model.walk import Walk

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

HORIZON_HOURS = (1, 4, 24)
TARGETS_PCT = (0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.5, 7.0)
HIGH_LEVERAGE = 60.0
UNIT_USD = 1_000.0
_AT_ONCE = 48  # origins that are summed together
SHOWN_FROM_DAYS = 14.0
LARGEST_LOG = 27.0  # 5e14 USD: no number of a damaged report becomes infinite
FLAT_FROM_PCT = 2.0  # from this distance on the range is as wide as here
BETAS = tuple(np.round(np.arange(0.0, 1.01, 0.1), 2).tolist())
PROBABILITIES = tuple(np.round(np.arange(0.05, 0.951, 0.05), 2).tolist())
P10, P50, P90 = (PROBABILITIES.index(p) for p in (0.1, 0.5, 0.9))


@dataclass(frozen=True)
class Cases:
    """Targets that were reached: one row per origin, side and target. Arrays of one length.

    Attributes:
        origin: index of the bar at whose close the question is asked.
        asked_at, reached_at: instants, UTC; at the second the answer is known.
        column: 0 for longs (the price falls), 1 for shorts.
        distance_pct: of the target from the price.
        usd: reported on the way, USD.
        mapped_usd: shape (rows, 2): mapped on the way at the origin, up to 60x and above, USD.
    """

    origin: Integers
    asked_at: NDArray[np.datetime64]
    reached_at: NDArray[np.datetime64]
    column: Integers
    distance_pct: Floats
    usd: Floats
    mapped_usd: Floats

    def pick(self, rows: NDArray) -> Cases:
        """Return some of the cases."""
        return Cases(**{name: values[rows] for name, values in vars(self).items()})


@dataclass(frozen=True)
class Range:
    """The eight numbers of the formula, of one source of truth, symbol and horizon.

    Attributes:
        a, b, c1, c2: of the middle.
        beta: how much narrower the range is farther away.
        z10, z50, z90: quantiles of the residual over s(d).
    """

    a: float
    b: float
    c1: float
    c2: float
    beta: float
    z10: float
    z50: float
    z90: float

    def usd(self, distance_pct: ArrayLike, mapped_usd: Floats) -> Floats:
        """Return the 10 %, 50 % and 90 % quantile in USD, not below 0; shape (rows, 3).

        Args:
            distance_pct: shape (rows,).
            mapped_usd: shape (rows, 2), as in `Cases`.
        """
        distance = np.asarray(distance_pct, dtype=float)
        middle = regressors(distance, mapped_usd) @ np.array([self.a, self.b, self.c1, self.c2])
        found = middle[:, None] + width(distance, self.beta)[:, None] * np.array([self.z10, self.z50, self.z90])
        return np.asarray(UNIT_USD * np.expm1(np.clip(found, 0.0, LARGEST_LOG)))


@dataclass(frozen=True)
class Fit:
    """What was fitted.

    Attributes:
        range: the numbers that are published.
        z: quantiles of the residual over s(d), at `PROBABILITIES`.
        cases: how many rows it was fitted on.
    """

    range: Range
    z: tuple[float, ...]
    cases: int

    def log_usd(self, distance_pct: Floats, mapped_usd: Floats) -> Floats:
        """Return ln(1 + Y/1000) at `PROBABILITIES`; shape (rows, probabilities)."""
        one = self.range
        middle = regressors(distance_pct, mapped_usd) @ np.array([one.a, one.b, one.c1, one.c2])
        return np.asarray(middle[:, None] + width(distance_pct, one.beta)[:, None] * np.array(self.z))


def regressors(distance_pct: Floats, mapped_usd: Floats) -> Floats:
    """Return the columns 1, ln d, ln(1 + M_lo/1000), ln(1 + M_hi/1000)."""
    return np.column_stack([np.ones(distance_pct.size), np.log(distance_pct), np.log1p(mapped_usd / UNIT_USD)])


def width(distance_pct: Floats, beta: float) -> Floats:
    """Return s(d): 1 at 1 %, less farther away."""
    return np.asarray(np.minimum(distance_pct, FLAT_FROM_PCT) ** -beta)


def fit(cases: Cases, columns: Sequence[int] = (0, 1, 2, 3)) -> Fit | None:
    """Fit the formula; None where there are too few cases.

    Args:
        cases: all that is known.
        columns: of `regressors`, which may be used; (0, 1) is distance alone.
    """
    if cases.usd.size < 4 * (len(columns) + 1) + 20:
        return None
    target = np.log1p(cases.usd / UNIT_USD)
    every = regressors(cases.distance_pct, cases.mapped_usd)
    best: tuple[float, float, NDArray[Any]] | None = None
    for beta in BETAS:
        weight = 1 / width(cases.distance_pct, beta) ** 2
        some = every[:, list(columns)]
        moment = some.T @ (some * weight[:, None])
        coefficients = np.linalg.lstsq(moment, some.T @ (weight * target), rcond=1e-10)[0]
        off = target - some @ coefficients
        loss = np.log((weight * off * off).mean()) - np.log(weight).mean()  # of a normal likelihood
        if best is None or loss < best[0]:
            best = loss, beta, coefficients
    assert best
    _, beta, coefficients = best
    full = np.zeros(4)
    full[list(columns)] = coefficients
    off = (target - every @ full) / width(cases.distance_pct, beta)
    z = np.quantile(off, PROBABILITIES)
    a, b, c1, c2 = full.tolist()
    numbers = Range(a, b, c1, c2, beta, *z[[P10, P50, P90]].tolist())
    return Fit(numbers, tuple(z.tolist()), int(target.size))


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
    is_high = (np.array(walked.parameters.ladder) > HIGH_LEVERAGE)[tier]
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

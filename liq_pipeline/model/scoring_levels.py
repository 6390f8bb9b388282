"""Levels: of the prices that were reached, did more get liquidated where the map had more?

For each origin (every four hours) the map is laid out by distance from the price: bins of 0.1 % up to 5 %, per side.
Over the horizon, each step that sets a new extreme spreads its reported USD over what it newly reached. A bin's
outcome is what it got. Near bins are reached more often and far ones in bigger moves, so a map must be compared with
**another day's map moved to today's price**, at equal distances: what is left is knowledge about this day.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from liq_pipeline.model.alignment import MarketData, Steps
from liq_pipeline.model.exposure import bar_exposure
from liq_pipeline.model.margin import SIDES
from liq_pipeline.model.scoring import Estimate, Resampler, ranks
from liq_pipeline.model.walk import Walk

Floats = NDArray[np.float64]

BIN = 0.001
BINS = 50
WARM_UP = np.timedelta64(2, "D")
EVERY = np.timedelta64(4, "h")
MOST_ORIGINS = 600
FEWEST_REACHED = 8
OTHER_DAYS = 12
APART = np.timedelta64(3, "D")
HORIZONS = (24, 72)
CONTROL_NOISE = 1.0  # standard deviation of the logarithm
_CONTROL_SEED = 11


@dataclass(frozen=True)
class LevelScores:
    """Figures of one horizon. Each is the mean over origins and sides with enough reached bins.

    Attributes:
        horizon_hours: how far ahead.
        cases: number of (origin, side) pairs.
        auc, rank, lift: per ranking: chance that a bin of the top third of outcomes scores above another; Spearman over
            reached bins; outcome of the top tenth of the ranking over the mean outcome.
        auc_gain, rank_gain: map minus another day's map.
    """

    horizon_hours: int
    cases: int
    auc: dict[str, Estimate]
    rank: dict[str, Estimate]
    lift: dict[str, Estimate]
    auc_gain: Estimate
    rank_gain: Estimate


def origins_of(data: MarketData, steps: Steps, warm_up: np.timedelta64 = WARM_UP) -> NDArray[np.int64]:
    """Return a bar every `EVERY` at which a scored step ends, from `warm_up` after the first bar on.

    Long data are looked at less often: `MOST_ORIGINS` at most.
    """
    ts = data.walk_input.ts
    usable = steps.last[ts[steps.last] >= ts[0] + warm_up]
    every = max(1, -(-int((ts[-1] - ts[0]) / EVERY) // MOST_ORIGINS)) * EVERY
    turn = (ts[usable] - np.datetime64(0, "us")) // every
    return usable[np.flatnonzero(np.diff(turn, prepend=-1))]


def maps_at(walked: Walk, data: MarketData, origins: NDArray[np.int64]) -> Floats:
    """Return USD by distance at each origin, from what was known then; shape (origins, 2 sides, bins)."""
    newest = np.maximum.accumulate(np.where(data.known, np.arange(data.known.size), 0))
    result = np.zeros((origins.size, 2, BINS))
    for number, at in enumerate(origins):
        known = int(newest[at])
        for column, side in enumerate(SIDES):
            one = walked.sides[side]
            rows = slice(0, known + 1)
            alive = (one.liquidated_at[rows] > at) & (one.contracts_opened[rows] > 0)
            bar, tier = np.nonzero(alive)
            left = one.contracts_opened[bar, tier] * np.exp(one.log_survival[known] - one.log_survival[bar])
            price = one.liquidation_price[bar, tier]
            distance = np.abs(price / data.walk_input.close[at] - 1) / BIN
            near = distance < BINS
            result[number, column] = np.bincount(distance[near].astype(int), (left * price)[near], BINS)
    return result


def outcomes(
    data: MarketData, steps: Steps, origins: NDArray[np.int64], hours: int
) -> tuple[Floats, NDArray[np.int64]]:
    """Return the reported USD of each bin over the horizon, and how many bins were reached whole.

    Shapes (origins, 2, bins) and (origins, 2). Origins whose horizon is not covered have -1 reached bins.
    """
    bars = data.walk_input
    got = np.zeros((origins.size, 2, BINS))
    reached = np.full((origins.size, 2), -1)
    horizon = np.timedelta64(hours, "h")
    if not steps.end.size:
        return got, reached
    width = bars.ts[steps.last] - bars.ts[steps.first - 1]
    for number, at in enumerate(origins):
        start, close = bars.ts[at], bars.close[at]
        rows = np.flatnonzero((steps.end > start) & (steps.end <= start + horizon) & (steps.first > at))
        if width[rows].sum() / horizon < 0.9:  # not 0.9 * horizon: NumPy rounds that down to whole hours
            continue
        for column in range(2):
            furthest = 0.0
            for row in rows:
                inside = slice(steps.first[row], steps.last[row] + 1)
                before = bars.close[steps.first[row] - 1]
                sign = -1.0 if column == 0 else 1.0
                extreme = bars.low[inside].min() if column == 0 else bars.high[inside].max()
                now = sign * (extreme / close - 1)
                swept = sign * (extreme - before) / close
                if now > furthest:
                    fresh = now - furthest
                    usd = steps.usd[row, column] * min(1.0, fresh / max(swept, fresh))
                    edges = np.clip((np.arange(BINS + 1) * BIN), furthest, now)
                    got[number, column] += usd * np.diff(edges) / fresh
                    furthest = now
            reached[number, column] = min(BINS, int(furthest / BIN))
    return got, reached


def score_levels(
    walked: Walk, data: MarketData, steps: Steps, hours: int, maps: Floats | None = None
) -> LevelScores | None:
    """Score the map against the reported liquidations of the next hours; None where there are too few origins.

    Args:
        walked: the walk.
        data: its bars.
        steps: reported liquidations.
        hours: how far ahead.
        maps: `maps_at` of `origins_of(data, steps)`, if it is at hand.
    """
    origins = origins_of(data, steps)
    if origins.size < 6:
        return None
    maps = maps_at(walked, data, origins) if maps is None else maps
    got, reached = outcomes(data, steps, origins, hours)
    ts = data.walk_input.ts[origins]
    rows: list[dict[str, tuple[float, float, float]]] = []
    days: list[float] = []
    for number in range(origins.size):
        others = np.flatnonzero(np.abs(ts - ts[number]) >= APART)
        if not others.size:
            continue
        others = others[np.linspace(0, others.size - 1, min(OTHER_DAYS, others.size)).astype(int)]
        for side in range(2):
            count = reached[number, side]
            outcome = got[number, side, : max(count, 0)]
            if count < FEWEST_REACHED or not (outcome > 0).any():
                continue
            judge = _Ranking(outcome)
            null = np.array([judge(maps[other, side, :count]) for other in others])
            distance = np.arange(count, dtype=float)
            rows.append(
                {
                    "map": judge(maps[number, side, :count]),
                    "another day's map": _mean_of_known(null),
                    "farthest first": judge(distance),
                    "nearest first": judge(-distance),
                }
            )
            days.append(float((ts[number] - ts[0]) / np.timedelta64(1, "D")))
    if len(rows) < 6:
        return None
    resampler = Resampler(np.array(days))

    def mean(values: list[float]) -> Estimate:
        column = np.array(values)
        some = np.isfinite(column)
        whole, drawn = resampler.sums(np.column_stack([np.where(some, column, 0.0), some.astype(float)]))
        with np.errstate(invalid="ignore", divide="ignore"):
            return resampler.figure(whole[0] / whole[1], drawn[:, 0] / drawn[:, 1])

    def of(kind: int) -> dict[str, Estimate]:
        return {name: mean([row[name][kind] for row in rows]) for name in rows[0]}

    def gain(kind: int) -> Estimate:
        return mean([row["map"][kind] - row["another day's map"][kind] for row in rows])

    return LevelScores(hours, len(rows), of(0), of(1), of(2), gain(0), gain(1))


def _mean_of_known(values: Floats) -> tuple[float, float, float]:
    some = np.isfinite(values)
    totals = np.where(some, values, 0.0).sum(axis=0)
    first, second, third = np.where(some.any(axis=0), totals / np.maximum(some.sum(axis=0), 1), np.nan)
    return float(first), float(second), float(third)


class _Ranking:
    """Judges rankings of the same bins: AUC, Spearman, top-decile lift."""

    def __init__(self, outcome: Floats) -> None:
        self.outcome, self.mean = outcome, outcome.mean()
        self.positive = outcome > np.quantile(outcome, 2 / 3)
        self.hits, self.misses = int(self.positive.sum()), int((~self.positive).sum())
        centred = ranks(outcome)
        self.centred = centred - centred.mean()
        self.size = float(np.sqrt(self.centred @ self.centred))

    def __call__(self, ranking: Floats) -> tuple[float, float, float]:
        place = ranks(ranking)
        best = np.argsort(-ranking, kind="stable")[: max(1, ranking.size // 10)]
        lift = self.outcome[best].mean() / self.mean if self.mean > 0 else np.nan
        area = np.nan
        if self.hits and self.misses:
            area = (place[self.positive].sum() - self.hits * (self.hits - 1) / 2) / (self.hits * self.misses)
        place -= place.mean()
        scale = self.size * np.sqrt(place @ place)
        return float(area), float(self.centred @ place / scale) if scale > 0 else float("nan"), float(lift)


def control_steps(walked: Walk, data: MarketData, steps: Steps, seed: int = _CONTROL_SEED) -> Steps:
    """Return the steps with a truth made by the model itself, with noise: a test that sees no skill here sees none."""
    exposure = bar_exposure(walked, data.known)
    rng = np.random.default_rng(seed)
    usd = np.column_stack([steps.summed(exposure[side][:, :, 0].sum(axis=1)) for side in SIDES])
    return replace(steps, usd=usd * np.exp(rng.normal(0.0, CONTROL_NOISE, usd.shape)))

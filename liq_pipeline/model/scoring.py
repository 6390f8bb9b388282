"""How predictions are judged: folds, out-of-sample fits, ranks, and intervals that respect time.

Nothing here knows liquidations. Rows are steps in time order; `days` is the end of each step in days. Fits see training
folds only, with a purge on both sides of the test fold; intervals come from a circular-block bootstrap, because steps
that follow each other are not independent.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FOLDS = 5
PURGE_DAYS = 1.0
BLOCK_DAYS = 3.0
DRAWS = 1000
RIDGE = 1e-3
_UNITS_PER_DAY = 4


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float

    def as_dict(self) -> dict[str, float]:
        """Return the three numbers by name."""
        return {"value": self.value, "low": self.low, "high": self.high}


def fold_tests(days: Floats, folds: int = FOLDS, purge_days: float = PURGE_DAYS) -> list[tuple[slice, NDArray]]:
    """Return, for each contiguous fold, its rows and the mask of the rows that may train for it.

    Args:
        days: ascending.
        folds: number of folds of equal counts.
        purge_days: rows closer to the test fold than this train nobody.
    """
    edges = np.linspace(0, days.size, folds + 1).astype(int)
    result = []
    for first, end in pairwise(edges):
        if end > first:
            train = (days < days[first] - purge_days) | (days > days[end - 1] + purge_days)
            result.append((slice(int(first), int(end)), train))
    return result


def out_of_sample(features: Floats, target: Floats, days: Floats) -> tuple[Floats, Floats]:
    """Return predictions by ridge regression, each from the other folds, and the mean of the rows that trained it.

    Args:
        features: shape (rows, columns); without columns the prediction is the mean.
        target: shape (rows,).
        days: end of each row, days.

    Raises:
        ValueError: too few rows outside the purge to train on.
    """
    predicted, mean = np.empty(target.size), np.empty(target.size)
    for test, train in fold_tests(days):
        if train.sum() < 4 * (features.shape[1] + 1):
            raise ValueError(f"{int(train.sum())} rows are left to train on beside the purge: too few")
        predicted[test] = ridge(features[train], target[train], features[test])
        mean[test] = target[train].mean()
    return predicted, mean


def ridge(features: Floats, target: Floats, asked: Floats) -> Floats:
    """Learn from features and target, and predict what is asked; features are scaled by their own spread."""
    centre, spread = features.mean(axis=0), features.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    scaled = (features - centre) / spread
    penalty = RIDGE * target.size * np.eye(scaled.shape[1])
    weights = np.linalg.solve(scaled.T @ scaled + penalty, scaled.T @ (target - target.mean()))
    return np.asarray((asked - centre) / spread @ weights + target.mean())


def ranks(values: Floats) -> Floats:
    """Return ranks from 0; equal values share the mean of their ranks."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    end = np.cumsum(counts)
    return np.asarray(((2 * end - counts - 1) / 2)[inverse])


def spearman(one: Floats, other: Floats) -> float:
    """Return the rank correlation; NaN where one of them is constant."""
    a, b = ranks(one), ranks(other)
    a, b = a - a.mean(), b - b.mean()
    scale = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / scale) if scale > 0 else float("nan")


class Resampler:
    """Circular-block bootstrap over time: the same draws for every statistic, so that differences are paired.

    Blocks wrap around the end, so every row is drawn as often as any other (Politis and Romano, 1992); moving blocks
    draw the first and the last day a twelfth as often as the middle.

    Args:
        days: end of each row, ascending, days.
        block_days: length of a block; shortened for data of fewer than four blocks.
        draws: number of resamples.
        seed: of the draws.
    """

    def __init__(self, days: Floats, block_days: float = BLOCK_DAYS, draws: int = DRAWS, seed: int = 20260301) -> None:
        self.unit = np.floor((days - days[0]) * _UNITS_PER_DAY).astype(int)
        units = int(self.unit[-1]) + 1
        length = int(max(1, min(block_days * _UNITS_PER_DAY, units // 4)))
        rng = np.random.default_rng(seed)
        starts = rng.integers(0, units, size=(draws, -(-units // length)))
        steps = np.zeros((draws, 2 * units))
        np.add.at(steps, (np.arange(draws)[:, None], starts), 1.0)
        np.add.at(steps, (np.arange(draws)[:, None], starts + length), -1.0)
        self.counts = np.cumsum(steps, axis=1).reshape(draws, 2, units).sum(axis=1)
        self.units = units

    def sums(self, columns: Floats) -> tuple[Floats, Floats]:
        """Return the sum of each column over all rows, and over each draw: shapes (columns,), (draws, columns)."""
        by_unit = np.zeros((self.units, columns.shape[1]))
        np.add.at(by_unit, self.unit, columns)
        return by_unit.sum(axis=0), self.counts @ by_unit

    def figure(self, value: float, draws: Floats) -> Estimate:
        """Return a figure from a value and what it is in each draw."""
        usable = draws[np.isfinite(draws)]
        if not usable.size:
            return Estimate(value, float("nan"), float("nan"))
        low, high = np.percentile(usable, [2.5, 97.5])
        return Estimate(float(value), float(low), float(high))


@dataclass(frozen=True)
class Score:
    """How one prediction did: R² and Spearman, over all rows and in each draw. Pooled over the sides given to it."""

    r2: float
    r2_draws: Floats
    rho: float
    rho_draws: Floats


def score(resampler: Resampler, sides: list[tuple[Floats, Floats, Floats]]) -> Score:
    """Score predictions of several sides.

    Args:
        resampler: over the rows that all sides share.
        sides: for each (target, prediction, training mean).

    R² pools the squares of the sides; Spearman is their mean. Ranks are those of the whole sample in every draw.
    """
    errors = np.column_stack(
        [sum((y - p) ** 2 for y, p, _ in sides), sum((y - m) ** 2 for y, _, m in sides)]
    )  # fmt: skip
    whole, drawn = resampler.sums(errors)
    with np.errstate(invalid="ignore", divide="ignore"):
        r2, r2_draws = 1 - whole[0] / whole[1], 1 - drawn[:, 0] / drawn[:, 1]
        values, draws = [], []
        for y, p, _ in sides:
            a, b = ((place - place.mean()) / place.size for place in (ranks(y), ranks(p)))
            whole, drawn = resampler.sums(np.column_stack([np.ones(a.size), a, b, a * a, b * b, a * b]))
            values.append(_correlation(whole[None, :])[0])
            draws.append(_correlation(drawn))
    return Score(float(r2), r2_draws, float(np.mean(values)), np.mean(draws, axis=0))


def _correlation(moments: Floats) -> Floats:
    n, a, b, aa, bb, ab = moments.T
    variance = (aa / n - (a / n) ** 2) * (bb / n - (b / n) ** 2)
    covariance = ab / n - a * b / n**2
    return np.where(variance > 1e-18, covariance / np.sqrt(np.maximum(variance, 1e-18)), np.nan)

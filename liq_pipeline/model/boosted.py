"""The honest baseline: a flexible learner on all that price and volume say, beside the map's five numbers.

Ridge on "price + VWAP path" flatters the map; gradient boosting on some 90 features takes most of the map's gain
(../shared/docs/forecast.md 1). Needs scikit-learn (the extra `validate`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from liq_pipeline.model.alignment import MarketData, Steps
from liq_pipeline.model.scoring import Estimate, Resampler, Score, fold_tests, ridge, score
from liq_pipeline.model.scoring_flows import path_features, rolled_vwap

Floats = NDArray[np.float64]
Predict = Callable[[Floats, Floats, Floats], Floats]
"""Features and target of what may train, features to predict; returns the predictions."""

Rows = list[tuple[Floats, Floats, Floats]]
"""Per side: target, prediction, mean of what trained it."""

WINDOWS = tuple(np.timedelta64(minutes, "m") for minutes in (30, 60, 120, 240, 480, 720, 1440, 2880, 4320, 10_080))
PAST_DAYS = (3, 7, 28)
REFIT_DAYS = 4.0
SEED = 20260301
ROUNDS = 100
FEWEST_ROWS = 40


@dataclass(frozen=True)
class BoostedScores:
    """R² of ln(1 + USD/1000), both sides pooled.

    Attributes:
        features: number of the learner's features without the map's.
        alone: the learner on price and volume.
        with_map: the same with the map's five numbers.
        gain: what the map adds, paired.
        map_alone: the five numbers by ridge, as elsewhere in the report.
        past: trained on the past so many days only, every fourth day anew: by days, the learner and the five numbers,
            on the same steps; and the five numbers minus the learner.
    """

    features: int
    alone: Estimate
    with_map: Estimate
    gain: Estimate
    map_alone: Estimate
    past: dict[int, dict[str, Estimate]]


def has_learner() -> bool:
    """Tell whether scikit-learn is installed."""
    return find_spec("sklearn") is not None


def rich_features(data: MarketData, steps: Steps) -> list[Floats]:
    """Return what price and volume know before a step, and the step's own moves, per side (longs, shorts).

    Beside the path's: per window the return, the distance of the price from both extremes and from the VWAP, realised
    volatility and volume; hour and day of the week; how long ago the day's extremes were.
    """
    bars = data.walk_input
    close, start = bars.close, steps.first - 1
    returns = pd.Series(np.log(close)).diff().fillna(0.0)
    day = max(1, int(np.timedelta64(1, "D") / data.width))
    minute = (steps.end - steps.end.astype("datetime64[D]")) / np.timedelta64(1, "m")
    weekday = ((steps.end.astype("datetime64[D]").astype(int) + 3) % 7).astype(float)
    ages = [_bars_since(values, day)[start] for values in (-bars.low, bars.high)]
    columns: list[list[Floats]] = [[minute, weekday, *ages], [minute, weekday, *ages[::-1]]]
    for window in WINDOWS:
        count = max(1, int(window / data.width))
        rolled = {
            name: pd.Series(values).rolling(count, min_periods=1)
            for name, values in (
                ("volume", bars.volume), ("low", bars.low), ("high", bars.high), ("square", returns.to_numpy() ** 2),
            )
        }  # fmt: skip
        vwap = rolled_vwap(bars.entry_price, bars.volume, count)
        went = np.log(close[start] / close[np.maximum(start - count, 0)])
        beside = np.log(close / vwap)[start]
        below = np.log(close / rolled["low"].min().to_numpy())[start]
        above = np.log(rolled["high"].max().to_numpy() / close)[start]
        traded = np.log(np.maximum(rolled["volume"].mean().to_numpy(), 0.0) + 1e-12)
        same = [np.sqrt(rolled["square"].mean().to_numpy())[start], traded[start]]
        # Seen by each side in its own direction, so that one learner can learn from both.
        columns[0] += [went, beside, below, above, *same]
        columns[1] += [-went, -beside, above, below, *same]
    paths = path_features(data, steps)
    return [np.column_stack([paths[side], paths[1 - side], *columns[side]]) for side in range(2)]


def _bars_since(values: Floats, count: int) -> Floats:
    """Return how many bars ago the largest of the last `count` values was."""
    found = pd.Series(values).rolling(count, min_periods=1).apply(lambda part: part.size - 1 - part.argmax(), raw=True)
    return np.asarray(found.to_numpy())


def boosted(features: Floats, target: Floats, asked: Floats) -> Floats:
    """Predict by gradient boosting, with a fixed seed."""
    from sklearn.ensemble import HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    learner = HistGradientBoostingRegressor(
        max_iter=ROUNDS, learning_rate=0.06, max_leaf_nodes=15, min_samples_leaf=20, l2_regularization=1.0,
        early_stopping=False, random_state=SEED,
    )  # fmt: skip
    with threadpool_limits(1):  # some thousand rows: threads wait for each other, and for other processes' threads
        return np.asarray(learner.fit(features, target).predict(asked))


def by_folds(sides: list[Floats], targets: Floats, days: Floats, predict: Predict) -> Rows:
    """Return target, prediction, mean of what trained it, per side: each from the other of five folds, both sides."""
    predicted, mean = np.empty(targets.shape), np.empty(targets.shape)
    for test, train in fold_tests(days):
        _predict(sides, targets, train, test, predict, predicted, mean)
    return [(targets[:, side], predicted[:, side], mean[:, side]) for side in range(2)]


def by_past(sides: list[Floats], targets: Floats, days: Floats, predict: Predict, past_days: float) -> Rows:
    """Return the same from the past so many days alone; NaN where there is too little past."""
    predicted, mean = np.full(targets.shape, np.nan), np.full(targets.shape, np.nan)
    for start in np.arange(days[0] + past_days, days[-1], REFIT_DAYS):
        test = np.flatnonzero((days >= start) & (days < start + REFIT_DAYS))
        train = (days < start) & (days >= start - past_days)
        if test.size and train.sum() >= FEWEST_ROWS:
            _predict(sides, targets, train, test, predict, predicted, mean)
    return [(targets[:, side], predicted[:, side], mean[:, side]) for side in range(2)]


def _predict(
    sides: list[Floats], targets: Floats, train: NDArray, test: NDArray | slice, predict: Predict, predicted: Floats,
    mean: Floats,
) -> None:  # fmt: skip
    """Fill in the rows to be tested, of both sides, from one learner of both."""
    known, goal = np.concatenate([one[train] for one in sides]), targets[train].T.reshape(-1)
    asked = np.concatenate([one[test] for one in sides])
    predicted[test] = predict(known, goal, asked).reshape(2, -1).T
    mean[test] = targets[train].mean(axis=0)


def score_boosted(data: MarketData, steps: Steps, mapped: list[Floats], targets: Floats) -> BoostedScores:
    """Score the learner alone and with the map.

    Args:
        data: the bars.
        steps: what is scored.
        mapped: the map's features per side, `model_features`.
        targets: shape (steps, 2).
    """
    days, resampler = steps.days, Resampler(steps.days)
    rich = rich_features(data, steps)
    both = [np.column_stack(pair) for pair in zip(rich, mapped, strict=True)]

    def folded(features: list[Floats], predict: Predict) -> Score:
        return score(resampler, by_folds(features, targets, days, predict))

    def r2(one: Score) -> Estimate:
        return resampler.figure(one.r2, one.r2_draws)

    alone, with_map = folded(rich, boosted), folded(both, boosted)
    return BoostedScores(
        rich[0].shape[1], r2(alone), r2(with_map),
        resampler.figure(with_map.r2 - alone.r2, with_map.r2_draws - alone.r2_draws), r2(folded(mapped, ridge)),
        {number: _past(steps, rich, mapped, targets, number) for number in PAST_DAYS if days[-1] >= number + 7},
    )  # fmt: skip


def _past(steps: Steps, rich: list[Floats], mapped: list[Floats], targets: Floats, number: int) -> dict[str, Estimate]:
    days = steps.days
    sides = {
        name: by_past(features, targets, days, predict, number)
        for name, features, predict in (("boosted", rich, boosted), ("map", mapped, ridge))
    }
    some = np.isfinite([found for rows in sides.values() for _, found, _ in rows]).all(axis=0)
    resampler = Resampler(days[some])
    scores = {name: score(resampler, [(y[some], p[some], m[some]) for y, p, m in rows]) for name, rows in sides.items()}
    off = scores["map"].r2 - scores["boosted"].r2
    draws = scores["map"].r2_draws - scores["boosted"].r2_draws
    return {
        **{name: resampler.figure(one.r2, one.r2_draws) for name, one in scores.items()},
        "map - boosted": resampler.figure(off, draws),
    }

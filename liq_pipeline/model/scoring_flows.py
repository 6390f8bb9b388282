"""Flows: how much is liquidated in the next bar, given how far price moves in it? The model beside every baseline.

A prediction may use the state before a bar and that bar's range, nothing later; predictions of the bars of a step are
summed to the step of the truth. The target is `ln(1 + USD / 1000)` per step and side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from liq_pipeline.model.alignment import MarketData, Steps, adverse_moves
from liq_pipeline.model.margin import SIDES, Side
from liq_pipeline.model.scoring import Estimate, Resampler, Score, out_of_sample, score

Floats = NDArray[np.float64]

TARGET_UNIT_USD = 1000.0
"""Reported sums far below this count as none. Other units are printed beside it."""
EXPOSURE_UNIT = 1e-6
"""Exposure far below this share of open interest counts as none."""
BASIS_POINT = 1e-4
WINDOWS = tuple(np.timedelta64(hours, "h") for hours in (1, 4, 24, 72))


@dataclass(frozen=True)
class FlowRow:
    """One model's figures. `alone` and the two others are R²; `gain_*` are what it adds to the baseline's features."""

    alone: Estimate
    rho: Estimate
    with_move: Estimate
    rho_with_move: Estimate
    gain_over_move: Estimate
    gain_over_path: Estimate


@dataclass(frozen=True)
class FlowScores:
    """Figures of flows on one set of steps.

    Attributes:
        steps: number of steps.
        step_minutes: width of a step.
        target_unit_usd: what the target divides by.
        move, move_rho: the adverse move alone.
        path, path_rho: price and VWAP path alone.
        rows: per model.
        against: per comparison `a − b`, the paired difference of R² and of Spearman.
    """

    steps: int
    step_minutes: float
    target_unit_usd: float
    move: Estimate
    move_rho: Estimate
    path: Estimate
    path_rho: Estimate
    rows: dict[str, FlowRow]
    against: dict[str, tuple[Estimate, Estimate]]


def model_features(exposure_usd: Floats, unit_usd: float) -> Floats:
    """Return the features of a model: five numbers of what stood in the way, classes of leverage summed.

    Args:
        exposure_usd: shape (steps, classes, margins).
        unit_usd: what the logarithm divides by.
    """
    logs = np.log1p(exposure_usd.sum(axis=1) / unit_usd)
    return np.column_stack([logs, logs[:, 0] ** 2])


def main_features(data: MarketData, steps: Steps, exposure: Mapping[Side, Floats]) -> tuple[list[Floats], Floats]:
    """Return a model's features per side, and the target: ln(1 + USD/1000), shape (steps, 2)."""
    bars = data.walk_input
    unit = EXPOSURE_UNIT * bars.open_interest[0] * bars.close[0]
    features = [model_features(steps.summed(exposure[side]), unit) for side in SIDES]
    return features, np.log1p(steps.usd / TARGET_UNIT_USD)


def move_features(adverse: Floats) -> Floats:
    """Return the adverse move's features: its logarithm in basis points and the square of that."""
    log = np.log1p(adverse / BASIS_POINT)
    return np.column_stack([log, log**2])


def path_features(data: MarketData, steps: Steps) -> tuple[Floats, Floats]:
    """Return what price and VWAP alone know, per side (longs, shorts).

    The adverse and the favourable move of the step; the mean range of a bar in the day before; and, bar by bar and
    summed over the step as the model's exposure is: the adverse move, and how far the extreme lies beyond the extremes
    and the VWAPs of the last 1, 4, 24 and 72 hours before the bar.
    """
    bars = data.walk_input
    adverse = adverse_moves(data, steps)
    bar_range = pd.Series(np.log(bars.high / bars.low))
    day = max(1, int(np.timedelta64(1, "D") / data.width))
    usual_range = np.log(bar_range.rolling(day, min_periods=1).mean().to_numpy()[steps.first - 1] + BASIS_POINT)
    before = _before(bars.close)
    columns: list[list[Floats]] = [[before - bars.low], [bars.high - before]]
    for window in WINDOWS:
        count = max(1, int(window / data.width))
        vwap = _before(rolled_vwap(bars.entry_price, bars.volume, count))
        lowest = _before(pd.Series(bars.low).rolling(count, min_periods=1).min().to_numpy())
        highest = _before(pd.Series(bars.high).rolling(count, min_periods=1).max().to_numpy())
        columns[0] += [lowest - bars.low, vwap - bars.low]
        columns[1] += [bars.high - highest, bars.high - vwap]
    result = []
    for side in range(2):
        gaps = steps.summed(np.maximum(np.column_stack(columns[side]) / before[:, None], 0.0))
        favourable = np.log1p(adverse[:, 1 - side] / BASIS_POINT)
        logs = np.log1p(gaps / BASIS_POINT)
        result.append(
            np.column_stack([move_features(adverse[:, side]), favourable, usual_range, logs, logs[:, 0] ** 2])
        )
    return result[0], result[1]


def rolled_vwap(entry_price: Floats, volume: Floats, count: int) -> Floats:
    """Return the VWAP of the last `count` bars at each bar; the mean entry where none of them traded.

    A rolling sum keeps rounding errors of what has left the window: where little was traded after much, they would be
    all of it.
    """
    prices, traded, turnover = (
        pd.Series(values).rolling(count, min_periods=1) for values in (entry_price, volume, entry_price * volume)
    )
    has_traded = traded.max().to_numpy() > 0
    found = turnover.sum().to_numpy() / np.where(has_traded, np.maximum(traded.sum().to_numpy(), 1e-12), 1.0)
    return np.clip(np.where(has_traded, found, prices.mean()), prices.min().to_numpy(), prices.max().to_numpy())


def _moves_by_bar(data: MarketData, steps: Steps) -> list[Floats]:
    """Return the move's features from the sum of the adverse moves of the step's bars: they see what the model sees."""
    bars = data.walk_input
    before = _before(bars.close)
    both = np.column_stack([1 - bars.low / before, bars.high / before - 1])
    total = steps.summed(np.maximum(both, 0.0))
    return [move_features(total[:, side]) for side in range(2)]


def _before(values: Floats) -> Floats:
    """Return each bar's value of the bar before it."""
    return np.concatenate([values[:1], values[:-1]])


def score_flows(
    data: MarketData,
    steps: Steps,
    exposures: Mapping[str, Mapping[Side, Floats]],
    main: str,
    target_unit_usd: float = TARGET_UNIT_USD,
) -> FlowScores:
    """Score each model's exposure against the reported flows.

    Args:
        data: the bars.
        steps: what is scored, at least enough to train on.
        exposures: per model and side, USD per bar, shape (bars, classes, margins).
        main: the model that the others are compared with.
        target_unit_usd: see `TARGET_UNIT_USD`.
    """
    days = steps.days
    resampler = Resampler(days)
    targets = np.log1p(steps.usd / target_unit_usd)
    bars = data.walk_input
    unit = EXPOSURE_UNIT * bars.open_interest[0] * bars.close[0]
    adverse = adverse_moves(data, steps)
    moves = [move_features(adverse[:, side]) for side in range(2)]
    paths = path_features(data, steps)

    def judged(features: list[Floats]) -> Score:
        sides = []
        for side, columns in enumerate(features):
            target = targets[:, side]
            sides.append((target, *out_of_sample(columns, target, days)))
        return score(resampler, sides)

    def figures(found: Score) -> tuple[Estimate, Estimate]:
        return resampler.figure(found.r2, found.r2_draws), resampler.figure(found.rho, found.rho_draws)

    def gain(more: Score, less: Score) -> Estimate:
        return resampler.figure(more.r2 - less.r2, more.r2_draws - less.r2_draws)

    move, path = judged(moves), judged(list(paths))
    rows: dict[str, FlowRow] = {}
    alone: dict[str, Score] = {"adverse move": move, "moves bar by bar": judged(_moves_by_bar(data, steps))}
    for name, exposure in exposures.items():
        own = [model_features(steps.summed(exposure[side]), unit) for side in SIDES]
        alone[name] = judged(own)
        with_move = judged([np.column_stack(pair) for pair in zip(moves, own, strict=True)])
        with_path = judged([np.column_stack(pair) for pair in zip(paths, own, strict=True)])
        rows[name] = FlowRow(
            *figures(alone[name]),
            *figures(with_move),
            gain_over_move=gain(with_move, move),
            gain_over_path=gain(with_path, path),
        )
    against = {
        f"{main} - {name}": (
            gain(alone[main], other),
            resampler.figure(alone[main].rho - other.rho, alone[main].rho_draws - other.rho_draws),
        )
        for name, other in alone.items()
        if name != main
    }
    minutes = float((steps.last[0] - steps.first[0] + 1) * (data.width / np.timedelta64(1, "m")))
    return FlowScores(
        steps.end.size, minutes, target_unit_usd, *figures(move), *figures(path), rows=rows, against=against
    )


def deciles(data: MarketData, steps: Steps, exposure: Mapping[Side, Floats]) -> list[dict[str, float]]:
    """Return reliability: mean reported against mean predicted USD, by decile of the out-of-sample prediction."""
    days = steps.days
    bars = data.walk_input
    unit = EXPOSURE_UNIT * bars.open_interest[0] * bars.close[0]
    predicted, reported, mapped = [], [], []
    for side, name in enumerate(SIDES):
        usd = steps.summed(exposure[name])
        target = np.log1p(steps.usd[:, side] / TARGET_UNIT_USD)
        predicted.append(out_of_sample(model_features(usd, unit), target, days)[0])
        reported.append(target)
        mapped.append(usd[:, :, 0].sum(axis=1))
    p, r, m = np.concatenate(predicted), np.concatenate(reported), np.concatenate(mapped)
    usd = TARGET_UNIT_USD * np.expm1(r)
    parts = np.array_split(np.argsort(p, kind="stable"), 10)
    return [
        {
            "decile": number + 1,
            "predicted_log": float(p[rows].mean()),
            "reported_log": float(r[rows].mean()),
            "reported_usd_mean": float(usd[rows].mean()),
            "mapped_usd_mean": float(m[rows].mean()),
        }
        for number, rows in enumerate(parts)
    ]


def by_leverage(data: MarketData, steps: Steps, exposure: Mapping[Side, Floats]) -> list[dict[str, float]]:
    """Return the R² of each leverage class alone, and what it adds to the adverse move."""
    days, resampler = steps.days, Resampler(steps.days)
    targets = np.log1p(steps.usd / TARGET_UNIT_USD)
    bars = data.walk_input
    unit = EXPOSURE_UNIT * bars.open_interest[0] * bars.close[0]
    adverse = adverse_moves(data, steps)
    moves = [move_features(adverse[:, side]) for side in range(2)]

    def r2(features: list[Floats]) -> float:
        sides = [
            (targets[:, side], *out_of_sample(columns, targets[:, side], days)) for side, columns in enumerate(features)
        ]
        return score(resampler, sides).r2

    base = r2(moves)
    result = []
    for kind in range(exposure["long"].shape[1]):
        own = [model_features(steps.summed(exposure[side])[:, kind : kind + 1], unit) for side in SIDES]
        both = [np.column_stack(pair) for pair in zip(moves, own, strict=True)]
        result.append({"class": kind, "r2_alone": r2(own), "gain_over_move": r2(both) - base})
    return result

"""A validation with made-up figures, no two alike: what is printed of it can be told apart."""

from __future__ import annotations

from itertools import count
from typing import Any

import numpy as np

from liq_pipeline.model.boosted import BoostedScores
from liq_pipeline.model.bracket_evidence import BracketTest
from liq_pipeline.model.price_levels import PriceLevelScore
from liq_pipeline.model.scale import Scale
from liq_pipeline.model.scoring import Estimate
from liq_pipeline.model.scoring_flows import FlowRow, FlowScores
from liq_pipeline.model.scoring_if_reached import DistanceScore, IfReachedScore
from liq_pipeline.model.scoring_levels import LevelScores
from liq_pipeline.validation.run import Gate, Validation


class Figures:
    """Gives figures in rising order, each with an interval above 0."""

    def __init__(self) -> None:
        self.next = count(101)

    def __call__(self) -> Estimate:
        value = next(self.next) / 1000
        return Estimate(value, value - 0.011, value + 0.013)

    def flows(self, minutes: float, *names: str) -> FlowScores:
        rows = {name: FlowRow(self(), self(), self(), self(), self(), self()) for name in names}
        against = {f"{names[0]} - {name}": (self(), self()) for name in (*names[1:], "constant open interest")}
        return FlowScores(200, minutes, 1000.0, self(), self(), self(), self(), rows, against)

    def levels(self, hours: int) -> LevelScores:
        auc, rank, lift = ({name: self() for name in ("farthest first", "map")} for _ in range(3))
        return LevelScores(hours, 40 + hours, auc, rank, lift, self(), self())

    def reached(self, hours: int, coverage: float, *by: DistanceScore, note: str = "") -> IfReachedScore:
        return IfReachedScore(
            hours, 300 + hours, 20.0, 7.0, note, coverage, self(), 0.7, {}, self(), self(), self(), 11.4, list(by), {}
        )


def made_up(**changes: Any) -> Validation:
    """Return it, with some parts replaced."""
    new = Figures()
    parts: dict[str, Any] = {
        "symbol": "XUSDT", "source": "", "notes": ["one", "two"], "facts": {
            "steps": 200, "first_step": "2026-01-02T00:30:00.000000", "last_step": "2026-01-09T07:00:00.000000",
            "bar_minutes": 15.0, "open_interest_step_minutes": 5.0,
        },
        "parameters": {"churn_per_turnover": 0.05}, "flows": new.flows(30.0, "walk", "1|L bands"),
        "other_units": {"1": new.flows(30.0, "walk")}, "wide_bars": new.flows(60.0, "walk"),
        "flow_control": new.flows(30.0, "walk"), "shuffled_truth": new.flows(30.0, "walk"),
        "levels": {24: new.levels(24), 72: None}, "level_control": {24: None, 72: new.levels(72)},
        "reliability": [{"decile": 1.0, "predicted_log": 2.5, "reported_log": 3.25, "reported_usd_mean": 12_345.6,
                         "mapped_usd_mean": 65_432.1},
                        {"decile": 2.0, "predicted_log": 4.0, "reported_log": 1.5, "reported_usd_mean": 0.0,
                         "mapped_usd_mean": 1.0}],
        "leverage": [{"class": float(n), "r2_alone": 0.1 * n, "gain_over_move": 0.02 - 0.01 * n} for n in range(4)],
        "scale": Scale(0.0125, [{"day": 3.5, "rate": 0.5, "rate_of_past": 0.25, "predicted_over_reported": 2.0},
                                {"day": 7.0, "rate": 0.75, "rate_of_past": 0.4, "predicted_over_reported": 3.0}], 1.5),
        "if_reached": [new.reached(1, 0.8, DistanceScore(0.5, 12, 0.81, 0.0625), DistanceScore(2, 5, 0.75, -0.25)),
                       new.reached(24, 0.9, DistanceScore(2, 7, 0.9, 0.5), note="short")],
        "boosted": BoostedScores(83, new(), new(), new(), new(), {7: {n: new() for n in ("boosted", "map",
                                                                                          "map - boosted")}}),
        "brackets": BracketTest(321, 0.4, 0.9, Estimate(0.45, 0.4, 0.5), 0.95, [(0.0, 0.1), (0.4, 0.9)]),
        "price_levels": PriceLevelScore(77, new(), new(), new()),
        "gates": [Gate(1, "a|b", True, "x"), Gate(2, "c", False, "y")],
    }  # fmt: skip
    return Validation(**(parts | changes))


def estimate(value: float, low: float, high: float = np.inf) -> Estimate:
    """Return a figure with its interval."""
    return Estimate(value, low, high)

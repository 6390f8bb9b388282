"""Gate 8: on the simulated exchange, where every position is known, how well does the map rank the levels?

    python -m benchmarks.known_positions

Rank correlation of true and estimated contracts per bin of 0.1 % within ±5 % of the price, mean over instants 20 to 60
days after the first bar; once with the model's assumptions, then with each of them broken.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from liq_pipeline.model.margin import SIDES
from liq_pipeline.model.scoring import spearman
from liq_pipeline.model.walk import Walk, WalkInput, walk
from liq_pipeline.simulator.market import Market, MarketConfig, simulate

BASE = MarketConfig(days=60)
SCENARIOS: dict[str, dict[str, object]] = {
    "assumptions hold": {},
    "assumptions hold, another seed": {"seed": 8},
    "leverage concentrated on 10x, 20x, 50x, 100x": {"leverage_mix": "concentrated"},
    "the oldest close first": {"closing": "oldest_first"},
    "winners close first": {"closing": "winners_first"},
    "closing grows with leverage": {"closing": "by_leverage"},
    "entries anywhere in the bar": {"entry": "low_to_high"},
    "large positions in higher brackets": {"sizes": "large"},
    "ten times the churn": {"churn_factor": 10.0},
    "no churn": {"churn_factor": 0.0},
    "longs churn 19 times as fast as shorts": {"churn_tilt": 0.9},
}
_BIN, _BINS = 0.001, 50


@dataclass(frozen=True)
class Ranked:
    """Mean and lowest rank correlation, estimated over true contracts in the range, correlation of flows by side."""

    mean: float
    lowest: float
    mass: float
    flows: tuple[float, float]


def walk_input(market: Market) -> WalkInput:
    """Return what the walk reads of a simulated market."""
    bars = market.bars
    entry = np.clip(bars["quote_volume"] / bars["volume"], bars["low"], bars["high"])
    return WalkInput(
        bars["ts"].astype("datetime64[us]"), market.open_interest, entry, bars["low"], bars["high"], bars["close"],
        bars["volume"],
    )  # fmt: skip


def ranked(market: Market, walked: Walk | None = None) -> Ranked:
    """Compare the walk's map with the positions that are there."""
    walked = walked or walk(walk_input(market), market.config.symbol)
    per_day = 1440 // market.config.bar_minutes
    found, masses = [], []
    for day in range(20, market.config.days + 1, 5):
        at = day * per_day - 1
        price, alive = market.bars["close"][at], market.alive(market.bars["ts"][at])
        true, estimated = [], []
        for side, one in walked.sides.items():
            sign = -1 if side == "long" else 1
            edges = np.sort(price * (1 + sign * _BIN * np.arange(_BINS + 1)))
            mine = alive["side"] == side
            true.append(np.histogram(alive["liquidation_price"][mine], edges, weights=alive["contracts"][mine])[0])
            usable = np.isfinite(one.liquidation_price)
            left = one.contracts_open(at)[usable]
            estimated.append(np.histogram(one.liquidation_price[usable], edges, weights=left)[0])
        found.append(spearman(np.concatenate(true), np.concatenate(estimated)))
        masses.append(np.sum(estimated) / np.sum(true))
    warm = 7 * per_day
    longs, shorts = (
        float(np.corrcoef(walked.sides[side].liquidated[warm:], market.liquidations[f"{side}_contracts"][warm:])[0, 1])
        for side in SIDES
    )
    return Ranked(float(np.mean(found)), float(np.min(found)), float(np.mean(masses)), (longs, shorts))


def main() -> None:
    """Print the table."""
    print("| the traders | rank correlation | lowest | estimated / true | flows, long / short |")
    print("|---|---|---|---|---|")
    for name, change in SCENARIOS.items():
        one = ranked(simulate(replace(BASE, **change)))  # type: ignore[arg-type]
        print(
            f"| {name} | {one.mean:.3f} | {one.lowest:.3f} | {one.mass:.2f} | {one.flows[0]:.3f} / {one.flows[1]:.3f} |"
        )


if __name__ == "__main__":
    main()

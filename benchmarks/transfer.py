"""Transfer: what was fitted on one source or span of reported liquidations, applied to another.

    python -m benchmarks.transfer

"If reached": the newest fit of one set, applied to every case of another: share inside its 80 % range, and the median
of reported over the predicted median. Flows: five numbers of the map by ridge, trained on one set and applied to
another: R² against the mean of what it is applied to, and Spearman, beside the same within the set (out of sample).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from liq_pipeline.model.ablations import walk_exposure
from liq_pipeline.model.alignment import match_steps
from liq_pipeline.model.if_reached import HORIZON_HOURS, Cases, fit
from liq_pipeline.model.if_reached_cases import cases_of
from liq_pipeline.model.scoring import out_of_sample, ridge, spearman
from liq_pipeline.model.scoring_flows import main_features
from liq_pipeline.model.scoring_if_reached import hourly_origins
from liq_pipeline.model.walk import walk
from liq_pipeline.validation.inputs import read_inputs
from liq_pipeline.validation.run import parameters_of, scored_steps

SHARED = Path(__file__).parents[1].parent / "shared"
ARCHIVE = SHARED / "archive" / "btc-15m-2026-03"
HOURLY = SHARED / "truth" / "btcusdt_1h_2025-12_2026-06.csv"
SETS = {
    "A": (ARCHIVE, ARCHIVE, SHARED / "truth" / "btcusdt_30m_2026-02_2026-05.csv", 15),
    "B": (SHARED / "market" / "BTCUSDT-15m.parquet", HOURLY, HOURLY, 15),
    "C'": (SHARED / "market" / "BTCUSDT-5m.parquet", HOURLY, HOURLY, 5),
}


@dataclass(frozen=True)
class Set:
    """One set: targets that were reached, features of the map per side, ln(1 + USD/1000) per side, days."""

    cases: Cases
    features: list[np.ndarray]
    target: np.ndarray
    days: np.ndarray


def read(name: str) -> Set:
    """Read a set and walk over it."""
    klines, interest, truth, minutes = SETS[name]
    inputs = read_inputs(klines, interest, truth, bar_minutes=minutes, symbol="BTCUSDT")
    data, parameters = inputs.data, parameters_of(inputs)
    steps = scored_steps(data, match_steps(data, inputs.truth))
    walked = walk(data.walk_input, "BTCUSDT", parameters)
    features, target = main_features(data, steps, walk_exposure(data, "BTCUSDT", parameters))
    return Set(cases_of(walked, data, steps, hourly_origins(data, steps)), features, target, steps.days)


def reached(one: Set, other: Set, hours: int) -> tuple[float, float]:
    """Return the share of the other's cases inside the range fitted on the one; reported over predicted, median."""
    cases = [
        part.cases.pick(part.cases.reached_at - part.cases.asked_at <= np.timedelta64(hours, "h"))
        for part in (one, other)
    ]
    made = fit(cases[0])
    assert made
    low, middle, high = made.range.usd(cases[1].distance_pct, cases[1].mapped_usd).T
    usd = cases[1].usd
    return float(((usd >= low) & (usd <= high)).mean()), float(np.median((usd + 1000) / (middle + 1000)))


def flows(one: Set, other: Set) -> tuple[float, float]:
    """Return R² and Spearman, mean of both sides, of what was learnt on the one and applied to the other."""
    found = []
    for side in range(2):
        goal = other.target[:, side]
        if one is other:
            said, _ = out_of_sample(one.features[side], goal, one.days)
        else:
            said = ridge(one.features[side], one.target[:, side], other.features[side])
        found.append((1 - ((goal - said) ** 2).sum() / ((goal - goal.mean()) ** 2).sum(), spearman(goal, said)))
    r2, rho = np.mean(found, axis=0)
    return float(r2), float(rho)


def main() -> None:
    """Print the table."""
    sets = {name: read(name) for name in SETS}
    spans = " | ".join(f"within {hours} h" for hours in HORIZON_HOURS)
    print(f"| fitted on | applied to | {spans} | flows: R², Spearman |\n|---|---|---|---|---|---|")
    for (one, fitted), (other, applied) in product(sets.items(), sets.items()):
        cells = [reached(fitted, applied, hours) for hours in HORIZON_HOURS]
        text = " | ".join(f"{inside:.2f}, ×{ratio:.2f}" for inside, ratio in cells)
        r2, rho = flows(fitted, applied)
        print(f"| {one} | {other} | {text} | {r2:.3f}, {rho:.3f} |")


if __name__ == "__main__":
    main()

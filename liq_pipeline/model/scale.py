"""Scale: what is reported as liquidated is a small share of what the map says was touched.

`expected reported USD = mapped USD × rate`, one rate per source of truth. The rate is fitted on the past; it drifts,
and the drift is part of the answer. Maps do not use it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_PARTS = 10
_SHORTEST_PAST_DAYS = 3.0


@dataclass(frozen=True)
class Scale:
    """The rate, and how it moves.

    Attributes:
        rate: reported over mapped USD, over everything.
        by_part: for consecutive parts of equal length: first day, rate of the part, the rate fitted on its past (NaN
            for the first), and what that past rate predicted over what was reported.
        typical_miss: median factor between prediction and report over the parts (1 = exact).
    """

    rate: float
    by_part: list[dict[str, float]]
    typical_miss: float


def fit_rate(mapped_usd: Floats, reported_usd: Floats) -> float:
    """Return reported over mapped, as sums: the rate that gets the total right. NaN where nothing was mapped."""
    total = mapped_usd.sum()
    return float(reported_usd.sum() / total) if total > 0 else float("nan")


def scale_drift(days: Floats, mapped_usd: Floats, reported_usd: Floats) -> Scale:
    """Return the rate and its drift.

    Args:
        days: end of each step, ascending, days.
        mapped_usd, reported_usd: per step, both sides together.
    """
    edges = np.linspace(days[0], days[-1] + 1e-9, _PARTS + 1)
    parts, misses = [], []
    for low, high in pairwise(edges):
        now, past = (days >= low) & (days < high), days < low
        enough = past.any() and low - days[0] >= _SHORTEST_PAST_DAYS
        rate = fit_rate(mapped_usd[now], reported_usd[now])
        past_rate = fit_rate(mapped_usd[past], reported_usd[past]) if enough else float("nan")
        reported = reported_usd[now].sum()
        miss = past_rate * mapped_usd[now].sum() / reported if reported > 0 else float("nan")
        if np.isfinite(miss) and miss > 0:
            misses.append(max(miss, 1 / miss))
        parts.append({"day": float(low), "rate": rate, "rate_of_past": past_rate, "predicted_over_reported": miss})
    return Scale(fit_rate(mapped_usd, reported_usd), parts, float(np.median(misses)) if misses else float("nan"))

"""First touch of every level of 90 days, against a scan of every later bar, compiled as well."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from benchmarks.data import whole_path
from benchmarks.harness import Outcome, against
from liq_pipeline.model.crossing import first_touch
from liq_pipeline.model.margin import CLASSIC_LADDER, liquidation_price

BARS = 90 * 288


@njit(cache=True)
def scan(extreme: NDArray[np.float64], price: NDArray[np.float64]) -> NDArray[np.int32]:
    """Look at every later bar until one touches."""
    bars, tiers = price.shape
    touched = np.full((bars, tiers), bars, dtype=np.int32)
    for i in range(bars):
        for k in range(tiers):
            for t in range(i + 1, bars):
                if extreme[t] <= price[i, k]:
                    touched[i, k] = t
                    break
    return touched


def run() -> list[Outcome]:
    """Measure one side, five leverages."""
    market = whole_path().last(BARS)
    price = liquidation_price("long", market.close[:, None], np.array(list(CLASSIC_LADDER)), 0.004)
    np.testing.assert_array_equal(first_touch(market.low, price), scan(market.low, price))
    outcome = against(
        "crossing",
        f"{price.size:,} levels of 90 days, against a compiled scan",
        lambda: first_touch(market.low, price),
        lambda: scan(market.low, price),
        1 / 20,
    )
    per_level = 1e6 * outcome.ours_ms / price.size
    return [outcome, Outcome("crossing", "per level", per_level, "ns", None, outcome.ours_ms)]

"""The walk over the whole path: nanoseconds per bar, cell and side, and against copying what it reads and returns."""

from __future__ import annotations

import numpy as np

from benchmarks.data import SYMBOL, whole_path
from benchmarks.harness import Outcome, against
from liq_pipeline.model.walk import Walk, walk


def run() -> list[Outcome]:
    """Measure."""
    bars = whole_path().walk_input()
    result = walk(bars, SYMBOL)
    for side in result.sides.values():
        np.testing.assert_allclose(side.tracked + side.untracked, bars.open_interest, rtol=1e-9)
    read = [getattr(bars, name) for name in bars.__dataclass_fields__]
    touched = read + _returned(result)

    def ours() -> Walk:
        return walk(bars, SYMBOL)

    cells = bars.ts.size * result.parameters.layout.place.size * len(result.sides)
    inputs = against("walk", "against copying what it reads", ours, lambda: [array.copy() for array in read], None)
    both = against(
        "walk", "against copying what it reads and returns", ours, lambda: [array.copy() for array in touched], 15.0
    )
    nanoseconds = Outcome(
        "walk",
        f"{bars.ts.size:,} bars × {result.parameters.layout.place.size} cells × 2 sides",
        1e6 * both.ours_ms / cells,
        "ns",
        None,
        both.ours_ms,
    )
    return [nanoseconds, both, inputs]


def _returned(result: Walk) -> list[np.ndarray]:
    return [value for side in result.sides.values() for value in vars(side).values() if isinstance(value, np.ndarray)]

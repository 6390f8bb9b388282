"""The formula of what gets liquidated on the way, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from liq_pipeline.model.if_reached import LARGEST_LOG, Range

NOTHING_MAPPED = np.zeros((1, 2))


def of_log(middle: float, spread: float) -> list[float]:
    """The three quantiles at 1 %, where the range has its full width and no distance counts, USD."""
    return Range(middle, 0.0, 0.0, 0.0, 0.0, -spread, 0.0, spread).usd([1.0], NOTHING_MAPPED)[0].tolist()


def test_quantiles_are_those_of_the_logarithm_of_thousands_small_ones_among_them() -> None:
    assert of_log(0.5, 0.25) == pytest.approx([1000 * np.expm1(log) for log in (0.25, 0.5, 0.75)])


def test_nothing_is_below_zero_and_nothing_without_end() -> None:
    assert of_log(0.0, 2.0) == pytest.approx([0.0, 0.0, 1000 * np.expm1(2.0)])
    assert of_log(1e4, 0.0) == pytest.approx([1000 * np.expm1(LARGEST_LOG)] * 3)

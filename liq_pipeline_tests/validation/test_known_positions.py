"""Gate 8: where every position is known, the map ranks the levels; and it falls when an assumption breaks."""

from dataclasses import replace

import pytest

from benchmarks.known_positions import BASE, ranked
from liq_pipeline.simulator.market import simulate


@pytest.mark.slow
@pytest.mark.parametrize("seed", [7, 8])
def test_levels_are_ranked_when_the_assumptions_hold(seed):
    assert ranked(simulate(replace(BASE, seed=seed))).mean >= 0.8


@pytest.mark.slow
def test_the_measure_sees_a_broken_assumption():
    assert ranked(simulate(replace(BASE, churn_factor=10.0))).mean < 0.7

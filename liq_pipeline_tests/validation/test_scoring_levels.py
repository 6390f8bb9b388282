"""Levels: which origins and sides are judged."""

from __future__ import annotations

import numpy as np

from liq_pipeline.model.scoring_levels import control_steps, origins_of, outcomes, score_levels
from liq_pipeline.model.walk import walk
from liq_pipeline_tests.validation.conftest import Scene


def test_a_side_is_judged_from_eight_reached_bins_on(scene: Scene) -> None:
    walked = walk(scene.data.walk_input, "BTCUSDT")
    steps = control_steps(walked, scene.data, scene.steps)
    got, reached = outcomes(scene.data, steps, origins_of(scene.data, steps), 24)
    has_any = np.array([[(got[n, side, : max(count, 0)] > 0).any() for side, count in enumerate(counts)]
                        for n, counts in enumerate(reached)])  # fmt: skip

    found = score_levels(walked, scene.data, steps, 24)

    assert found
    assert (reached[has_any] == 8).any()
    assert (reached[has_any] == 7).any()
    assert found.cases == (has_any & (reached >= 8)).sum()

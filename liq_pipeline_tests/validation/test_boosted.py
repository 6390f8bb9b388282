"""The honest baseline: it learns what can be learnt, sees no future, and says the same each time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from liq_pipeline.model.ablations import walk_exposure
from liq_pipeline.model.boosted import boosted, by_folds, by_past, rich_features, score_boosted
from liq_pipeline.model.scoring import ridge
from liq_pipeline.model.scoring_flows import main_features
from liq_pipeline.validation.words import _boosted
from liq_pipeline_tests.validation.conftest import Scene
from liq_pipeline_tests.validation.test_no_look_ahead import cut

SYMBOL = "BTCUSDT"


@pytest.fixture(scope="module")
def scores(scene: Scene):
    exposure = walk_exposure(scene.data, SYMBOL)
    return score_boosted(scene.data, scene.steps, *main_features(scene.data, scene.steps, exposure))


def test_it_learns_a_bend_that_ridge_cannot(scene: Scene) -> None:
    rng = np.random.default_rng(3)
    days = np.linspace(0, 20, 2_000)
    features = [rng.normal(size=(2_000, 5)) for _ in range(2)]
    targets = np.column_stack([np.abs(one[:, 0]) for one in features]) + rng.normal(0, 0.1, (2_000, 2))

    def left(predict) -> float:
        return float(np.mean([np.mean((y - p) ** 2) for y, p, _ in by_folds(features, targets, days, predict)]))

    assert left(boosted) < 0.05
    assert left(ridge) > 0.3


def test_the_same_each_time(scores, scene: Scene) -> None:
    exposure = walk_exposure(scene.data, SYMBOL)
    again = score_boosted(scene.data, scene.steps, *main_features(scene.data, scene.steps, exposure))

    assert again == scores


def test_features_know_nothing_of_what_comes_later(scene: Scene) -> None:
    bars = 1500
    steps = scene.steps.pick(scene.steps.last < bars)
    for one, two in zip(rich_features(scene.data, steps), rich_features(cut(scene.data, bars), steps), strict=True):
        np.testing.assert_allclose(one, two)


def test_each_side_sees_the_market_in_its_own_direction(scene: Scene) -> None:
    bars = scene.data.walk_input
    mirrored = replace(
        scene.data,
        walk_input=replace(
            bars,
            low=1e10 / bars.high,
            high=1e10 / bars.low,
            close=1e10 / bars.close,
            entry_price=1e10 / bars.entry_price,
        ),
        open=1e10 / scene.data.open,
    )
    longs, _ = rich_features(scene.data, scene.steps)
    _, shorts = rich_features(mirrored, scene.steps)
    # Price paths are in relative moves of the price, a mirror's are as good as the same; the logarithms are the same.
    np.testing.assert_allclose(longs[:, -12:], shorts[:, -12:], atol=2e-3)


def test_trained_on_the_past_alone_later_truth_changes_nothing(scene: Scene) -> None:
    days = scene.steps.days
    features, targets = main_features(scene.data, scene.steps, walk_exposure(scene.data, SYMBOL))
    other = np.where((days >= 15)[:, None], targets + 5, targets)
    one, two = (by_past(features, goal, days, ridge, 7) for goal in (targets, other))
    for before, after in zip(one, two, strict=True):
        np.testing.assert_array_equal(before[1][days < 15], after[1][days < 15])
        assert np.isnan(before[1][days < 7]).all()
        assert np.isfinite(before[1][days > 10]).all()


def test_words_follow_the_numbers(scores) -> None:
    good = replace(scores, gain=replace(scores.gain, value=0.02, low=0.01, high=0.03))
    none = replace(scores, gain=replace(scores.gain, value=0.0, low=-0.01, high=0.01))
    bad = replace(scores, gain=replace(scores.gain, value=-0.02, low=-0.03, high=-0.01))

    assert "the map adds R² +0.020 [+0.010, +0.030]" in _boosted(good)[1]
    assert "the map adds nothing beyond chance: R² +0.000" in _boosted(none)[1]
    assert "the map takes away R² -0.020" in _boosted(bad)[1]
    assert _boosted(None) == []

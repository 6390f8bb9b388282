"""The honest baseline: it learns what can be learnt, sees no future, and says the same each time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from liq_pipeline.model.ablations import walk_exposure
from liq_pipeline.model.alignment import MarketData, Steps
from liq_pipeline.model.boosted import boosted, by_folds, by_past, rich_features, score_boosted
from liq_pipeline.model.scoring import ridge
from liq_pipeline.model.scoring_flows import main_features
from liq_pipeline.model.walk import WalkInput
from liq_pipeline.validation.words import _boosted
from liq_pipeline_tests.validation.conftest import Scene
from liq_pipeline_tests.validation.test_no_look_ahead import cut

pytestmark = pytest.mark.whole_run

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


@pytest.mark.parametrize(("rows", "is_predicted"), [(39, False), (40, True)])
def test_a_past_of_fewer_than_forty_rows_predicts_nothing(rows: int, is_predicted: bool) -> None:
    rng = np.random.default_rng(5)
    days = np.concatenate([np.linspace(0, 6.9, rows), np.linspace(7, 8, 5)])
    features = [rng.normal(size=(days.size, 2)) for _ in range(2)]
    targets = np.column_stack([one.sum(axis=1) for one in features])

    for _, predicted, mean in by_past(features, targets, days, ridge, 7):
        assert not np.isfinite(predicted[days < 7]).any()
        assert np.isfinite(predicted[days >= 7]).tolist() == np.isfinite(mean[days >= 7]).tolist() == [is_predicted] * 5


@pytest.mark.parametrize("width", [1, 5, 15])
def test_windows_reach_back_half_an_hour_to_a_week_whatever_the_bars_width(width: int) -> None:
    """Of each window: where the price went, the highest price above it, and the volume."""
    bars, rng = 11_000 // width, np.random.default_rng(6)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 1e-3, bars)))
    high, volume = close * (1 + rng.exponential(1e-3, bars)), rng.exponential(1, bars)
    ts = np.datetime64("2026-01-01", "us") + np.arange(bars) * np.timedelta64(width, "m")
    inputs = WalkInput(ts, np.ones(bars), close, close, high, close, volume)
    data = MarketData(inputs, close, np.ones(bars, bool), np.timedelta64(width, "m"))
    first = bars - np.arange(9, 0, -1) * 10 // width - 1
    steps = Steps(ts[first], first, first, np.zeros((first.size, 2)))

    longs, shorts = rich_features(data, steps)

    starts = first - 1
    for number, minutes in enumerate((30, 60, 120, 240, 480, 720, 1440, 2880, 4320, 10_080)):
        count, at = minutes // width, 6 * number - 60
        went = np.log(close[starts] / close[starts - count])
        inside = [slice(start - count + 1, start + 1) for start in starts]
        above = [np.log(high[one].max() / close[start]) for one, start in zip(inside, starts, strict=True)]
        np.testing.assert_allclose(longs[:, at], went)
        np.testing.assert_allclose(shorts[:, at], -went)
        np.testing.assert_allclose(longs[:, at + 3], above)
        np.testing.assert_allclose(longs[:, at + 5], [np.log(volume[one].mean()) for one in inside])


def test_words_follow_the_numbers(scores) -> None:
    good = replace(scores, gain=replace(scores.gain, value=0.02, low=0.01, high=0.03))
    none = replace(scores, gain=replace(scores.gain, value=0.0, low=-0.01, high=0.01))
    bad = replace(scores, gain=replace(scores.gain, value=-0.02, low=-0.03, high=-0.01))

    assert "the map adds R² +0.020 [+0.010, +0.030]" in _boosted(good)[1]
    assert "the map adds nothing beyond chance: R² +0.000" in _boosted(none)[1]
    assert "the map takes away R² -0.020" in _boosted(bad)[1]
    assert _boosted(None) == []

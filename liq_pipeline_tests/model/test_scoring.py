"""The judge itself: folds that do not leak, ranks that are right, intervals that cover."""

import numpy as np
import pytest

from liq_pipeline.model.scale import scale_drift
from liq_pipeline.model.scoring import Resampler, auc, fold_tests, out_of_sample, score, spearman

DAYS = np.arange(2000) / 48  # half hours


def test_folds_are_contiguous_cover_everything_once_and_keep_a_day_of_distance():
    seen = np.zeros(DAYS.size, dtype=int)
    for test, train in fold_tests(DAYS):
        seen[test] += 1
        nearest = np.abs(DAYS[train][:, None] - DAYS[test][[0, -1]]).min()
        assert nearest > 1.0
        assert not train[test].any()
    assert (seen == 1).all()


def test_a_prediction_knows_nothing_of_its_own_fold():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(DAYS.size, 3))
    target = features @ [1.0, 0.5, 0.0] + rng.normal(size=DAYS.size)
    predicted, _ = out_of_sample(features, target, DAYS)
    test, _ = fold_tests(DAYS)[2]
    other = target.copy()
    other[test] = 1e6
    assert np.array_equal(out_of_sample(features, other, DAYS)[0][test], predicted[test])


def test_too_little_data_is_refused():
    with pytest.raises(ValueError, match="too few"):
        out_of_sample(np.zeros((20, 10)), np.zeros(20), np.arange(20) / 48)


def test_ranks_share_ties():
    assert spearman(np.array([1.0, 1, 2, 3]), np.array([1.0, 1, 2, 3])) == pytest.approx(1)
    assert spearman(np.array([1.0, 2, 3, 4]), np.array([4.0, 3, 2, 1])) == pytest.approx(-1)
    assert np.isnan(spearman(np.ones(4), np.arange(4.0)))
    assert auc(np.array([1.0, 2, 3, 4]), np.array([False, False, True, True])) == 1
    assert auc(np.ones(4), np.array([False, False, True, True])) == 0.5


def test_noise_scores_nothing_and_the_truth_scores_one():
    rng = np.random.default_rng(1)
    target = rng.normal(size=DAYS.size)
    resampler = Resampler(DAYS)
    noise = score(resampler, [(target, *out_of_sample(rng.normal(size=(DAYS.size, 5)), target, DAYS))])
    assert noise.r2 < 0.005
    perfect = score(resampler, [(target, *out_of_sample(target[:, None], target, DAYS))])
    assert perfect.r2 > 0.99
    assert perfect.rho == pytest.approx(1, abs=1e-3)


def test_intervals_widen_where_neighbours_repeat_each_other():
    rng = np.random.default_rng(2)
    independent = rng.normal(size=DAYS.size)
    dependent = np.repeat(rng.normal(size=DAYS.size // 50), 50)
    resampler = Resampler(DAYS)
    widths = []
    for values in (independent, dependent):
        _, drawn = resampler.sums(np.column_stack([values, np.ones(values.size)]))
        figure = resampler.figure(values.mean(), drawn[:, 0] / drawn[:, 1])
        assert figure.low < values.mean() < figure.high
        widths.append(figure.high - figure.low)
    assert widths[1] > 3 * widths[0]


def test_scale_is_fitted_on_the_past_only():
    mapped = np.full(DAYS.size, 100.0)
    reported = np.where(DAYS[-1] / 2 > DAYS, 1.0, 3.0)
    scale = scale_drift(DAYS, mapped, reported)
    assert scale.by_part[3]["rate_of_past"] == pytest.approx(0.01)
    assert scale.by_part[5]["predicted_over_reported"] == pytest.approx(1 / 3, rel=0.05)
    assert scale.rate == pytest.approx(0.02, rel=0.01)

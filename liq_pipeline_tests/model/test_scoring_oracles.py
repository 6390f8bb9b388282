"""Ranks, correlation, ridge and bootstrap are those of the libraries that people trust."""

import numpy as np
import pytest
from arch.bootstrap import CircularBlockBootstrap
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from liq_pipeline.model.scoring import RIDGE, Resampler, fold_tests, out_of_sample, ranks, score, spearman

VALUES = arrays.arrays(np.float64, st.integers(3, 60), elements=st.integers(-5, 5).map(float))


@given(VALUES)
def test_ranks_are_scipys(values):
    assert np.array_equal(ranks(values) + 1, stats.rankdata(values))


@given(VALUES, st.integers(0, 2**32))
def test_spearman_is_scipys(values, seed):
    other = np.random.default_rng(seed).normal(size=values.size).round(1)
    if np.ptp(values) == 0 or np.ptp(other) == 0:
        assert np.isnan(spearman(values, other))
    else:
        assert spearman(values, other) == pytest.approx(stats.spearmanr(values, other).statistic, abs=1e-12)


def test_out_of_sample_predictions_are_scikit_learns():
    rng = np.random.default_rng(3)
    days = np.sort(rng.uniform(0, 40, 600))
    features = rng.normal(size=(600, 5)) * [1, 10, 0.1, 3, 1] + [0, 5, 0, -2, 1]
    target = features @ [1.0, 0.2, 3.0, 0.0, -1.0] + rng.normal(size=600)

    predicted, mean = out_of_sample(features, target, days)

    for test, train in fold_tests(days):
        ridge = make_pipeline(StandardScaler(), Ridge(alpha=RIDGE * train.sum())).fit(features[train], target[train])
        np.testing.assert_allclose(predicted[test], ridge.predict(features[test]), rtol=1e-10)
        np.testing.assert_allclose(mean[test], target[train].mean(), rtol=1e-12)


def test_r2_and_rho_over_all_rows_are_what_the_libraries_say():
    rng = np.random.default_rng(4)
    days = np.arange(400) / 4
    sides = [(y, y + rng.normal(size=400), np.full(400, y.mean())) for y in rng.normal(size=(2, 400))]

    found = score(Resampler(days), sides)

    errors = sum(((y - p) ** 2).sum() for y, p, _ in sides)
    spread = sum(((y - y.mean()) ** 2).sum() for y, *_ in sides)
    assert found.r2 == pytest.approx(1 - errors / spread, abs=1e-12)
    assert found.rho == pytest.approx(np.mean([stats.spearmanr(y, p).statistic for y, p, _ in sides]), abs=1e-12)


def test_intervals_are_as_wide_as_those_of_arch():
    rng = np.random.default_rng(5)
    days = np.arange(800) / 4  # one row a unit, so that a block of 3 days is 12 rows
    noise = rng.normal(size=820)
    values = np.convolve(noise, np.ones(12) / 12, mode="valid")[:800]
    resampler = Resampler(days, draws=4000)

    _, sums = resampler.sums(np.column_stack([np.ones(800), values]))
    ours = resampler.figure(values.mean(), sums[:, 1] / sums[:, 0])
    low, high = CircularBlockBootstrap(12, values, seed=6).conf_int(np.mean, 4000, method="percentile").ravel()

    assert ours.high - ours.low == pytest.approx(high - low, rel=0.06)
    assert ours.low == pytest.approx(low, abs=0.06 * (high - low))

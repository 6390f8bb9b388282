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

from liq_pipeline.model.scoring import (
    RIDGE,
    Estimate,
    Resampler,
    fold_tests,
    out_of_sample,
    ranks,
    ridge,
    score,
    spearman,
)

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
        theirs = make_pipeline(StandardScaler(), Ridge(alpha=RIDGE * train.sum()))
        theirs.fit(features[train], target[train])
        np.testing.assert_allclose(predicted[test], theirs.predict(features[test]), rtol=1e-10)
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


def test_a_column_that_never_changes_says_nothing_and_breaks_nothing():
    rng = np.random.default_rng(7)
    features, asked = rng.normal(size=(30, 2)), rng.normal(size=(4, 2))
    target = features @ [2.0, -3.0] + 5
    one, other = (np.column_stack([part, np.full(len(part), 3.0)]) for part in (features, asked))
    np.testing.assert_allclose(ridge(one, target, other), ridge(features, target, asked), rtol=1e-12)
    np.testing.assert_allclose(ridge(features, target, asked), asked @ [2.0, -3.0] + 5, rtol=0.01)


@pytest.mark.parametrize(
    ("rows_a_day", "days", "block_days", "length"),
    [
        pytest.param(24, 40, 3.0, 12, id="three days are twelve quarters of a day"),
        pytest.param(4, 11, 3.0, 11, id="a block is at most a quarter of the data"),
        pytest.param(4, 12, 3.0, 12, id="a quarter of the data that is just as long"),
        pytest.param(8, 9, 0.5, 2, id="shorter blocks on request"),
        pytest.param(6, 0.5, 3.0, 1, id="but one at least"),
    ],
)
def test_draws_are_blocks_that_wrap_around_the_end(rows_a_day: int, days: float, block_days: float, length: int):
    at = 17 + np.arange(0, days, 1 / rows_a_day)
    units = int(np.floor((at[-1] - at[0]) * 4)) + 1
    starts = np.random.default_rng(3).integers(0, units, size=(5, -(-units // length)))
    rng = np.random.default_rng(8)
    columns = rng.normal([3, 5], size=(at.size, 2))

    resampler = Resampler(at, block_days, draws=5, seed=3)
    whole, drawn = resampler.sums(columns)

    np.testing.assert_allclose(whole, columns.sum(axis=0))
    quarter = ((at - 17) // 0.25).astype(int)
    for draw in range(5):
        kept = [(start + step) % units for start in starts[draw] for step in range(length)]
        np.testing.assert_array_equal(resampler.counts[draw], np.bincount(kept, minlength=units))
        expected = sum(columns[quarter == one].sum(axis=0) for one in kept)
        np.testing.assert_allclose(drawn[draw], expected)


def test_the_interval_holds_ninety_five_of_a_hundred_draws_that_are_numbers():
    resampler = Resampler(np.arange(3.0))
    draws = np.append(np.random.default_rng(1).permutation(np.arange(201.0)), [np.nan, np.inf, -np.inf])
    assert resampler.figure(7.0, draws) == Estimate(7.0, 5.0, 195.0)
    assert resampler.figure(7.0, draws).as_dict() == {"value": 7.0, "low": 5.0, "high": 195.0}
    none = resampler.figure(7.0, np.full(4, np.nan))
    assert (none.value, np.isnan(none.low), np.isnan(none.high)) == (7.0, True, True)


def test_in_each_draw_a_score_is_that_of_the_rows_drawn():
    """Rows of unequal weight; R² pools both sides, Spearman is the correlation of the ranks in the whole sample."""
    rng = np.random.default_rng(9)
    days = np.sort(rng.uniform(0, 15, 90))
    sides = [(y, y + rng.normal(size=90) * noise, y.mean() + rng.normal(size=90) / 9)
             for y, noise in zip(rng.normal(size=(2, 90)) * [[1], [3]], (0.5, 2), strict=True)]  # fmt: skip
    resampler = Resampler(days, draws=7)

    found = score(resampler, sides)

    for draw, counts in enumerate(resampler.counts.astype(int)):
        rows = np.repeat(np.arange(90), counts[resampler.unit])
        errors = sum(((y - p)[rows] ** 2).sum() for y, p, _ in sides)
        spread = sum(((y - m)[rows] ** 2).sum() for y, _, m in sides)
        assert found.r2_draws[draw] == pytest.approx(1 - errors / spread)
        rho = [np.corrcoef(stats.rankdata(y)[rows], stats.rankdata(p)[rows])[0, 1] for y, p, _ in sides]
        assert found.rho_draws[draw] == pytest.approx(np.mean(rho))


def test_a_prediction_that_is_the_same_everywhere_has_no_rank_correlation():
    y = np.arange(40.0)
    found = score(Resampler(np.arange(40) / 4, draws=3), [(y, np.ones(40), np.ones(40))])
    assert np.isnan([found.rho, *found.rho_draws]).all()
    assert found.r2 == 0.0


def test_folds_are_fifths_and_what_lies_within_a_day_of_them_trains_nobody():
    days = np.array([0, 1, 1.5, 2.5, 3, 4, 5, 6.25, 7, 9, 10.5])
    found = [(days[test].tolist(), days[train].tolist()) for test, train in fold_tests(days)]
    assert found == [
        ([0, 1], [2.5, 3, 4, 5, 6.25, 7, 9, 10.5]),
        ([1.5, 2.5], [0, 4, 5, 6.25, 7, 9, 10.5]),
        ([3, 4], [0, 1, 1.5, 6.25, 7, 9, 10.5]),
        ([5, 6.25], [0, 1, 1.5, 2.5, 3, 9, 10.5]),
        ([7, 9, 10.5], [0, 1, 1.5, 2.5, 3, 4, 5]),
    ]
    assert [test for test, _ in fold_tests(days[:3])] == [slice(0, 1), slice(1, 2), slice(2, 3)]
    assert len(fold_tests(days, folds=2, purge_days=100)) == 2
    assert not any(train.any() for _, train in fold_tests(days, folds=2, purge_days=100))

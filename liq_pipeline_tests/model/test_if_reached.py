"""The formula of what gets liquidated on the way, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from liq_pipeline.model.if_reached import LARGEST_LOG, TARGETS_PCT, UNIT_USD, Cases, Range, fit

NOTHING_MAPPED = np.zeros((1, 2))


def of_log(middle: float, spread: float) -> list[float]:
    """The three quantiles at 1 %, where the range has its full width and no distance counts, USD."""
    return Range(middle, 0.0, 0.0, 0.0, 0.0, -spread, 0.0, spread).usd([1.0], NOTHING_MAPPED)[0].tolist()


def test_quantiles_are_those_of_the_logarithm_of_thousands_small_ones_among_them() -> None:
    assert of_log(0.5, 0.25) == pytest.approx([1000 * np.expm1(log) for log in (0.25, 0.5, 0.75)])


def test_nothing_is_below_zero_and_nothing_without_end() -> None:
    assert of_log(0.0, 2.0) == pytest.approx([0.0, 0.0, 1000 * np.expm1(2.0)])
    assert of_log(1e4, 0.0) == pytest.approx([1000 * np.expm1(LARGEST_LOG)] * 3)


def some_cases(count: int) -> Cases:
    rng = np.random.default_rng(6)
    at = np.datetime64("2026-03-01", "us") + np.arange(count) * np.timedelta64(1, "h")
    distance = rng.choice(TARGETS_PCT, count)
    mapped = rng.lognormal(9, 2, (count, 2))
    usd = UNIT_USD * np.expm1(3 + rng.normal(size=count) * distance**-0.4 + np.log1p(mapped[:, 1] / UNIT_USD) / 4).clip(
        0
    )
    return Cases(np.arange(count), at, at, np.zeros(count, int), distance, usd, mapped)


@pytest.mark.parametrize("columns", [(0, 1, 2, 3), (0, 1)])
def test_it_is_fitted_by_weighted_least_squares_with_the_likeliest_width(columns: tuple[int, ...]) -> None:
    cases = some_cases(300)

    found = fit(cases, columns)

    y = np.log1p(cases.usd / 1000)
    logs = [np.ones(300), np.log(cases.distance_pct), *np.log1p(cases.mapped_usd / 1000).T]
    x = np.column_stack([logs[one] for one in columns])
    tried = []
    for beta in np.arange(11) / 10:
        spread = np.minimum(cases.distance_pct, 2) ** -beta
        weights = np.linalg.lstsq(x / spread[:, None], y / spread, rcond=None)[0]
        z = (y - x @ weights) / spread
        likelihood = stats.norm.logpdf(y, x @ weights, spread * np.sqrt((z**2).mean())).sum()
        tried.append((likelihood, beta, weights, z))
    _, beta, weights, z = max(tried, key=lambda one: one[0])
    assert found
    assert 0 < beta < 1
    assert found.range.beta == pytest.approx(beta)
    expected = np.zeros(4)
    expected[list(columns)] = weights
    numbers = found.range
    assert [numbers.a, numbers.b, numbers.c1, numbers.c2] == pytest.approx(expected, rel=1e-6)
    quantiles = np.quantile(z, np.arange(1, 20) / 20)
    assert found.z == pytest.approx(quantiles, rel=1e-6)
    assert [numbers.z10, numbers.z50, numbers.z90] == pytest.approx(quantiles[[1, 9, 17]], rel=1e-6)
    assert found.cases == 300
    # Asked: the same quantiles around the middle, in logarithms and in USD.
    middle = np.column_stack(logs) @ expected
    log_usd = middle[:, None] + (np.minimum(cases.distance_pct, 2) ** -beta)[:, None] * quantiles
    np.testing.assert_allclose(found.log_usd(cases.distance_pct, cases.mapped_usd), log_usd, rtol=1e-5)
    usd = 1000 * np.expm1(np.maximum(log_usd[:, [1, 9, 17]], 0))
    np.testing.assert_allclose(numbers.usd(cases.distance_pct, cases.mapped_usd), usd, rtol=1e-5)


@pytest.mark.parametrize(("count", "columns", "is_enough"), [
    (40, (0, 1, 2, 3), True), (39, (0, 1, 2, 3), False), (32, (0, 1), True), (31, (0, 1), False),
])  # fmt: skip
def test_twenty_cases_and_four_for_each_number_are_enough(
    count: int, columns: tuple[int, ...], is_enough: bool
) -> None:
    assert (fit(some_cases(count), columns) is not None) is is_enough

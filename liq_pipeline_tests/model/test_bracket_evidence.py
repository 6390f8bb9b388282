"""Which maintenance rate the triggers of forced orders allow, on orders that are written down by hand."""

from __future__ import annotations

import numpy as np
import pytest

from liq_pipeline.model.bracket_evidence import FEWEST_ORDERS, BracketTest, judge_brackets
from liq_pipeline.model.scoring import Estimate, Resampler

COUNT = 2 * FEWEST_ORDERS
DAYS = np.linspace(0, 8, COUNT)


def found_at(rate: float, table: float) -> BracketTest:
    """What orders say whose trigger lies in the middle of a bar of a hundredth of a percent, at this rate."""
    is_long = np.arange(COUNT) % 2 == 0
    middle = np.full(COUNT, 100.0)
    bankrupt = np.where(is_long, middle * (1 - rate), middle * (1 + rate))
    found = judge_brackets(is_long, bankrupt, middle * (1 - 4e-5), middle * (1 + 4e-5), DAYS, table)
    assert found
    return found


@pytest.mark.parametrize("rate", [0.0, 0.004, 0.0999])
def test_the_rate_is_found_from_none_to_ten_percent(rate: float) -> None:
    found = found_at(rate, 0.004)
    assert found.best_pct.value == pytest.approx(100 * rate, abs=1e-6)
    assert found.best_share == 1.0


@pytest.mark.parametrize("table", [0.0, 0.0005, 0.001, 0.004])
def test_rates_beside_the_tables_are_shown_once_each_and_none_below_zero(table: float) -> None:
    rates = [rate for rate, _ in found_at(table, table).shares]
    assert rates == sorted(set(rates))
    assert rates[0] == 0.0
    assert round(100 * table, 4) in rates
    assert rates[-1] == round(100 * (table + 0.002), 4)


def test_every_number_is_what_trying_each_rate_on_each_order_finds() -> None:
    rng = np.random.default_rng(4)
    is_long, low = rng.random(150) < 0.6, rng.uniform(90, 110, 150)
    high = low * (1 + rng.exponential(0.003, 150))
    trigger, true = low + rng.random(150) * (high - low), rng.normal(0.006, 0.001, 150)
    price = trigger * np.where(is_long, 1 - true, 1 + true)
    days = np.sort(rng.uniform(0, 20, 150))

    found = judge_brackets(is_long, price, low, high, days, 0.0051)

    def allows(rate: float) -> np.ndarray:
        at = price / np.where(is_long, 1 - rate, 1 + rate)
        return (at >= low) & (at <= high)

    assert found
    rates = np.arange(1001) / 10_000
    allowed = np.array([allows(rate) for rate in rates], dtype=float)
    resampler = Resampler(days)
    drawn = np.array([allowed @ counts[resampler.unit] for counts in resampler.counts])
    good = [rates[one >= 0.99 * one.max()] for one in drawn]
    best = rates[allowed.sum(axis=1) == allowed.sum(axis=1).max()].mean()
    edges = np.percentile([one[0] for one in good], 2.5), np.percentile([one[-1] for one in good], 97.5)
    assert (found.orders, found.table_pct, found.table_share) == (150, 0.51, allows(0.0051).mean())
    assert found.best_share == allowed.mean(axis=1).max()
    assert list(found.best_pct.as_dict().values()) == pytest.approx([100 * one for one in (best, *edges)], abs=1e-4)
    near = [0.0, 0.0031, 0.0041, 0.0046, 0.0051, 0.0056, 0.0061, 0.0071]
    assert found.shares == [(round(100 * rate, 4), allows(rate).mean()) for rate in near]


@pytest.mark.parametrize(("orders", "is_judged"), [(99, False), (100, True)])
def test_a_hundred_orders_are_judged_and_fewer_are_not(orders: int, is_judged: bool) -> None:
    ones = np.ones(orders)
    found = judge_brackets(ones > 0, ones * 0.996, ones * 0.999, ones * 1.001, np.arange(orders) / 9, 0.004)
    assert (found is not None) is is_judged


@pytest.mark.parametrize(
    ("low", "best", "high", "table", "is_within"),
    [
        pytest.param(0.30, 0.45, 0.50, 0.30, True, id="at the lower end"),
        pytest.param(0.30, 0.45, 0.50, 0.29, False, id="below it"),
        pytest.param(0.30, 0.45, 0.70, 0.70, True, id="at the upper end"),
        pytest.param(0.30, 0.45, 0.70, 0.71, False, id="above it"),
        pytest.param(0.45, 0.45, 0.45, 0.40, True, id="no nearer than orders can tell, below"),
        pytest.param(0.45, 0.45, 0.45, 0.50, True, id="no nearer than orders can tell, above"),
        pytest.param(0.45, 0.45, 0.45, 0.3999, False, id="nearer than that to none, below"),
        pytest.param(0.45, 0.45, 0.45, 0.5001, False, id="nearer than that to none, above"),
    ],
)
def test_the_table_is_right_within_the_interval_and_what_orders_can_tell(
    low: float, best: float, high: float, table: float, is_within: bool
) -> None:
    found = BracketTest(100, table, 0.5, Estimate(best, low, high), 0.9, [])
    assert found.table_is_within is is_within

"""Which maintenance rate the triggers of forced orders allow, on orders that are written down by hand."""

from __future__ import annotations

import numpy as np
import pytest

from liq_pipeline.model.bracket_evidence import FEWEST_ORDERS, BracketTest, judge_brackets

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

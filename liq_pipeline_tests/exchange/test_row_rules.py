from __future__ import annotations

import math

import numpy as np
import pytest

from liq_pipeline.exchange.row_rules import AMOUNTS, KLINE_NUMBERS, PRICES, kline_faults

GOOD = {
    "open": 100.0, "high": 102.0, "low": 99.0, "close": 101.0, "volume": 10.5, "quote_volume": 1050.0,
    "trade_count": 7, "taker_buy_volume": 5.5, "taker_buy_quote_volume": 550.0,
}  # fmt: skip


def faults(**changed: float) -> list[str]:
    """What is said of a bar between two good ones, each time of that bar only."""
    columns = {name: np.array([value, changed.get(name, value), value], float) for name, value in GOOD.items()}
    found = list(kline_faults(columns))
    assert all(rows.tolist() == [False, True, False] for rows, _ in found)
    return [expected for _, expected in found]


def test_a_good_bar_breaks_no_rule() -> None:
    assert set(GOOD) == set(KLINE_NUMBERS)
    assert faults() == []


def test_a_bar_in_which_nothing_traded_breaks_no_rule() -> None:
    assert faults(open=100, high=100, low=100, close=100, **dict.fromkeys(AMOUNTS, 0.0)) == []


@pytest.mark.parametrize("name", KLINE_NUMBERS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0, -1e-9, 1e308, 1e16, -1e308, 2.0**63])
def test_a_cell_that_cannot_be_is_refused_in_every_column(name: str, value: float) -> None:
    found = faults(**{name: value})
    assert found
    if name in AMOUNTS:
        assert name in found[0]


@pytest.mark.parametrize("name", PRICES)
@pytest.mark.parametrize("value", [0.0, 5e-324, 1e-13])
def test_a_price_of_nothing_is_refused(name: str, value: float) -> None:
    assert "positive prices" in faults(**{name: value})[0]


@pytest.mark.parametrize(
    "changed", [{"high": 99.5}, {"low": 100.5}, {"high": 98, "low": 103}, {"close": 103}, {"open": 98}]
)
def test_a_range_that_does_not_enclose_is_refused(changed: dict[str, float]) -> None:
    assert faults(**changed) == ["positive prices, low ≤ open and close ≤ high"]


def test_half_a_trade_is_refused() -> None:
    assert faults(trade_count=7.5) == ["a whole number as trade_count"]

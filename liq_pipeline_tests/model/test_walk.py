"""The walk: what model.md 3 and 4 promise, on random markets, and cell by cell against the plain reference."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liq_pipeline.model.entries import layout
from liq_pipeline.model.margin import CLASSIC_LADDER, LADDER, SIDES, liquidation_price
from liq_pipeline.model.walk import Walk, WalkParameters, entry_prices, walk
from liq_pipeline_tests.model.markets import cut, every_market, flat, markets, scaled

# The reference


@given(markets, st.sampled_from([0.0, 0.05, 3.0]), st.booleans(), st.sampled_from([0.0, 0.3]))
@settings(max_examples=40, deadline=None)
def test_it_agrees_with_the_reference_cell_by_cell(reference_walk, bars, churn_per_turnover, classic, extremes_share):
    ladder, weights = (tuple(CLASSIC_LADDER), tuple(CLASSIC_LADDER.values())) if classic else (LADDER, None)
    shares = np.array(weights) if classic else np.full(len(ladder), 1 / len(ladder))
    result = walk(bars, "BTCUSDT", WalkParameters(ladder, weights, churn_per_turnover, extremes_share=extremes_share))
    for name, side in result.sides.items():
        expected = reference_walk(
            bars, name, ladder, shares, churn_per_turnover=churn_per_turnover, extremes_share=extremes_share
        )
        np.testing.assert_allclose(side.liquidation_price, expected.liquidation_price, rtol=1e-14)
        scale = bars.open_interest
        for column in ("tracked", "untracked", "liquidated", "opened", "closed"):
            off = np.abs(getattr(side, column) - getattr(expected, column)) / scale
            assert off.max() <= 1e-9, column
        assert np.abs(side.contracts_opened - expected.opened_in_cell).max() <= 1e-9 * scale.max()
        assert np.abs(side.contracts_open() - expected.left_in_cell).max() <= 1e-9 * scale[-1]
        opened = expected.opened_in_cell > 1e-9 * scale[:, None]
        np.testing.assert_array_equal(side.liquidated_at[opened], expected.liquidated_at[opened])


# Invariants


@given(markets)
@every_market
def test_tracked_and_untracked_are_open_interest_at_every_bar(bars):
    for side in walk(bars, "BTCUSDT").sides.values():
        np.testing.assert_allclose(side.tracked + side.untracked, bars.open_interest, rtol=1e-9)
        assert (side.tracked >= 0).all()
        assert (side.untracked >= 0).all()


@given(markets)
@every_market
def test_the_living_cells_sum_to_what_is_tracked(bars):
    for side in walk(bars, "BTCUSDT").sides.values():
        for bar in {0, bars.ts.size // 2, bars.ts.size - 1}:
            left = side.contracts_open(bar)
            assert abs(left.sum() - side.tracked[bar]) <= 1e-9 * bars.open_interest[bar]


@given(markets)
@every_market
def test_open_interest_changes_by_what_opened_less_what_closed_and_was_liquidated(bars):
    for side in walk(bars, "BTCUSDT").sides.values():
        flow = (side.opened - side.closed - side.liquidated)[1:]
        assert (np.abs(flow - np.diff(bars.open_interest)) <= 1e-9 * bars.open_interest.max()).all()


@given(markets, st.data())
@every_market
def test_what_comes_later_changes_nothing_before_it(bars, data):
    size = data.draw(st.integers(1, bars.ts.size))
    whole, before = walk(bars, "BTCUSDT"), walk(cut(bars, size), "BTCUSDT")
    for name in SIDES:
        one, two = whole.sides[name], before.sides[name]
        for column in ("log_survival", "tracked", "untracked", "liquidated", "opened", "closed", "contracts_opened"):
            np.testing.assert_array_equal(getattr(one, column)[:size], getattr(two, column))
        np.testing.assert_array_equal(np.minimum(one.liquidated_at[:size], size), two.liquidated_at)
        np.testing.assert_array_equal(one.contracts_open(size - 1)[:size], two.contracts_open())
        assert not one.contracts_open(size - 1)[size:].any()


@given(markets)
@every_market
def test_no_living_cell_has_been_touched_since_it_opened(bars):
    for name, side in walk(bars, "BTCUSDT").sides.items():
        sign, extreme = (1, bars.low) if name == "long" else (-1, -bars.high)
        bar, tier = np.nonzero(side.contracts_open())
        worst = np.append(np.minimum.accumulate(extreme[::-1])[::-1], np.inf)
        price = sign * side.liquidation_price[bar, tier]
        assert (price < worst[bar + 1]).all()
        assert (price < sign * bars.close[bar]).all()


@given(markets, st.integers(-8, 8))
@every_market
def test_prices_times_a_power_of_two_give_the_same_walk_exactly(bars, power):
    one, two = walk(bars, "BTCUSDT"), walk(scaled(bars, 2.0**power), "BTCUSDT")
    for name in SIDES:
        np.testing.assert_array_equal(two.sides[name].liquidation_price, one.sides[name].liquidation_price * 2.0**power)
        for column in ("log_survival", "tracked", "liquidated", "contracts_opened", "liquidated_at"):
            np.testing.assert_array_equal(getattr(two.sides[name], column), getattr(one.sides[name], column))


@given(markets, st.floats(1e-4, 1e4))
@every_market
def test_prices_times_any_factor_give_the_same_walk_to_rounding(bars, factor):
    one, two = walk(bars, "BTCUSDT"), walk(scaled(bars, factor), "BTCUSDT")
    for name in SIDES:
        np.testing.assert_allclose(
            two.sides[name].liquidation_price, one.sides[name].liquidation_price * factor, rtol=1e-12
        )
        np.testing.assert_allclose(two.sides[name].contracts_open(), one.sides[name].contracts_open(), rtol=1e-9)


@given(markets)
@every_market
def test_mirrored_prices_give_long_and_short_exchanged_exactly(bars):
    def grid(prices):  # 1/16 USD: subtracting from the axis is then exact
        return np.rint(np.asarray(prices) * 16) / 16

    axis = 1e6
    bars = replace(bars, **{name: grid(getattr(bars, name)) for name in ("entry_price", "low", "high", "close")})
    cells = layout()
    entry = entry_prices(bars)[:, cells.entry]
    prices = {side: grid(liquidation_price(side, entry, cells.leverage, 0.004)) for side in SIDES}
    mirrored = replace(
        bars, low=axis - bars.high, high=axis - bars.low, close=axis - bars.close, entry_price=axis - bars.entry_price
    )
    one = walk(bars, "BTCUSDT", prices=prices)
    two = walk(mirrored, "BTCUSDT", prices={"long": axis - prices["short"], "short": axis - prices["long"]})
    for name, other in (("long", "short"), ("short", "long")):
        for column in ("log_survival", "tracked", "untracked", "liquidated", "contracts_opened", "liquidated_at"):
            np.testing.assert_array_equal(getattr(one.sides[name], column), getattr(two.sides[other], column))


@given(markets)
@every_market
def test_contracts_times_a_power_of_two_give_the_same_walk_exactly(bars):
    more = replace(bars, open_interest=bars.open_interest * 1024, volume=bars.volume * 1024)
    one, two = walk(bars, "BTCUSDT"), walk(more, "BTCUSDT")
    for name in SIDES:
        np.testing.assert_array_equal(two.sides[name].contracts_opened, one.sides[name].contracts_opened * 1024)
        np.testing.assert_array_equal(two.sides[name].log_survival, one.sides[name].log_survival)


# Bad input


@pytest.mark.parametrize("name", ["open_interest", "entry_price", "low", "high", "close", "volume"])
def test_a_null_is_an_error_that_names_the_column(name):
    with pytest.raises(ValueError, match=f"{name} has nulls"):
        walk(flat(3, **{name: [1, np.nan, 1]}), "BTCUSDT")


@pytest.mark.parametrize("bad", [0.0, -1.0])
def test_open_interest_must_be_positive(bad):
    with pytest.raises(ValueError, match="open interest must be positive"):
        walk(flat(3, open_interest=[1, bad, 1]), "BTCUSDT")


def test_no_bars_are_an_error():
    with pytest.raises(ValueError, match="at least one bar"):
        walk(cut(flat(), 0), "BTCUSDT")


def test_a_ladder_that_nobody_can_have_is_an_error():
    with pytest.raises(ValueError, match=r"no leverage of the ladder .* is allowed for BTCUSDT"):
        walk(flat(), "BTCUSDT", WalkParameters((200.0, 500.0)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": (1.0,)}, "13 leverages but 1 weights"),
        ({"weights": (-1.0,) + (1.0,) * 12}, "weights"),
        ({"churn_per_turnover": -0.1}, "churn_per_turnover"),
        ({"churn_cap": 1.0}, "churn_cap"),
        ({"churn_cap": -0.1}, "churn_cap"),
    ],
)
def test_parameters_that_make_no_sense_are_errors(changes, message):
    with pytest.raises(ValueError, match=message):
        WalkParameters(**changes)


def test_the_result_carries_what_it_was_computed_from():
    bars = flat()
    result = walk(bars, "BTCUSDT")
    assert isinstance(result, Walk)
    assert result.bars is bars
    assert result.parameters == WalkParameters()
    assert set(result.sides) == {"long", "short"}

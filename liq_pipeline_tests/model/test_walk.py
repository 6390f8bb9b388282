"""The walk: what model.md 3 and 4 promise, on random markets, and cell by cell against the plain reference."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from liq_pipeline.model.margin import CLASSIC_LADDER, LADDER, SIDES, Side, liquidation_price
from liq_pipeline.model.positions import SideState
from liq_pipeline.model.walk import Walk, WalkParameters, walk
from liq_pipeline_tests.model.bars import cut, every_market, markets, scaled

# The reference


@given(markets, st.sampled_from([0.0, 0.05, 3.0]), st.booleans())
@settings(max_examples=40, deadline=None)
def test_it_agrees_with_the_reference_cell_by_cell(reference_walk, bars, churn_per_turnover, classic):
    ladder, weights = (tuple(CLASSIC_LADDER), tuple(CLASSIC_LADDER.values())) if classic else (LADDER, None)
    shares = np.array(weights) if classic else np.full(len(ladder), 1 / len(ladder))
    result = walk(bars, "BTCUSDT", WalkParameters(ladder, weights, churn_per_turnover))
    for name, side in result.sides.items():
        expected = reference_walk(bars, name, ladder, shares, churn_per_turnover=churn_per_turnover)
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
    prices = {side: grid(liquidation_price(side, bars.entry_price[:, None], np.array(LADDER), 0.004)) for side in SIDES}
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


# Walking on from a state


def state_after(result: Walk, bar: int) -> dict[Side, SideState]:
    """Return where a walk stood after a bar, as the tables tell it."""
    states: dict[Side, SideState] = {}
    for name, side in result.sides.items():
        opened, tier = np.nonzero((side.contracts_opened > 0) & (side.liquidated_at > bar))
        kept = opened <= bar
        opened, tier = opened[kept], tier[kept]
        states[name] = SideState(
            float(side.tracked[bar]),
            float(side.untracked[bar]),
            float(side.log_survival[bar]),
            side.liquidation_price[opened, tier],
            side.contracts_opened[opened, tier],
            side.log_survival[opened],
        )
    return states


@given(markets, st.data())
@every_market
def test_walking_on_from_a_state_gives_what_one_walk_gives_bit_for_bit(bars, data):
    bar = data.draw(st.integers(0, bars.ts.size - 1))
    whole = walk(bars, "BTCUSDT")
    rest = replace(bars, **{name: getattr(bars, name)[bar:] for name in bars.__dataclass_fields__})
    after = state_after(whole, bar)
    part = walk(rest, "BTCUSDT", after=after)
    for name, side in whole.sides.items():
        other = part.sides[name]
        for column in ("log_survival", "tracked", "untracked"):
            np.testing.assert_array_equal(getattr(side, column)[bar:], getattr(other, column), column)
        for column in ("liquidated", "opened", "closed", "contracts_opened", "liquidation_price"):
            np.testing.assert_array_equal(getattr(side, column)[bar + 1 :], getattr(other, column)[1:], column)
        opened = side.contracts_opened[bar + 1 :] > 0
        np.testing.assert_array_equal(
            side.liquidated_at[bar + 1 :][opened] - bar, other.liquidated_at[1:][opened], "own cells"
        )
        was, tier = np.nonzero((side.contracts_opened[: bar + 1] > 0) & (side.liquidated_at[: bar + 1] > bar))
        np.testing.assert_array_equal(side.liquidated_at[was, tier] - bar, other.older_liquidated_at, "older cells")


@given(markets, st.data())
@every_market
def test_older_cells_that_nothing_touches_may_be_left_out_of_the_state(bars, data):
    bar = data.draw(st.integers(0, bars.ts.size - 1))
    whole = walk(bars, "BTCUSDT")
    rest = replace(bars, **{name: getattr(bars, name)[bar:] for name in bars.__dataclass_fields__})
    after = state_after(whole, bar)
    full = walk(rest, "BTCUSDT", after=after)
    fewer: dict[Side, SideState] = {}
    for name, state in after.items():
        touched = full.sides[name].older_liquidated_at < rest.ts.size
        cells = {
            column: getattr(state, column)[touched]
            for column in ("liquidation_price", "contracts_opened", "opening_log_survival")
        }
        fewer[name] = replace(state, **cells)
    part = walk(rest, "BTCUSDT", after=fewer)
    for name in SIDES:
        np.testing.assert_array_equal(full.sides[name].tracked, part.sides[name].tracked)
        np.testing.assert_array_equal(full.sides[name].liquidated, part.sides[name].liquidated)

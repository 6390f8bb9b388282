"""The walk: what model.md 3 and 4 promise, on random markets, and cell by cell against the plain reference."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liq_pipeline.model.margin import CLASSIC_LADDER, LADDER, SIDES, Side, liquidation_price
from liq_pipeline.model.positions import SideState
from liq_pipeline.model.walk import Walk, WalkInput, WalkParameters, walk

START = np.datetime64("2026-01-01T00:00", "us")
FIVE_MINUTES = np.timedelta64(5, "m")


def market(seed=0, bars=120, volatility=0.004, flows=0.02, turnover=0.05, quiet=0.0, start=90_000.0) -> WalkInput:
    """A random market. `quiet`: share of bars without volume and with unchanged open interest."""
    rng = np.random.default_rng(seed)
    close = start * np.exp(np.cumsum(rng.normal(0, volatility, bars)))
    opening = np.concatenate([[start], close[:-1]])
    high = np.maximum(opening, close) * (1 + rng.exponential(volatility / 3, bars))
    low = np.minimum(opening, close) * (1 - rng.exponential(volatility / 3, bars).clip(max=0.5))
    still = rng.random(bars) < quiet
    open_interest = 80_000 * np.exp(np.cumsum(np.where(still, 0.0, rng.normal(0, flows, bars))))
    return WalkInput(
        ts=START + np.arange(bars) * FIVE_MINUTES,
        open_interest=open_interest,
        entry_price=low + rng.random(bars) * (high - low),
        low=low,
        high=high,
        close=close,
        volume=np.where(still, 0.0, rng.exponential(turnover, bars) * open_interest),
    )


markets = st.builds(
    market,
    seed=st.integers(0, 10_000),
    bars=st.integers(1, 120),
    volatility=st.sampled_from([1e-4, 0.002, 0.01, 0.1]),
    flows=st.sampled_from([0.0, 0.005, 0.1, 1.0]),
    turnover=st.sampled_from([0.0, 0.05, 50.0]),
    quiet=st.sampled_from([0.0, 0.5, 1.0]),
)
every_market = settings(max_examples=60, deadline=None)


def cut(bars: WalkInput, size: int) -> WalkInput:
    return replace(bars, **{name: getattr(bars, name)[:size] for name in bars.__dataclass_fields__})


def scaled(bars: WalkInput, factor: float) -> WalkInput:
    return replace(bars, **{name: getattr(bars, name) * factor for name in ("entry_price", "low", "high", "close")})


def flat(count=4, **changes) -> WalkInput:
    """Nothing moves: price 90,000, open interest 1,000, no volume."""
    values = {name: np.full(count, 90_000.0) for name in ("entry_price", "low", "high", "close")}
    values |= {"open_interest": np.full(count, 1_000.0), "volume": np.zeros(count)}
    values |= {name: np.array(value, dtype=float) for name, value in changes.items()}
    return WalkInput(ts=START + np.arange(count) * FIVE_MINUTES, **values)


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


# Planted examples


def test_it_starts_with_everything_untracked():
    side = walk(flat(1), "BTCUSDT").sides["long"]
    assert (side.untracked[0], side.tracked[0]) == (1_000, 0)
    assert not side.contracts_opened.any()


def test_new_open_interest_opens_a_long_and_a_short_at_the_entry_price_split_over_the_ladder():
    bars = flat(2, open_interest=[1_000, 1_130], entry_price=[90_000, 90_000])
    for name, side in walk(bars, "BTCUSDT").sides.items():
        np.testing.assert_allclose(side.contracts_opened[1], 10, rtol=1e-12)  # 130 over 13 leverages
        np.testing.assert_array_equal(
            side.liquidation_price[1], liquidation_price(name, 90_000, np.array(LADDER), 0.004)
        )
        assert side.tracked[1] == pytest.approx(130)
        assert side.untracked[1] == 1_000


def test_closing_takes_the_same_share_of_every_cell_and_of_the_untracked():
    side = walk(flat(3, open_interest=[1_000, 1_130, 565]), "BTCUSDT").sides["long"]
    np.testing.assert_allclose(side.contracts_open()[1], 5, rtol=1e-12)
    assert side.untracked[2] == pytest.approx(500)
    assert side.closed[2] == pytest.approx(565)


def test_a_touched_long_ends_and_somebody_takes_it_over_at_todays_price():
    bars = flat(3, open_interest=[1_000, 1_130, 1_130], low=[90_000, 90_000, 89_000], entry_price=[9e4, 9e4, 89_500])
    side = walk(bars, "BTCUSDT").sides["long"]
    touched = side.liquidation_price[1] >= 89_000  # 75x (89,157.96), 100x, 125x, 150x
    assert touched.sum() == 4
    assert side.liquidated_at[1].tolist() == np.where(touched, 2, 3).tolist()
    assert side.liquidated[2] == pytest.approx(40)
    assert side.opened[2] == pytest.approx(40)
    assert side.contracts_opened[2].sum() == pytest.approx(40)
    assert not walk(bars, "BTCUSDT").sides["short"].liquidated.any()


def test_liquidations_that_nobody_takes_over_lower_open_interest_without_closing_others():
    bars = flat(3, open_interest=[1_000, 1_130, 1_090], low=[90_000, 90_000, 89_000])
    side = walk(bars, "BTCUSDT").sides["long"]
    assert side.liquidated[2] == pytest.approx(40)
    assert side.opened[2] == pytest.approx(0, abs=1e-9)
    assert side.closed[2] == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(side.contracts_open()[1, :9], 10, rtol=1e-12)


def test_reaching_the_liquidation_price_exactly_liquidates():
    level = float(liquidation_price("short", 90_000, 50, 0.004))
    bars = flat(3, open_interest=[1_000, 1_130, 1_130], high=[90_000, 90_000, level])
    assert walk(bars, "BTCUSDT").sides["short"].liquidated_at[1, LADDER.index(50)] == 2


def test_a_slice_beyond_the_close_of_its_own_bar_dies_in_it_and_its_contracts_go_untracked():
    bars = flat(3, open_interest=[1_000, 1_130, 1_130], close=[90_000, 89_300, 89_300], low=[90_000, 89_300, 89_300])
    side = walk(bars, "BTCUSDT").sides["long"]
    dead = side.liquidation_price[1] >= 89_300  # 100x (89,457.83), 125x, 150x
    assert dead.sum() == 3
    assert (side.liquidated_at[1][dead] == 1).all()
    assert side.untracked[1] == pytest.approx(1_030)
    assert side.tracked[1] == pytest.approx(100)
    assert side.liquidated.sum() == 0  # it was never tracked
    assert not side.contracts_open()[1][dead].any()


def test_a_dip_inside_the_own_bar_below_the_level_does_not_liquidate_what_may_have_opened_after_it():
    bars = flat(3, open_interest=[1_000, 1_130, 1_130], low=[90_000, 85_000, 90_000])
    side = walk(bars, "BTCUSDT").sides["long"]
    assert (side.liquidated_at[1] == 3).all()


def test_churn_closes_and_reopens_at_flat_open_interest():
    side = walk(flat(2, volume=[0, 2_000]), "BTCUSDT").sides["long"]
    assert side.opened[1] == pytest.approx(0.05 * 2 * 1_000)
    assert side.closed[1] == pytest.approx(100)
    assert side.untracked[1] == pytest.approx(900)


def test_volume_that_changed_open_interest_does_not_churn():
    side = walk(flat(2, open_interest=[1_000, 1_200], volume=[0, 200]), "BTCUSDT").sides["long"]
    assert side.closed[1] == 0
    assert side.opened[1] == pytest.approx(200)


def test_churn_is_capped():
    side = walk(flat(2, volume=[0, 1e12]), "BTCUSDT").sides["long"]
    assert side.opened[1] == pytest.approx(300)
    assert np.exp(side.log_survival[1]) == pytest.approx(0.7)


def test_where_nothing_trades_nothing_happens():
    for side in walk(flat(50), "BTCUSDT").sides.values():
        assert not side.opened.any()
        assert not side.log_survival.any()
        assert (side.untracked == 1_000).all()


def test_a_collapse_of_open_interest_leaves_no_nan():
    side = walk(flat(4, open_interest=[1e6, 2e6, 1e-6, 1.0]), "BTCUSDT").sides["long"]
    assert np.isfinite(side.log_survival).all()
    np.testing.assert_allclose(side.tracked + side.untracked, [1e6, 2e6, 1e-6, 1.0], rtol=1e-9)


def test_leverages_that_cannot_exist_get_nothing_and_the_others_share():
    result = walk(flat(2, open_interest=[1_000, 1_110]), "SOLUSDT")  # up to 100x: 11 of 13
    for side in result.sides.values():
        assert np.isnan(side.liquidation_price[:, -2:]).all()
        assert not side.contracts_opened[:, -2:].any()
        np.testing.assert_allclose(side.contracts_opened[1, :11], 10, rtol=1e-12)


def test_brackets_change_on_their_day():
    bars = replace(flat(3, open_interest=[1_000, 1_100, 1_200]), ts=np.array(
        ["2025-10-31T23:50", "2025-10-31T23:55", "2025-11-01T00:00"], "datetime64[us]"))  # fmt: skip
    side = walk(bars, "BTCUSDT").sides["long"]
    assert (side.contracts_opened[1] > 0).sum() == 12  # 150x came later
    assert (side.contracts_opened[2] > 0).sum() == 13


def test_weights_need_not_sum_to_one():
    bars = flat(2, open_interest=[1_000, 1_100])
    side = walk(bars, "BTCUSDT", WalkParameters((10.0, 50.0), (3.0, 1.0))).sides["short"]
    np.testing.assert_allclose(side.contracts_opened[1], [75, 25], rtol=1e-12)


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

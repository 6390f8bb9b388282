"""The simulated market: what holds in every market, what each switch breaks."""

import re
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from liq_pipeline.simulator.market import MarketConfig, simulate

SMALL = MarketConfig(days=5, traders=300)
BREACHES = {
    "concentrated leverage": {"leverage_mix": "concentrated"},
    "oldest close first": {"closing": "oldest_first"},
    "winners close first": {"closing": "winners_first"},
    "high leverage closes first": {"closing": "by_leverage"},
    "entries anywhere in the bar": {"entry": "low_to_high"},
    "large positions": {"sizes": "large"},
    "more churn": {"churn_factor": 10.0},
    "no churn": {"churn_factor": 0.0},
    "one-sided churn": {"churn_tilt": 1.0},
    "wide bars": {"bar_minutes": 15},
    "a coarse grid": {"tick": 0.25, "start_price": 30.0},
    "few large traders": {"traders": 5},
}
EVERY_MARKET = pytest.mark.parametrize("changes", [{}, *BREACHES.values()], ids=["model", *BREACHES])


def lots(contracts):
    return np.rint(contracts * 1000).astype(np.int64)


def index(market, instants):
    """Bar whose close is the instant; -1 for the instant before the first bar."""
    width = np.timedelta64(market.config.bar_minutes, "m")
    return ((instants - market.bars["open_time"][0]) // width).astype(int) - 1


@EVERY_MARKET
def test_each_side_sums_to_open_interest_at_every_bar_exactly(changes):
    market = simulate(replace(SMALL, **changes))
    positions, bars = market.positions, market.config.bars
    opened = index(market, positions["opened_at"])
    alive_at_end = np.isnat(positions["closed_at"])
    closed = np.where(
        alive_at_end, bars, index(market, np.where(alive_at_end, market.bars["ts"][0], positions["closed_at"]))
    )
    for side in ("long", "short"):
        mine = positions["side"] == side
        held = np.zeros(bars + 2, np.int64)
        np.add.at(held, opened[mine] + 1, lots(positions["contracts"][mine]))
        np.subtract.at(held, closed[mine] + 1, lots(positions["contracts"][mine]))
        np.testing.assert_array_equal(np.cumsum(held)[1 : bars + 1], lots(market.open_interest))


def test_alive_is_the_book_after_the_bar(market):
    for bar in (0, 700, -1):
        alive = market.alive(market.bars["ts"][bar])
        for side in ("long", "short"):
            assert lots(alive["contracts"])[alive["side"] == side].sum() == lots(market.open_interest)[bar]


@EVERY_MARKET
def test_every_liquidation_is_a_touch_and_nobody_alive_was_touched(changes):
    market = simulate(replace(SMALL, **changes))
    positions, low, high = market.positions, market.bars["low"], market.bars["high"]
    opened = index(market, positions["opened_at"])
    ended = ~np.isnat(positions["closed_at"])
    last = np.where(
        ended, index(market, np.where(ended, positions["closed_at"], market.bars["ts"][0])), market.config.bars
    )
    long = positions["side"] == "long"
    price, liquidated = positions["liquidation_price"], positions["liquidated"]
    own_bar = opened == last

    later = liquidated & ~own_bar
    reached = np.where(long[later], low[last[later]] <= price[later], high[last[later]] >= price[later])
    assert reached.all()
    assert later.any()
    # From the bar after the opening to the bar before the end nobody is touched; those who close do so before or after.
    for row in np.random.default_rng(0).choice(opened.size, 2000):
        between = slice(opened[row] + 1, last[row])
        if between.start < between.stop:
            extreme = low[between].min() if long[row] else high[between].max()
            assert extreme > price[row] if long[row] else extreme < price[row]
    survivors = ~liquidated & own_bar  # opened and closed in one bar: nobody
    assert not survivors.any()


@EVERY_MARKET
def test_a_position_beyond_the_close_of_its_own_bar_is_liquidated_in_it(changes):
    market = simulate(replace(SMALL, **changes))
    positions = market.positions
    opened = index(market, positions["opened_at"])
    later = opened >= 0
    long, price = positions["side"] == "long", positions["liquidation_price"]
    close = market.bars["close"][np.maximum(opened, 0)]
    beyond = np.where(long, price >= close, price <= close) & later
    own_bar = positions["liquidated"] & (positions["closed_at"] == positions["opened_at"])
    np.testing.assert_array_equal(beyond, own_bar)


def test_liquidations_per_bar_are_those_of_the_positions(market):
    positions = market.positions
    gone = positions["liquidated"]
    at = index(market, positions["closed_at"][gone])
    for side in ("long", "short"):
        mine = positions["side"][gone] == side
        contracts = positions["contracts"][gone][mine]
        total = np.bincount(at[mine], contracts, market.config.bars)
        usd = np.bincount(at[mine], contracts * positions["liquidation_price"][gone][mine], market.config.bars)
        np.testing.assert_allclose(market.liquidations[f"{side}_contracts"], total, atol=1e-6)
        np.testing.assert_allclose(market.liquidations[f"{side}_usd"], usd, rtol=1e-9)


@EVERY_MARKET
def test_volume_covers_the_change_of_open_interest_and_the_liquidations(changes):
    market = simulate(replace(SMALL, **changes))
    volume = lots(market.bars["volume"])
    assert (volume[1:] >= np.abs(np.diff(lots(market.open_interest)))).all()
    assert (market.bars["volume"] > 0).all()
    assert (market.bars["taker_buy_volume"] <= market.bars["volume"]).all()
    assert (market.bars["trade_count"] >= 1).all()


@EVERY_MARKET
def test_bars_are_candles_on_the_tick_grid(changes):
    market = simulate(replace(SMALL, **changes))
    bars, tick = market.bars, market.config.tick
    assert (bars["low"] <= np.minimum(bars["open"], bars["close"])).all()
    assert (bars["high"] >= np.maximum(bars["open"], bars["close"])).all()
    np.testing.assert_array_equal(bars["open"][1:], bars["close"][:-1])
    for name in ("open", "high", "low", "close"):
        np.testing.assert_allclose(bars[name] / tick, np.rint(bars[name] / tick), atol=1e-6)
    vwap = bars["quote_volume"] / bars["volume"]
    slack = 0.0001 / bars["volume"]  # quote volume is rounded to four decimals
    assert ((vwap >= bars["low"] - slack) & (vwap <= bars["high"] + slack)).all()


def test_prices_move_like_a_market(market):
    year = simulate(MarketConfig(days=60, traders=50))
    returns = np.diff(np.log(year.bars["close"]))
    assert 0.015 < returns.std() * np.sqrt(288) < 0.04
    assert np.mean((returns / returns.std()) ** 4) > 5, "fat tails"
    assert np.corrcoef(np.abs(returns[1:]), np.abs(returns[:-1]))[0, 1] > 0.15, "clustered volatility"


def test_traders_enter_at_the_vwap_with_the_exact_liquidation_price(market):
    positions, bars, mmr = market.positions, market.bars, market.config.mmr
    opened = index(market, positions["opened_at"])
    during = opened >= 0
    vwap = np.clip(bars["quote_volume"] / bars["volume"], bars["low"], bars["high"])
    np.testing.assert_array_equal(positions["entry_price"][during], vwap[opened[during]])
    entry, leverage = positions["entry_price"], positions["leverage"]
    long = entry * (1 - 1 / leverage) / (1 - mmr)
    short = entry * (1 + 1 / leverage) / (1 + mmr)
    expected = np.where(positions["side"] == "long", long, short)
    np.testing.assert_allclose(positions["liquidation_price"], expected, rtol=1e-14)


def test_leverage_is_drawn_evenly_from_the_ladder(market):
    positions = market.positions
    drawn, which = np.unique(positions["leverage"], return_inverse=True)
    assert drawn.tolist() == list(market.config.ladder)
    opened = np.bincount(which, positions["contracts"])  # contracts: a partial close makes two rows of one position
    np.testing.assert_allclose(opened / opened.sum(), 1 / 13, rtol=0.1)


def test_leverage_that_cannot_exist_is_left_out():
    config = MarketConfig(mmr=0.0125, max_leverage=60)
    assert max(config.leverages) == 50.0
    assert sum(config.leverages.values()) == pytest.approx(1.0)


def test_churn_is_the_models_formula():
    market = simulate(replace(SMALL, days=3, traders=1000))
    quantity, volume = lots(market.open_interest), lots(market.bars["volume"])
    positions = market.positions
    side = positions["side"] == "long"
    size = lots(positions["contracts"])
    closed = ~np.isnat(positions["closed_at"]) & ~positions["liquidated"] & side
    closings = np.bincount(index(market, positions["closed_at"][closed]), size[closed], market.config.bars)
    gone = positions["liquidated"] & side & (positions["closed_at"] > positions["opened_at"])
    touched = np.bincount(index(market, positions["closed_at"][gone]), size[gone], market.config.bars)
    change = np.diff(quantity)
    flow = change + touched[1:]
    churn = np.minimum(0.3, 0.05 * np.maximum(volume[1:] - np.abs(change), 0) / quantity[1:])
    stay = quantity[:-1] - touched[1:] + np.minimum(flow, 0)
    np.testing.assert_allclose(closings[1:], np.maximum(-flow, 0) + churn * stay, atol=1.0)


def test_closing_is_pro_rata():
    """Who closes has the same leverage and age, on average, as who is there."""
    market = simulate(replace(SMALL, days=10, traders=2000))
    instant = market.bars["ts"][1440]
    there = market.alive(instant)
    ended = ~there["liquidated"] & ~np.isnat(there["closed_at"])
    low_leverage = there["leverage"] <= 20
    young = there["opened_at"] > instant - np.timedelta64(1, "D")
    for group in (low_leverage & young, low_leverage & ~young):
        rest = low_leverage & ~group
        assert abs(ended[group].mean() - ended[rest].mean()) < 0.06


@pytest.mark.parametrize("changes", BREACHES.values(), ids=BREACHES)
def test_each_switch_makes_another_market(changes):
    plain, broken = simulate(SMALL), simulate(replace(SMALL, **changes))
    assert any(
        not np.array_equal(plain.positions[name], broken.positions[name])
        for name in ("leverage", "entry_price", "contracts")
    )


def test_oldest_first_empties_the_book_from_its_old_end():
    market = simulate(replace(SMALL, closing="oldest_first", churn_factor=20.0))
    end = market.bars["ts"][-1]
    alive = market.alive(end)
    other = simulate(replace(SMALL, churn_factor=20.0)).alive(end)
    assert (end - alive["opened_at"]).max() < (end - other["opened_at"]).max()


def test_winners_first_leaves_the_losers():
    config = replace(SMALL, churn_factor=5.0)
    instant = simulate(config).bars["ts"][-1]

    def entry_of_longs(closing):
        alive = simulate(replace(config, closing=closing)).alive(instant)
        return alive["entry_price"][alive["side"] == "long"].mean()

    assert entry_of_longs("winners_first") > entry_of_longs("pro_rata")


def test_large_positions_are_liquidated_nearer_to_their_entry():
    large, small = simulate(replace(SMALL, sizes="large")), simulate(SMALL)

    def distance(market):
        p = market.positions
        mine = p["leverage"] == 10
        return np.abs(p["liquidation_price"][mine] / p["entry_price"][mine] - 1).mean()

    assert distance(large) < distance(small) * 0.99
    assert large.positions["leverage"].max() == 100, "no bracket of 300,000 USD and more allows 150x"


def test_a_large_position_uses_the_bracket_of_its_notional():
    """The golden numbers of model.md 2: BTC, 1 million USD, 50x, maintenance rate 0.65 %, amount 1,500."""
    from liq_pipeline.simulator import trading
    from liq_pipeline.simulator.market import _rules

    rules = _rules(MarketConfig(sizes="large"), 288.0)
    assert trading.liquidation_price(0, 90_000.0, 50.0, 1e6, rules) == pytest.approx(88_641.2, abs=0.05)
    assert trading.liquidation_price(1, 90_000.0, 50.0, 1e6, rules) == pytest.approx(91_341.3, abs=0.05)


def test_the_same_seed_gives_the_same_market_and_another_seed_another():
    first, again, other = simulate(SMALL), simulate(SMALL), simulate(replace(SMALL, seed=8))
    for name, column in first.positions.items():
        np.testing.assert_array_equal(column, again.positions[name])
    for name, column in first.bars.items():
        np.testing.assert_array_equal(column, again.bars[name])
    np.testing.assert_array_equal(first.open_interest, again.open_interest)
    assert not np.array_equal(first.bars["close"], other.bars["close"])
    assert not np.array_equal(first.bars["close"], simulate(replace(SMALL, symbol="ETHUSDT")).bars["close"])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("days", 0),
        ("bar_minutes", 7),
        ("start_price", 1.0),
        ("open_interest", 0.1),
        ("closing", "never"),
        ("churn_tilt", 2),
        ("traders", 0),
        ("ladder", (500.0,)),
        ("weights", (1.0, 2.0)),
    ],
)
def test_a_market_that_cannot_be_names_the_setting(field, value):
    with pytest.raises(ValueError, match=re.escape(f"{field}={value!r}")):
        simulate(replace(SMALL, **{field: value}))


def test_bars_are_named_by_their_close():
    market = simulate(replace(SMALL, first_day=date(2026, 7, 1), days=1))
    assert market.bars["open_time"][0] == np.datetime64("2026-07-01T00:00")
    assert market.bars["ts"][-1] == np.datetime64("2026-07-02T00:00")
    assert market.positions["opened_at"].min() == np.datetime64("2026-07-01T00:00")

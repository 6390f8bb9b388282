"""How well the walk finds a truth that is known, and whether it keeps its promises on real data."""

from datetime import date

import numpy as np
import pytest

from liq_pipeline.exchange.formats import read_klines, read_open_interest
from liq_pipeline.model.levels import Cells, liquidation_levels
from liq_pipeline.model.timeframes import TIMEFRAMES
from liq_pipeline.model.walk import Walk, WalkInput, walk
from liq_pipeline.simulator.market import MarketConfig, simulate
from liq_pipeline.transform.positions import read_walk_input
from liq_pipeline.warehouse.warehouse import Warehouse
from liq_pipeline_tests.once import once

BINS = 50  # of 0.1 % of the price: ± 5 %


def ranks(values):
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    end = np.cumsum(count)
    return ((end - count + end - 1) / 2)[place]


def rank_correlation(one, two):
    return np.corrcoef(ranks(one), ranks(two))[0, 1]


def near_levels(price, side, liquidation_price, contracts):
    """Contracts per bin of 0.1 % within 5 % of the price, on the side's own side of it."""
    edges = np.sort(price * (1 + (-0.001 if side == "long" else 0.001) * np.arange(BINS + 1)))
    return np.histogram(liquidation_price, edges, weights=contracts)[0]


@pytest.fixture(scope="module")
def simulated():
    """60 days of a market in which every assumption of the model holds, and the walk over what it publishes."""
    market = simulate(MarketConfig(days=60))
    bars = market.bars
    entry = np.clip(bars["quote_volume"] / bars["volume"], bars["low"], bars["high"])
    prices = (entry, bars["low"], bars["high"], bars["close"], bars["volume"])
    return market, walk(WalkInput(bars["ts"].astype("datetime64[us]"), market.open_interest, *prices), "BTCUSDT")


def correlations(market, result: Walk):
    """Rank correlation of true and estimated levels within ± 5 %, every fifth day after the burn-in."""
    found = []
    for day in range(20, market.config.days + 1, 5):
        at = day * 288 - 1
        price, truth = market.bars["close"][at], market.alive(market.bars["ts"][at])
        true, estimated = [], []
        for name, side in result.sides.items():
            mine = truth["side"] == name
            true.append(near_levels(price, name, truth["liquidation_price"][mine], truth["contracts"][mine]))
            known = np.isfinite(side.liquidation_price)
            estimated.append(near_levels(price, name, side.liquidation_price[known], side.contracts_open(at)[known]))
        found.append(rank_correlation(np.concatenate(true), np.concatenate(estimated)))
    return np.array(found)


def test_where_its_assumptions_hold_it_finds_the_true_levels(simulated):
    found = correlations(*simulated)
    assert found.size == 9
    assert found.mean() >= 0.9
    assert found.min() >= 0.8


def test_where_its_assumptions_hold_it_finds_the_true_liquidations(simulated):
    market, result = simulated
    burnt_in = slice(20 * 288, None)
    for name, side in result.sides.items():
        true = market.liquidations[f"{name}_contracts"][burnt_in]
        assert np.corrcoef(true, side.liquidated[burnt_in])[0, 1] >= 0.8
        assert side.liquidated[burnt_in].sum() == pytest.approx(true.sum(), rel=0.15)


def test_the_score_can_tell_a_wrong_map(simulated):
    """A control: the walk with open interest shuffled over time must score lower."""
    market, result = simulated
    bars = result.bars
    shuffled = np.random.default_rng(1).permutation(bars.open_interest)
    wrong = walk(
        WalkInput(bars.ts, shuffled, bars.entry_price, bars.low, bars.high, bars.close, bars.volume), "BTCUSDT"
    )
    assert correlations(market, wrong).mean() < correlations(market, result).mean() - 0.1


@pytest.fixture(scope="module")
def march(shared, tmp_path_factory):
    """The walk over BTCUSDT, March 2026, 15-minute bars, through the project's own reader and SQL."""
    folder = shared / "archive" / "btc-15m-2026-03" / "data" / "futures" / "um" / "daily"
    warehouse = Warehouse(database=str(tmp_path_factory.mktemp("march") / "market.duckdb"))
    metrics = read_open_interest(sorted((folder / "metrics" / "BTCUSDT").glob("*.zip")), "BTCUSDT")
    candles = read_klines(sorted((folder / "klines" / "BTCUSDT" / "15m").glob("*.zip")), "BTCUSDT", "15m")
    assert not metrics.bad + candles.bad
    once(warehouse).replace("open_interest", "BTCUSDT", metrics.table)
    once(warehouse).replace("klines", "BTCUSDT", candles.table)
    once(warehouse).rebuild("oi_delta", "BTCUSDT")
    with warehouse.transaction("BTCUSDT") as tables:
        return walk(read_walk_input(tables, "BTCUSDT"), "BTCUSDT")


@pytest.mark.shared
def test_the_real_set_is_the_one_that_was_meant(march):
    ts = march.bars.ts.astype("datetime64[D]").astype(date)
    assert (ts[0], ts[-1]) == (date(2026, 3, 13), date(2026, 4, 12))
    assert len(ts) > 2_800


@pytest.mark.shared
def test_on_real_data_each_side_sums_to_open_interest(march):
    for side in march.sides.values():
        np.testing.assert_allclose(side.tracked + side.untracked, march.bars.open_interest, rtol=1e-9)
        left = side.contracts_open()
        assert left.sum() == pytest.approx(side.tracked[-1], rel=1e-9)


@pytest.mark.shared
def test_on_real_data_timeframes_are_monotone_and_one_day_is_not_empty(march):
    parts = []
    for name, side in march.sides.items():
        left = side.contracts_open()
        bar, tier = np.nonzero(left)
        parts.append((march.bars.ts[bar], np.full(bar.size, name == "long"), march.parameters.layout.leverage[tier],
                      side.liquidation_price[bar, tier], left[bar, tier]))  # fmt: skip
    living = Cells(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    found = liquidation_levels(living, march.bars.ts[-1], float(march.bars.close[-1]))
    for is_long in (True, False):
        sums = [found[name].contracts[found[name].is_long == is_long].sum() for name in TIMEFRAMES]
        assert sums[0] > 0
        assert sums == sorted(sums)
        assert sums[-1] <= march.bars.open_interest[-1]
        assert sums[0] < sums[1] < sums[2]

"""Forced orders fall on mapped levels: where they do it is seen, and where they do not nothing is."""

from dataclasses import replace

import numpy as np
import pytest

from liq_pipeline.model.price_levels import FEWEST_ORDERS, score_price_levels
from liq_pipeline.model.scoring import Estimate
from liq_pipeline.model.walk import WalkParameters, walk
from liq_pipeline.simulator.recording import record
from liq_pipeline.simulator.stream import forced_orders_of
from liq_pipeline.validation.brackets import forced_orders_in, price_levels_of
from liq_pipeline.validation.inputs import Inputs
from liq_pipeline.validation.words import _price_levels
from liq_pipeline_tests.validation.conftest import Scene, market_data
from liq_pipeline_tests.validation.test_no_look_ahead import cut

SYMBOL = "BTCUSDT"


@pytest.fixture(scope="module")
def orders(scene: Scene):
    """Side, price of the trigger, and bar of every order of the market."""
    told = sorted(forced_orders_of(scene.market), key=lambda order: order.ts_ms)
    ts = scene.market.bars["ts"].astype("datetime64[ms]").astype(int)
    bar = np.searchsorted(ts, [order.ts_ms for order in told], side="right")
    return np.array([order.side == "SELL" for order in told]), np.array([order.price for order in told]), bar


@pytest.fixture(scope="module")
def walked(scene: Scene):
    return walk(scene.data.walk_input, SYMBOL)


def test_orders_of_mapped_positions_fall_on_their_levels(scene: Scene, walked, orders) -> None:
    found = score_price_levels(walked, scene.data, *orders)
    assert found.gain.low > 0.05
    assert found.auc.value > 0.6
    assert found.auc.value - found.auc_of_another_time.value == pytest.approx(found.gain.value)


def test_orders_anywhere_in_their_bar_do_not(scene: Scene, walked, orders) -> None:
    is_long, _, bar = orders
    bars = scene.data.walk_input
    start, end = bars.close[bar - 1], np.where(is_long, bars.low[bar], bars.high[bar])
    anywhere = start + (end - start) * np.random.default_rng(3).random(bar.size)
    found = score_price_levels(walked, scene.data, is_long, anywhere, bar)
    assert found.gain.low < 0.01
    assert abs(found.gain.value) < 0.03


def test_nothing_that_comes_later_changes_the_score(scene: Scene, walked, orders) -> None:
    end = int(scene.data.walk_input.ts.size * 0.7)
    early = [column[orders[2] < end] for column in orders]
    data = cut(scene.data, end)
    assert score_price_levels(walk(data.walk_input, SYMBOL), data, *early) == score_price_levels(
        walked, scene.data, *early
    )


def test_too_few_orders_are_not_scored(scene: Scene, walked, orders) -> None:
    few = [column[-FEWEST_ORDERS // 2 :] for column in orders]
    assert score_price_levels(walked, scene.data, *few) is None


def test_orders_of_both_sides_count_where_their_bar_went_their_way(scene: Scene, walked, orders) -> None:
    is_long, _, bar = orders
    bars = scene.data.walk_input
    before, late = bars.close[bar - 1], bars.ts[bar] >= bars.ts[0] + np.timedelta64(2, "D")
    gone = np.where(is_long, bars.low[bar] < 0.999 * before, bars.high[bar] > 1.001 * before) & late
    both = [column[gone][::2] for column in orders]  # fewer than are looked at at most
    longs, shorts = ([column[both[0] == side] for column in both] for side in (True, False))
    found = [score_price_levels(walked, scene.data, *some).orders for some in (longs, shorts, both)]
    assert found == [longs[0].size, shorts[0].size, both[0].size]

    against = [~both[0], both[1], both[2]]
    assert score_price_levels(walked, scene.data, *against).orders < 0.5 * both[0].size


def test_a_recording_is_scored_at_the_triggers_and_not_at_the_bankruptcy_prices(scene: Scene, tmp_path, orders) -> None:
    record(scene.market, tmp_path / "recorded", scene.market.config.days)
    inputs = Inputs(market_data(scene.market), scene.truth, scene.data.width)
    found = price_levels_of(forced_orders_in(tmp_path / "recorded", SYMBOL), inputs, SYMBOL, WalkParameters())
    direct = score_price_levels(walk(scene.data.walk_input, SYMBOL), scene.data, *orders)
    assert found.orders == pytest.approx(direct.orders, abs=5)
    assert found.gain.value == pytest.approx(direct.gain.value, abs=0.01)


def test_words_follow_the_numbers(scene: Scene, walked, orders) -> None:
    found = score_price_levels(walked, scene.data, *orders)
    for gain, said in (
        (Estimate(0.02, 0.01, 0.03), " more often than"),
        (Estimate(0.0, -0.01, 0.01), " no more often than"),
        (Estimate(-0.02, -0.03, -0.01), " less often than"),
    ):
        assert f"mapped levels{said} on the levels of the day before" in _price_levels(replace(found, gain=gain))[1]
    assert _price_levels(None) == []

"""The walk on planted examples, computed by hand."""

from dataclasses import replace

import numpy as np
import pytest

from liq_pipeline.model.margin import LADDER, liquidation_price
from liq_pipeline.model.walk import WalkParameters, walk
from liq_pipeline_tests.model.markets import flat

AT_VWAP = WalkParameters(extremes_share=0.0)


def test_it_starts_with_everything_untracked():
    side = walk(flat(1), "BTCUSDT").sides["long"]
    assert (side.untracked[0], side.tracked[0]) == (1_000, 0)
    assert not side.contracts_opened.any()


def test_new_open_interest_opens_a_long_and_a_short_at_the_entry_price_split_over_the_ladder():
    bars = flat(2, open_interest=[1_000, 1_130], entry_price=[90_000, 90_000])
    for name, side in walk(bars, "BTCUSDT", AT_VWAP).sides.items():
        np.testing.assert_allclose(side.contracts_opened[1], 10, rtol=1e-12)  # 130 over 13 leverages
        np.testing.assert_array_equal(
            side.liquidation_price[1], liquidation_price(name, 90_000, np.array(LADDER), 0.004)
        )
        assert side.tracked[1] == pytest.approx(130)
        assert side.untracked[1] == 1_000


def test_closing_takes_the_same_share_of_every_cell_and_of_the_untracked():
    side = walk(flat(3, open_interest=[1_000, 1_130, 565]), "BTCUSDT", AT_VWAP).sides["long"]
    np.testing.assert_allclose(side.contracts_open()[1], 5, rtol=1e-12)
    assert side.untracked[2] == pytest.approx(500)
    assert side.closed[2] == pytest.approx(565)


def test_a_touched_long_ends_and_somebody_takes_it_over_at_todays_price():
    bars = flat(3, open_interest=[1_000, 1_130, 1_130], low=[90_000, 90_000, 89_000], entry_price=[9e4, 9e4, 89_500])
    side = walk(bars, "BTCUSDT", AT_VWAP).sides["long"]
    touched = side.liquidation_price[1] >= 89_000  # 75x (89,157.96), 100x, 125x, 150x
    assert touched.sum() == 4
    assert side.liquidated_at[1].tolist() == np.where(touched, 2, 3).tolist()
    assert side.liquidated[2] == pytest.approx(40)
    assert side.opened[2] == pytest.approx(40)
    assert side.contracts_opened[2].sum() == pytest.approx(40)
    assert not walk(bars, "BTCUSDT", AT_VWAP).sides["short"].liquidated.any()


def test_liquidations_that_nobody_takes_over_lower_open_interest_without_closing_others():
    bars = flat(3, open_interest=[1_000, 1_130, 1_090], low=[90_000, 90_000, 89_000])
    side = walk(bars, "BTCUSDT", AT_VWAP).sides["long"]
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
    side = walk(bars, "BTCUSDT", AT_VWAP).sides["long"]
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
    result = walk(flat(2, open_interest=[1_000, 1_110]), "SOLUSDT", AT_VWAP)  # up to 100x: 11 of 13
    for side in result.sides.values():
        assert np.isnan(side.liquidation_price[:, -2:]).all()
        assert not side.contracts_opened[:, -2:].any()
        np.testing.assert_allclose(side.contracts_opened[1, :11], 10, rtol=1e-12)


def test_brackets_change_on_their_day():
    bars = replace(flat(3, open_interest=[1_000, 1_100, 1_200]), ts=np.array(
        ["2025-10-31T23:50", "2025-10-31T23:55", "2025-11-01T00:00"], "datetime64[us]"))  # fmt: skip
    side = walk(bars, "BTCUSDT", AT_VWAP).sides["long"]
    assert (side.contracts_opened[1] > 0).sum() == 12  # 150x came later
    assert (side.contracts_opened[2] > 0).sum() == 13


def test_weights_need_not_sum_to_one():
    bars = flat(2, open_interest=[1_000, 1_100])
    side = walk(bars, "BTCUSDT", WalkParameters((10.0, 50.0), (3.0, 1.0), extremes_share=0.0)).sides["short"]
    np.testing.assert_allclose(side.contracts_opened[1], [75, 25], rtol=1e-12)

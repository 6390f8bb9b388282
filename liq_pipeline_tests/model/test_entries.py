"""Where in its bar a position opens: version 2 of the model puts a part of high leverages at the bar's extremes."""

import numpy as np
import pytest

from liq_pipeline.model.entries import ENTRIES, layout, stored_layout
from liq_pipeline.model.margin import LADDER, liquidation_price
from liq_pipeline.model.walk import (
    VERSIONS,
    WalkParameters,
    model_version,
    parameters_in_use,
    use_model,
    walk,
)
from liq_pipeline_tests.model.markets import flat

FROM_50X = [50.0, 75.0, 100.0, 125.0, 150.0]


def test_the_ladder_opens_at_the_vwap_and_leverages_from_50x_on_also_at_low_and_high():
    cells = layout()

    assert cells.leverage.tolist() == [*LADDER, *FROM_50X, *FROM_50X]
    assert [ENTRIES[entry] for entry in cells.entry] == ["vwap"] * 13 + ["low"] * 5 + ["high"] * 5
    assert cells.share.tolist() == [1.0] * 8 + [0.7] * 5 + [0.15] * 10
    assert (np.array(LADDER)[cells.place] == cells.leverage).all()


def test_the_cells_of_a_leverage_share_all_that_opens_at_it():
    cells = layout((10.0, 60.0), extremes_share=0.4)

    assert np.bincount(cells.place, cells.share).tolist() == pytest.approx([1.0, 1.0])


def test_version_1_opens_everything_at_the_vwap():
    cells = VERSIONS["1"].layout

    assert cells.leverage.tolist() == list(LADDER)
    assert not cells.entry.any()
    assert (cells.share == 1).all()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_stored_list_is_read_by_its_length(version):
    cells = VERSIONS[version].layout

    assert all(map(np.array_equal, stored_layout(cells.place.size), cells))


def test_a_stored_list_of_another_length_is_refused():
    with pytest.raises(ValueError, match="14 cells per bar; known are 13 and 23"):
        stored_layout(14)


def test_what_opens_is_split_over_leverages_and_entries_each_at_its_own_liquidation_price():
    bars = flat(2, open_interest=[1_000, 1_130], low=[89_900] * 2, high=[90_200] * 2)
    for name, side in walk(bars, "BTCUSDT").sides.items():
        np.testing.assert_allclose(side.contracts_opened[1], [10] * 8 + [7] * 5 + [1.5] * 10, rtol=1e-12)
        at_low, at_high = side.liquidation_price[1, 13:18], side.liquidation_price[1, 18:]
        np.testing.assert_array_equal(at_low, liquidation_price(name, 89_900, np.array(FROM_50X), 0.004))
        np.testing.assert_array_equal(at_high, liquidation_price(name, 90_200, np.array(FROM_50X), 0.004))
        assert side.tracked[1] + side.untracked[1] == pytest.approx(1_130)


def test_a_long_from_the_high_of_a_falling_bar_dies_in_it_while_those_from_its_low_live():
    bars = flat(2, open_interest=[1_000, 1_130], low=[90_000, 89_500], high=[90_000, 90_300], close=[90_000, 89_500])
    side = walk(bars, "BTCUSDT").sides["long"]

    dead = side.liquidated_at[1] == 1
    # λ / E at 100x is .99398, at 125x .99598, at 150x .99732; the close is .99114 of the high, .99444 of the VWAP.
    assert dead[13:18].tolist() == [False] * 5
    assert dead[18:].tolist() == [False, False, True, True, True]
    assert side.untracked[1] == pytest.approx(1_000 + side.contracts_opened[1][dead].sum())


def test_the_walk_of_a_bar_without_height_is_that_of_version_1():
    bars = flat(4, open_interest=[1_000, 1_130, 1_050, 1_200])
    for name, side in walk(bars, "BTCUSDT").sides.items():
        other = walk(bars, "BTCUSDT", VERSIONS["1"]).sides[name]
        np.testing.assert_allclose(side.tracked, other.tracked)
        np.testing.assert_allclose(side.contracts_open().sum(), other.contracts_open().sum())


@pytest.mark.parametrize("share", [-0.1, 1.0, np.nan])
def test_a_share_outside_0_to_1_is_an_error(share):
    with pytest.raises(ValueError, match="extremes_share must be at least 0 and below 1"):
        WalkParameters(extremes_share=share)


def test_the_newest_version_is_in_use_until_another_is_asked_for():
    assert (model_version(), parameters_in_use()) == ("2", WalkParameters())
    use_model("1")
    try:
        assert (model_version(), parameters_in_use()) == ("1", VERSIONS["1"])
        assert walk(flat(), "BTCUSDT").sides["long"].liquidation_price.shape[1] == 13
    finally:
        use_model("2")
    with pytest.raises(ValueError, match="model 3; there are 1, 2"):
        use_model("3")

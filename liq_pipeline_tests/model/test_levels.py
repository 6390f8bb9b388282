"""Levels: living cells summed into price bins, one pass for all timeframes."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liq_pipeline.model.levels import SPANS, Cells, _numbered, bin_edge, bin_index, bin_width, liquidation_levels
from liq_pipeline.model.timeframes import TIMEFRAMES

AS_OF = np.datetime64("2026-03-10T00:00", "us")
HOUR = np.timedelta64(1, "h")
DAYS = {"1d": 1, "7d": 7, "30d": 30, "90d": 90}


def cells(*rows):
    """Cells from (age, side, leverage, liquidation price, contracts)."""
    age, side, leverage, price, contracts = zip(*rows, strict=True)
    return Cells(
        AS_OF - np.array(age).astype("timedelta64[us]"),
        np.array([name == "long" for name in side]),
        np.array(leverage, dtype=float),
        np.array(price, dtype=float),
        np.array(contracts, dtype=float),
    )


def many_cells(seed, price=90_000.0, count=2_000):
    rng = np.random.default_rng(seed)
    is_long = rng.random(count) < 0.5
    distance = rng.exponential(0.02, count) + 1e-9
    return Cells(
        AS_OF - rng.integers(0, 100 * 24 * 60, count).astype("timedelta64[m]"),
        is_long,
        rng.choice([5.0, 25.0, 100.0], count),
        price * np.where(is_long, np.maximum(1 - distance, 0.01), 1 + distance),
        rng.exponential(3.0, count),
    )


def by_key(levels):
    keys = zip(levels.is_long.tolist(), levels.leverage.tolist(), levels.price_low.tolist(), strict=True)
    return dict(zip(keys, zip(levels.contracts, levels.notional_usd, strict=True), strict=True))


@pytest.mark.parametrize(
    ("price", "width"),
    [(90_000, 50), (100_000, 100), (99_999, 50), (3_000, 2), (150, 0.1), (1, 0.001), (0.25, 0.0002), (67_000, 50),
     (20_000, 20), (10_000, 10), (1_999.99, 1), (2_000, 2), (5_000, 5), (0.00001234, 1e-8)],
)  # fmt: skip
def test_the_bin_is_the_largest_1_2_5_step_not_above_a_thousandth_of_the_price(price, width):
    assert bin_width(price) == width


@given(st.floats(1e-6, 1e7))
@settings(deadline=None)
def test_a_bin_is_between_two_fifths_of_a_thousandth_and_a_thousandth_of_the_price(price):
    share = bin_width(price) / price
    assert 0.0004 * (1 - 1e-9) <= share <= 0.001 * (1 + 1e-9)


@pytest.mark.parametrize("price", [0.0, -1.0, float("nan")])
def test_a_price_that_is_not_positive_is_an_error(price):
    with pytest.raises(ValueError, match="price must be positive"):
        bin_width(price)


@given(st.floats(1e-6, 1e7), st.lists(st.floats(0.3, 3.0), min_size=1, max_size=20))
@settings(max_examples=300, deadline=None)
def test_every_price_lies_in_its_bin(price, ratios):
    width = bin_width(price)
    prices = price * np.array(ratios)
    index = bin_index(prices, width)
    assert (bin_edge(index, width) <= prices).all()
    assert (prices < bin_edge(index + 1, width)).all()


@given(st.sampled_from([1e-5, 0.001, 0.002, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 50.0]), st.integers(0, 100_000))
def test_an_edge_belongs_to_the_bin_above_it_and_so_does_its_neighbourhood(width, number):
    edge = bin_edge(np.array([number]), width)
    assert bin_index(edge, width).tolist() == [number]
    assert bin_index(np.nextafter(edge, np.inf), width).tolist() == [number]
    if number:
        assert bin_index(np.nextafter(edge, 0), width).tolist() == [number - 1]


def test_edges_are_the_decimal_numbers_that_people_read():
    assert bin_edge(np.array([1503, 3, 7]), 0.1).tolist() == [150.3, 0.3, 0.7]
    assert bin_edge(np.array([1234567]), 0.00002).tolist() == [24.69134]


def test_cells_of_one_side_leverage_and_bin_are_summed():
    found = liquidation_levels(
        cells(
            (HOUR, "long", 10, 81_310, 1), (HOUR, "long", 10, 81_349, 2), (HOUR, "long", 25, 81_310, 4),
            (HOUR, "long", 10, 81_350, 8), (HOUR, "short", 10, 98_000, 16),
        ), AS_OF, 90_000,
    )["1d"]  # fmt: skip
    assert by_key(found) == {
        (True, 10, 81_300): (3, 81_310 + 2 * 81_349),
        (True, 10, 81_350): (8, 8 * 81_350),
        (True, 25, 81_300): (4, 4 * 81_310),
        (False, 10, 98_000): (16, 16 * 98_000),
    }


def test_levels_come_long_first_then_by_leverage_then_by_price():
    found = liquidation_levels(many_cells(1), AS_OF, 90_000.0)["90d"]
    order = np.lexsort((found.price_low, found.leverage, ~found.is_long))
    np.testing.assert_array_equal(order, np.arange(order.size))


def test_bins_are_cut_at_the_current_price():
    found = liquidation_levels(cells((HOUR, "long", 10, 90_010, 1), (HOUR, "short", 10, 90_030, 2)), AS_OF, 90_020.5)[
        "1d"
    ]
    assert found.price_low.tolist() == [90_000, 90_020.5]
    assert found.price_high.tolist() == [90_020.5, 90_050]


@given(st.integers(0, 1_000), st.floats(1e-3, 1e5))
@settings(max_examples=50, deadline=None)
def test_longs_end_at_or_below_the_price_and_shorts_start_at_or_above_it(seed, price):
    for found in liquidation_levels(many_cells(seed, price, 300), AS_OF, price).values():
        assert (found.price_high[found.is_long] <= price).all()
        assert (found.price_low[~found.is_long] >= price).all()
        assert (found.price_low < found.price_high).all()


@given(st.integers(0, 1_000))
@settings(max_examples=50, deadline=None)
def test_each_timeframe_contains_the_shorter_ones_exactly(seed):
    found = liquidation_levels(many_cells(seed), AS_OF, 90_000.0)
    frames = [by_key(levels) for levels in found.values()]
    for shorter, longer in pairwise(frames):
        assert shorter
        for key, (contracts, notional) in shorter.items():
            assert contracts <= longer[key][0]
            assert notional <= longer[key][1]


@given(st.integers(0, 1_000), st.floats(1e-3, 1e5))
@settings(max_examples=30, deadline=None)
def test_binning_loses_nothing(seed, price):
    living = many_cells(seed, price)
    found = liquidation_levels(living, AS_OF, price)
    for name, levels in found.items():
        young = living.opened_at > AS_OF - SPANS[name]
        for side in (True, False):
            mine = young & (living.is_long == side)
            assert levels.contracts[levels.is_long == side].sum() == pytest.approx(
                living.contracts[mine].sum(), rel=1e-12
            )
            assert levels.notional_usd[levels.is_long == side].sum() == pytest.approx(
                (living.contracts * living.liquidation_price)[mine].sum(), rel=1e-12
            )


@pytest.mark.parametrize("name", TIMEFRAMES)
def test_a_timeframe_ends_just_before_the_cell_that_is_exactly_as_old(name):
    assert np.timedelta64(DAYS[name], "D") == SPANS[name]
    micro = np.timedelta64(1, "us")
    found = liquidation_levels(
        cells((SPANS[name], "long", 10, 80_000, 1), (SPANS[name] - micro, "long", 10, 81_000, 2)),
        AS_OF, 90_000,
    )  # fmt: skip
    assert found[name].contracts.tolist() == [2]


def test_timeframes_are_anchored_to_the_newest_bar():
    living = cells((HOUR, "long", 10, 80_000, 1), (30 * HOUR, "short", 10, 95_000, 1))
    now = liquidation_levels(living, AS_OF, 90_000)
    later = liquidation_levels(living, AS_OF + 23 * HOUR, 90_000)
    assert [levels.contracts.sum() for levels in now.values()] == [1, 2, 2, 2]
    assert [levels.contracts.sum() for levels in later.values()] == [0, 2, 2, 2]


def test_empty_cells_leave_no_row():
    found = liquidation_levels(cells((HOUR, "long", 10, 80_000, 0), (HOUR, "long", 25, 80_000, 1)), AS_OF, 90_000)
    assert found["1d"].leverage.tolist() == [25]


def test_no_living_cells_give_empty_levels():
    nothing = cells((HOUR, "long", 10, 80_000, 0))
    assert [levels.contracts.size for levels in liquidation_levels(nothing, AS_OF, 90_000).values()] == [0] * 4


@pytest.mark.parametrize(("side", "price"), [("long", 90_000), ("long", 91_000), ("short", 89_999)])
def test_a_cell_that_should_have_been_liquidated_is_an_error_that_shows_it(side, price):
    with pytest.raises(ValueError, match=rf"1 living cells lie beyond .* 90000.* a {side} at {price}"):
        liquidation_levels(cells((HOUR, side, 10, price, 1)), AS_OF, 90_000)


def test_the_order_of_the_cells_does_not_matter_to_rounding():
    living = many_cells(5)
    shuffled = np.random.default_rng(6).permutation(living.contracts.size)
    other = replace(living, **{name: getattr(living, name)[shuffled] for name in living.__dataclass_fields__})
    one, two = (by_key(liquidation_levels(some, AS_OF, 90_000.0)["90d"]) for some in (living, other))
    assert one.keys() == two.keys()
    np.testing.assert_allclose(list(one.values()), [two[key] for key in one], rtol=1e-12)


@pytest.mark.parametrize("before", [100.0, 1e3, 1e5])
def test_after_a_fall_to_a_thousandth_and_less_levels_far_apart_are_all_there(before):
    found = liquidation_levels(
        cells((HOUR, "long", 10, 0.09, 5), (HOUR, "short", 10, 100.05, 2), (HOUR, "short", 25, before * 1.2, 3)),
        AS_OF,
        0.1,
    )["1d"]

    assert found.contracts.tolist() == [5, 2, 3]
    assert found.leverage.tolist() == [10, 10, 25]
    assert found.price_low == pytest.approx([0.09, 100.05, before * 1.2])


@given(st.lists(st.integers(0, 9_000), max_size=50))
def test_keys_are_numbered_alike_however_far_they_lie_apart(places):
    near = np.array(places, dtype=np.int64)
    far = near * 1_000

    for index, (bins, place) in ((near, _numbered(near)), (far, _numbered(far))):
        assert np.array_equal(bins, np.unique(index))
        assert np.array_equal(bins[place], index)


def test_of_no_living_cells_there_are_no_levels():
    nothing = Cells(np.array([], "datetime64[us]"), np.array([], bool), np.array([]), np.array([]), np.array([]))

    assert [levels.contracts.size for levels in liquidation_levels(nothing, AS_OF, 100.0).values()] == [0, 0, 0, 0]


def test_levels_add_up_in_the_order_in_which_positions_opened():
    """To the bit: the same sums whichever timeframe holds them, and whoever makes them."""
    some = many_cells(3)
    found = liquidation_levels(some, AS_OF, 90_000.0)["90d"]
    index, edge = (
        bin_index(some.liquidation_price, bin_width(90_000.0)),
        bin_index(found.price_low, bin_width(90_000.0)),
    )
    ages = AS_OF - some.opened_at

    for place in range(0, found.contracts.size, 7):
        mine = (
            (index == edge[place]) & (some.leverage == found.leverage[place]) & (some.is_long == found.is_long[place])
        )
        parts, shorter = [], np.timedelta64(-1, "us")
        for span in SPANS.values():
            parts.append(sum(some.contracts[mine & (ages >= shorter) & (ages < span)].tolist()))
            shorter = span
        assert found.contracts[place] == sum(parts)

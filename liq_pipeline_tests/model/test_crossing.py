"""First touch: exactly what a scan of every later bar finds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from liq_pipeline.model.crossing import first_touch


def scan(extreme, price):
    """The definition: the first later bar whose extreme is at or below the price."""
    bars = extreme.size
    touched = np.full(price.shape, bars, dtype=np.int32)
    for i, k in np.ndindex(price.shape):
        hits = np.flatnonzero(extreme[i + 1 :] <= price[i, k])
        if hits.size:
            touched[i, k] = i + 1 + hits[0]
    return touched


few_values = st.integers(-4, 4).map(float)  # ties are where such code goes wrong
any_value = st.one_of(few_values, st.floats(-1e6, 1e6), st.just(np.nan))


@st.composite
def paths(draw):
    bars, tiers = draw(st.integers(0, 30)), draw(st.integers(1, 3))
    extreme = draw(arrays.arrays(np.float64, bars, elements=st.one_of(few_values, st.floats(-1e6, 1e6))))
    return extreme, draw(arrays.arrays(np.float64, (bars, tiers), elements=any_value))


@given(paths())
@settings(max_examples=300, deadline=None)
def test_it_agrees_with_the_scan(path):
    extreme, price = path
    np.testing.assert_array_equal(first_touch(extreme, price), scan(extreme, price))


@pytest.mark.parametrize("seed", range(5))
def test_it_agrees_with_the_scan_on_a_random_walk(seed):
    rng = np.random.default_rng(seed)
    close = 90_000 * np.exp(np.cumsum(rng.normal(0, 0.003, 1_000)))
    low = close * (1 - rng.exponential(0.001, close.size))
    price = close[:, None] * (1 - np.array([0.3, 0.05, 0.01, 0.002]))
    np.testing.assert_array_equal(first_touch(low, price), scan(low, price))


BARS = np.arange(200.0)
ADVERSARIAL = {
    "steady rise": BARS,
    "steady fall": -BARS,
    "constant": np.zeros(200),
    "saw": BARS % 7,
    "two steps down, one up": -BARS + 2 * (BARS % 3 == 0),
    "growing swings": BARS * (-1) ** BARS,
    "one deep spike at the end": np.where(BARS == 199, -1e6, 0.0),
    "one deep spike at the start": np.where(BARS == 0, -1e6, 0.0),
    "infinite": np.where(BARS % 50 == 0, -np.inf, BARS),
}


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_it_agrees_with_the_scan_on_adversarial_paths(name):
    extreme = ADVERSARIAL[name]
    price = extreme[:, None] - np.array([-1.0, 0.0, 1.0, 50.0])
    np.testing.assert_array_equal(first_touch(extreme, price), scan(extreme, price))


def test_shorts_are_the_mirror_image():
    rng = np.random.default_rng(3)
    high = 100 + np.cumsum(rng.normal(0, 1, 300))
    price = high[:, None] + np.array([0.5, 2.0, 8.0])
    expected = np.full(price.shape, high.size)
    for i, k in np.ndindex(price.shape):
        hits = np.flatnonzero(high[i + 1 :] >= price[i, k])
        expected[i, k] = i + 1 + hits[0] if hits.size else high.size
    np.testing.assert_array_equal(first_touch(-high, -price), expected)


def test_reaching_the_price_exactly_is_a_touch():
    assert first_touch(np.array([3.0, 2.0, 1.0]), np.array([[1.0], [1.0], [1.0]])).tolist() == [[2], [2], [3]]


def test_the_bar_in_which_a_level_opened_does_not_touch_it():
    assert first_touch(np.array([1.0, 5.0]), np.array([[2.0], [9.0]])).tolist() == [[2], [2]]


def test_nan_never_touches():
    assert first_touch(np.array([1.0, -np.inf]), np.array([[np.nan], [np.nan]])).tolist() == [[2], [2]]


def test_no_bars_no_touches():
    assert first_touch(np.empty(0), np.empty((0, 3))).shape == (0, 3)


def test_more_bars_never_change_a_touch_already_found():
    rng = np.random.default_rng(4)
    low = np.cumsum(rng.normal(0, 1, 200))
    price = low[:, None] - np.array([0.3, 3.0])
    whole = first_touch(low, price)
    for cut in (1, 50, 199):
        before = first_touch(low[:cut], price[:cut])
        np.testing.assert_array_equal(before, np.minimum(whole[:cut], cut))

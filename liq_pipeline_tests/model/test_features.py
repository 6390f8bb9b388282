"""Features per bar: sums over the positions alive at each bar's close, made one by one; nothing of later is in them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liq_pipeline.model.features import DISTANCES_PCT, LARGE_QUANTILE, ZONES_WITHIN_PCT, features
from liq_pipeline.model.margin import SIDES
from liq_pipeline.model.positions import Cohorts

STEP = np.log1p(0.001)


def world(seed: int, bars: int = 120, cells: int = 900) -> tuple[Cohorts, np.ndarray, dict]:
    """Draw prices, and cells that lie beyond the price for as long as they live; a side loses e^80 of its size."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.004, bars)))
    opened = np.sort(rng.integers(0, bars, cells))
    is_long = rng.random(cells) < 0.5
    away = rng.uniform(0.001, 0.12, cells)
    price = close[opened] * np.where(is_long, 1 - away, 1 + away)
    ended = np.empty(cells, np.int64)
    for cell in range(cells):
        later = close[opened[cell] + 1 :]
        hit = later <= price[cell] if is_long[cell] else later >= price[cell]
        ended[cell] = opened[cell] + 1 + int(hit.argmax()) if hit.any() else bars
    survival = {side: -np.cumsum(rng.uniform(0, 160 / bars, bars)) for side in SIDES}
    return Cohorts(opened, ended, is_long, np.full(cells, 10.0), price, rng.uniform(0.1, 5, cells)), close, survival


def naive(cohorts: Cohorts, close: np.ndarray, survival: dict, bar: int, side: str) -> tuple[list[float], float]:
    alive = (cohorts.opened <= bar) & (cohorts.ended > bar) & (cohorts.is_long == (side == "long"))
    left = cohorts.contracts_opened * np.exp(survival[side][bar] - survival[side][cohorts.opened])
    usd, price = (left * cohorts.liquidation_price)[alive], cohorts.liquidation_price[alive]
    sign = -1 if side == "long" else 1
    edges = [close[bar] * (1 + sign * pct / 100) for pct in DISTANCES_PCT]
    near = [price >= edge if side == "long" else price <= edge for edge in edges]
    return [usd[some].sum() for some in near], usd.sum()


@pytest.mark.parametrize("seed", range(5))
def test_each_bar_holds_the_sums_over_what_is_alive(seed: int) -> None:
    cohorts, close, survival = world(seed)
    found = features(cohorts, close, survival)

    for side in SIDES:
        for bar in range(close.size):
            within, total = naive(cohorts, close, survival, bar, side)
            np.testing.assert_allclose(found[side].within_usd[bar], within, rtol=1e-9, atol=1e-9 * max(total, 1e-300))
            assert found[side].total_usd[bar] == pytest.approx(total, rel=1e-9)


@pytest.mark.parametrize("side", SIDES)
def test_the_nearest_large_zone_is_among_the_largest_tenth(side: str) -> None:
    cohorts, close, survival = world(7)
    found = features(cohorts, close, survival)[side]

    for bar in range(20, close.size):
        alive = (cohorts.opened <= bar) & (cohorts.ended > bar) & (cohorts.is_long == (side == "long"))
        usd = (cohorts.contracts_opened * np.exp(survival[side][bar] - survival[side][cohorts.opened]))[alive]
        usd = usd * cohorts.liquidation_price[alive]
        zone = np.floor(np.log(cohorts.liquidation_price[alive]) / STEP).astype(int)
        here = int(np.floor(np.log(close[bar]) / STEP))
        reach = int(np.log1p(ZONES_WITHIN_PCT / 100) / STEP)
        near = np.abs(zone - here) <= reach
        sums = {place: usd[near & (zone == place)].sum() for place in set(zone[near].tolist())}
        if not sums:
            assert np.isnan(found.zone_usd[bar])
            continue
        least = np.quantile(list(sums.values()), LARGE_QUANTILE)
        place = min(
            (place for place, amount in sums.items() if amount >= least * (1 - 1e-9)), key=lambda z: abs(z - here)
        )
        assert found.zone_usd[bar] == pytest.approx(sums[place], rel=1e-9)
        assert found.zone_distance_pct[bar] == pytest.approx(100 * (np.exp((place + 0.5) * STEP) / close[bar] - 1))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), cut=st.integers(1, 119))
def test_nothing_of_later_is_in_a_row(seed: int, cut: int) -> None:
    cohorts, close, survival = world(seed)
    whole = features(cohorts, close, survival)
    seen = cohorts.opened < cut
    known = Cohorts(*(values[seen] for values in vars(cohorts).values()))
    known = Cohorts(**{**vars(known), "ended": np.minimum(known.ended, cut)})
    early = features(known, close[:cut], {side: values[:cut] for side, values in survival.items()})

    for side in SIDES:
        for name in ("within_usd", "total_usd", "zone_usd", "zone_distance_pct"):
            one, other = getattr(early[side], name), getattr(whole[side], name)[:cut]
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("first", [1, 60, 119])
def test_later_bars_alone_are_those_of_all(first: int) -> None:
    cohorts, close, survival = world(11)
    whole, late = features(cohorts, close, survival), features(cohorts, close, survival, first)

    for side in SIDES:
        for name in ("within_usd", "total_usd", "zone_usd", "zone_distance_pct"):
            expected = getattr(whole[side], name)[first:]
            np.testing.assert_allclose(getattr(late[side], name), expected, rtol=1e-9, atol=1e-9)


def test_wider_holds_more_and_what_is_gone_leaves_nothing() -> None:
    cohorts, close, survival = world(3)
    gone = Cohorts(**{**vars(cohorts), "ended": np.minimum(cohorts.ended, 100)})
    found = features(gone, close, survival)

    for side in SIDES:
        steps = np.column_stack([np.zeros(close.size), found[side].within_usd, found[side].total_usd])
        assert (np.diff(steps, axis=1) >= 0).all()
        assert not found[side].total_usd[100:].any()
        assert np.isnan(found[side].zone_usd[100:]).all()


def test_without_positions_there_is_nothing() -> None:
    none = np.empty(0)
    cohorts = Cohorts(none.astype(int), none.astype(int), none.astype(bool), none, none, none)
    found = features(cohorts, np.array([1.0, 2.0]), {side: np.zeros(2) for side in SIDES})

    assert not found["long"].within_usd.any()
    assert np.isnan(found["short"].zone_usd).all()

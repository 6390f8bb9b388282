"""The walk's comparisons: each takes out what its name says, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from liq_pipeline.model.ablations import (
    all_exposures,
    band_exposure,
    constant_open_interest,
    legacy_exposure,
    shuffled_open_interest,
    walk_exposure,
)
from liq_pipeline.model.alignment import MarketData
from liq_pipeline.model.baselines import LegacyInput, legacy_levels
from liq_pipeline.model.exposure import MARGINS
from liq_pipeline.model.margin import CLASSIC_LADDER, LADDER
from liq_pipeline.model.walk import VERSIONS, WalkParameters
from liq_pipeline_tests.model.markets import FIVE_MINUTES, market

SYMBOL = "BTCUSDT"


@pytest.fixture(scope="module")
def data() -> MarketData:
    """Some hours in which the price moves by percents; every third open interest is observed."""
    bars = market(seed=3, bars=45, volatility=0.012)
    rng = np.random.default_rng(1)
    opening = np.append(90_000.0, bars.close[:-1]) * rng.normal(1, 0.01, 45)
    return MarketData(bars, opening, np.arange(45) % 3 == 0, FIVE_MINUTES)


def classes(leverage: float) -> int:
    return 0 if leverage <= 30 else 1 if leverage <= 60 else 2 if leverage <= 110 else 3


def test_constant_open_interest_is_the_first_throughout_and_known(data: MarketData) -> None:
    found = constant_open_interest(data)
    assert set(found.walk_input.open_interest) == {data.walk_input.open_interest[0]}
    assert found.known.tolist() == [True] * 45
    assert found.walk_input.volume is data.walk_input.volume


def test_shuffled_open_interest_has_the_same_changes_in_another_order(data: MarketData) -> None:
    found = shuffled_open_interest(data)
    one, other = (np.log(some.walk_input.open_interest[::3]) for some in (data, found))
    assert other[0] == pytest.approx(one[0], abs=1e-12)
    assert np.sort(np.diff(other)) == pytest.approx(np.sort(np.diff(one)), abs=1e-12)
    assert np.abs(np.diff(other) - np.diff(one)).max() > 0.01
    between = found.walk_input.open_interest
    np.testing.assert_allclose(between[1:43:3], between[0:42:3] * 2 / 3 + between[3:45:3] / 3)
    np.testing.assert_array_equal(found.known, data.known)
    again = shuffled_open_interest(data, seed=8).walk_input.open_interest
    assert not np.array_equal(again, between)


def test_bands_lie_at_one_over_the_leverage_from_the_last_close(data: MarketData) -> None:
    found, bars = band_exposure(data), data.walk_input
    for side, sign, extreme in (("long", -1, bars.low), ("short", 1, bars.high)):
        expected = np.zeros((45, 4, len(MARGINS)))
        for t in range(1, 45):
            seen = bars.open_interest[(t - 1) // 3 * 3]
            for leverage in LADDER:
                band = bars.close[t - 1] * (1 + sign / leverage)
                for place, margin in enumerate(MARGINS):
                    if sign * extreme[t] * (1 + sign * margin) >= sign * band:
                        expected[t, classes(leverage), place] += seen * bars.close[t - 1] / len(LADDER)
        assert expected[:, 2:].any(axis=0).all()
        np.testing.assert_allclose(found[side], expected, rtol=1e-12)


@pytest.mark.parametrize("hours", [1, 72])
def test_the_legacy_system_shows_what_its_levels_of_the_window_say_when_a_bar_begins(
    data: MarketData, hours: int
) -> None:
    """An hour: bars leave the window. Open interest that is not known yet is the last known."""
    span = np.timedelta64(hours, "h")
    found, bars = legacy_exposure(data, span), data.walk_input
    value = bars.open_interest[np.arange(45) // 3 * 3] * bars.close
    for t in range(1, 45):
        rows = slice(0, t)
        shown = legacy_levels(
            LegacyInput(
                bars.ts[rows], data.open[rows], bars.high[rows], bars.low[rows], bars.close[rows],
                (bars.volume * bars.entry_price)[rows], value[rows],
            ),
            span,
        )  # fmt: skip
        for side, sign, extreme in (("long", -1, bars.low[t]), ("short", 1, bars.high[t])):
            expected = np.zeros((4, len(MARGINS)))
            for leverage, price, usd, is_long in zip(
                shown.leverage, shown.liquidation_price, shown.notional_usd, shown.is_long, strict=True
            ):
                if is_long == (side == "long"):
                    reach = extreme * (1 + sign * np.array(MARGINS))
                    expected[classes(leverage)] += np.where(sign * reach >= sign * price, usd, 0)
            np.testing.assert_allclose(found[side][t], expected, rtol=1e-9)
    assert all(usd[:, 2].any(axis=0).all() for usd in found.values())


@pytest.mark.parametrize(("version", "other"), [("2", "1"), ("1", "2")])
def test_each_comparison_takes_out_what_its_name_says(data: MarketData, version: str, other: str) -> None:
    base = replace(VERSIONS[version], churn_per_turnover=0.3)
    found = all_exposures(data, SYMBOL, base)
    expected = {
        "walk": walk_exposure(data, SYMBOL, base),
        "constant open interest": walk_exposure(constant_open_interest(data), SYMBOL, base),
        "shuffled open interest": walk_exposure(shuffled_open_interest(data), SYMBOL, base),
        "no churn": walk_exposure(data, SYMBOL, replace(base, churn_per_turnover=0.0)),
        f"model {other}": walk_exposure(data, SYMBOL, replace(VERSIONS[other], churn_per_turnover=0.3)),
        "classic ladder": walk_exposure(
            data, SYMBOL, replace(base, ladder=(5, 10, 25, 50, 100), weights=(0.15, 0.3, 0.25, 0.2, 0.1))
        ),
        "legacy system": legacy_exposure(data, np.timedelta64(168, "h")),
        "1/L bands": band_exposure(data),
    }
    assert list(CLASSIC_LADDER) == [5, 10, 25, 50, 100]
    assert list(found) == list(expected)
    for name, sides in expected.items():
        for side, usd in sides.items():
            np.testing.assert_array_equal(found[name][side], usd, err_msg=name)
    longs = [one["long"] for one in found.values()]
    assert not any(np.array_equal(one, earlier) for at, one in enumerate(longs) for earlier in longs[:at])
    in_use = walk_exposure(data, SYMBOL, WalkParameters())["long"]
    np.testing.assert_array_equal(walk_exposure(data, SYMBOL)["long"], in_use)

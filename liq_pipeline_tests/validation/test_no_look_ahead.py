"""A prediction knows the state before its bar and the bar's range, nothing later: each trap of model.md 6."""

from dataclasses import replace

import numpy as np
import pytest

from liq_pipeline.model.ablations import all_exposures, legacy_exposure
from liq_pipeline.model.baselines import LegacyInput, legacy_levels
from liq_pipeline.model.exposure import MARGINS, bar_exposure
from liq_pipeline.model.margin import SIDES
from liq_pipeline.model.scoring_flows import path_features, score_flows
from liq_pipeline.model.scoring_levels import control_steps, maps_at, score_levels
from liq_pipeline.model.walk import walk
from liq_pipeline_tests.validation.conftest import market_data

SYMBOL = "BTCUSDT"


def cut(data, bars):
    inputs = replace(data.walk_input, **{name: values[:bars] for name, values in vars(data.walk_input).items()})
    return replace(data, walk_input=inputs, open=data.open[:bars], known=data.known[:bars])


def test_what_a_bar_touches_is_what_the_walk_liquidates(scene):
    walked = walk(scene.data.walk_input, SYMBOL)
    exposure = bar_exposure(walked, scene.data.known)
    for side in SIDES:
        one = walked.sides[side]
        bar, tier = np.nonzero((one.liquidated_at < one.tracked.size) & (one.contracts_opened > 0))
        at = one.liquidated_at[bar, tier]
        later = at > bar
        left = one.contracts_opened * np.exp(-one.log_survival[:, None])
        usd = (left * one.liquidation_price)[bar, tier][later] * np.exp(one.log_survival[at[later] - 1])
        expected = np.bincount(at[later], usd, one.tracked.size)
        assert np.allclose(exposure[side][:, :, 0].sum(axis=1), expected, rtol=1e-9)


def test_a_wider_margin_holds_more(scene):
    exposure = bar_exposure(walk(scene.data.walk_input, SYMBOL), scene.data.known)
    for side in SIDES:
        assert (np.diff(exposure[side], axis=2) >= -1e-6).all()
    assert len(MARGINS) == exposure["long"].shape[2]


@pytest.mark.parametrize("every", [1, 96], ids=["open interest at every bar", "once a day"])
def test_exposure_is_in_usd_whatever_a_contract_costs(scene, every):
    """At a hundred thousandth of the price the same contracts are worth a hundred thousandth, within each margin."""
    data = cut(market_data(scene.market, every), 1_200)
    prices = ("entry_price", "low", "high", "close")
    cheap = replace(data.walk_input, **{name: getattr(data.walk_input, name) * 1e-5 for name in prices})
    dear, found = (bar_exposure(walk(bars, SYMBOL), data.known) for bars in (data.walk_input, cheap))
    for side in SIDES:
        expected = dear[side].sum(axis=(0, 1)) * 1e-5
        assert (np.diff(expected) > 0).all()
        assert found[side].sum(axis=(0, 1)) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("every", [1, 4], ids=["open interest at every bar", "every fourth bar"])
def test_every_variant_is_the_same_when_the_future_is_cut_off(scene, every):
    whole = market_data(scene.market, every)
    bars = 1 + 4 * 199  # the cut falls right after an observation: what lies behind it is not known yet
    part = cut(whole, bars)
    full, short = all_exposures(whole, SYMBOL), all_exposures(part, SYMBOL)
    for name in full:
        if name == "shuffled open interest":
            continue  # its order is drawn over the whole history
        for side in SIDES:
            assert np.allclose(full[name][side][:bars], short[name][side], rtol=1e-9, atol=1e-3), name


def test_open_interest_that_is_not_observed_yet_is_not_used(scene):
    data = market_data(scene.market, every=4)
    at = np.flatnonzero(data.known)[100]
    before = np.flatnonzero(data.known)[99]
    other = data.walk_input.open_interest.copy()
    other[before + 1 :] *= 1.5
    changed = replace(data, walk_input=replace(data.walk_input, open_interest=other))
    for name in ("walk", "legacy system", "1/L bands"):
        one, two = all_exposures(data, SYMBOL)[name], all_exposures(changed, SYMBOL)[name]
        for side in SIDES:
            assert np.allclose(one[side][: at + 1], two[side][: at + 1], rtol=1e-9, atol=1e-3), name


def test_maps_and_path_are_the_same_when_the_future_is_cut_off(scene):
    bars = 1500
    part = cut(scene.data, bars)
    origins = np.array([900, 1200, bars - 1])
    full = maps_at(walk(scene.data.walk_input, SYMBOL), scene.data, origins)
    assert np.allclose(full, maps_at(walk(part.walk_input, SYMBOL), part, origins))
    steps = scene.steps.pick(scene.steps.last < bars)
    for one, two in zip(path_features(scene.data, steps), path_features(part, steps), strict=True):
        assert np.allclose(one, two)


def test_the_legacy_system_is_asked_anew_after_each_bar(scene):
    part = cut(scene.data, 1000)
    exposure = legacy_exposure(part)
    inputs = part.walk_input
    for now in (700, 850, 998):
        rows = slice(0, now + 1)
        shown = legacy_levels(
            LegacyInput(
                inputs.ts[rows], part.open[rows], inputs.high[rows], inputs.low[rows], inputs.close[rows],
                (inputs.volume * inputs.entry_price)[rows], (inputs.open_interest * inputs.close)[rows],
            ),
            np.timedelta64(7, "D"),
        )  # fmt: skip
        low, high = inputs.low[now + 1], inputs.high[now + 1]
        longs = shown.notional_usd[shown.is_long & (shown.liquidation_price >= low)].sum()
        shorts = shown.notional_usd[~shown.is_long & (shown.liquidation_price <= high)].sum()
        assert exposure["long"][now + 1, :, 0].sum() == pytest.approx(longs)
        assert exposure["short"][now + 1, :, 0].sum() == pytest.approx(shorts)


def test_the_control_sees_skill_and_exchanged_days_see_none(scene):
    walked = walk(scene.data.walk_input, SYMBOL)
    exposures = {name: one for name, one in all_exposures(scene.data, SYMBOL).items() if name in ("walk", "1/L bands")}
    control = score_flows(scene.data, control_steps(walked, scene.data, scene.steps), exposures, "walk")
    assert control.rows["walk"].alone.value > 0.9
    assert control.rows["walk"].gain_over_move.low > 0.1
    # Here each step is one bar.
    by_bar, whole = (control.against[f"walk - {name}"] for name in ("moves bar by bar", "adverse move"))
    assert [one.value for one in by_bar] == pytest.approx([one.value for one in whole])
    day = np.floor(scene.steps.days).astype(int)
    order = np.random.default_rng(3).permutation(np.unique(day))
    usd = scene.steps.usd[np.concatenate([np.flatnonzero(day == one) for one in order])]
    nothing = score_flows(scene.data, replace(scene.steps, usd=usd), exposures, "walk")
    assert nothing.rows["walk"].alone.value < 0.02
    assert nothing.rows["walk"].gain_over_move.value < 0.02


def test_levels_see_the_control_and_not_the_distance_alone(scene):
    walked = walk(scene.data.walk_input, SYMBOL)
    control = score_levels(walked, scene.data, control_steps(walked, scene.data, scene.steps), 24)
    assert control is not None
    assert control.auc_gain.value > 0.008
    for gain, of in ((control.auc_gain, control.auc), (control.rank_gain, control.rank)):
        assert gain.value == pytest.approx(of["map"].value - of["another day's map"].value, abs=1e-6)
    # A truth that is the same at every distance and time leaves nothing to know about a day.
    flat = replace(scene.steps, usd=np.ones_like(scene.steps.usd))
    nothing = score_levels(walked, scene.data, flat, 24)
    assert nothing is not None
    assert abs(nothing.auc_gain.value) < abs(control.auc_gain.value)

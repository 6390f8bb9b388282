"""What gets liquidated on the way to a price: the right sum, the right range, and nothing of the future."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from liq_pipeline.model.alignment import MarketData, Steps
from liq_pipeline.model.if_reached import (
    P10,
    P50,
    P90,
    PROBABILITIES,
    TARGETS_PCT,
    UNIT_USD,
    Cases,
    fit,
    width,
)
from liq_pipeline.model.if_reached_cases import cases_of, mapped_on_the_way
from liq_pipeline.model.scoring_if_reached import _FORECASTS, DISTANCE_ONLY, MAP, YESTERDAY, score_if_reached
from liq_pipeline.model.walk import WalkInput, walk
from liq_pipeline_tests.validation.conftest import Scene
from liq_pipeline_tests.validation.test_no_look_ahead import cut

SYMBOL = "BTCUSDT"
FIVE = np.timedelta64(5, "m")


def drawn(count: int = 20_000, seed: int = 1, c1: float = 0.08, c2: float = 0.1, beta: float = 0.4) -> Cases:
    """Cases that follow the formula, with normal noise of .7."""
    rng = np.random.default_rng(seed)
    distance = rng.choice(TARGETS_PCT, count)
    mapped = rng.lognormal(18, 1, (count, 2))
    middle = 6.5 + 1.1 * np.log(distance) + np.log1p(mapped / UNIT_USD) @ [c1, c2]
    log_usd = middle + 0.7 * width(distance, beta) * rng.normal(size=count)
    asked = np.datetime64("2026-01-01", "us") + np.arange(count) * np.timedelta64(10, "m")
    return Cases(
        np.arange(count), asked, asked + FIVE, rng.integers(0, 2, count), distance, UNIT_USD * np.expm1(log_usd), mapped
    )


class TestFormula:
    def test_what_was_planted_is_found(self) -> None:
        found = fit(drawn())

        assert found
        assert (found.range.b, found.range.c1, found.range.c2) == pytest.approx((1.1, 0.08, 0.1), abs=0.02)
        assert found.range.beta == pytest.approx(0.4, abs=0.1)
        assert [found.z[place] for place in (P10, P50, P90)] == pytest.approx([-0.897, 0.0, 0.897], abs=0.05)

    def test_eight_of_ten_new_cases_lie_in_the_range(self) -> None:
        found, new = fit(drawn()), drawn(seed=2)
        assert found

        low, middle, high = found.range.usd(new.distance_pct, new.mapped_usd).T
        assert np.mean((new.usd >= low) & (new.usd <= high)) == pytest.approx(0.8, abs=0.01)
        assert np.mean(new.usd <= middle) == pytest.approx(0.5, abs=0.01)
        assert (low <= middle).all()
        assert (middle <= high).all()

    def test_what_depends_on_distance_alone_gives_the_map_no_weight(self) -> None:
        found = fit(drawn(c1=0.0, c2=0.0))

        assert found
        assert abs(found.range.c1) < 0.02
        assert abs(found.range.c2) < 0.02

    def test_too_few_cases_give_nothing(self) -> None:
        assert fit(drawn(20)) is None

    def test_probabilities_are_even_and_hold_the_three_that_are_shown(self) -> None:
        assert np.diff(PROBABILITIES) == pytest.approx(0.05)
        assert (PROBABILITIES[P10], PROBABILITIES[P50], PROBABILITIES[P90]) == (0.1, 0.5, 0.9)


class TestForecasts:
    """What the map is compared with: the same formula, with other knowledge."""

    def test_yesterdays_map_is_read_by_the_same_formula(self) -> None:
        known, asked = drawn(2_000), drawn(50, seed=2)
        np.testing.assert_array_equal(*(_FORECASTS[name](known, asked) for name in (MAP, YESTERDAY)))

    def test_distance_alone_knows_distance_and_nothing_of_the_map(self) -> None:
        known, asked = drawn(2_000), drawn(50, seed=2)
        forecast = _FORECASTS[DISTANCE_ONLY]
        found = forecast(known, asked)
        other = forecast(*(replace(cases, mapped_usd=cases.mapped_usd[::-1] ** 2) for cases in (known, asked)))
        np.testing.assert_allclose(found, other)
        assert np.corrcoef(np.log(asked.distance_pct), found[:, P50])[0, 1] == pytest.approx(1)


def by_hand(
    low: list[float], high: list[float], close: list[float], long_usd: list[float], per_step: int, origin: int = 0
) -> Cases:
    """Cases of bars that a test writes down, asked at the close of the bar before the first step."""
    bars = len(close)
    ts = np.datetime64("2026-01-01", "us") + np.arange(bars) * FIVE
    ones = np.ones(bars)
    inputs = WalkInput(ts, ones * 1e6, np.array(close), np.array(low), np.array(high), np.array(close), ones)
    data = MarketData(inputs, np.array(close), ones.astype(bool), FIVE)
    first = np.arange(1, bars, per_step)
    last = first + per_step - 1
    usd = np.column_stack([long_usd, np.zeros(len(long_usd))])
    steps = Steps(ts[last], first, last, usd)
    return cases_of(walk(inputs, SYMBOL), data, steps, np.array([origin]))


class TestTheSum:
    def test_a_target_that_is_reached_at_the_end_of_a_step_gets_all_of_it(self) -> None:
        found = by_hand([100, 99.5, 99.0], [100, 100, 99.6], [100, 99.6, 99.0], [5e6, 7e6], 1)
        longs = found.pick(found.column == 0)

        by_target = dict(zip(longs.distance_pct, longs.usd, strict=True))
        assert by_target[0.5] == pytest.approx(5e6)
        assert by_target[1.0] == pytest.approx(12e6)
        assert set(by_target) == {0.25, 0.35, 0.5, 0.7, 1.0}

    def test_what_was_reported_before_the_question_does_not_count(self) -> None:
        low, high, close = [100, 99.9, 99.5, 99.0], [100, 100, 100, 99.6], [100, 100, 99.6, 99.0]
        found = by_hand(low, high, close, [9e6, 5e6, 7e6], 1, origin=1)
        longs = found.pick(found.column == 0)

        by_target = dict(zip(longs.distance_pct, longs.usd, strict=True))
        assert (by_target[0.5], by_target[1.0]) == (pytest.approx(5e6), pytest.approx(12e6))

    def test_of_the_step_in_which_it_is_reached_the_path_until_then_counts(self) -> None:
        found = by_hand([100, 99.0], [100, 100], [100, 99.5], [8e6], 1)
        longs = found.pick(found.column == 0)

        assert dict(zip(longs.distance_pct, longs.usd, strict=True))[0.5] == pytest.approx(4e6)

    def test_a_step_of_several_bars_is_shared_out_along_their_paths(self) -> None:
        # The price falls by .5, then by 1: a target 1 % away is reached after 1.0 of 1.5.
        found = by_hand([100, 99.5, 98.5], [100, 100, 99.5], [100, 99.5, 98.5], [6e6], 2)
        longs = found.pick(found.column == 0)

        assert dict(zip(longs.distance_pct, longs.usd, strict=True))[1.0] == pytest.approx(4e6)
        assert (longs.reached_at[longs.distance_pct == 1.0] - longs.asked_at[0] == 2 * FIVE).all()

    def test_shorts_are_the_mirror_image(self) -> None:
        found = by_hand([100, 100, 100.4], [100, 100.5, 101.0], [100, 100.4, 101.0], [5e6, 7e6], 1)
        shorts = found.pick(found.column == 1)

        assert set(shorts.distance_pct) == {0.25, 0.35, 0.5, 0.7, 1.0}
        assert not shorts.usd.any()  # what is reported is of longs

    def test_more_is_liquidated_on_the_way_to_a_farther_target(self, scene: Scene) -> None:
        origins = scene.steps.last[200:1500:50]
        found = cases_of(walk(scene.data.walk_input, SYMBOL), scene.data, scene.steps, origins)
        for origin in origins:
            for column in (0, 1):
                one = found.pick((found.origin == origin) & (found.column == column))
                assert (np.diff(one.usd) >= -1e-6).all()
                assert (np.diff(one.mapped_usd, axis=0) >= 0).all()
                assert (np.diff(one.reached_at) >= np.timedelta64(0)).all()

    def test_a_gap_in_what_is_reported_ends_the_way(self, scene: Scene) -> None:
        gap = scene.steps.pick(np.arange(scene.steps.end.size) != 301)
        origin = np.array([scene.steps.last[300]])
        assert cases_of(walk(scene.data.walk_input, SYMBOL), scene.data, gap, origin).usd.size == 0


def test_what_is_mapped_on_the_way_is_what_the_living_cells_hold(scene: Scene) -> None:
    walked = walk(scene.data.walk_input, SYMBOL)
    at = 1500
    found = mapped_on_the_way(walked, scene.data, np.array([700, at]))[1]
    for column, side in enumerate(("long", "short")):
        one, close = walked.sides[side], scene.data.walk_input.close[at]
        left = one.contracts_open(at)[: at + 1] * one.liquidation_price[: at + 1]
        near = np.abs(one.liquidation_price[: at + 1] / close - 1) <= 0.02
        ladder = np.broadcast_to(walked.parameters.layout.leverage, left.shape)
        for place, is_high in ((0, False), (1, True)):
            some = near & ((ladder > 60) == is_high) & (one.liquidated_at[: at + 1] > at)
            expected = np.nansum(np.where(some, left, 0.0))
            assert found[column, TARGETS_PCT.index(2.0), place] == pytest.approx(expected)


def test_open_interest_that_is_not_observed_yet_is_not_mapped(scene: Scene) -> None:
    bars = cut(scene.data, 10)
    data = replace(bars, known=np.isin(np.arange(10), [0, 3, 7]))  # bar 0 opens nothing: there is no change before it
    changed = data.walk_input.open_interest * np.where(np.arange(10) > 3, 1.5, 1.0)
    other = replace(data.walk_input, open_interest=changed)
    found, two = (mapped_on_the_way(walk(one, SYMBOL), data, np.arange(10)) for one in (data.walk_input, other))

    usd = found.sum(axis=(1, 2, 3))
    assert (usd[:3] == 0).all()
    assert (usd[3:] > 0).all()
    np.testing.assert_allclose(two[:7], found[:7])
    assert not np.isclose(two.sum(axis=(1, 2, 3))[7:], usd[7:]).any()


def test_nothing_of_the_future_enters(scene: Scene) -> None:
    bars = 1500
    part = cut(scene.data, bars)
    steps = scene.steps.pick(scene.steps.last < bars)
    origins = steps.last[200:-100:20]
    one = cases_of(walk(scene.data.walk_input, SYMBOL), scene.data, steps, origins)
    two = cases_of(walk(part.walk_input, SYMBOL), part, steps, origins)

    for name, values in vars(one).items():
        np.testing.assert_allclose(values.astype(float), getattr(two, name).astype(float), rtol=1e-9)


@pytest.fixture(scope="module")
def scores(scene: Scene):
    return score_if_reached(walk(scene.data.walk_input, SYMBOL), scene.data, scene.steps)


class TestScores:
    def test_every_horizon_is_scored_where_positions_are_known(self, scores) -> None:
        assert [one.horizon_hours for one in scores] == [1, 4, 24]
        for one in scores:
            assert 0.6 <= one.coverage_80 <= 0.95
            assert one.crps["map"] > 0
            assert one.crps_gain_over_distance.low < one.crps_gain_over_distance.value
            assert one.note == ""
            assert len({round(loss, 9) for loss in one.crps.values()}) == len(one.crps) == 4, (
                "each knows something else"
            )

    def test_with_little_truth_it_is_scored_from_day_five_on_and_says_so(self, scene: Scene) -> None:
        few = scene.steps.pick(scene.steps.days < 11)
        found = score_if_reached(walk(scene.data.walk_input, SYMBOL), scene.data, few)

        assert found
        assert all(one.scored_from_day == 5 for one in found)
        assert all("scored from day 5 on" in one.note for one in found)

    def test_too_little_truth_scores_nothing(self, scene: Scene) -> None:
        few = scene.steps.pick(scene.steps.days < 3)

        assert score_if_reached(walk(scene.data.walk_input, SYMBOL), scene.data, few) == []

    def test_a_forecast_of_a_day_is_the_same_when_later_days_are_cut_off(self, scene: Scene) -> None:
        walked = walk(scene.data.walk_input, SYMBOL)
        days = scene.steps.days
        other = replace(scene.steps, usd=np.where((days >= 20)[:, None], scene.steps.usd * 100, scene.steps.usd))
        one, two = (score_if_reached(walked, scene.data, steps.pick(days < 20)) for steps in (scene.steps, other))

        assert one == two

"""Levels by hand: when it is asked, what the map has there, what each bin got, and how a ranking is judged."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from liq_pipeline.model import scoring_if_reached
from liq_pipeline.model.alignment import MarketData, Steps
from liq_pipeline.model.scoring_levels import _Ranking, control_steps, maps_at, origins_of, outcomes
from liq_pipeline.model.walk import WalkInput, walk
from liq_pipeline_tests.model.markets import FIVE_MINUTES, market

HOUR = np.timedelta64(1, "h")


def hourly(close: list[float], low: list[float] | None = None, high: list[float] | None = None) -> MarketData:
    """Bars of an hour, the first closing at 01:00."""
    price, ones = np.array(close, dtype=float), np.ones(len(close))
    ts = np.datetime64("2026-03-01T01:00", "us") + np.arange(price.size) * HOUR
    lows, highs = (price if one is None else np.array(one, dtype=float) for one in (low, high))
    return MarketData(WalkInput(ts, ones, price, lows, highs, price, ones), price, ones > 0, HOUR)


def steps_of(data: MarketData, first: list[int], last: list[int], usd: list[list[float]]) -> Steps:
    return Steps(data.walk_input.ts[last], np.array(first), np.array(last), np.array(usd, dtype=float))


@pytest.mark.parametrize(
    ("days", "levels", "cases"),
    [
        pytest.param(4, [49, 51, 55, 59, 63], [49, 50, 51, 52, 53], id="every four hours, and every hour"),
        pytest.param(100, [49, 51, 55, 59, 63], [49, 50, 51, 52, 53], id="just as many as are wanted"),
        pytest.param(100.2, [49, 55, 63, 71, 79], [49, 50, 51, 52, 53], id="more: every eight hours"),
        pytest.param(125, [49, 55, 63, 71, 79], [49, 50, 51, 52, 53], id="as many hours as are wanted"),
        pytest.param(125.1, [49, 55, 63, 71, 79], [49, 51, 53, 55, 57], id="more: every two hours"),
    ],
)
def test_it_is_asked_at_ends_of_steps_from_the_third_day_on_but_not_all_too_often(
    days: float, levels: list[int], cases: list[int]
) -> None:
    data = hourly([100.0] * (int(days * 24) + 1))
    last = [at for at in range(1, len(data.open)) if at != 48]
    steps = steps_of(data, last, last, [[0, 0]] * len(last))
    assert origins_of(data, steps)[:5].tolist() == levels
    assert scoring_if_reached.hourly_origins(data, steps)[:5].tolist() == cases


def test_two_days_are_enough_to_be_asked() -> None:
    data = hourly([100.0] * 60)
    early = steps_of(data, [2, 3, 9], [2, 3, 9], [[0, 0]] * 3)
    assert origins_of(data, early, np.timedelta64(3, "h")).tolist() == [3, 9]
    steps = steps_of(data, [47, 48], [47, 48], [[0, 0]] * 2)
    assert origins_of(data, steps).tolist() == scoring_if_reached.hourly_origins(data, steps).tolist() == [48]
    none = steps.pick(np.array([True, False]))
    assert origins_of(data, none).size == scoring_if_reached.hourly_origins(data, none).size == 0


def test_the_map_holds_the_living_cells_of_what_is_known_by_distance() -> None:
    bars = market(seed=5, bars=45, volatility=0.006)
    known = np.arange(45) % 4 == 1
    known[0] = True
    walked = walk(bars, "BTCUSDT")
    origins = np.array([20, 41])

    found = maps_at(walked, MarketData(bars, bars.close, known, FIVE_MINUTES), origins)

    expected = np.zeros((2, 2, 50))
    for number, (at, newest) in enumerate(zip(origins, (17, 41), strict=True)):
        for column, one in enumerate(walked.sides.values()):
            for bar, cell in np.ndindex(newest + 1, one.contracts_opened.shape[1]):
                price, opened = one.liquidation_price[bar, cell], one.contracts_opened[bar, cell]
                place = int(abs(price / bars.close[at] - 1) * 1000)
                if opened > 0 and one.liquidated_at[bar, cell] > at and place < 50:
                    left = np.exp(one.log_survival[newest] - one.log_survival[bar])
                    expected[number, column, place] += opened * left * price
    assert (expected > 0).sum() > 50
    np.testing.assert_allclose(found, expected)


class TestOutcomes:
    def found(self, data: MarketData, steps: Steps, at: int = 1, hours: int = 4) -> tuple[dict[int, float], ...]:
        got, reached = outcomes(data, steps, np.array([at]), hours)
        sides = [{int(place): float(got[0, side, place]) for place in np.flatnonzero(got[0, side])} for side in (0, 1)]
        return (*sides, dict(enumerate(reached[0].tolist())))

    def test_what_is_newly_reached_gets_what_was_reported(self) -> None:
        data = hourly(
            [7, 1000, 998, 997, 999, 1000],
            low=[1, 1, 996.5, 994.5, 996, 993.5],
            high=[9e3, 9e3, 1000, 999, 1003.3, 1001.5],
        )
        steps = steps_of(data, [1, 2, 3, 4, 5], [1, 2, 3, 4, 5], [[9, 9], [7, 5], [14, 3], [8, 12.6], [11, 17]])

        longs, shorts, reached = self.found(data, steps)

        # 3.5 per mille get 7; of 3.5 swept from 998, 2 are new and get 14 · 2 / 3.5; then 1 of 5.5 gets 2.
        per_bin = {0: 2, 1: 2, 2: 2, 3: 1 + 2, 4: 4, 5: 2 + 1, 6: 1}
        assert longs == pytest.approx(per_bin)
        assert shorts == pytest.approx({0: 2, 1: 2, 2: 2, 3: 0.6})  # 6.3 swept from 997, of which 3.3 are new
        assert reached == {0: 6, 1: 3}

    def test_steps_of_several_bars_count_from_the_close_before_them(self) -> None:
        data = hourly([7, 1000, 999, 998, 997, 996], low=[1, 1, 998.5, 997.5, 996.5, 995.5])
        steps = steps_of(data, [2, 4], [3, 5], [[5, 0], [10, 0]])
        longs, _, reached = self.found(data, steps)
        assert longs == pytest.approx({0: 2, 1: 2, 2: 1 + 4 / 2, 3: 4, 4: 2} | {2: 1 + 0.5 * 8 / 2})
        assert reached == {0: 4, 1: 0}

    def test_what_lies_beyond_the_last_bin_is_lost(self) -> None:
        data = hourly([7, 1000, 940, 940, 940, 940])
        steps = steps_of(data, [2, 3, 4, 5], [2, 3, 4, 5], [[60, 0], [0, 0], [0, 0], [0, 0]])
        longs, _, reached = self.found(data, steps)
        assert longs == pytest.approx(dict.fromkeys(range(50), 1.0))
        assert reached == {0: 50, 1: 0}

    @pytest.mark.parametrize(
        ("hours", "lacking", "is_covered"),
        [(10, 1, True), (10, 2, False), (11, 1, True), (11, 2, False), (2, 1, False)],
    )
    def test_nine_tenths_of_the_horizon_must_be_covered(self, hours: int, lacking: int, is_covered: bool) -> None:
        data = hourly([1000.0] * 20)
        last = [at for at in range(1, 20) if at not in range(5, 5 + lacking)]
        *_, reached = self.found(data, steps_of(data, last, last, [[1, 1]] * len(last)), at=3, hours=hours)
        assert reached == ({0: 0, 1: 0} if is_covered else {0: -1, 1: -1})

    def test_a_step_that_began_before_or_ends_after_does_not_count(self) -> None:
        data = hourly([1000, 1000, 1000, 990, 980, 970, 960])
        steps = steps_of(data, [2, 4, 5, 6], [3, 4, 5, 6], [[1, 0], [2, 0], [4, 0], [8, 0]])
        longs, _, _ = self.found(data, steps, at=3, hours=2)
        assert sum(longs.values()) == pytest.approx(2 + 4)
        longs, _, reached = self.found(data, steps, at=2, hours=2)
        assert (longs, reached) == ({}, {0: -1, 1: -1})

    def test_without_steps_nothing_is_covered(self) -> None:
        data = hourly([1000.0] * 5)
        none = steps_of(data, [2], [2], [[1, 1]]).pick(np.array([False]))
        got, reached = outcomes(data, none, np.array([1, 2, 3]), 1)
        assert got.shape == (3, 2, 50)
        assert not got.any()
        assert reached.tolist() == [[-1, -1]] * 3


@pytest.mark.parametrize("bins", [8, 9, 30, 41])
def test_a_ranking_is_judged_as_the_libraries_do(bins: int) -> None:
    rng = np.random.default_rng(bins)
    outcome, ranking = rng.exponential(1, bins).round(1), rng.normal(size=bins).round(1)

    area, rank, lift = _Ranking(outcome)(ranking)

    assert area == pytest.approx(roc_auc_score(outcome > np.quantile(outcome, 2 / 3), ranking))
    assert rank == pytest.approx(stats.spearmanr(outcome, ranking).statistic)
    best = np.argsort(-ranking, kind="stable")[: {8: 1, 9: 1, 30: 3, 41: 4}[bins]]
    assert lift == pytest.approx(outcome[best].mean() / outcome.mean())


def test_what_cannot_be_judged_is_absent() -> None:
    same = _Ranking(np.full(9, 2.0))(np.arange(9.0))
    assert np.isnan(same[:2]).all()
    assert same[2] == 1
    assert np.isnan(_Ranking(np.zeros(9))(np.arange(9.0))).all()
    area, rank, _ = _Ranking(np.arange(9.0))(np.ones(9))
    assert area == 0.5
    assert np.isnan(rank)


def test_the_control_is_what_the_model_has_in_the_way_times_noise_of_one() -> None:
    bars = market(seed=6, bars=700, volatility=0.01)
    data = MarketData(bars, bars.close, np.ones(700, bool), FIVE_MINUTES)
    at = np.arange(1, 700)
    steps = Steps(bars.ts[at], at, at, np.zeros((699, 2)))
    walked = walk(bars, "BTCUSDT")
    touched = [one.liquidated[1:] > 0 for one in walked.sides.values()]

    one, other = (control_steps(walked, data, steps, seed).usd for seed in (11, 12))

    assert np.array_equal(control_steps(walked, data, steps).usd, one)
    assert ((one > 0) == np.column_stack(touched)).all()
    gap = np.log(one[one > 0] / other[one > 0])
    assert gap.std() == pytest.approx(2**0.5, rel=0.1)
    np.testing.assert_allclose(
        np.log(one[one > 0]) - np.random.default_rng(11).normal(0, 1, one.shape)[one > 0],
        np.log(other[one > 0]) - np.random.default_rng(12).normal(0, 1, one.shape)[one > 0],
    )

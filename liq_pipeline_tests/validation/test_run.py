"""What a validation does around its scores: which steps count, which churn, wide bars, controls, plain numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from liq_pipeline.errors import NoData
from liq_pipeline.model.alignment import MarketData, ObservedLiquidations, Steps
from liq_pipeline.model.scoring import Estimate
from liq_pipeline.model.walk import WalkInput, WalkParameters
from liq_pipeline.validation import run
from liq_pipeline.validation.inputs import Inputs
from liq_pipeline_tests.validation.made_up import Figures, made_up

MINUTE = np.timedelta64(1, "m")


def bars(count: int, minutes: int, gone: tuple[int, ...] = ()) -> MarketData:
    """Bars up to so many after midnight, without some of them."""
    kept = np.delete(np.arange(count), gone)
    ts = np.datetime64("2026-03-01", "us") + (kept + 1) * minutes * MINUTE
    ones = np.ones(kept.size)
    known = kept % 2 == 1
    return MarketData(WalkInput(ts, ones, ones, ones, ones, ones, ones), ones, known, minutes * MINUTE)


def inputs_of(data: MarketData, left_out: int = 0, step: int = 5) -> Inputs:
    """Liquidations in each bar, but for the last so many before the last one."""
    usd = np.ones(data.open.size)
    usd[data.open.size - 1 - left_out : -1] = np.nan
    truth = ObservedLiquidations(data.walk_input.ts, usd, usd, data.width)
    return Inputs(data, truth, step * MINUTE)


class Scored(Exception):
    """The data were enough."""


@pytest.fixture
def begins(monkeypatch):
    def walk(*_: object) -> None:
        raise Scored

    monkeypatch.setattr(run, "walk", walk)


@pytest.mark.parametrize(
    ("count", "left_out", "is_enough"),
    [
        (217, 0, True),  # from the 26th bar on: 192 steps over 7.96 days, rounded to a tenth
        (216, 0, False),  # 7.92 days
        (217, 42, True),  # 150 steps
        (217, 43, False),
    ],
)
def test_a_hundred_and_fifty_steps_over_eight_days_beside_a_day_of_warm_up_are_enough(
    count: int, left_out: int, is_enough: bool, begins: None
) -> None:
    with pytest.raises(Scored if is_enough else NoData, match=None if is_enough else r"at least 150 steps over 8 days"):
        run.validate(inputs_of(bars(count, 60), left_out), "BTCUSDT")


def test_no_step_at_all_is_said(begins: None) -> None:
    with pytest.raises(NoData, match="0 steps over no time have bars"):
        run.validate(inputs_of(bars(20, 60)), "BTCUSDT")


@pytest.mark.parametrize(("step", "given", "churn"), [(29, None, WalkParameters().churn_per_turnover), (30, None, 0.2),
                                                      (60, None, 0.2), (60, 0.03, 0.03), (5, 0.0, 0.0)])  # fmt: skip
def test_where_open_interest_is_known_each_half_hour_or_less_often_churn_is_higher(step, given, churn) -> None:
    assert run.parameters_of(inputs_of(bars(3, 5), step=step), given).churn_per_turnover == churn


class TestWideBars:
    GONE = (7, 30)

    @pytest.fixture
    def given(self, monkeypatch):
        monkeypatch.setattr(run, "score_flows", lambda *given: given)
        monkeypatch.setattr(run, "walk_exposure", lambda data, symbol, parameters: (data, symbol, parameters))

    def wide(self, data: MarketData, exposure: Any) -> Any:
        return run._wide_bars(inputs_of(data), "BTCUSDT", WalkParameters(), exposure)

    @pytest.mark.parametrize("minutes", [15, 20])
    def test_the_narrow_bars_are_summed_to_the_same_hours(self, minutes: int, given: None) -> None:
        data = bars(200 * 60 // minutes, minutes, self.GONE)
        rng = np.random.default_rng(2)
        exposure = {side: rng.random((data.open.size, 3, 2)) for side in ("long", "short")}

        wide, steps, exposures, main = self.wide(data, exposure)

        assert (wide.width, main, list(exposures)) == (60 * MINUTE, "walk", ["walk", "walk on 60-minute bars"])
        hours = wide.walk_input.ts
        assert hours.size == 198
        assert wide.known[0]
        ts = data.walk_input.ts
        assert np.array_equal(wide.known[1:], data.known[np.searchsorted(ts, hours)][1:])  # as its last narrow bar
        for side, values in exposure.items():
            by_hand = [values[(ts > hour - 60 * MINUTE) & (ts <= hour)].sum(axis=0) for hour in hours]
            np.testing.assert_allclose(exposures["walk"][side], by_hand)
        assert exposures["walk on 60-minute bars"] == (wide, "BTCUSDT", WalkParameters())
        assert (steps.end == hours[steps.last]).all()
        assert hours[steps.first[0]] > hours[0] + np.timedelta64(1, "D") >= hours[steps.first[0] - 1]

    @pytest.mark.parametrize(("hours", "is_scored"), [(175, True), (174, False)])
    def test_fewer_than_a_hundred_and_fifty_steps_are_not_scored(self, hours, is_scored, given: None) -> None:
        data = bars(2 * hours, 30)
        exposure = dict.fromkeys(("long", "short"), np.ones((data.open.size, 1, 1)))
        assert (self.wide(data, exposure) is not None) == is_scored

    @pytest.mark.parametrize("minutes", [7, 60, 120])
    def test_bars_that_do_not_fit_into_an_hour_or_fill_it_are_not_widened(self, minutes: int, given: None) -> None:
        assert self.wide(bars(300 * 60 // minutes, minutes), {}) is None


def test_shuffled_days_keep_their_rows_together_and_in_order() -> None:
    ends = np.datetime64("2026-03-01", "us") + np.arange(200) * np.timedelta64(1, "h")
    rows = np.arange(200)
    steps = Steps(ends, rows, rows, np.column_stack([rows, rows + 1000.0]))

    mixed = run._by_days_shuffled(steps)

    longs = mixed[:, 0]
    assert np.array_equal(mixed[:, 1], longs + 1000)
    assert sorted(longs) == rows.tolist()
    assert not np.array_equal(longs, rows)
    day = longs // 24
    breaks = np.flatnonzero(np.diff(day))
    assert breaks.size == 8
    assert (np.diff(longs)[np.diff(day) == 0] == 1).all()


def test_gates_hold_together_or_not() -> None:
    gates = made_up().gates
    assert not made_up().passed
    assert made_up(gates=[gates[0], gates[0]]).passed
    assert made_up(gates=[]).passed


def test_horizons_that_could_not_be_scored_are_named() -> None:
    new = Figures()
    assert run._lacking([new.reached(hours, 0.8) for hours in (1, 4, 24)]) == []
    assert run._lacking([new.reached(4, 0.8)]) == [
        "if reached: too few targets were reached, or too few days are known, for 1 h, 24 h"
    ]


def test_figures_become_plain_numbers_and_what_is_none_null() -> None:
    given = {
        1: np.float64(0.5), "i": np.int64(3), "t": (np.nan, [np.float32("inf"), -np.inf]),
        "e": Estimate(1.0, np.nan, 2), "b": np.bool_(True), "s": "x", "n": None, "c": Estimate,
    }  # fmt: skip
    assert run._plain(given) == {
        "1": 0.5, "i": 3, "t": [None, [None, None]], "e": {"value": 1.0, "low": None, "high": 2}, "b": True, "s": "x",
        "n": None, "c": Estimate,
    }  # fmt: skip
    assert type(run._plain(np.int64(3))) is int
    assert run.text(Estimate(0.0714, -0.0526, 0.09)) == "+0.071 [-0.053, +0.090]"


def test_everything_is_scored_with_what_it_is_called(scene, monkeypatch) -> None:
    """Which exposures, steps and units each score gets: the scores themselves are replaced by what they were given."""
    kept: dict[str, list[Any]] = {}

    def keep(name: str, result: Any = None) -> None:
        monkeypatch.setattr(run, name, lambda *given: kept.setdefault(name, []).append(given) or result)

    exposures = {
        "walk": {side: np.full((scene.data.open.size, 2, 3), n) for n, side in ((2.0, "long"), (5.0, "short"))}
    }
    monkeypatch.setattr(run, "all_exposures", lambda *_: exposures | {"other": exposures["walk"]})
    monkeypatch.setattr(run, "walk", lambda *_: "walked")
    control = replace(run.scored_steps(scene.data, scene.steps), usd=np.zeros((3, 2)))
    monkeypatch.setattr(run, "control_steps", lambda *_: control)
    for name in ("score_flows", "maps_at", "origins_of", "score_levels", "deciles", "by_leverage", "scale_drift"):
        keep(name, name)
    keep("score_if_reached", [])
    keep("_wide_bars")
    monkeypatch.setattr(run, "has_learner", lambda: False)
    monkeypatch.setattr(run, "gates_of", lambda found: [found])

    found = run.validate(Inputs(scene.data, scene.truth, 5 * MINUTE, ["read"], {"a": 1.0}), "NEWUSDT", "src")

    assert list(found.other_units) == ["1", "10000"]
    assert [given[4] for given in kept["score_flows"] if len(given) > 4] == [1.0, 10_000.0]
    assert [list(given[2]) for given in kept["score_flows"]] == [["walk", "other"], *[["walk"]] * 4]
    days, mapped, reported = kept["scale_drift"][0]
    assert (mapped == (2 + 5) * 2).all()  # the first margin of each class, both sides
    steps = kept["score_flows"][0][1]
    np.testing.assert_array_equal(reported, steps.usd[:, 0] + steps.usd[:, 1])
    np.testing.assert_array_equal(days, steps.days)
    assert [given[2] is steps for given in kept["score_levels"]] == [True, True, False, False]
    assert found.notes[:3] == ["read", run.NO_BRACKETS.format("NEWUSDT"), run.NO_LEARNER]
    assert found.facts == {
        "a": 1.0, "steps": steps.end.size, "first_step": str(steps.end[0]), "last_step": str(steps.end[-1]),
    }  # fmt: skip
    assert (found.symbol, found.source, found.boosted, found.gates) == ("NEWUSDT", "src", None, [found])

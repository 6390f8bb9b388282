"""The words of the report follow its figures: what they do not carry is not claimed."""

from dataclasses import replace

import pytest

from liq_pipeline.model.scoring import Estimate
from liq_pipeline.validation.claims import FORMULAS_TRIED, WALKS_TRIED, claims
from liq_pipeline.validation.command import run_validation
from liq_pipeline.validation.run import gates_of
from liq_pipeline_tests.validation.conftest import frames, write

pytestmark = pytest.mark.whole_run

GOOD, NONE, BAD = Estimate(0.05, 0.03, 0.07), Estimate(0.0, -0.01, 0.01), Estimate(-0.05, -0.07, -0.03)


@pytest.fixture(scope="module")
def found(tmp_path_factory, scene):
    files = write(tmp_path_factory.mktemp("claims"), frames(scene))
    return run_validation(files.klines, files.open_interest, files.liquidations, "15m", "BTCUSDT")


def parts(validation):
    """What may be claimed, and what may not."""
    may, may_not = claims(validation).split("**What may not.**")
    return may, may_not


def with_gain_over_move(found, figure):
    rows = {name: replace(row, gain_over_move=figure) for name, row in found.flows.rows.items()}
    return replace(found, flows=replace(found.flows, rows=rows))


@pytest.mark.parametrize(("figure", "holds"), [(GOOD, True), (NONE, False), (BAD, False)])
def test_better_than_distance_alone_is_claimed_only_where_the_interval_lies_above_0(found, figure, holds):
    may, may_not = parts(with_gain_over_move(found, figure))
    assert ("the map tells better than distance alone" in may) == holds
    assert ("Not that the map tells more than how far price moves" in may_not) != holds


@pytest.mark.parametrize(("figure", "holds"), [(GOOD, True), (NONE, False), (BAD, False)])
def test_more_than_a_learner_knows_is_claimed_only_where_the_interval_lies_above_0(found, figure, holds):
    other = replace(found, boosted=replace(found.boosted, gain=figure))
    may, may_not = parts(other)
    assert ("to gradient boosting on price and volume" in may) == holds
    assert ("Not that the map knows more than a flexible learner" in may_not) != holds
    (gate,) = [gate for gate in gates_of(other) if gate.number == 9]
    assert gate.passed == holds


def test_without_a_learner_nothing_is_claimed_against_it_and_no_gate_pretends(found):
    other = replace(found, boosted=None)
    assert "none was trained" in parts(other)[1]
    assert 9 not in [gate.number for gate in gates_of(other)]


@pytest.mark.parametrize(
    ("coverage", "gain", "holds"), [(0.79, GOOD, True), (0.74, GOOD, False), (0.86, GOOD, False), (0.8, NONE, False)]
)
def test_ranges_are_claimed_by_horizon_only_where_they_hold_and_are_sharper(found, coverage, gain, holds):
    scores = [replace(one, coverage_80=coverage, crps_gain_over_distance=gain) for one in found.if_reached[:1]]
    assert scores
    may, may_not = parts(replace(found, if_reached=scores))
    said = f"{scores[0].horizon_hours} h: {coverage:.2f} inside"
    assert (said in may) == holds
    assert (said in may_not) != holds
    assert "too little truth" in parts(replace(found, if_reached=[]))[1]


@pytest.mark.parametrize(("figure", "holds"), [(GOOD, True), (NONE, False)])
def test_open_interest_is_claimed_only_where_it_beats_constant_open_interest(found, figure, holds):
    against = found.flows.against | {"walk - constant open interest": (figure, figure)}
    may, may_not = parts(replace(found, flows=replace(found.flows, against=against)))
    assert ("Open interest adds to turnover" in may) == holds
    assert ("Not that open interest adds anything over turnover" in may_not) != holds


@pytest.mark.parametrize(("figure", "holds"), [(GOOD, True), (NONE, False)])
def test_levels_are_claimed_only_where_they_beat_another_days_map(found, figure, holds):
    levels = {hours: replace(one, auc_gain=figure) for hours, one in found.levels.items() if one}
    assert levels
    may, may_not = parts(replace(found, levels=levels))
    for hours in levels:
        assert (f"Levels {hours} h ahead beat another day's map" in may) == holds
        assert (f"Not that levels {hours} h ahead beat another day's map" in may_not) != holds


def test_how_many_variants_were_tried_is_printed(found):
    assert f"{WALKS_TRIED} variants of the walk and {FORMULAS_TRIED} formulas were tried" in claims(found)

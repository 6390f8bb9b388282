"""Where the bar of each gate lies: what just reaches it passes, what just misses it does not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from liq_pipeline.model.ablations import LEGACY, MAIN
from liq_pipeline.model.scoring import Estimate
from liq_pipeline.validation.run import Gate, gates_of

OVER_MOVE, OVER_LEGACY = f"{MAIN} - adverse move", f"{MAIN} - {LEGACY}"


def at(value: float, low: float = 0.001) -> Estimate:
    return Estimate(value, low, value + 0.1)


def answered(**changes: Any) -> dict[int, Gate]:
    """Return the gates of figures that just reach every bar, but for what is changed."""
    just = {
        "over_move": at(0.03), "rho_over_move": at(0.03), "gain_over_move": at(0.05, 0.021),
        "gain_over_path": at(0.010), "over_legacy": at(0.25), "rho_over_legacy": at(0.20),
        "control": SimpleNamespace(auc_gain=at(0.008)), "level": SimpleNamespace(auc_gain=at(0.001), cases=50),
        "ablations": 7, "wide_bars": object(), "bar_minutes": 5, "learner": at(0.001),
    } | changes  # fmt: skip
    one = SimpleNamespace(alone=at(0.5), rho=at(0.6), **{n: just[n] for n in ("gain_over_move", "gain_over_path")})
    learner = SimpleNamespace(gain=just["learner"], alone=at(0.6))
    found: Any = SimpleNamespace(
        flows=SimpleNamespace(
            rows=dict.fromkeys([MAIN, *map(str, range(just["ablations"] - 1))], one),
            against={
                OVER_MOVE: (just["over_move"], just["rho_over_move"]),
                OVER_LEGACY: (just["over_legacy"], just["rho_over_legacy"]),
            },
            move=at(0.4), path=at(0.45), move_rho=at(0.5),
        ),
        level_control={24: just["control"], 72: None}, levels={24: just["level"], 72: None},
        wide_bars=just["wide_bars"], facts={"bar_minutes": just["bar_minutes"]},
        boosted=learner if just["learner"] else None,
    )  # fmt: skip
    return {gate.number: gate for gate in gates_of(found)}


def test_what_reaches_every_bar_passes_all_gates() -> None:
    gates = answered()
    assert list(gates) == [1, 2, 3, 4, 5, 6, 7, 9]
    assert all(gate.passed for gate in gates.values())


@pytest.mark.parametrize(
    ("gate", "changes"),
    [
        (1, {"over_move": at(0.0299)}),
        (1, {"over_move": at(0.03, low=0)}),
        (2, {"gain_over_move": at(0.0499, low=0.021)}),
        (2, {"gain_over_move": at(0.05, low=0.02)}),
        (3, {"gain_over_path": at(0.0099)}),
        (3, {"gain_over_path": at(0.010, low=0)}),
        (4, {"over_legacy": at(0.249)}),
        (4, {"rho_over_legacy": at(0.199)}),
        (5, {"rho_over_move": at(0.0299)}),
        (6, {"control": SimpleNamespace(auc_gain=at(0.0079))}),
        (6, {"control": SimpleNamespace(auc_gain=at(0.008, low=0))}),
        (6, {"control": None}),
        (7, {"ablations": 6}),
        (7, {"wide_bars": None}),
        (7, {"wide_bars": None, "bar_minutes": 59}),
        (9, {"learner": at(0.001, low=0)}),
    ],
)
def test_what_misses_one_bar_fails_that_gate_alone(gate: int, changes: dict[str, Any]) -> None:
    assert [number for number, one in answered(**changes).items() if not one.passed] == [gate]


def test_bars_of_an_hour_have_no_wider_ones_to_print() -> None:
    gate = answered(wide_bars=None, bar_minutes=60)[7]
    assert gate.passed
    assert "could not be built" not in gate.found
    assert "could not be built" in answered(wide_bars=None, bar_minutes=5)[7].found


@pytest.mark.parametrize("missing", ["control", "level"])
def test_too_few_days_for_levels_are_said(missing: str) -> None:
    assert answered(**{missing: None})[6].found == "too few days"


def test_without_a_learner_its_gate_is_not_asked() -> None:
    assert 9 not in answered(learner=None)


def test_ablations_are_told_as_what_they_gain_on_the_walk() -> None:
    told = answered(over_move=at(0.031), over_legacy=at(-0.2))[7].found
    assert told.startswith(f"adverse move -0.031; {LEGACY} +0.200 (R² minus the walk's)")

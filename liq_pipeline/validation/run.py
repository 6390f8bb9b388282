"""One validation: every figure of model.md 6 on one set, with the gates that it must pass."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, is_dataclass, replace
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from liq_pipeline.errors import LiqError, NoData
from liq_pipeline.model.ablations import LEGACY, MAIN, Exposure, all_exposures, walk_exposure
from liq_pipeline.model.alignment import MarketData, Steps, coarsen, match_steps
from liq_pipeline.model.boosted import BoostedScores, has_learner, score_boosted
from liq_pipeline.model.bracket_evidence import BracketTest
from liq_pipeline.model.if_reached import HORIZON_HOURS
from liq_pipeline.model.margin import SIDES, has_own_brackets, leverages_used
from liq_pipeline.model.price_levels import PriceLevelScore
from liq_pipeline.model.scale import Scale, scale_drift
from liq_pipeline.model.scoring import Estimate
from liq_pipeline.model.scoring_flows import FlowScores, by_leverage, deciles, main_features, score_flows
from liq_pipeline.model.scoring_if_reached import IfReachedScore, score_if_reached
from liq_pipeline.model.scoring_levels import HORIZONS, LevelScores, control_steps, maps_at, origins_of, score_levels
from liq_pipeline.model.walk import MODEL_NAME, WalkParameters, model_version, parameters_in_use, walk
from liq_pipeline.validation.inputs import COARSE_OPEN_INTEREST, Inputs

WARM_UP = np.timedelta64(1, "D")
FEWEST_STEPS = 150
FEWEST_DAYS = 8
CHURN_OF_COARSE = 0.2  # churn where open interest is hourly or so (model.md 3: 0.1 to 0.3)
WIDE = np.timedelta64(60, "m")
OTHER_UNITS_USD = (1.0, 10_000.0)


NO_LEARNER = "scikit-learn is not installed: no boosted baseline. To do: pip install 'liq_pipeline[validate]'"
NO_BRACKETS = "{} has no margin brackets of its own: the default (1.5 %, at most 50x) stands in"


@dataclass(frozen=True)
class Gate:
    """One gate of docs/validation.md."""

    number: int
    statement: str
    passed: bool
    found: str


@dataclass
class Validation:
    """What a validation found. `as_json` gives all of it."""

    symbol: str
    source: str
    notes: list[str]
    facts: dict[str, Any]
    parameters: dict[str, Any]
    flows: FlowScores
    other_units: dict[str, FlowScores]
    wide_bars: FlowScores | None
    flow_control: FlowScores
    shuffled_truth: FlowScores
    levels: dict[int, LevelScores | None]
    level_control: dict[int, LevelScores | None]
    reliability: list[dict[str, float]]
    leverage: list[dict[str, float]]
    scale: Scale
    if_reached: list[IfReachedScore]
    boosted: BoostedScores | None
    brackets: BracketTest | None = None
    price_levels: PriceLevelScore | None = None
    gates: list[Gate] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether every gate holds."""
        return all(gate.passed for gate in self.gates)

    def as_json(self) -> dict[str, Any]:
        """Return every figure as plain numbers, NaN as null."""
        found: dict[str, Any] = _plain(self)
        return {"model": {"name": MODEL_NAME, "version": model_version()}, "passed": self.passed, **found}


@threadpool_limits.wrap(limits=1)  # some thousand rows: threads wait for each other, and for other processes' threads
def validate(inputs: Inputs, symbol: str, source: str = "", churn_per_turnover: float | None = None) -> Validation:
    """Score the model on one set.

    Args:
        inputs: bars, open interest, truth.
        symbol: decides the margin brackets.
        source: name of the source of truth, for the report.
        churn_per_turnover: churn; None for the model's default, which depends on how often open interest is known.

    Raises:
        NoData: too little data to score.
    """
    data, parameters = inputs.data, parameters_of(inputs, churn_per_turnover)
    steps = scored_steps(data, match_steps(data, inputs.truth))
    if steps.end.size < FEWEST_STEPS or round(steps.days[-1], 1) < FEWEST_DAYS:
        covered = f"{steps.days[-1]:.1f} days" if steps.end.size else "no time"
        raise NoData(
            f"{steps.end.size} steps over {covered} have bars, open interest and truth",
            expected=f"at least {FEWEST_STEPS} steps over {FEWEST_DAYS} days, beside one day of warm-up",
            remedy="give files that overlap for longer; check the stamps of all three",
        )
    walked = walk(data.walk_input, symbol, parameters)
    exposures = all_exposures(data, symbol, parameters)
    main = {MAIN: exposures[MAIN]}
    control = control_steps(walked, data, steps)
    shuffled = replace(steps, usd=_by_days_shuffled(steps))
    mapped = sum(steps.summed(exposures[MAIN][side][:, :, 0].sum(axis=1)) for side in SIDES)
    maps = maps_at(walked, data, origins_of(data, steps))
    ladder = leverages_used(symbol, parameters.ladder, data.walk_input.ts[0], data.walk_input.ts[-1])
    found = Validation(
        symbol=symbol,
        source=source,
        notes=[*inputs.notes, *([] if has_own_brackets(symbol) else [NO_BRACKETS.format(symbol)]),
               *([] if has_learner() else [NO_LEARNER])],
        facts={**inputs.facts, "steps": int(steps.end.size), "first_step": str(steps.end[0]),
               "last_step": str(steps.end[-1])},
        parameters={**asdict(parameters), "ladder": ladder, "interval": "95 %, circular blocks of 3 days"},
        flows=score_flows(data, steps, exposures, MAIN),
        other_units={f"{unit:g}": score_flows(data, steps, main, MAIN, unit) for unit in OTHER_UNITS_USD},
        wide_bars=_wide_bars(inputs, symbol, parameters, exposures[MAIN]),
        flow_control=score_flows(data, control, main, MAIN),
        shuffled_truth=score_flows(data, shuffled, main, MAIN),
        levels={hours: score_levels(walked, data, steps, hours, maps) for hours in HORIZONS},
        level_control={hours: score_levels(walked, data, control, hours, maps) for hours in HORIZONS},
        reliability=deciles(data, steps, exposures[MAIN]),
        leverage=by_leverage(data, steps, exposures[MAIN]),
        scale=scale_drift(steps.days, np.asarray(mapped), steps.usd.sum(axis=1)),
        if_reached=score_if_reached(walked, data, steps),
        boosted=score_boosted(data, steps, *main_features(data, steps, exposures[MAIN])) if has_learner() else None,
    )  # fmt: skip
    found.notes += _lacking(found.if_reached)
    found.gates = gates_of(found)
    return found


def parameters_of(inputs: Inputs, churn_per_turnover: float | None = None) -> WalkParameters:
    """Return the walk's parameters; the default of the churn depends on how often open interest is known."""
    default = parameters_in_use()
    if churn_per_turnover is None:
        is_coarse = inputs.open_interest_step >= COARSE_OPEN_INTEREST
        churn_per_turnover = CHURN_OF_COARSE if is_coarse else default.churn_per_turnover
    return replace(default, churn_per_turnover=churn_per_turnover)


def _lacking(scores: list[IfReachedScore]) -> list[str]:
    """Say which horizons of "if reached" could not be scored."""
    scored = {one.horizon_hours for one in scores}
    lacking = ", ".join(f"{hours} h" for hours in HORIZON_HOURS if hours not in scored)
    return [f"if reached: too few targets were reached, or too few days are known, for {lacking}"] if lacking else []


def gates_of(found: Validation) -> list[Gate]:
    """Return the gates that one set can answer."""
    flows, row = found.flows, found.flows.rows[MAIN]
    over_move, rho_over_move = flows.against[f"{MAIN} - adverse move"]
    over_legacy, rho_over_legacy = flows.against[f"{MAIN} - {LEGACY}"]
    control = found.level_control[HORIZONS[0]]
    level = found.levels[HORIZONS[0]]
    wide_is_printed = found.wide_bars is not None or found.facts["bar_minutes"] >= 60
    return [
        Gate(1, "walk alone beats the adverse move alone: R² ≥ +.03, interval above 0",
             over_move.value >= 0.03 and over_move.low > 0,
             f"{text(over_move)}; {flows.rows[MAIN].alone.value:.3f} against {flows.move.value:.3f}"),
        Gate(2, "added to the adverse move: R² ≥ +.05, lower end > +.02",
             row.gain_over_move.value >= 0.05 and row.gain_over_move.low > 0.02, text(row.gain_over_move)),
        Gate(3, "added to price + VWAP path: R² ≥ +.010, lower end > 0",
             row.gain_over_path.value >= 0.010 and row.gain_over_path.low > 0,
             f"{text(row.gain_over_path)} on {flows.path.value:.3f}"),
        Gate(4, "beats the legacy system: R² ≥ +.25 and Spearman ≥ +.20",
             over_legacy.value >= 0.25 and rho_over_legacy.value >= 0.20,
             f"R² {text(over_legacy)}, Spearman {text(rho_over_legacy)}"),
        Gate(5, "Spearman of the walk alone ≥ adverse move + .03",
             rho_over_move.value >= 0.03,
             f"{row.rho.value:.3f} against {flows.move_rho.value:.3f}: {text(rho_over_move)}"),
        Gate(6, "levels: the positive control shows AUC ≥ +.008 over another day's map, interval above 0",
             control is not None and control.auc_gain.value >= 0.008 and control.auc_gain.low > 0,
             "too few days" if control is None or level is None else
             f"control {text(control.auc_gain)}; reported {text(level.auc_gain)} ({level.cases} cases)"),
        Gate(7, "every ablation printed, also where it wins", len(flows.rows) >= 7 and wide_is_printed,
             "; ".join(f"{name.removeprefix(f'{MAIN} - ')} {-gap.value:+.3f}"
                       for name, (gap, _) in flows.against.items()) + " (R² minus the walk's)"
             + ("" if wide_is_printed else "; 60-minute bars could not be built")),
        *_learner_gate(found.boosted),
    ]  # fmt: skip


def _learner_gate(boosted: BoostedScores | None) -> list[Gate]:
    """Return the gate against a flexible learner; none where none was trained. Gate 8 is the simulated exchange's."""
    if boosted is None:
        return []
    gain = boosted.gain
    return [
        Gate(9, "added to gradient boosting on price and volume: R² interval above 0", gain.low > 0,
             f"{text(gain)} on {boosted.alone.value:.3f}")
    ]  # fmt: skip


def text(figure: Estimate) -> str:
    """Return `+0.071 [+0.052, +0.090]`."""
    return f"{figure.value:+.3f} [{figure.low:+.3f}, {figure.high:+.3f}]"


def scored_steps(data: MarketData, steps: Steps) -> Steps:
    """Leave out the warm-up: the first day has no positions yet."""
    ts = data.walk_input.ts
    return steps.pick(ts[steps.first] > ts[0] + WARM_UP)


def _wide_bars(inputs: Inputs, symbol: str, parameters: WalkParameters, exposure: Exposure) -> FlowScores | None:
    """Score bars of 60 minutes beside the bars as they are, on the same steps of 60 minutes or more."""
    data = inputs.data
    if data.width >= WIDE or WIDE % data.width:
        return None
    try:
        wide = coarsen(data, WIDE)
        if not wide.known[0]:
            wide = replace(wide, known=np.append([True], wide.known[1:]))
        steps = scored_steps(wide, match_steps(wide, inputs.truth))
        if steps.end.size < FEWEST_STEPS:
            return None
        # The narrow bars' exposure summed to the wide ones: both are judged on the same steps.
        first = np.searchsorted(data.walk_input.ts, wide.walk_input.ts) - int(WIDE / data.width) + 1
        rows = first[:, None] + np.arange(int(WIDE / data.width))
        narrow: Exposure = {side: exposure[side][rows].sum(axis=1) for side in SIDES}
        return score_flows(
            wide, steps, {MAIN: narrow, "walk on 60-minute bars": walk_exposure(wide, symbol, parameters)}, MAIN
        )
    except LiqError:
        return None


def _by_days_shuffled(steps: Steps, seed: int = 5) -> np.ndarray:
    """Return the truth with whole days exchanged: its clustering stays, what belongs to a bar does not."""
    day = np.floor(steps.days).astype(int)
    order = np.random.default_rng(seed).permutation(np.unique(day))
    rows = np.concatenate([np.flatnonzero(day == one) for one in order])
    return np.asarray(steps.usd[rows])


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {name: _plain(item) for name, item in vars(value).items()}
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value

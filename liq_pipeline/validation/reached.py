"""Fits "if reached" on every source of a symbol's liquidations: the past up to now, and what that was worth."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from liq_pipeline.errors import LiqError, NoData
from liq_pipeline.model.alignment import match_steps
from liq_pipeline.model.scoring_if_reached import DISTANCE_ONLY, IfReachedScore, score_if_reached
from liq_pipeline.model.walk import walk
from liq_pipeline.published.if_reached import ReachedFit, plain
from liq_pipeline.validation.inputs import Inputs, read_inputs
from liq_pipeline.validation.run import parameters_of, scored_steps


def fit_sources(
    klines: Path, open_interest: Path, sources: Mapping[str, Path], bar_minutes: int, symbol: str
) -> tuple[list[ReachedFit], dict[str, str]]:
    """Fit each source and horizon on all that is known, and score it on the past, each day fitted on the days before.

    Args:
        klines, open_interest: files as `liq validate` reads them.
        sources: reported liquidations by name.
        bar_minutes: width of a bar.
        symbol: whose.

    Returns:
        The fits; and by source, in words, why it cannot be used. That does not stop another. One with too little in it
        (yet) is no fault: it has no fit.
    """
    fits: list[ReachedFit] = []
    why: dict[str, str] = {}
    for name, path in sources.items():
        try:
            inputs = read_inputs(klines, open_interest, path, bar_minutes=bar_minutes, symbol=symbol)
            scores, until = _scores(inputs, symbol)
        except NoData:
            continue
        except Exception as error:  # whatever is in a file of somebody else's
            why[name] = f"{path}: {error if isinstance(error, LiqError) else f'{type(error).__name__}: {error}'}"
            continue
        fits += [_fit(name, one, until) for one in scores]
    return fits, why


def _scores(inputs: Inputs, symbol: str) -> tuple[list[IfReachedScore], str]:
    steps = scored_steps(inputs.data, match_steps(inputs.data, inputs.truth))
    if not steps.end.size:
        return [], ""
    walked = walk(inputs.data.walk_input, symbol, parameters_of(inputs))
    until = np.datetime_as_string(steps.end[-1], "s") + "Z"
    return score_if_reached(walked, inputs.data, steps, (DISTANCE_ONLY,)), until


def _fit(source: str, one: IfReachedScore, until: str) -> ReachedFit:
    gain = one.crps_gain_over_distance
    return ReachedFit.model_validate(
        {
            "source": source, "horizon_hours": one.horizon_hours, "days_of_truth": one.days, "cases": one.cases,
            "scored_from_day": one.scored_from_day, "coverage_80": one.coverage_80, "range_ratio": one.width_80,
            "crps_gain_over_distance": plain(gain.value), "crps_gain_over_distance_low": plain(gain.low),
            "crps_gain_over_distance_high": plain(gain.high), "fitted_until": until, "parameters": one.parameters,
        }
    )  # fmt: skip

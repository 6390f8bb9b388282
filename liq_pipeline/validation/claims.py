"""What a validation allows to be claimed: every sentence is chosen by the figures."""

from __future__ import annotations

from liq_pipeline.model.ablations import MAIN
from liq_pipeline.model.scoring import Estimate
from liq_pipeline.model.scoring_if_reached import IfReachedScore
from liq_pipeline.validation.run import Validation, text

WALKS_TRIED, FORMULAS_TRIED = 122, 36
"""Variants of the walk, and formulas of "if reached", that were compared before these were chosen (model.md, forecast
study, and 47 for version 2): who tries many finds one that fits by chance."""
CALIBRATED = (0.75, 0.85)
ALWAYS = (
    'Not where price goes. Not "x % accuracy". Notional on the map is exposure, not a forecast: far more is mapped '
    "than is reported. The skill sits above 60x; tiers at or below 25x are bookkeeping. No magnet effect was measured."
)


def claims(found: Validation) -> str:
    """Return what may and what may not be claimed, in Markdown."""
    said = [_flows(found), _learner(found), *_reached(found.if_reached), _open_interest(found), *_levels(found)]
    may = " ".join(sentence for sentence, holds in said if holds) or "Nothing on this set."
    may_not = " ".join([*(sentence for sentence, holds in said if not holds), ALWAYS])
    return (
        f"**What may be claimed.** {may} Levels are *estimated*.\n\n**What may not.** {may_not}\n\n"
        f"Before this model was chosen, {WALKS_TRIED} variants of the walk and {FORMULAS_TRIED} formulas were tried on "
        "the sets of docs/validation.md: figures on those sets flatter; figures on others do not."
    )


def is_above(figure: Estimate) -> bool:
    """Whether a figure and its whole interval lie above 0."""
    return figure.value > 0 and figure.low > 0


def _flows(found: Validation) -> tuple[str, bool]:
    gain = found.flows.rows[MAIN].gain_over_move
    if is_above(gain):
        return (
            "Given how far price moves, the map tells better than distance alone how much gets liquidated in the next "
            f"bar: R² {text(gain)} added to the adverse move.",
            True,
        )
    return f"Not that the map tells more than how far price moves: R² {text(gain)} added to it.", False


def _learner(found: Validation) -> tuple[str, bool]:
    if found.boosted is None:
        return "Not that the map tells more than a flexible learner on price and volume: none was trained.", False
    gain = found.boosted.gain
    if is_above(gain):
        return f"It adds R² {text(gain)} to gradient boosting on price and volume.", True
    return f"Not that the map knows more than a flexible learner on price and volume: R² {text(gain)} added.", False


def _reached(scores: list[IfReachedScore]) -> list[tuple[str, bool]]:
    if not scores:
        return [("Nothing about what gets liquidated if a price is reached: too little truth.", False)]
    good: list[IfReachedScore] = []
    rest: list[IfReachedScore] = []
    for one in scores:
        is_good = is_above(one.crps_gain_over_distance) and CALIBRATED[0] <= one.coverage_80 <= CALIBRATED[1]
        (good if is_good else rest).append(one)

    def figures(some: list[IfReachedScore]) -> str:
        return "; ".join(
            f"{one.horizon_hours} h: {one.coverage_80:.2f} inside, CRPS {text(one.crps_gain_over_distance)}"
            for one in some
        )

    held = f"Ranges of what gets liquidated if a price is reached hold and beat distance alone ({figures(good)})."
    failed = f"Not that ranges hold about eight of ten cases and beat distance alone at {figures(rest)}."
    return [*([(held, True)] if good else []), *([(failed, False)] if rest else [])]


def _open_interest(found: Validation) -> tuple[str, bool]:
    gap, _ = found.flows.against[f"{MAIN} - constant open interest"]
    if is_above(gap):
        return f"Open interest adds to turnover: R² {text(gap)} over constant open interest.", True
    return f"Not that open interest adds anything over turnover: R² {text(gap)} over constant open interest.", False


def _levels(found: Validation) -> list[tuple[str, bool]]:
    said = []
    for hours, one in found.levels.items():
        if one is None:
            continue
        if is_above(one.auc_gain):
            said.append(
                (f"Levels {hours} h ahead beat another day's map at equal distances: AUC {text(one.auc_gain)}.", True)
            )
        else:
            said.append(
                (f"Not that levels {hours} h ahead beat another day's map: AUC {text(one.auc_gain)}.", False)
            )  # fmt: skip
        distance = one.auc["farthest first"].value - one.auc["map"].value
        if distance > 0:
            said.append(
                (f"Mere distance ranks bins reached within {hours} h better than the map (AUC {distance:+.3f}).", False)
            )  # fmt: skip
    return said

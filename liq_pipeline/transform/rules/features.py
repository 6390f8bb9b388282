"""Do the features say what the positions say?"""

from __future__ import annotations

from itertools import pairwise

from liq_pipeline.model.features import DISTANCES_PCT
from liq_pipeline.model.margin import SIDES
from liq_pipeline.transform.features import within_column
from liq_pipeline.transform.rules.rule import Outcome, Rule, Subject

_TOLERANCE = 1e-6  # of a side's notional: sums over many cells
_ROUNDING = 1 / 16_000  # of each amount: `rounded`


def features_are_the_living_positions(subject: Subject) -> Outcome:
    """The newest row holds what the living positions give, summed anew."""
    rows = subject.sql("SELECT * FROM liquidation_features WHERE symbol = $symbol ORDER BY ts DESC LIMIT 1").to_pylist()
    newest = subject.newest
    if not rows or rows[0]["ts"] != newest["as_of"]:
        return Outcome(False, f"the newest row is of {rows[0]['ts'] if rows else 'no bar'}, not {newest['as_of']}")
    price, wrong = newest["current_price"], []
    for side in SIDES:
        cells = subject.living[side]
        usd = cells.contracts * cells.liquidation_price
        reach = -1 if side == "long" else 1
        sums = {f"{side}_notional_usd": usd.sum()}
        for pct in DISTANCES_PCT:
            edge = price * (1 + reach * pct / 100)  # as the model has it, to the bit: no cell may fall between
            sums[within_column(side, pct)] = usd[reach * cells.liquidation_price <= reach * edge].sum()
        wrong += [
            f"{name} {rows[0][name]:,.0f}, summed {value:,.0f}"
            for name, value in sums.items()
            if not abs(rows[0][name] - value) <= _ROUNDING * value + _TOLERANCE * max(usd.sum(), 1)
        ]
    return Outcome(not wrong, "; ".join(wrong) or f"{rows[0]['ts']:%Y-%m-%d %H:%M} UTC: both sides agree")


def wider_holds_more(subject: Subject) -> Outcome:
    """Within 0.5 % lies no more than within 1 %, and so on up to the whole side; nothing is negative."""
    broken = []
    for side in SIDES:
        names = ["0", *(within_column(side, pct) for pct in DISTANCES_PCT), f"{side}_notional_usd"]
        broken += [f"{lower} > {upper} * (1 + 1e-6)" for lower, upper in pairwise(names)]
    found = subject.sql(
        f"SELECT count(*) FILTER ({' OR '.join(broken)}) AS wrong, count(*) AS rows, "
        f"min(ts) FILTER ({' OR '.join(broken)}) AS first FROM liquidation_features WHERE symbol = $symbol"
    ).to_pylist()[0]
    text = f"{found['wrong']} of {found['rows']} bars hold more near the price than further away"
    return Outcome(not found["wrong"], text + (f", the first {found['first']}" if found["wrong"] else ""))


def feature_rules() -> list[Rule]:
    """Return what the features must hold."""
    return [
        Rule(
            "liquidation_features",
            "features_are_the_living_positions",
            features_are_the_living_positions,
            "The newest row equals sums over the living positions, made anew.",
            blocking=True,
        ),
        Rule(
            "liquidation_features",
            "wider_holds_more",
            wider_holds_more,
            "Each wider distance holds at least what the narrower one holds; the whole side holds most.",
            blocking=True,
        ),
    ]

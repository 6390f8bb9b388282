"""Which rules run together: those that guard one step's tables, in one step of their own."""

from collections.abc import Sequence
from functools import cache

import dagster as dg

from liq_pipeline.checks.freshness import freshness_rules
from liq_pipeline.checks.gates import gate_rules
from liq_pipeline.checks.heatmaps import heatmap_rules
from liq_pipeline.checks.integrity import integrity_rules
from liq_pipeline.checks.invariants import invariant_rules
from liq_pipeline.checks.plausibility import plausibility_rules
from liq_pipeline.checks.rule import Rule, checks_of
from liq_pipeline.warehouse.warehouse import BASE_TABLES, HEATMAP_TABLES, LEVEL_TABLES

STEPS = {
    "check_open_interest": ("open_interest",),
    "check_klines": ("klines",),
    "check_oi_delta": ("oi_delta",),
    "check_positions": ("position_cohorts", "position_survival"),
    "check_liquidation_levels": LEVEL_TABLES,
    "check_liquidation_heatmaps": HEATMAP_TABLES,
    "check_model_validation": ("model_validation",),
}


def all_checks(symbols: dg.PartitionsDefinition) -> Sequence[dg.AssetChecksDefinition]:
    """Return every check but those that the archive assets make themselves."""
    rules = all_rules()
    return [
        checks_of(step, [rule for rule in rules if rule.asset in assets], symbols) for step, assets in STEPS.items()
    ]


@cache
def all_rules() -> tuple[Rule, ...]:
    """Return every rule."""
    return (
        *freshness_rules(),
        *integrity_rules(),
        *plausibility_rules(),
        *invariant_rules(),
        *heatmap_rules(),
        *gate_rules(),
    )


def rules_of_every_bar() -> list[Rule]:
    """Return the rules that look at each new bar: those of the tables that it changes, but for the slow ones."""
    return [rule for rule in all_rules() if rule.every_bar and rule.asset in (*BASE_TABLES, *LEVEL_TABLES)]

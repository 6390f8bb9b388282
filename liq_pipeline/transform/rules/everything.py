"""Every rule there is."""

from __future__ import annotations

from functools import cache

from liq_pipeline.transform.rules.contract import contract_rules
from liq_pipeline.transform.rules.features import feature_rules
from liq_pipeline.transform.rules.freshness import freshness_rules
from liq_pipeline.transform.rules.gates import gate_rules
from liq_pipeline.transform.rules.heatmaps import heatmap_rules
from liq_pipeline.transform.rules.history import history_rules
from liq_pipeline.transform.rules.integrity import integrity_rules
from liq_pipeline.transform.rules.invariants import invariant_rules
from liq_pipeline.transform.rules.plausibility import plausibility_rules
from liq_pipeline.transform.rules.rule import Rule
from liq_pipeline.warehouse.schema import BASE_TABLES, FEATURES, LEVEL_TABLES


@cache
def all_rules() -> tuple[Rule, ...]:
    """Return every rule."""
    return (
        *freshness_rules(),
        *integrity_rules(),
        *contract_rules(),
        *plausibility_rules(),
        *invariant_rules(),
        *heatmap_rules(),
        *feature_rules(),
        *history_rules(),
        *gate_rules(),
    )


def rules_of_every_bar() -> list[Rule]:
    """Return the rules that look at each new bar: those of the tables that it changes, but for the slow ones."""
    return [rule for rule in all_rules() if rule.every_bar and rule.asset in (*BASE_TABLES, *LEVEL_TABLES, FEATURES)]

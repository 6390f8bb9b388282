"""Rules become Dagster checks. Those that guard one step's tables run in one step: a step each would cost more."""

from collections.abc import Iterator, Sequence

import dagster as dg

from liq_pipeline.orchestration.assets.common import check_result, now_and_then
from liq_pipeline.orchestration.resources import (
    ArchiveResource,
    ClockResource,
    PublisherResource,
    WarehouseResource,
)
from liq_pipeline.orchestration.universe import names_of
from liq_pipeline.published.if_reached import DATASET
from liq_pipeline.transform.rules.everything import all_rules
from liq_pipeline.transform.rules.rule import ERROR, WARN, Outcome, Result, Rule, Subject, evaluate
from liq_pipeline.warehouse.schema import FEATURES, HEATMAP_TABLES, LEVEL_TABLES

STEPS = {
    "check_open_interest": ("open_interest",),
    "check_klines": ("klines",),
    "check_oi_delta": ("oi_delta",),
    "check_positions": ("position_cohorts", "position_survival"),
    "check_liquidation_levels": LEVEL_TABLES,
    "check_liquidation_heatmaps": HEATMAP_TABLES,
    "check_liquidation_features": (FEATURES,),
    "check_model_validation": ("model_validation",),
    "check_liquidation_truth": ("bracket_evidence", DATASET),
}


def all_checks(symbols: dg.PartitionsDefinition) -> Sequence[dg.AssetChecksDefinition]:
    """Return every check but those that the archive assets make themselves."""
    rules = all_rules()
    return [
        checks_of(step, [rule for rule in rules if rule.asset in assets], symbols) for step, assets in STEPS.items()
    ]


def checks_of(name: str, rules: list[Rule], symbols: dg.PartitionsDefinition) -> dg.AssetChecksDefinition:
    """Return the Dagster checks that apply the rules to the symbol of the run, in one step.

    Args:
        name: name of the step.
        rules: what to look at.
        symbols: partitions; results are kept per symbol.
    """

    @dg.multi_asset_check(
        name=name,
        specs=[
            dg.AssetCheckSpec(
                rule.name,
                asset=rule.asset,
                description=rule.description,
                blocking=rule.blocking,
                partitions_def=symbols,
            )
            for rule in rules
        ],
        can_subset=True,
    )
    def checks(
        context: dg.AssetCheckExecutionContext,
        warehouse: WarehouseResource,
        archive: ArchiveResource,
        publisher: PublisherResource,
        clock: ClockResource,
    ) -> Iterator[dg.AssetCheckResult]:
        chosen = [
            rule
            for rule in rules
            if dg.AssetCheckKey(dg.AssetKey(rule.asset), rule.name) in context.selected_asset_check_keys
        ]
        # "Execute all" on a page of checks launches a run without a partition: then every symbol is looked at.
        wanted = [context.partition_key] if context.has_partition_key else names_of(symbols, context)
        outcomes: dict[Rule, dict[str, Outcome]] = {rule: {} for rule in chosen}
        tell = now_and_then(context.log.info)
        for symbol in wanted:
            with warehouse.opened(symbol) as tables:
                subject = Subject(symbol, tables, archive, publisher, clock)
                for number, rule in enumerate(chosen, 1):
                    tell(f"{symbol}: {rule.asset}: {rule.name}, {number} of {len(chosen)} checks")
                    outcomes[rule][symbol] = evaluate(rule, subject)
        for rule, by_symbol in outcomes.items():
            yield check_result(Result(rule.asset, rule.name, _together(by_symbol)))

    return checks


def _together(by_symbol: dict[str, Outcome]) -> Outcome:
    """Return one outcome for all symbols: the statement holds if it holds for each."""
    if len(by_symbol) == 1:
        return next(iter(by_symbol.values()))
    failed = [outcome for outcome in by_symbol.values() if not outcome.passed]
    return Outcome(
        not failed,
        "\n".join(f"{symbol}: {outcome.found}" for symbol, outcome in by_symbol.items()),
        ERROR if not failed or any(outcome.severity == ERROR for outcome in failed) else WARN,
    )

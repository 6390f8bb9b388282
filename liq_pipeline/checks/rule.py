"""One way to make a check: a pure function of the warehouse and a symbol becomes a Dagster check on an asset.

A rule returns an `Outcome`; its name is a statement that holds when it passes.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from liq_pipeline.clock import Clock
from liq_pipeline.resources import ArchiveSource
from liq_pipeline.warehouse.publish import Publisher
from liq_pipeline.warehouse.warehouse import Warehouse


@dataclass(frozen=True)
class Outcome:
    """What a rule found.

    Attributes:
        passed: whether the statement holds.
        found: in words, with numbers: what was read.
        severity: how bad it is if the statement does not hold.
        facts: numbers to keep and plot.
    """

    passed: bool
    found: str
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Subject:
    """What a rule may look at: one symbol, in the warehouse and in what is published."""

    symbol: str
    warehouse: Warehouse
    archive: ArchiveSource
    publisher: Publisher
    clock: Clock


Rule = Callable[[Subject], Outcome]


def check(
    asset: str, name: str, rule: Rule, symbols: dg.PartitionsDefinition, *, blocking: bool, description: str
) -> dg.AssetChecksDefinition:
    """Return the Dagster check that applies a rule to the symbol of the run.

    Args:
        asset: the asset it guards.
        name: the statement that holds when it passes.
        rule: what to look at.
        symbols: partitions; results are kept per symbol.
        blocking: whether what lies downstream must wait for it.
        description: what people read in the UI.
    """

    @dg.asset_check(
        asset=asset, name=name, blocking=blocking, description=description, partitions_def=symbols,
    )  # fmt: skip
    def evaluate(
        context: dg.AssetCheckExecutionContext,
        warehouse: Warehouse,
        archive: ArchiveSource,
        publisher: Publisher,
        clock: Clock,
    ) -> dg.AssetCheckResult:
        outcome = rule(Subject(context.partition_key, warehouse, archive, publisher, clock))
        return dg.AssetCheckResult(
            passed=outcome.passed, severity=outcome.severity, description=outcome.found, metadata=outcome.facts
        )

    return evaluate

"""One way to make a check: a rule, a pure function of a symbol's tables, becomes a Dagster check.

A rule's name is a statement that holds when it passes. The rules of one group of tables run in one step, over one
connection: a step for each rule would cost more than the rules.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import dagster as dg
import duckdb
import pyarrow as pa

from liq_pipeline.assets.common import WAREHOUSE_POOL, now_and_then
from liq_pipeline.assets.positions import walk_input_of
from liq_pipeline.clock import Clock
from liq_pipeline.model.walk import Walk, WalkInput, walk
from liq_pipeline.resources import ArchiveSource
from liq_pipeline.warehouse.publish import Publisher
from liq_pipeline.warehouse.warehouse import BEGINNING, Warehouse, arrow_rows, named_query

LISTED = 20  # instants; a longer list is cut
ERROR, WARN = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN


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
    severity: dg.AssetCheckSeverity = ERROR
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def is_error(self) -> bool:
        """Whether it says that something is wrong, not only odd."""
        return not self.passed and self.severity is ERROR

    def as_result(self, rule: "Rule") -> dg.AssetCheckResult:
        """Return it as Dagster takes it."""
        return dg.AssetCheckResult(
            asset_key=rule.asset, check_name=rule.name, passed=self.passed, severity=self.severity,
            description=self.found, metadata=self.facts,
        )  # fmt: skip


@dataclass
class Subject:
    """What a rule may look at: one symbol, in the warehouse and in what is published."""

    symbol: str
    connection: duckdb.DuckDBPyConnection
    archive: ArchiveSource
    publisher: Publisher
    clock: Clock

    def sql(self, text: str, **parameters: Any) -> pa.Table:
        """Run a query on the warehouse; `$symbol` is bound where the query names it."""
        if re.search(r"\$symbol\b", text):
            parameters["symbol"] = self.symbol
        return arrow_rows(self.connection, text, parameters)

    @cached_property
    def newest(self) -> dict[str, Any]:
        """The newest bar: as_of, first_ts, current_price, open_interest."""
        row: dict[str, Any] = self.sql(named_query("newest_bar")).to_pylist()[0]
        return row

    @cached_property
    def bars(self) -> WalkInput:
        """What the walk reads."""
        return walk_input_of(self.sql(named_query("walk_input"), since=BEGINNING))

    @cached_property
    def walked(self) -> Walk:
        """The walk over the stored bars, computed now."""
        return walk(self.bars, self.symbol)


@dataclass(frozen=True)
class Rule:
    """A statement about an asset, and how to find out.

    Attributes:
        asset: the asset it guards.
        name: the statement that holds when it passes.
        apply: looks at a symbol.
        description: what people read in the UI.
        blocking: whether what lies downstream must wait for it.
        every_bar: whether it looks at each new bar; False: too slow for that, only a full run applies it.
    """

    asset: str
    name: str
    apply: Callable[[Subject], Outcome]
    description: str
    blocking: bool = False
    every_bar: bool = True


def checks_of(name: str, rules: list[Rule], symbols: dg.PartitionsDefinition) -> dg.AssetChecksDefinition:
    """Return the Dagster checks that apply the rules to the symbol of the run, in one step.

    Args:
        name: name of the step.
        rules: what to look at.
        symbols: partitions; results are kept per symbol.
    """

    @dg.multi_asset_check(
        name=name,
        pool=WAREHOUSE_POOL,
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
        warehouse: Warehouse,
        archive: ArchiveSource,
        publisher: Publisher,
        clock: Clock,
    ) -> Iterator[dg.AssetCheckResult]:
        chosen = [
            rule
            for rule in rules
            if dg.AssetCheckKey(dg.AssetKey(rule.asset), rule.name) in context.selected_asset_check_keys
        ]
        # "Execute all" on a page of checks launches a run without a partition: then every symbol is looked at.
        wanted = [context.partition_key] if context.has_partition_key else symbols.get_partition_keys()
        outcomes: dict[Rule, dict[str, Outcome]] = {rule: {} for rule in chosen}
        tell = now_and_then(context.log.info)
        with warehouse.get_connection() as connection:
            for symbol in wanted:
                subject = Subject(symbol, connection, archive, publisher, clock)
                for number, rule in enumerate(chosen, 1):
                    tell(f"{symbol}: {rule.asset}: {rule.name}, {number} of {len(chosen)} checks")
                    outcomes[rule][symbol] = evaluate(rule, subject)
        for rule, by_symbol in outcomes.items():
            yield _together(by_symbol).as_result(rule)

    return checks


def evaluate(rule: Rule, subject: Subject) -> Outcome:
    """Apply a rule to a symbol."""
    try:
        return rule.apply(subject)
    except Exception as error:  # a rule that cannot tell has not passed; the others still speak
        return Outcome(False, f"the check itself failed: {type(error).__name__}: {error}")


def listed(items: list[str]) -> str:
    """Return the first items, and how many more there are."""
    more = f" and {len(items) - LISTED} more" if len(items) > LISTED else ""
    return ", ".join(items[:LISTED]) + more


def _together(by_symbol: dict[str, Outcome]) -> Outcome:
    """Return one outcome for all symbols: the statement holds if it holds for each."""
    if len(by_symbol) == 1:
        return next(iter(by_symbol.values()))
    failed = [outcome for outcome in by_symbol.values() if not outcome.passed]
    return Outcome(
        not failed,
        "\n".join(f"{symbol}: {outcome.found}" for symbol, outcome in by_symbol.items()),
        ERROR if not failed or any(outcome.severity is ERROR for outcome in failed) else WARN,
    )

"""What a rule is: a pure function of a symbol's tables. Its name is a statement that holds when it passes."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import pyarrow as pa

from liq_pipeline.clock import Clock
from liq_pipeline.exchange.sources import ArchiveSource
from liq_pipeline.model.levels import Cells
from liq_pipeline.model.margin import SIDES, Side
from liq_pipeline.model.walk import Walk, WalkInput, walk
from liq_pipeline.published.positions import Positions
from liq_pipeline.published.publish import Publisher
from liq_pipeline.transform.positions import stored_positions, walk_input_of
from liq_pipeline.warehouse.schema import BEGINNING, named_query
from liq_pipeline.warehouse.tables import Tables

Severity = Literal["ERROR", "WARN"]
LISTED = 20  # instants; a longer list is cut
ERROR: Severity = "ERROR"
WARN: Severity = "WARN"


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
    severity: Severity = ERROR
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def is_error(self) -> bool:
        """Whether it says that something is wrong, not only odd."""
        return not self.passed and self.severity == ERROR


@dataclass(frozen=True)
class Result:
    """What a check of an asset found."""

    asset: str
    check: str
    outcome: Outcome

    def as_published(self) -> dict[str, Any]:
        """Return it as manifests list it."""
        return {
            "asset": self.asset, "check": self.check, "passed": self.outcome.passed, "severity": self.outcome.severity,
        }  # fmt: skip


@dataclass
class Subject:
    """What a rule may look at: one symbol, in the warehouse and in what is published."""

    symbol: str
    tables: Tables
    archive: ArchiveSource
    publisher: Publisher
    clock: Clock

    def sql(self, text: str, **parameters: Any) -> pa.Table:
        """Run a query on the warehouse; `$symbol` is bound where the query names it."""
        if re.search(r"\$symbol\b", text):
            parameters["symbol"] = self.symbol
        return self.tables.sql(text, **parameters)

    @property
    def newest(self) -> dict[str, Any]:
        """The newest bar: as_of, first_ts, current_price, open_interest; each None where there is no bar."""
        return self.tables.newest_row(self.symbol)

    @cached_property
    def bars(self) -> WalkInput:
        """What the walk reads."""
        return walk_input_of(self.sql(named_query("walk_input"), since=BEGINNING))

    @property
    def positions(self) -> Positions:
        """What the table of positions holds."""
        return stored_positions(self.tables, self.symbol)

    @cached_property
    def living(self) -> dict[Side, Cells]:
        """The cells that are alive at the newest bar, per side."""
        cells = self.positions.living()
        return {
            side: Cells(**{name: values[cells.is_long == (side == "long")] for name, values in vars(cells).items()})
            for side in SIDES
        }

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

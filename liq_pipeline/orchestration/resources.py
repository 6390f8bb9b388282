"""What assets, checks and sensors are handed: what the other rooms offer, as Dagster's resources."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, Self

import dagster as dg
from dagster._core.storage.tags import PARTITION_NAME_TAG
from dagster_duckdb import DuckDBResource

from liq_pipeline.clock import Clock
from liq_pipeline.exchange.recorded import ORDERS
from liq_pipeline.exchange.report import Progress
from liq_pipeline.exchange.sources import ArchiveSource, RestSource
from liq_pipeline.orchestration.lease import lease
from liq_pipeline.published.publish import Publisher
from liq_pipeline.transform.cache import newest_warehouse
from liq_pipeline.validation.recorded import recording_at
from liq_pipeline.warehouse.warehouse import Warehouse


class Reporter(Protocol):
    """Somebody to tell about long work."""

    def track(self, label: str) -> Progress | None:
        """Return who is told about one piece of work; None if nobody listens."""

    def say(self, line: str) -> None:
        """Tell one line."""


class NoReporter:
    """Nobody listens: Dagster keeps its own record."""

    def track(self, label: str) -> Progress | None:
        """Return None."""

    def say(self, line: str) -> None:
        """Tell nobody."""


@contextmanager
def _work_on(symbol: str, context: dg.InitResourceContext, patience_seconds: float) -> Iterator[None]:
    """Hold the symbol while this run works on it: other machines write to the same bucket."""
    assert context.instance
    assert context.run
    with lease(context.instance, context.run.run_id, symbol, patience_seconds):
        yield


def _symbol_of(context: dg.InitResourceContext) -> str:
    """Return the symbol of the run; empty in a sensor, and in a run over all symbols."""
    return (context.run.tags if context.run else {}).get(PARTITION_NAME_TAG, "")


class ArchiveResource(ArchiveSource, dg.ConfigurableResource):
    """The exchange's archive and the local copy of it; where there is a bucket, the copy of what the bucket holds."""

    patience_seconds: float = 600

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Self]:
        """Yield this, with the files of the run's symbol as the bucket has them; what changed goes there at the end."""
        symbol = _symbol_of(context)
        if not (self.storage and symbol):
            yield self
            return
        with _work_on(symbol, context, self.patience_seconds), self.kept(symbol):
            yield self


class RestResource(RestSource, dg.ConfigurableResource):
    """The exchange's REST interface, which has the newest hours."""


class WarehouseResource(Warehouse, DuckDBResource):
    """The DuckDB files. The stock resource leaks its connection on errors and polls for the lock; ours does neither.

    It has the life of a run: the symbol's file stays open, and nobody else changes it, from the first step to the last.
    """

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Self]:
        """Yield this, with what it opens kept open."""
        with self.kept_open():
            yield self


class PublisherResource(Publisher, dg.ConfigurableResource):
    """Writes published files; where there is a bucket, the newest of it are here first, and no older warehouse."""

    patience_seconds: float = 600
    database: str = ""

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Self]:
        """Yield this: with the newest edition of the run's symbol, on which alone it may follow; else with all."""
        symbol = _symbol_of(context)
        if self.editions and symbol:
            warehouse = Warehouse(database=self.database)
            with _work_on(symbol, context, self.patience_seconds), newest_warehouse(warehouse, self, symbol):
                yield self
            return
        if self.editions:
            self.editions.fetch()
        yield self


class ClockResource(Clock, dg.ConfigurableResource):
    """Tells the time, in UTC."""


class TruthFiles(dg.ConfigurableResource):
    """Where reported liquidations are.

    Args:
        files: per symbol, files in a format of `liq validate`.
        problems: per symbol, sentences about how they are named.
        recorded: the folder of `liq record`.
    """

    files: dict[str, list[str]]
    problems: dict[str, list[str]]
    recorded: str

    def sources_of(self, symbol: str) -> dict[str, Path]:
        """Return every source of a symbol's liquidations by name: what is named, and what was recorded here."""
        named = {Path(name).stem: Path(name) for name in self.files.get(symbol, [])}
        place = Path(self.recorded)
        has_orders = (place / ORDERS / f"symbol={symbol}").is_dir()
        is_named = any(recording_at(path) == place for path in named.values())
        return named | ({place.name: place} if has_orders and not is_named else {})

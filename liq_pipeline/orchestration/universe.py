"""One partition a symbol: the named ones stand still; what `all`, `top:N` and patterns stand for changes by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import dagster as dg

from liq_pipeline.errors import LiqError
from liq_pipeline.exchange.preflight import find_universe
from liq_pipeline.settings import Settings
from liq_pipeline.symbols import has_selectors

SYMBOLS = "symbols"  # as Dagster names the set of partitions


class HasInstance(Protocol):
    """A context of Dagster's, of whatever kind."""

    @property
    def instance(self) -> dg.DagsterInstance:
        """Where partitions are kept."""


def partitions_of(settings: Settings) -> dg.PartitionsDefinition:
    """Return the set of partitions: a fixed one where each symbol is named, else one that grows and shrinks."""
    if has_selectors(settings):
        return dg.DynamicPartitionsDefinition(name=SYMBOLS)
    return dg.StaticPartitionsDefinition(list(settings.symbols))


def names_of(symbols: dg.PartitionsDefinition, context: HasInstance) -> Sequence[str]:
    """Return the symbols that have a partition now."""
    if isinstance(symbols, dg.DynamicPartitionsDefinition):
        return symbols.get_partition_keys(dynamic_partitions_store=context.instance)
    return symbols.get_partition_keys()


def universe_sensors(symbols: dg.PartitionsDefinition, settings: Settings) -> list[dg.SensorDefinition]:
    """Return the sensor that asks the archive which symbols are meant; none where each is named."""
    if not isinstance(symbols, dg.DynamicPartitionsDefinition):
        return []

    @dg.sensor(
        name="universe_sensor",
        minimum_interval_seconds=6 * 3600,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Every six hours: which symbols are {', '.join(settings.symbols)} now? New ones get a partition, "
        "those that are gone lose theirs; what is published stays.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        try:
            universe = find_universe(settings)
        except LiqError as error:
            context.log.warning(str(error))
            return dg.SkipReason(str(error))
        for line in universe.said():
            context.log.info(line)
        before = set(context.instance.get_dynamic_partitions(SYMBOLS))
        new = [symbol for symbol in universe.symbols if symbol not in before]
        gone = sorted(before - set(universe.symbols))
        requests = [symbols.build_add_request(new)] if new else []
        removals = [symbols.build_delete_request(gone)] if gone else []
        return dg.SensorResult(
            skip_reason=dg.SkipReason("; ".join(universe.said())), dynamic_partitions_requests=[*requests, *removals]
        )

    return [sensor]

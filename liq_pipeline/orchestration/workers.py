"""Several symbols at once: a process for each core, a run for each symbol. What `liq run --jobs N` does.

Workers load Dagster, all at once; the process that starts them does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

from liq_pipeline.errors import LiqError
from liq_pipeline.orchestration.pool import Lost, at_once
from liq_pipeline.orchestration.results import SymbolResult
from liq_pipeline.setting_forms import share_of_memory
from liq_pipeline.settings import Settings

if TYPE_CHECKING:
    from liq_pipeline.orchestration.resources import Reporter


def refresh_at_once(
    settings: Settings, reporter: Reporter | None, unknown: Mapping[str, LiqError], jobs: int
) -> Iterator[SymbolResult]:
    """Run the chain for each symbol, `jobs` at a time; yield what became of each as it is done.

    Args:
        settings: which symbols, from where, to where. DuckDB's memory limit is shared between the workers.
        reporter: told about long work.
        unknown: what `preflight.unknown_symbols` found.
        jobs: number of processes; 1 works in this one.

    Raises:
        KeyboardInterrupt: after Ctrl-C, when every worker has ended.
        LiqError: as `refresh`.
    """
    known = [symbol for symbol in settings.symbols if symbol not in unknown]
    if jobs == 1 or len(known) < 2:
        from liq_pipeline.orchestration.refresh import refresh

        yield from refresh(settings, reporter, unknown)
        return
    yield from (SymbolResult(symbol, errors=[str(error)]) for symbol, error in unknown.items())
    count = min(jobs, len(known))
    shared = settings.model_copy(update={"memory_limit": share_of_memory(settings.memory_limit, count)})
    for result in at_once(partial(_refresh, shared), known, count, reporter):
        yield SymbolResult(result.symbol, errors=[result.why]) if isinstance(result, Lost) else result


def _refresh(settings: Settings, symbols: Iterator[str], reporter: Reporter) -> Iterator[SymbolResult]:
    from liq_pipeline.orchestration.refresh import refresh

    yield from refresh(settings, reporter, {}, symbols)

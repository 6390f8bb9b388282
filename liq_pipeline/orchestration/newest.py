"""One new bar for one symbol after the other: in this process, or in several where that pays.

It loads no Dagster: whoever starts the work writes down what came of it, and a worker costs less to start.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa
from pydantic import BaseModel

from liq_pipeline.clock import Clock
from liq_pipeline.errors import LiqError, NoData
from liq_pipeline.exchange.brackets import use_brackets_below
from liq_pipeline.exchange.sources import ArchiveSource, RestSource
from liq_pipeline.model.walk import model_version, use_model
from liq_pipeline.orchestration.pool import Lost, at_once
from liq_pipeline.published.publish import Publisher
from liq_pipeline.setting_forms import share_of_memory
from liq_pipeline.system.interrupts import is_interrupt
from liq_pipeline.transform.cache import fill_warehouse, newest_warehouse
from liq_pipeline.transform.newest import RefreshReport, Sources, refresh_recent
from liq_pipeline.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    from liq_pipeline.orchestration.resources import Reporter

SYMBOLS_A_WORKER = 3  # at least: starting one costs about two seconds of CPU time
_Kind = TypeVar("_Kind", bound=BaseModel)


@dataclass(frozen=True)
class Newest:
    """What became of one symbol.

    Attributes:
        symbol: which.
        report: what was done; None: it could not be.
        why: what stopped it, in words.
        trace: where, of a fault in the code: for the log.
        is_new: whether a full run comes first: no fault.
    """

    symbol: str
    report: RefreshReport | None = None
    why: str = ""
    trace: str = ""
    is_new: bool = False


def workers_that_pay(symbols: int, jobs: int) -> int:
    """Return how many processes to use; 1: this one."""
    return max(1, min(jobs, symbols // SYMBOLS_A_WORKER))


def refresh_each(sources: Sources, symbols: Iterable[str], count: int) -> Iterator[Newest]:
    """Bring each symbol up to the newest closed bar; yield what became of it as it is done.

    One symbol's failure does not stop another, nor does the death of the process that works on it.

    Args:
        sources: where the data comes from and goes to.
        symbols: taken one by one.
        count: of processes, as `workers_that_pay` tells.

    Raises:
        KeyboardInterrupt: after Ctrl-C.
    """
    if count == 1:
        for symbol in symbols:
            yield _attempt(sources, symbol)
        return
    for done in at_once(partial(_attempts, _plain(sources, count), model_version()), symbols, count):
        yield Newest(done.symbol, why=f"{done.symbol}: {done.why}") if isinstance(done, Lost) else done


def _attempt(sources: Sources, symbol: str) -> Newest:
    try:
        with (
            sources.archive.kept(symbol),
            newest_warehouse(sources.warehouse, sources.publisher, symbol) as is_newest,
        ):
            if not is_newest:
                now = sources.clock.now()
                fill_warehouse(sources.warehouse, sources.archive, sources.rest, symbol, now)
            return Newest(symbol, refresh_recent(sources, symbol))
    except LiqError as error:
        return Newest(symbol, why=str(error), is_new=isinstance(error, NoData))
    except Exception as error:  # a fault of ours costs this symbol alone; whoever reads it needs the place
        if is_interrupt(error):
            raise
        why = f"{symbol}: a fault in the program: {type(error).__name__}: {error}. To do: see the run's log in `liq ui`"
        return Newest(symbol, why=why, trace=traceback.format_exc())


def _attempts(sources: Sources, model: str, symbols: Iterator[str], reporter: Reporter) -> Iterator[Newest]:
    """Do the same in a worker. Rows that are published are not sent along: nobody looks at them."""
    use_brackets_below(Path(sources.archive.raw_dir))
    use_model(model)
    for symbol in symbols:
        done = _attempt(sources, symbol)
        if done.report:
            done.report.published = [replace(one, rows=pa.table({})) for one in done.report.published]
        yield done


def _plain(sources: Sources, count: int) -> Sources:
    """Return the same without Dagster's classes, for a process that does not load it."""
    memory = share_of_memory(sources.warehouse.memory_limit, count)
    return Sources(
        _as(ArchiveSource, sources.archive),
        _as(RestSource, sources.rest),
        _as(Warehouse, sources.warehouse, memory_limit=memory),
        _as(Publisher, sources.publisher),
        _as(Clock, sources.clock),
    )


def _as(kind: Callable[..., _Kind], one: BaseModel, **other: Any) -> _Kind:
    fields: Any = kind
    return kind(**{name: getattr(one, name) for name in fields.model_fields} | other)

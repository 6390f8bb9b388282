"""A lease per symbol: of all machines that share Dagster's database, one works on a symbol at a time.

It is a slot of a concurrency pool of Dagster's, one pool a symbol, one slot each; the UI shows them (Deployment,
Concurrency). The slot of a run that died is freed by Dagster's run monitoring (`free_slots_after_run_end_seconds`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
from sqlalchemy.exc import IntegrityError

from liq_pipeline.errors import SymbolBusy

LOOK_SECONDS = 1.0

log = logging.getLogger("liq.lease")
_held: dict[tuple[str, str], int] = {}  # by this process: run and symbol, and how often it was asked for


def pool_of(symbol: str) -> str:
    """Return the name of a symbol's pool."""
    return f"symbol_{symbol}"


@contextmanager
def lease(instance: dg.DagsterInstance, run_id: str, symbol: str, patience_seconds: float) -> Iterator[None]:
    """Hold the symbol: no run of any machine works on it meanwhile. Inside, the same run may ask again.

    Raises:
        SymbolBusy: somebody else did not let go in time.
    """
    key = (run_id, symbol)
    if not _held.get(key):
        _claim(instance, run_id, symbol, patience_seconds)
    _held[key] = _held.get(key, 0) + 1
    try:
        yield
    finally:
        _held[key] -= 1
        if not _held[key]:
            del _held[key]
            instance.event_log_storage.free_concurrency_slot_for_step(run_id, symbol)


def holder_of(instance: dg.DagsterInstance, symbol: str) -> str:
    """Return the run that holds a symbol; empty if none does."""
    pool = pool_of(symbol)
    if pool not in instance.event_log_storage.get_concurrency_keys():
        return ""
    slots = instance.event_log_storage.get_concurrency_info(pool).claimed_slots
    return slots[0].run_id if slots else ""


def _claim(instance: dg.DagsterInstance, run_id: str, symbol: str, patience_seconds: float) -> None:
    storage, pool = instance.event_log_storage, pool_of(symbol)
    if pool not in storage.get_concurrency_keys():
        try:
            storage.set_concurrency_slots(pool, 1)
        except IntegrityError:  # another run made it at the same moment
            storage.set_concurrency_slots(pool, 1)
    deadline, told = time.monotonic() + patience_seconds, False
    while not storage.claim_concurrency_slot(pool, run_id, symbol).is_claimed:
        who = holder_of(instance, symbol)
        if time.monotonic() >= deadline:
            storage.free_concurrency_slot_for_step(run_id, symbol)  # it waits no more
            raise SymbolBusy(
                f"run {who or 'of another machine'} works on {symbol}, for more than {patience_seconds:g} s",
                remedy="wait for it, or raise LIQ_LOCK_TIMEOUT_SECONDS; if it died, mark it as cancelled in the UI",
            )
        if not told:
            log.warning("%s: run %s works on it; waiting", symbol, who)
            told = True
        time.sleep(LOOK_SECONDS)

"""A lease per symbol: of all machines that share Dagster's database, one works on a symbol at a time.

It is a slot of a concurrency pool of Dagster's, one pool a symbol, one slot each; the UI shows them (Deployment,
Concurrency). The slot of a run that died is freed by Dagster's run monitoring (`free_slots_after_run_end_seconds`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from zlib import crc32

import dagster as dg
from sqlalchemy import text
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
    storage = instance.event_log_storage
    deadline, told = time.monotonic() + patience_seconds, False
    while not _is_claimed(instance, run_id, symbol):
        who = holder_of(instance, symbol)
        holder = instance.get_run_by_id(who) if who else None
        if holder and holder.is_finished:  # it was killed, and marked as failed: without a daemon no one frees its slot
            storage.free_concurrency_slots_for_run(who)
            continue
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


def _is_claimed(instance: dg.DagsterInstance, run_id: str, symbol: str) -> bool:
    """Try to claim the symbol's one slot."""
    storage, pool = instance.event_log_storage, pool_of(symbol)
    with _alone(storage, pool):
        if storage.get_concurrency_info(pool).slot_count != 1:
            with suppress(IntegrityError):  # SQLite: another process of this machine made it at the same moment
                storage.set_concurrency_slots(pool, 1)
        return storage.claim_concurrency_slot(pool, run_id, symbol).is_claimed


@contextmanager
def _alone(storage: Any, pool: str) -> Iterator[None]:
    """Let one machine at a time claim slots of a pool.

    Dagster's Postgres connections commit each statement: the row lock of its own claim ends at once, and two runs that
    claim at the same moment get the same slot. SQLite is one machine's: there the lock of the symbol's warehouse keeps
    processes apart.
    """
    if not hasattr(storage, "postgres_url"):
        yield
        return
    with storage.index_connection() as connection:
        key = {"key": crc32(pool.encode())}
        connection.execute(text("SELECT pg_advisory_lock(:key)"), key)
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), key)

"""Where one ticker was used by several contracts: settled and listed anew, or redenominated.

What belongs here: the instants at which a contract ended and another began, from a dated file (`settlements.csv`) and
from the rows themselves (`contract_changes`), and of which contract a row is. What becomes of positions then is the
warehouse's business: they end, neither liquidated nor carried over. Numbers that contradict others and come back are
bad prints: see `plausibility`.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from liq_pipeline.exchange.contract_changes import Feeds, find_changes, instants

FILE = Path(__file__).with_name("settlements.csv")


@dataclass(frozen=True)
class Settlement:
    """The end of one contract and the beginning of the next.

    Attributes:
        settled_at: the last instant of the old contract, UTC.
        resumed_at: the opening instant of the first bar of the new one, UTC.
        is_listed: from the dated file; else it is suspected from the data.
        found: what was seen, in words.
    """

    settled_at: datetime
    resumed_at: datetime
    is_listed: bool
    found: str


@cache
def listed_settlements(path: Path = FILE) -> dict[str, tuple[Settlement, ...]]:
    """Return the known settlements by symbol, in order.

    Raises:
        ValueError: an unknown kind, no source, or instants that are not in order.
    """
    known: dict[str, list[Settlement]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            settled, resumed = (datetime.fromisoformat(row[name]) for name in ("settled_at", "resumed_at"))
            before = known.setdefault(row["symbol"], [])
            if row["kind"] not in ("settlement", "redenomination") or not row["source"]:
                raise ValueError(f"{path.name}: {row}: expected a settlement or redenomination, with its source")
            if not (settled < resumed and all(other.resumed_at < settled for other in before)):
                raise ValueError(f"{path.name}: {row}: settled before it resumed, and after what is listed before it")
            before.append(Settlement(settled, resumed, True, f"{row['kind']} ({row['source']})"))
    return {symbol: tuple(found) for symbol, found in known.items()}


def is_between_contracts(symbol: str, day: date) -> bool:
    """Tell whether a whole UTC day lies between two contracts of the dated file: nothing was traded then."""
    begin = datetime.combine(day, time(), UTC)
    return any(
        known.settled_at <= begin and begin + timedelta(days=1) <= known.resumed_at
        for known in listed_settlements().get(symbol, ())
    )


def find_settlements(symbol: str, open_interest: pa.Table, klines: pa.Table) -> list[Settlement]:
    """Return the instants at which the symbol's rows pass from one contract to another, in order.

    Args:
        symbol: the ticker.
        open_interest, klines: tables of `OPEN_INTEREST_SCHEMA` and `KLINES_SCHEMA`, by `ts`; null open interest is one
            of zero or less.

    Returns:
        What the dated file lists within the rows, and what the rows give rise to suspect: both feeds silent and a new
        scale afterwards, open interest of zero for long, a leap of price that open interest confirms and that stays.
        A pause with the same scale afterwards is none.
    """
    feeds = Feeds.of(open_interest, klines)
    if not feeds.closed.size or not feeds.ts.size:
        return []
    begin, end = feeds.opened[0], max(feeds.closed[-1], feeds.ts[-1])
    found = [
        known
        for known in listed_settlements().get(symbol, ())
        if begin < _naive(known.settled_at) and _naive(known.resumed_at) < end
    ]
    for change in find_changes(feeds):
        suspected = Settlement(_utc(change.settled), _utc(change.resumed), False, change.found)
        if not any(
            suspected.settled_at <= known.resumed_at and suspected.resumed_at >= known.settled_at for known in found
        ):
            found.append(suspected)
    return sorted(found, key=lambda settlement: settlement.resumed_at)


def contracts_of_bars(settlements: list[Settlement], klines: pa.Table) -> NDArray[np.int64]:
    """Return of which contract each bar is, counted from 1: a new one begins with the bar that opens as it resumes."""
    resumed = np.array([_naive(settlement.resumed_at) for settlement in settlements], dtype="datetime64[us]")
    return (1 + np.searchsorted(resumed, instants(klines, "open_time"), side="right")).astype(np.int64)


def contracts_of_snapshots(settlements: list[Settlement], open_interest: pa.Table) -> NDArray[np.int64]:
    """Return of which contract each snapshot is, counted from 1.

    Without a pause between two contracts, the snapshot at that instant closes the old one's last bar.
    """
    resumed = np.array(
        [
            _naive(settlement.resumed_at) + np.timedelta64(settlement.resumed_at == settlement.settled_at, "us")
            for settlement in settlements
        ],
        dtype="datetime64[us]",
    )
    return (1 + np.searchsorted(resumed, instants(open_interest, "ts"), side="right")).astype(np.int64)


def _naive(instant: datetime) -> np.datetime64:
    return np.datetime64(instant.astimezone(UTC).replace(tzinfo=None), "us")


def _utc(instant: np.datetime64) -> datetime:
    moment: datetime = instant.astype("datetime64[us]").item()
    return moment.replace(tzinfo=UTC)

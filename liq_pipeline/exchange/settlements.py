"""Where one ticker was used by several contracts: settled and listed anew, or redenominated.

What belongs here: the instants at which a contract ended and another began, from a dated file (`settlements.csv`) and
from the rows themselves. What becomes of positions then is the warehouse's business: they end, neither liquidated nor
carried over. Single numbers that contradict others and come back are bad prints: see `plausibility`.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Instants = NDArray[np.datetime64]

HOUR = np.timedelta64(1, "h")
DAY = np.timedelta64(24, "h")
SILENT = HOUR  # both feeds: no bar that traded, no snapshot above zero. A new scale must follow, too.
ZERO_HOURS = 6  # open interest of zero for so long is no misprint: nobody holds a position
NEW_PRICE, PRICE_PER_DAY = np.log(1.8), 0.1  # a silence of n days allows log(1.8) + 0.1·√n, up or down
NEW_CONTRACTS, CONTRACTS_PER_DAY = np.log(3), 0.2  # the same for open interest
FEWEST_ZEROS = 12  # snapshots; two that lie hours apart are no plateau
LEAP = np.log(1.8)  # between two bars without a pause: no market does that
COMES_BACK = np.timedelta64(72, "h")  # a leap that is undone within this time is a stretch of bad prints
AGREES = np.log(1.5)  # value / contracts and the bar's price; more apart is not used as evidence
ROWS = 6  # what a scale is read from: the median of so many rows before, and after
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


@dataclass(frozen=True)
class _Feeds:
    """Both feeds as arrays: bars by closing instant with opening instant, close, open, volume; snapshots by instant."""

    opened: Instants
    closed: Instants
    first: Floats
    last: Floats
    traded: NDArray[np.bool_]
    ts: Instants
    contracts: Floats
    implied: Floats


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
    feeds = _feeds(open_interest, klines)
    if not feeds.closed.size or not feeds.ts.size:
        return []
    begin, end = feeds.opened[0], max(feeds.closed[-1], feeds.ts[-1])
    found = [
        known
        for known in listed_settlements().get(symbol, ())
        if begin < np.datetime64(known.settled_at.replace(tzinfo=None)) < end
        and np.datetime64(known.resumed_at.replace(tzinfo=None)) < end
    ]
    for suspected in (*_after_zero(feeds), *_after_silence(feeds), *_leaps(feeds)):
        if not any(
            suspected.settled_at <= known.resumed_at and suspected.resumed_at >= known.settled_at for known in found
        ):
            found.append(suspected)
    return sorted(found, key=lambda settlement: settlement.resumed_at)


def contracts_of_bars(settlements: list[Settlement], klines: pa.Table) -> NDArray[np.int64]:
    """Return of which contract each bar is, counted from 1: a new one begins with the bar that opens as it resumes."""
    resumed = np.array([_naive(settlement.resumed_at) for settlement in settlements], dtype="datetime64[us]")
    return (1 + np.searchsorted(resumed, _instants(klines, "open_time"), side="right")).astype(np.int64)


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
    return (1 + np.searchsorted(resumed, _instants(open_interest, "ts"), side="right")).astype(np.int64)


def _feeds(open_interest: pa.Table, klines: pa.Table) -> _Feeds:
    volume, first, last = (_floats(klines, name) for name in ("volume", "open", "close"))
    moves = ~(np.nan_to_num(_floats(klines, "high")) == np.nan_to_num(_floats(klines, "low")))
    contracts, value = _floats(open_interest, "open_interest"), _floats(open_interest, "open_interest_value_usd")
    with np.errstate(all="ignore"):
        implied = np.where((value > 0) & (contracts > 0), value / contracts, np.nan)
    return _Feeds(
        _instants(klines, "open_time"),
        _instants(klines, "ts"),
        first,
        last,
        (volume > 0) | moves,  # a bar that moved without volume is an odd bar, not a silent one
        _instants(open_interest, "ts"),
        np.where(contracts > 0, contracts, np.nan),
        implied,
    )


def _after_silence(feeds: _Feeds) -> list[Settlement]:
    """Both feeds are silent, and price or open interest has a new scale afterwards."""
    trading = np.flatnonzero(feeds.traded & (feeds.last > 0) & (feeds.first > 0))
    known = np.flatnonzero(np.isfinite(feeds.contracts))
    found = []
    for a, b in _pairs(trading, feeds.opened[trading][1:] - feeds.closed[trading][:-1] >= SILENT):
        silent = feeds.opened[b] - feeds.closed[a]
        before, after = known[feeds.ts[known] <= feeds.closed[a]], known[feeds.ts[known] >= feeds.opened[b]]
        within = known[(feeds.ts[known] > feeds.closed[a]) & (feeds.ts[known] < feeds.opened[b])]
        # A frozen feed is silent, too: the last value repeated.
        if within.size and np.unique(feeds.contracts[within]).size > 2:
            continue
        price = _scale(feeds.last[trading], np.searchsorted(trading, b))
        contracts = _scale_of_contracts(feeds, before, after, trading)
        days = silent / DAY
        new_price = abs(price) > NEW_PRICE + PRICE_PER_DAY * np.sqrt(days)
        new_contracts = abs(contracts) > NEW_CONTRACTS + CONTRACTS_PER_DAY * np.sqrt(days)
        if new_price or new_contracts:
            text = f"both feeds silent for {silent / HOUR:.1f} h, then price × {np.exp(price):.4g}"
            found.append(_suspected(feeds, a, b, text + _beside(contracts)))
    return found


def _after_zero(feeds: _Feeds) -> list[Settlement]:
    """Open interest is zero for hours: every position was closed."""
    known = np.flatnonzero(np.isfinite(feeds.contracts))
    found = []
    for a, b in _pairs(known, np.diff(known) > 1):
        first_zero, last_zero = feeds.ts[a + 1], feeds.ts[b - 1]
        if last_zero - first_zero < ZERO_HOURS * HOUR or b - a <= FEWEST_ZEROS:
            continue
        bar = int(np.searchsorted(feeds.closed, feeds.ts[b]))
        if bar == feeds.closed.size:
            continue
        resumed = min(feeds.opened[bar], feeds.ts[b])  # the bar at whose end the first snapshot was taken
        text = f"open interest of zero from {_shown(first_zero)} to {_shown(last_zero)}"
        found.append(Settlement(_utc(feeds.ts[a]), _utc(resumed), False, text))
    return found


def _leaps(feeds: _Feeds) -> list[Settlement]:
    """Price leaps without a pause, open interest is valued at the new price, and it stays there."""
    trading = np.flatnonzero((feeds.last > 0) & (feeds.first > 0))
    with np.errstate(all="ignore"):
        step = np.log(feeds.first[trading][1:] / feeds.last[trading][:-1])
    pause = feeds.opened[trading][1:] - feeds.closed[trading][:-1]
    at = np.flatnonzero((np.abs(step) > LEAP) & (pause < SILENT))
    found = []
    for i in at:
        a, b = trading[i], trading[i + 1]
        size, when = step[i], feeds.opened[b]
        others = at[at != i]
        near = np.abs(feeds.opened[trading[others + 1]] - when) <= COMES_BACK
        undone = bool((np.abs(step[others[near]] + size) < AGREES).any()) if near.any() else False
        scale = _scale(feeds.last[trading], i + 1)
        after = np.flatnonzero((feeds.ts > when) & np.isfinite(feeds.implied))[:ROWS]
        price = np.median(feeds.last[trading[i + 1 : i + 1 + ROWS]])
        confirmed = after.size and abs(np.log(np.median(feeds.implied[after]) / price)) < AGREES
        if not undone and abs(scale) > LEAP / 2 and confirmed:
            known = np.flatnonzero(np.isfinite(feeds.contracts))
            contracts = _scale_of_contracts(
                feeds, known[feeds.ts[known] <= when], known[feeds.ts[known] > when], trading
            )
            text = f"price × {np.exp(size):.4g} from one bar to the next"
            found.append(_suspected(feeds, a, b, text + _beside(contracts)))
    return found


def _suspected(feeds: _Feeds, a: int, b: int, text: str) -> Settlement:
    return Settlement(_utc(feeds.closed[a]), _utc(feeds.opened[b]), False, text)


def _beside(contracts: float) -> str:
    return f", open interest × {np.exp(contracts):.4g}" if np.isfinite(contracts) else ""


def _pairs(rows: NDArray[np.intp], breaks: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return the neighbours (a, b) of `rows` between which there is a break."""
    return [(int(rows[i]), int(rows[i + 1])) for i in np.flatnonzero(breaks)]


def _scale(values: Floats, at: int | np.intp) -> float:
    """Return the logarithm of the median from `at` on over the median before it."""
    return float(np.log(np.median(values[at : at + ROWS]) / np.median(values[max(0, at - ROWS) : at])))


def _scale_of_contracts(
    feeds: _Feeds, before: NDArray[np.intp], after: NDArray[np.intp], trading: NDArray[np.intp]
) -> float:
    """Return the same for open interest; NaN where there is none on one side, or its value contradicts the price."""
    levels = []
    for rows in (before[-ROWS:], after[:ROWS]):
        if not rows.size:
            return float("nan")
        bar = trading[np.clip(np.searchsorted(feeds.closed[trading], feeds.ts[rows]), 0, trading.size - 1)]
        with np.errstate(all="ignore"):
            apart = np.abs(np.log(feeds.implied[rows] / feeds.last[bar]))
        good = rows[~(apart > AGREES)]
        if not good.size:
            return float("nan")
        levels.append(float(np.log(np.median(feeds.contracts[good]))))
    return levels[1] - levels[0]


def _instants(table: pa.Table, name: str) -> Instants:
    return np.asarray(table[name].to_numpy()).astype("datetime64[us]")


def _floats(table: pa.Table, name: str) -> Floats:
    return np.array(table[name].to_numpy(), dtype=np.float64)


def _naive(instant: datetime) -> np.datetime64:
    return np.datetime64(instant.astimezone(UTC).replace(tzinfo=None), "us")


def _utc(instant: np.datetime64) -> datetime:
    moment: datetime = instant.astype("datetime64[us]").item()
    return moment.replace(tzinfo=UTC)


def _shown(instant: np.datetime64) -> str:
    return f"{_utc(instant):%Y-%m-%d %H:%M} UTC"

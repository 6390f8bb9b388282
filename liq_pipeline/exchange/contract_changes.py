"""Where rows of one ticker pass from one contract to another, told from the rows alone. Pure functions on arrays.

What belongs here: what is evidence of a change, and what is not: a pause with the same scale afterwards, or a scale
that is taken back. Known changes, and tables, are in `settlements`; where the lines are drawn: exchange.md 1.9.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Instants = NDArray[np.datetime64]
Rows = NDArray[np.intp]

HOUR = np.timedelta64(1, "h")
DAY = np.timedelta64(24, "h")
SILENT = HOUR  # both feeds: no bar that traded, no snapshot above zero. A new scale must follow, too.
ZERO_HOURS = 3  # open interest of zero for so long is no misprint: nobody holds a position
ZERO_BEFORE_NEW_SCALE = HOUR  # for so long, if open interest has a new scale afterwards
FEWEST_ZEROS = 12  # snapshots; two that lie hours apart are no plateau
NEW_PRICE, PRICE_PER_DAY = np.log(1.8), 0.1  # a silence of n days allows log(1.8) + 0.1·√n, up or down
NEW_CONTRACTS, CONTRACTS_PER_DAY = np.log(3), 0.2  # the same for open interest
LEAP = np.log(1.8)  # between two bars without a pause: no market does that
SPLIT = np.log(1.2)  # the same where open interest changes inversely: 3 for 2, say
WITHIN_A_BAR = np.log(5)  # from open to close; trading can do much
INVERSE = 0.2  # how far price × contracts may be from what it was, as a logarithm
AGREES = np.log(1.5)  # value / contracts and the bar's price; more apart is not used as evidence
TAKEN_BACK = np.timedelta64(72, "h")  # a scale that does not last so long is a stretch of bad prints
ROWS = 6  # what a scale is read from: the median of so many rows


@dataclass(frozen=True)
class Change:
    """The last instant of one contract, the opening instant of the first bar of the next, and what was seen."""

    settled: np.datetime64
    resumed: np.datetime64
    found: str


@dataclass(frozen=True)
class Series:
    """Values by instant, without gaps; shape (rows,).

    Attributes:
        ts: instants, ascending.
        level: logarithms.
    """

    ts: Instants
    level: Floats

    def at(self, instant: np.datetime64) -> int:
        """Return the place of the first row at or after an instant."""
        return int(np.searchsorted(self.ts, instant))

    def step(self, before: int, after: int) -> float:
        """Return by how much the rows from `after` on lie above those up to `before`; NaN where a side has none."""
        return self._median(slice(after, after + ROWS)) - self._median(slice(max(0, before + 1 - ROWS), before + 1))

    def lasts(self, before: int, after: int, since: np.datetime64, until: np.datetime64) -> bool:
        """Tell whether a step is neither taken back until an instant nor itself the way back from one since another."""
        old = self._median(slice(max(0, before + 1 - ROWS), before + 1))
        new = self._median(slice(after, after + ROWS))
        begin, end = min(self.at(since), before), max(int(np.searchsorted(self.ts, until, side="right")), after + 1)
        newest = min(ROWS, (end - after + 1) // 2)  # of few rows the last ones decide
        later = self._median(slice(end - newest, end))
        earlier = self._median(slice(begin, min(begin + ROWS, before + 1)))
        return bool(abs(later - new) <= abs(later - old) and abs(earlier - old) <= abs(earlier - new))

    def _median(self, rows: slice) -> float:
        values = self.level[rows]
        return float(np.median(values)) if values.size else float("nan")


@dataclass(frozen=True)
class Feeds:
    """Both feeds as arrays: bars by closing instant, snapshots by instant; what is not known is NaN."""

    opened: Instants
    closed: Instants
    first: Floats
    last: Floats
    traded: NDArray[np.bool_]
    ts: Instants
    contracts: Floats
    implied: Floats
    zero: NDArray[np.bool_]  # snapshots of no contracts at all; what cannot be is none of them

    @classmethod
    def of(cls, open_interest: pa.Table, klines: pa.Table) -> Feeds:
        """Turn tables of `OPEN_INTEREST_SCHEMA` and `KLINES_SCHEMA` into arrays."""
        high, low, volume = (floats(klines, name) for name in ("high", "low", "volume"))
        first, last = floats(klines, "open"), floats(klines, "close")
        contracts, value = floats(open_interest, "open_interest"), floats(open_interest, "open_interest_value_usd")
        with np.errstate(all="ignore"):
            implied = np.where((value > 0) & (contracts > 0), value / contracts, np.nan)
            # A bar that moved without volume is an odd bar, not a silent one.
            traded = ((volume > 0) | ~(high == low)) & (first > 0) & (last > 0)
        return cls(
            instants(klines, "open_time"), instants(klines, "ts"), first, last, traded, instants(open_interest, "ts"),
            np.where(contracts > 0, contracts, np.nan), implied, ~(contracts > 0) & (value == 0),
        )  # fmt: skip

    @cached_property
    def trading(self) -> Rows:
        """The bars in which something was traded."""
        return np.flatnonzero(self.traded)

    @cached_property
    def known(self) -> Rows:
        """The snapshots above zero."""
        return np.flatnonzero(np.isfinite(self.contracts))

    @cached_property
    def prices(self) -> Series:
        """Closes of the bars that traded, by their closing instants."""
        return Series(self.closed[self.trading], np.log(self.last[self.trading]))

    @cached_property
    def open_interest(self) -> Series:
        """Open interest, but for snapshots whose value is not that of their contracts at the price of their bar."""
        rows = self.known
        bar = self.trading[np.clip(np.searchsorted(self.prices.ts, self.ts[rows]), 0, self.trading.size - 1)]
        with np.errstate(all="ignore"):
            rows = rows[~(np.abs(np.log(self.implied[rows] / self.last[bar])) > AGREES)]
        return Series(self.ts[rows], np.log(self.contracts[rows]))

    def confirms(self, bar: int) -> bool:
        """Tell whether open interest is valued at the price of a bar that trades and those after it."""
        place = int(np.searchsorted(self.trading, bar))
        price = np.median(self.prices.level[place : place + ROWS])
        after = np.flatnonzero((self.ts > self.opened[bar]) & np.isfinite(self.implied))[:ROWS]
        return bool(after.size and abs(np.log(np.median(self.implied[after])) - price) < AGREES)


def find_changes(feeds: Feeds) -> list[Change]:
    """Return where the rows pass from one contract to another, in order."""
    if not feeds.trading.size or not feeds.known.size:
        return []
    found = list(_after_zero(feeds))
    for before, after in _suspicious(feeds):
        settled, resumed = feeds.closed[before], feeds.opened[after]
        if any(settled <= known.resumed and resumed >= known.settled for known in found):
            continue
        since = max((known.resumed for known in found if known.resumed <= settled), default=feeds.opened[0])
        if text := _evidence(feeds, before, after, since):
            found.append(Change(settled, resumed, text))
    return sorted(found, key=lambda change: change.resumed)


def _after_zero(feeds: Feeds) -> Iterator[Change]:
    """Open interest is zero for hours: every position was closed."""
    for a, b in _pairs(feeds.known, np.diff(feeds.known) > 1):
        zeros = feeds.ts[a + 1 : b][feeds.zero[a + 1 : b]]
        lasted = feeds.ts[b] - feeds.ts[a]
        if lasted < ZERO_BEFORE_NEW_SCALE or zeros.size < max(FEWEST_ZEROS, (b - a) // 2):
            continue
        first_zero, last_zero = zeros[0], zeros[-1]
        before, after = feeds.open_interest.at(feeds.ts[a]), feeds.open_interest.at(feeds.ts[b])
        step = feeds.open_interest.step(before, after)
        has_new_scale = abs(step) > NEW_CONTRACTS and feeds.open_interest.lasts(
            before, after, feeds.ts[a] - TAKEN_BACK, feeds.ts[b] + TAKEN_BACK
        )
        if lasted <= ZERO_HOURS * HOUR and not has_new_scale:
            continue
        bar = int(np.searchsorted(feeds.closed, feeds.ts[b]))
        if bar == feeds.closed.size:
            continue
        resumed = min(feeds.opened[bar], feeds.ts[b])  # the bar at whose end the first snapshot was taken
        text = f"open interest of zero from {_shown(first_zero)} to {_shown(last_zero)}{_beside(step)}"
        yield Change(feeds.ts[a], resumed, text)


def _suspicious(feeds: Feeds) -> list[tuple[int, int]]:
    """Return bars (before, after) between which there is a pause or a leap, in order; a mixed bar lies in between."""
    bars = feeds.trading
    pause = feeds.opened[bars[1:]] - feeds.closed[bars[:-1]]
    leap = np.log(feeds.first[bars[1:]] / feeds.last[bars[:-1]])
    mixed = np.flatnonzero(np.abs(np.log(feeds.last[bars] / feeds.first[bars])) > WITHIN_A_BAR)
    mixed = mixed[(mixed > 0) & (mixed < bars.size - 1)]
    around = [(int(bars[m - 1]), int(bars[m + 1])) for m in mixed]
    return sorted([*_pairs(bars, (pause >= SILENT) | (np.abs(leap) > SPLIT)), *around])


def _evidence(feeds: Feeds, before: int, after: int, since: np.datetime64) -> str:
    """Return in words why another contract begins with the bar `after`; empty where nothing says so."""
    prices, open_interest = feeds.prices, feeds.open_interest
    bars = int(np.searchsorted(feeds.trading, before)), int(np.searchsorted(feeds.trading, after))
    settled, resumed = feeds.closed[before], feeds.opened[after]
    first = int(np.searchsorted(open_interest.ts, resumed, side="right" if resumed == settled else "left"))
    snapshots = int(np.searchsorted(open_interest.ts, settled, side="right")) - 1, first
    price, contracts = prices.step(*bars), open_interest.step(*snapshots)
    if not (abs(price) > SPLIT / 2 or abs(contracts) > NEW_CONTRACTS):
        return ""  # by far the most: nobody traded for an hour
    is_inverse = abs(price + contracts) < min(INVERSE, abs(price) / 2)
    pause, is_mixed = resumed - settled, bars[1] - bars[0] > 1
    is_silent = pause >= SILENT and not is_mixed and _is_silent(feeds, settled, resumed)
    allowed = np.sqrt(pause / DAY)
    new_price = abs(price) > NEW_PRICE + PRICE_PER_DAY * allowed
    new_contracts = abs(contracts) > NEW_CONTRACTS + CONTRACTS_PER_DAY * allowed
    if is_silent:
        because = new_price or new_contracts or (is_inverse and abs(price) > NEW_PRICE)
        text = f"both feeds silent for {pause / HOUR:.1f} h, then price × {np.exp(price):.4g}"
    elif is_mixed:
        because = is_inverse and abs(price) > WITHIN_A_BAR
        text = f"price × {np.exp(price):.4g} within one bar"
    elif pause >= SILENT:
        because = abs(price) > NEW_PRICE and (is_inverse or new_contracts)
        text = f"no bar for {pause / HOUR:.1f} h, then price × {np.exp(price):.4g}"
    else:
        because = abs(price) > SPLIT / 2 and (is_inverse or _leap(feeds, before, after) > LEAP)
        text = f"price × {np.exp(price):.4g} from one bar to the next"
    if not because or not (is_silent or feeds.confirms(after)):
        return ""
    # Two contracts can follow each other fast, but only across a silence; elsewhere what comes back is a bad print.
    until = _next_silence(feeds, bars[1]) if is_silent else resumed + TAKEN_BACK
    begin, end = max(since, settled - TAKEN_BACK), min(until, resumed + TAKEN_BACK)
    stays = prices.lasts(*bars, begin, end) if abs(price) > SPLIT / 2 else open_interest.lasts(*snapshots, begin, end)
    return text + _beside(contracts) if stays else ""


def _is_silent(feeds: Feeds, settled: np.datetime64, resumed: np.datetime64) -> bool:
    """Tell whether open interest pauses, too. A frozen feed is silent: the last value repeated."""
    within = (feeds.ts[feeds.known] > settled) & (feeds.ts[feeds.known] < resumed)
    return np.unique(feeds.contracts[feeds.known[within]]).size <= 2


def _next_silence(feeds: Feeds, place: int) -> np.datetime64:
    """Return when trading pauses next, from a place among the bars that trade on."""
    bars = feeds.trading[place:]
    paused = np.flatnonzero(feeds.opened[bars[1:]] - feeds.closed[bars[:-1]] >= SILENT)
    return np.datetime64(feeds.closed[bars[paused[0] if paused.size else -1]])


def _leap(feeds: Feeds, before: int, after: int) -> float:
    return float(abs(np.log(feeds.first[after] / feeds.last[before])))


def _pairs(rows: Rows, breaks: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return the neighbours (a, b) of `rows` between which there is a break."""
    return [(int(rows[i]), int(rows[i + 1])) for i in np.flatnonzero(breaks)]


def _beside(contracts: float) -> str:
    return f", open interest × {np.exp(contracts):.4g}" if np.isfinite(contracts) else ""


def _shown(instant: np.datetime64) -> str:
    return f"{str(instant.astype('datetime64[m]')).replace('T', ' ')} UTC"


def instants(table: pa.Table, name: str) -> Instants:
    """Return a column of instants as datetime64[us], UTC."""
    return np.asarray(table[name].to_numpy()).astype("datetime64[us]")


def floats(table: pa.Table, name: str) -> Floats:
    """Return a column of numbers; null is NaN."""
    return np.array(table[name].to_numpy(), dtype=np.float64)

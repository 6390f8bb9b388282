"""Bars and snapshots of open interest as arrays, and what one tells about the other: prices, and what was traded.

What belongs here: the arrays that `plausibility` judges, and pure functions that bring both feeds onto one clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
UNKNOWN_VOLUME = 10.0  # × the median bar: what is allowed for a bar whose volume is not known


@dataclass
class Bars:
    """Bars by closing instant; shape (bars,). Null cells are NaN; what is found bad is blanked in place.

    Attributes:
        ts: closing instants, datetime64[us].
        width: of a bar.
        of: open, high, low, close, volume, quote_volume, taker_buy_volume, taker_buy_quote_volume.
        reason: why a row is bad; None where it is good.
    """

    ts: NDArray[np.datetime64]
    width: np.timedelta64
    of: dict[str, Floats]
    reason: NDArray[np.object_]

    @cached_property
    def usual_volume(self) -> Floats:
        """Median volume of the bars of the same and the day before; of all bars where these are few."""
        traded = np.where(self.of["volume"] > 0, self.of["volume"], np.nan)
        overall = np.nanmedian(traded) if np.isfinite(traded).any() else np.nan
        days = self.ts.astype("datetime64[D]")
        found = np.full(self.ts.size, overall)
        for day in np.unique(days):
            begin, here, end = np.searchsorted(days, [day - 1, day, day + 1])
            near = traded[begin:end]
            near = near[near > 0]
            if near.size * self.width > np.timedelta64(12, "h"):
                found[here:end] = np.median(near)
        return found

    @property
    def typical_price(self) -> Floats:
        """(high + low + close) / 3."""
        return np.asarray((self.of["high"] + self.of["low"] + self.of["close"]) / 3)

    def cut(self, rows: Mask) -> Bars:
        """Return these rows, to be judged on their own."""
        return Bars(self.ts[rows], self.width, {name: of[rows] for name, of in self.of.items()}, self.reason[rows])

    def put(self, rows: Mask, judged: Bars) -> None:
        """Take over what was found of these rows."""
        self.reason[rows] = judged.reason
        for name, values in judged.of.items():
            self.of[name][rows] = values

    def blame(self, rows: Mask, reason: str, *blanked: str) -> None:
        """Note why rows are bad, unless they are for another reason, and blank these columns."""
        _note(self.reason, rows, reason)
        for name in blanked if rows.any() else ():
            self.of[name] = np.where(rows, np.nan, self.of[name])


@dataclass
class Snapshots:
    """Snapshots of open interest by instant; shape (snapshots,). What is found bad is blanked in place.

    Attributes:
        ts: instants, datetime64[us].
        contracts, value: contracts and USD; NaN where null.
        reason: why a row is bad; None where it is good.
    """

    ts: NDArray[np.datetime64]
    contracts: Floats
    value: Floats
    reason: NDArray[np.object_]

    def cut(self, rows: Mask) -> Snapshots:
        """Return these rows, to be judged on their own."""
        return Snapshots(self.ts[rows], self.contracts[rows], self.value[rows], self.reason[rows])

    def put(self, rows: Mask, judged: Snapshots) -> None:
        """Take over what was found of these rows."""
        self.contracts[rows], self.value[rows], self.reason[rows] = judged.contracts, judged.value, judged.reason

    def note(self, rows: Mask, reason: str) -> None:
        """Note what is odd with rows, and blank nothing."""
        _note(self.reason, rows, reason)

    def blame(self, rows: Mask, reason: str, *, keep_contracts: bool = False) -> None:
        """Note why rows are bad and blank them."""
        self.note(rows, reason)
        self.value = np.where(rows, np.nan, self.value)
        if not keep_contracts:
            self.contracts = np.where(rows, np.nan, self.contracts)


class Traded:
    """How much was traded between two instants, with a bar to spare on either side: snapshots are seconds late."""

    def __init__(self, bars: Bars) -> None:
        volume = bars.of["volume"]
        known = volume[volume > 0]
        unknown = UNKNOWN_VOLUME * float(np.median(known)) if known.size else np.inf
        self.is_known = bool(known.size)
        # Without trades the prices of a bar stay where they were; else it is the volume that is missing.
        moved = (bars.of["high"] > bars.of["low"]) & (volume == 0)
        volume = np.where(moved | ~np.isfinite(volume), unknown, volume)
        self.width, self.per_bar = bars.width, unknown
        if self.is_known:
            absent = np.diff(bars.ts) / bars.width - 1
            self.instants = _seconds(np.append(bars.ts[0] - bars.width, bars.ts))
            self.total = np.append(0.0, np.cumsum(volume + unknown * np.append(0.0, absent)))

    def between(self, begin: NDArray[np.datetime64], end: NDArray[np.datetime64]) -> Floats:
        """Return the contracts traded from a bar before `begin` to a bar after `end`."""
        if not self.is_known:
            return np.full(begin.size, np.inf)
        return self._until(_seconds(end + self.width)) - self._until(_seconds(begin - self.width))

    def _until(self, at: Floats) -> Floats:
        beyond = np.minimum(at - self.instants[0], 0) + np.maximum(at - self.instants[-1], 0)
        return np.interp(at, self.instants, self.total) + beyond * self.per_bar / (self.width / np.timedelta64(1, "s"))


def prices_around(bars: Bars, ts: NDArray[np.datetime64]) -> tuple[Floats, Floats]:
    """Return the lowest and highest price of the good bars within a bar of each instant; NaN where there are none."""
    low, high = np.full(ts.size, np.nan), np.full(ts.size, np.nan)
    if not bars.ts.size:
        return low, high
    here = np.searchsorted(bars.ts, ts)
    for step in (-1, 0, 1):
        at = np.clip(here + step, 0, bars.ts.size - 1)
        near = (bars.ts[at] >= ts - bars.width) & (bars.ts[at] <= ts + 2 * bars.width)
        low = np.fmin(low, np.where(near, bars.of["low"][at], np.nan))
        high = np.fmax(high, np.where(near, bars.of["high"][at], np.nan))
    return low, high


def implied_at_bars(bars: Bars, snapshots: Snapshots) -> Floats:
    """Return the price that the snapshot at the end of each bar implies; NaN where there is none."""
    if not snapshots.ts.size:
        return np.full(bars.ts.size, np.nan)
    at = np.minimum(np.searchsorted(snapshots.ts, bars.ts), snapshots.ts.size - 1)
    implied = snapshots.value[at] / snapshots.contracts[at]
    usable = (snapshots.ts[at] == bars.ts) & (implied > 0) & np.isfinite(implied)
    return np.where(usable, implied, np.nan)


def _seconds(ts: NDArray[np.datetime64]) -> Floats:
    return ts.astype("datetime64[us]").astype(np.int64) / 1e6


def _note(reasons: NDArray[np.object_], rows: Mask, reason: str) -> None:
    for row in np.flatnonzero(rows):
        reasons[row] = reasons[row] or reason

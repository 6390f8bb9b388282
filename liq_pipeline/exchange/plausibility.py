"""Numbers that contradict each other: open interest and bars judged by each other and by the rows beside them.

What belongs here: which rows are bad prints, and why. Pure functions on arrays; `judged` applies them to tables. What a
single cell can tell (blank, NaN, negative) is refused when a file is read; here rows are compared. Where the lines are
drawn, and how far real data stays away from them: exchange.md 1.8.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from liq_pipeline.exchange.leaps import Series, displaced

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

A_QUARTER = float(np.log(1.25))  # prices that differ by more than this contradict each other
NO_WICK = float(np.log(8))  # a range that is wider within one bar is no trade that a mark price would follow
ORDINARY_VOLUME = 5.0  # × the median bar: a range of a quarter without more is not traded
MOST_PER_CONTRACT = 2.0  # each contract traded changes open interest by at most one; twice that for late snapshots
LEAST_CHANGE = 0.05  # of open interest: less is not worth an alarm, however little was traded
UNKNOWN_VOLUME = 10.0  # × the median bar: what is allowed for a bar whose volume is not known
ROUNDING = 1e-3  # of the price: entry prices are cut to the bar's range, so that this much does no harm
A_CENT = 0.01  # USD: what rounding may do to the quote volume of a tiny trade

TRADED_LESS = "changed by more than was traded"
NOT_THE_PRICE = "value / contracts is not the price, and the contracts leap"
VALUE_IS_OFF = "value is not contracts × price (the contracts are kept)"
NO_VALUE = "no value beside the contracts (they are kept)"
UNTRADED_RANGE = "the range is too wide for the volume"
PRICES_LEAP = "prices leap away from the bars beside them"
OTHER_PRICES = "open interest and quote volume were counted at another price"
NOT_A_BAR = "prices that cannot be"
VOLUME_IS_OFF = "volume contradicts quote volume, which stands in"
QUOTE_IS_OFF = "quote volume / volume is no price of the bar; the typical price stands in"
NO_VOLUME = "neither volume nor quote volume"
TAKERS_ARE_OFF = "takers bought more than was traded (their volume is blanked)"

PRICES = ("open", "high", "low", "close")


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

    def blame(self, rows: Mask, reason: str, *, keep_contracts: bool = False) -> None:
        """Note why rows are bad and blank them."""
        _note(self.reason, rows, reason)
        self.value = np.where(rows, np.nan, self.value)
        if not keep_contracts:
            self.contracts = np.where(rows, np.nan, self.contracts)


def judge_contract(snapshots: Snapshots, bars: Bars) -> None:
    """Judge what belongs to one contract: first prices, then volumes, then open interest by what is left of both."""
    with np.errstate(all="ignore"):  # absurd numbers overflow; NaN never passes a comparison
        judge_prices(bars, snapshots)
        judge_volumes(bars)
        judge_open_interest(snapshots, bars)


def judge_prices(bars: Bars, snapshots: Snapshots) -> None:
    """Blank all prices of bars that cannot be, whose range was not traded, or that leap away from those beside them."""
    prices = np.stack([bars.of[name] for name in PRICES])
    highest, lowest = prices.max(axis=0), prices.min(axis=0)
    nonsense = ~((lowest > 0) & np.isfinite(highest) & (bars.of["high"] == highest) & (bars.of["low"] == lowest))
    bars.blame(nonsense, NOT_A_BAR, *PRICES)
    spread = np.log(bars.of["high"] / bars.of["low"])
    wide = spread > A_QUARTER
    if wide.any():
        ordinary = ~(bars.of["volume"] >= ORDINARY_VOLUME * bars.usual_volume)
        bars.blame((spread > NO_WICK) | (wide & ordinary), UNTRADED_RANGE, *PRICES)

    implied, paid = _at_bars(bars, snapshots), bars.of["quote_volume"] / bars.of["volume"]
    off = _distance(implied, bars.of["low"], bars.of["high"]) > A_QUARTER
    agreed = np.isfinite(implied) & ~off
    rows = np.flatnonzero(np.isfinite(bars.of["close"]))
    ts, opened, closed = bars.ts[rows], np.log(bars.of["open"][rows]), np.log(bars.of["close"][rows])

    def leaps(i: NDArray[np.intp], j: NDArray[np.intp]) -> Mask:
        hours = (ts[j] - ts[i] - bars.width) / np.timedelta64(1, "h")  # between two bars that touch: none
        return np.asarray(np.abs(opened[j] - closed[i]) > A_QUARTER * np.sqrt(1 + hours))

    apart = np.zeros(bars.ts.size, dtype=bool)
    apart[rows] = displaced(Series(ts, opened, closed, leaps, off[rows], agreed[rows], confirmation_settles=True))
    bars.blame(apart, PRICES_LEAP, *PRICES)

    # Two sources against one: open interest and quote volume were counted at the same, other price.
    elsewhere = off & ~apart & (_distance(implied, paid, paid) < A_QUARTER)
    if elsewhere.sum() > agreed.sum():  # wherever open interest tells
        elsewhere |= _distance(paid, bars.of["low"], bars.of["high"]) > A_QUARTER
    bars.blame(elsewhere, OTHER_PRICES, *PRICES)


def judge_volumes(bars: Bars) -> None:
    """Blank the volume, quote volume or takers' volume of bars in which they contradict each other.

    Of volume and quote volume, the one that is further from the usual is blamed: the other stands in for it.
    """
    volume, quote = bars.of["volume"], bars.of["quote_volume"]
    usual = np.nanmedian(np.where(volume > 0, volume, np.nan)) if (volume > 0).any() else np.nan
    tolerance = ROUNDING * quote + A_CENT
    outside = (quote < volume * bars.of["low"] - tolerance) | (quote > volume * bars.of["high"] + tolerance)
    implied = np.where(quote > 0, quote / bars.typical_price, np.nan)
    odd_volume = np.abs(np.log(volume / usual)) > np.abs(np.log(implied / usual))
    no_volume, no_quote = ~(volume >= 0) | np.isinf(volume), ~(quote >= 0) | np.isinf(quote)
    bad_volume = no_volume | ((volume == 0) & (quote > A_CENT)) | ((volume > 0) & (quote > 0) & outside & odd_volume)
    bad_quote = no_quote | ((volume > 0) & (quote <= 0)) | ((volume > 0) & (quote > 0) & outside & ~odd_volume)
    bad_quote &= ~((volume * bars.of["high"] < A_CENT) & (quote == 0))  # rounded away
    bars.blame(bad_volume & bad_quote, NO_VOLUME)
    bars.blame(bad_volume, VOLUME_IS_OFF, "volume")
    bars.blame(bad_quote, QUOTE_IS_OFF, "quote_volume")
    takers, takers_quote = bars.of["taker_buy_volume"], bars.of["taker_buy_quote_volume"]
    too_much = (takers > volume * (1 + ROUNDING)) | (takers_quote > quote * (1 + ROUNDING) + A_CENT)
    too_much |= (takers < 0) | (takers_quote < 0)
    bars.blame(too_much, TAKERS_ARE_OFF, "taker_buy_volume", "taker_buy_quote_volume")


def judge_open_interest(snapshots: Snapshots, bars: Bars) -> None:
    """Blank snapshots that changed by more than was traded, or whose value is not that of their contracts."""
    snapshots.contracts = np.where(np.isfinite(snapshots.contracts), snapshots.contracts, np.nan)
    snapshots.contracts = np.where(snapshots.contracts > 0, snapshots.contracts, np.nan)
    worthless = ~((snapshots.value > 0) & np.isfinite(snapshots.value))
    snapshots.value = np.where(worthless, np.nan, snapshots.value)
    low, high = _prices_around(bars, snapshots.ts)
    distance = _distance(snapshots.value / snapshots.contracts, low, high)
    off, fits = distance > A_QUARTER, distance <= A_QUARTER
    traded = _Traded(bars)

    def apart() -> Mask:
        rows = np.flatnonzero(np.isfinite(snapshots.contracts))
        contracts, ts, level = snapshots.contracts[rows], snapshots.ts[rows], np.log(snapshots.contracts[rows])

        def leaps(i: NDArray[np.intp], j: NDArray[np.intp]) -> Mask:
            least = LEAST_CHANGE * np.minimum(contracts[i], contracts[j])
            allowed = np.maximum(MOST_PER_CONTRACT * traded.between(ts[i], ts[j]), least)
            return np.asarray(np.abs(contracts[j] - contracts[i]) > allowed)

        found = np.zeros(snapshots.ts.size, dtype=bool)
        found[rows] = displaced(Series(ts, level, level, leaps, off[rows], fits[rows], confirmation_settles=False))
        return found

    displaced_rows = apart()
    snapshots.blame(displaced_rows & off, NOT_THE_PRICE)
    snapshots.blame(displaced_rows & ~off, TRADED_LESS)
    off &= ~displaced_rows
    if off.any():
        by_contracts = off & _contracts_are_at_fault(snapshots, off, bars, traded)
        snapshots.blame(by_contracts, NOT_THE_PRICE)
        snapshots.blame(off & ~by_contracts, VALUE_IS_OFF, keep_contracts=True)
    snapshots.blame(worthless & np.isfinite(snapshots.contracts), NO_VALUE, keep_contracts=True)


def _contracts_are_at_fault(snapshots: Snapshots, off: Mask, bars: Bars, traded: _Traded) -> Mask:
    """Tell for rows whose value is not that of their contracts whether the contracts are wrong.

    At the edges of a stretch of such rows either the contracts leap or what the value is worth in contracts does. A
    stretch without edges is all there is: there contracts that move by more than is traded are none.
    """
    rows = np.flatnonzero(np.isfinite(snapshots.contracts))
    ts, contracts, wrong = snapshots.ts[rows], snapshots.contracts[rows], off[rows]
    low, high = _prices_around(bars, ts)
    level, worth = np.log(contracts), np.log(snapshots.value[rows] / np.sqrt(low * high))
    edges = np.flatnonzero(wrong[1:] != wrong[:-1]) + 1
    too_much = np.abs(np.diff(contracts)) > MOST_PER_CONTRACT * traded.between(ts[:-1], ts[1:])
    found = np.zeros(off.size, dtype=bool)
    for begin, end in zip(np.append(0, edges), np.append(edges, rows.size), strict=True):
        if not wrong[begin]:
            continue
        beside = [(a, b) for a, b in ((begin - 1, begin), (end - 1, end)) if a >= 0 and b < rows.size]
        if beside:
            steps = [sum(abs(of[b] - of[a]) for a, b in beside) for of in (level, worth)]
            found[rows[begin:end]] = not steps[0] <= steps[1]
        else:
            found[rows] = 2 * too_much.sum() > too_much.size
    return found


class _Traded:
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


def _note(reasons: NDArray[np.object_], rows: Mask, reason: str) -> None:
    for row in np.flatnonzero(rows):
        reasons[row] = reasons[row] or reason


def _prices_around(bars: Bars, ts: NDArray[np.datetime64]) -> tuple[Floats, Floats]:
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


def _at_bars(bars: Bars, snapshots: Snapshots) -> Floats:
    """Return the price that the snapshot at the end of each bar implies; NaN where there is none."""
    if not snapshots.ts.size:
        return np.full(bars.ts.size, np.nan)
    at = np.minimum(np.searchsorted(snapshots.ts, bars.ts), snapshots.ts.size - 1)
    implied = snapshots.value[at] / snapshots.contracts[at]
    usable = (snapshots.ts[at] == bars.ts) & (implied > 0) & np.isfinite(implied)
    return np.where(usable, implied, np.nan)


def _distance(price: Floats, low: Floats, high: Floats) -> Floats:
    """Return how far a price lies outside a range, as a logarithm; 0 inside it, NaN where one is not known."""
    return np.maximum(np.maximum(np.log(price / high), np.log(low / price)), 0)


def _seconds(ts: NDArray[np.datetime64]) -> Floats:
    return ts.astype("datetime64[us]").astype(np.int64) / 1e6

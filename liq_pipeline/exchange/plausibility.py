"""Numbers that contradict each other: open interest and bars judged by each other and by the rows beside them.

What belongs here: which rows are bad prints, and why. Pure functions on arrays; `judged` applies them to tables. What a
single cell can tell (blank, NaN, negative) is refused when a file is read; here rows are compared. Where the lines are
drawn, and how far real data stays away from them: exchange.md 1.8.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from liq_pipeline.exchange.feeds import Bars, Floats, Mask, Snapshots, Traded, implied_at_bars, prices_around
from liq_pipeline.exchange.leaps import Series, find_leaps

A_QUARTER = float(np.log(1.25))  # prices that differ by more than this contradict each other
NO_WICK = float(np.log(8))  # a range that is wider within one bar is no trade that a mark price would follow
ORDINARY_VOLUME = 5.0  # × the median bar: a range of a quarter without more is not traded
MOST_PER_CONTRACT = 2.0  # each contract traded changes open interest by at most one; twice that for late snapshots
LEAST_CHANGE = 0.05  # of open interest: less is not worth an alarm, however little was traded
ROUNDING = 1e-3  # of the price: entry prices are cut to the bar's range, so that this much does no harm
A_CENT = 0.01  # USD: what rounding may do to the quote volume of a tiny trade

TRADED_LESS = "changed by more than was traded"
TRADED_LESS_AND_STAYS = "changed by more than was traded, and stays there (kept)"
NOT_THE_PRICE = "value / contracts is not the price, and the contracts leap"
VALUE_IS_OFF = "value is not contracts × price (the contracts are kept)"
CANNOT_BE = "no number that open interest can be"
NO_VALUE = "no value beside the contracts (they are kept)"
UNTRADED_RANGE = "the range is too wide for the volume"
PRICES_LEAP = "prices leap away from the bars beside them"
OTHER_PRICES = "open interest and quote volume were counted at another price"
PRICES_STAY = "prices leap away from the bar before, and stay there (kept)"
NOT_A_BAR = "prices that cannot be"
VOLUME_IS_OFF = "volume contradicts quote volume, which stands in"
QUOTE_IS_OFF = "quote volume / volume is no price of the bar; the typical price stands in"
NO_VOLUME = "neither volume nor quote volume"
TAKERS_ARE_OFF = "takers bought more than was traded (their volume is blanked)"

PRICES = ("open", "high", "low", "close")


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
    reach = np.log(bars.of["high"] / bars.of["low"])
    wide = reach > A_QUARTER
    if wide.any():
        ordinary = ~(bars.of["volume"] >= ORDINARY_VOLUME * bars.usual_volume)
        bars.blame((reach > NO_WICK) | (wide & ordinary), UNTRADED_RANGE, *PRICES)

    implied, paid = implied_at_bars(bars, snapshots), bars.of["quote_volume"] / bars.of["volume"]
    off = _distance(implied, bars.of["low"], bars.of["high"]) > A_QUARTER
    agreed = np.isfinite(implied) & ~off
    rows = np.flatnonzero(np.isfinite(bars.of["close"]))
    ts, opened, closed = bars.ts[rows], np.log(bars.of["open"][rows]), np.log(bars.of["close"][rows])

    def leaps(i: NDArray[np.intp], j: NDArray[np.intp]) -> Mask:
        hours = (ts[j] - ts[i] - bars.width) / np.timedelta64(1, "h")  # between two bars that touch: none
        return np.asarray(np.abs(opened[j] - closed[i]) > A_QUARTER * np.sqrt(1 + hours))

    found = find_leaps(Series(ts, opened, closed, leaps, off[rows], agreed[rows], confirmation_settles=True))
    apart = _over_all(found.displaced, rows, bars.ts.size)
    bars.blame(apart, PRICES_LEAP, *PRICES)
    bars.blame(_over_all(found.new_level, rows, bars.ts.size), PRICES_STAY)

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
    nothing = (snapshots.value == 0) & np.isnan(snapshots.contracts)  # zero contracts are worth zero
    snapshots.value = np.where(worthless & ~nothing, np.nan, snapshots.value)
    snapshots.note(np.isnan(snapshots.contracts) & ~nothing, CANNOT_BE)
    low, high = prices_around(bars, snapshots.ts)
    distance = _distance(snapshots.value / snapshots.contracts, low, high)
    off, fits = distance > A_QUARTER, distance <= A_QUARTER
    traded = Traded(bars)

    rows = np.flatnonzero(np.isfinite(snapshots.contracts))
    contracts, ts, level = snapshots.contracts[rows], snapshots.ts[rows], np.log(snapshots.contracts[rows])

    def leaps(i: NDArray[np.intp], j: NDArray[np.intp]) -> Mask:
        least = LEAST_CHANGE * np.minimum(contracts[i], contracts[j])
        allowed = np.maximum(MOST_PER_CONTRACT * traded.between(ts[i], ts[j]), least)
        return np.asarray(np.abs(contracts[j] - contracts[i]) > allowed)

    # The value follows whatever the contracts do: that both agree settles nothing.
    found = find_leaps(Series(ts, level, level, leaps, off[rows], fits[rows], confirmation_settles=False))
    apart = _over_all(found.displaced, rows, snapshots.ts.size)
    snapshots.blame(apart & off, NOT_THE_PRICE)
    snapshots.blame(apart & ~off, TRADED_LESS)
    snapshots.note(_over_all(found.new_level, rows, snapshots.ts.size), TRADED_LESS_AND_STAYS)
    off &= ~apart
    if off.any():
        by_contracts = off & _contracts_are_at_fault(snapshots, off, bars, traded)
        snapshots.blame(by_contracts, NOT_THE_PRICE)
        snapshots.blame(off & ~by_contracts, VALUE_IS_OFF, keep_contracts=True)
    snapshots.blame(worthless & np.isfinite(snapshots.contracts), NO_VALUE, keep_contracts=True)


def _contracts_are_at_fault(snapshots: Snapshots, off: Mask, bars: Bars, traded: Traded) -> Mask:
    """Tell for rows whose value is not that of their contracts whether the contracts are wrong.

    At the edges of a stretch of such rows either the contracts leap or what the value is worth in contracts does. A
    stretch without edges is all there is: there contracts that move by more than is traded are none.
    """
    rows = np.flatnonzero(np.isfinite(snapshots.contracts))
    ts, contracts, wrong = snapshots.ts[rows], snapshots.contracts[rows], off[rows]
    low, high = prices_around(bars, ts)
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
            found[rows[begin:end]] = steps[0] > (steps[1] if np.isfinite(steps[1]) else A_QUARTER)
        else:
            found[rows] = 2 * too_much.sum() > too_much.size
    return found


def _over_all(found: Mask, rows: NDArray[np.intp], size: int) -> Mask:
    """Return what was found of some rows as a mask over all of them."""
    whole = np.zeros(size, dtype=bool)
    whole[rows] = found
    return whole


def _distance(price: Floats, low: Floats, high: Floats) -> Floats:
    """Return how far a price lies outside a range, as a logarithm; 0 inside it, NaN where one is not known."""
    return np.maximum(np.maximum(np.log(price / high), np.log(low / price)), 0)

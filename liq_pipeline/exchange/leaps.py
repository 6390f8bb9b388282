"""Rows of a series that stand apart from the others: it leaps there, and back. Pure functions on arrays.

A series is cut wherever one row cannot follow the one before it. Of the stretches in between, the longest chain that
fits together is believed; what lies between two links of the chain is displaced. At the ends nothing can come back:
there a short stretch is not believed until more rows of it are there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
UNSETTLED = np.timedelta64(24, "h")  # a stretch at an end is believed when it is longer: a day's file can be wrong
LOOKBACK = 1_000  # stretches; bounds the work where everything leaps


@dataclass(frozen=True)
class Series:
    """What is asked for rows that stand apart, rows by instant.

    Attributes:
        ts: instants, datetime64, ascending, shape (rows,).
        entered, left: logarithm of the value with which a row begins and ends, shape (rows,).
        leaps: tells for pairs of rows (i, j), i before j, whether j cannot follow i; takes and gives arrays.
        contradicted, confirmed: rows that another source speaks against, and for; many rows have none.
        confirmation_settles: whether that source is independent of the level: then what it confirms needs no patience.
    """

    ts: NDArray[np.datetime64]
    entered: NDArray[np.float64]
    left: NDArray[np.float64]
    leaps: Callable[[NDArray[np.intp], NDArray[np.intp]], Mask]
    contradicted: Mask
    confirmed: Mask
    confirmation_settles: bool

    def is_contradicted(self, rows: slice) -> bool:
        """Tell whether the other source speaks against most of these rows of which it speaks at all."""
        return bool(self.contradicted[rows].sum() > self.confirmed[rows].sum())


@dataclass(frozen=True)
class Leaps:
    """What was found of a series, shape (rows,).

    Attributes:
        displaced: rows that the series leaps to, and back from; and those at its ends that are not believed (yet).
        new_level: rows with which a level begins that lasts.
    """

    displaced: Mask
    new_level: Mask


def find_leaps(series: Series) -> Leaps:
    """Find the rows that stand apart, and those from which on the series stays elsewhere."""
    found = Leaps(np.zeros(series.ts.size, dtype=bool), np.zeros(series.ts.size, dtype=bool))
    _find(series, np.arange(series.ts.size), found)
    return found


def _find(series: Series, rows: NDArray[np.intp], found: Leaps) -> None:
    starts = np.flatnonzero(np.concatenate([rows[:1] >= 0, series.leaps(rows[:-1], rows[1:])]))
    if starts.size < 2:
        return
    first, last = rows[starts], rows[np.append(starts[1:], rows.size) - 1]
    trust = [1e-6 if series.is_contradicted(slice(a, b + 1)) else 1.0 for a, b in zip(first, last, strict=True)]
    chain = _longest_chain(series, first, last, (last + 1 - first) * np.array(trust))
    for before, after in pairwise(chain):
        found.displaced[first[before + 1] : last[after - 1] + 1] = True
    for begin, end, level in ((0, chain[0], chain[0]), (chain[-1] + 1, starts.size, chain[-1] + 1)):
        if begin == end:
            continue
        part = rows[(rows >= first[begin]) & (rows <= last[end - 1])]
        if _is_believed(series, part):
            found.new_level[first[level]] = True
            _find(series, part, found)
        else:
            found.displaced[part] = True


def _longest_chain(
    series: Series, first: NDArray[np.intp], last: NDArray[np.intp], weight: NDArray[np.float64]
) -> list[int]:
    """Return the stretches that fit together and hold the most rows; of equals, those that end last."""
    score, link = weight.copy(), np.full(first.size, -1)
    for this in range(2, first.size):
        before = np.arange(max(0, this - LOOKBACK), this - 1)
        there = np.abs(series.entered[first[before + 1]] - series.left[last[before]])
        back = np.abs(series.entered[first[this]] - series.left[last[before]])
        fits = (back <= there / 2) & ~series.leaps(last[before], np.full(before.size, first[this]))
        if fits.any():
            best = before[np.argmax(np.where(fits, score[before], -1.0))]
            score[this] += score[best]
            link[this] = best
    chain = [int(first.size - 1 - np.argmax(score[::-1]))]
    while link[chain[-1]] >= 0:
        chain.append(int(link[chain[-1]]))
    return chain[::-1]


def _is_believed(series: Series, part: NDArray[np.intp]) -> bool:
    """Tell whether a stretch at an end is a new level: it lasts, or an independent source has it too."""
    rows = slice(part[0], part[-1] + 1)
    if series.is_contradicted(rows):
        return False
    lasts = series.ts[part[-1]] - series.ts[part[0]] > UNSETTLED
    return bool(lasts or (series.confirmation_settles and series.confirmed[rows].any()))

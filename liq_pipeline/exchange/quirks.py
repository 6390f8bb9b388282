"""The defects of the exchange's files, one named function each.

Evidence: exchange.md 1.6 and 1.7; `I...` are issues of github.com/binance/binance-public-data. Each function has a
test of the same name. Instants are int64 microseconds since 1970 UTC unless a docstring says otherwise.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np

from liq_pipeline.errors import FormatError

SECOND = 1_000_000  # microseconds
MINUTE = 60 * SECOND
DAY = 24 * 60 * MINUTE
SNAPSHOT = 5 * MINUTE
JITTER = 60 * SECOND
LARGEST = 1e15  # contracts, USD, trades: far above any real number, and sums of millions of them fit DECIMAL(38, 8)
SMALLEST = 1e-12  # the same for a price or for open interest, at the other end
LABEL_CHANGE = date(2026, 6, 25)  # https://github.com/binance/binance-public-data/issues/491


class OffGrid(FormatError):
    """A time stamp that lies too far from the grid of its dataset to be snapped to it."""


def label_shift(file_date: date) -> timedelta:
    """Return what must be added to a metrics label to get the instant of its snapshot.

    Until 2026-06-24 the label is the instant of the snapshot; in files from 2026-06-25 on the snapshot is five minutes
    after it. No changelog says so (I491, exchange.md 1.7). `label_shift_disagreements` checks it against prices.
    """
    return timedelta(minutes=5 if file_date >= LABEL_CHANGE else 0)


def snap_jitter(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Snap metrics labels to the 5-minute grid.

    Some labels are a few seconds late (`00:00:02`). Up to 60 s either way is snapped.

    Returns:
        The snapped labels, and a mask of those that lie too far off.
    """
    snapped = (labels + SNAPSHOT // 2) // SNAPSHOT * SNAPSHOT
    return snapped, np.abs(labels - snapped) > JITTER


def to_microseconds(stamps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn kline stamps, milliseconds or microseconds by their magnitude, into microseconds.

    Futures files are in milliseconds; spot files changed to microseconds on 2025-01-01 (I386), so it may happen here.

    Returns:
        The stamps in microseconds, and a mask of those that were microseconds already. Stamps before 1970 stay as they
        are: no file is of that time, and a product that overflows could look like one that is.
    """
    is_micro = stamps >= 10**15
    return np.where(is_micro | (stamps < 0), stamps, stamps * 1000), is_micro


def mixed_units(is_micro: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Mark the rows whose unit of time differs from their file's first row: such a file is not to be trusted."""
    first = is_micro[starts[:-1]]
    return is_micro != np.repeat(first, np.diff(starts))


def outside_own_day(stamps: np.ndarray, midnights: np.ndarray, bar: int) -> np.ndarray:
    """Mark rows further than one bar outside the UTC day of their file.

    One bar is allowed because metrics files end with the next day's 00:00 (exchange.md 1.6).

    Args:
        stamps: stamp of each row.
        midnights: start of the day of each row's file.
        bar: width of a bar in microseconds.
    """
    return (stamps < midnights - bar) | (stamps > midnights + DAY + bar)


def other_interval(opened: np.ndarray, closed: np.ndarray, bar: int, starts: np.ndarray) -> np.ndarray:
    """Mark the rows of files in which no bar is as wide as the name of the file promises.

    `close_time = open_time + interval - 1 ms` (exchange.md 2); one odd bar is forgiven, since nothing is read from it.
    """
    right = np.abs(closed - opened - bar) <= SECOND
    return np.repeat(np.add.reduceat(right, starts[:-1]) == 0, np.diff(starts)) if len(opened) else right


def not_a_number(values: np.ndarray, nulls: int) -> np.ndarray | None:
    """Mark the cells that read `nan` or `inf`, which a CSV reader takes for numbers; None if there are none.

    Args:
        values: a column, in which null cells are NaN too.
        nulls: how many cells are null.
    """
    if np.isinf(values).any() or np.count_nonzero(np.isnan(values)) != nulls:
        return ~np.isfinite(values)
    return None


def worth_of_nothing(contracts: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Return the values, with 0 where the contracts read zero: that tells them from a print that cannot be."""
    nothing = contracts == 0
    return np.where(nothing, 0.0, value) if nothing.any() else value


def blank_bad_prints(values: np.ndarray) -> np.ndarray:
    """Return the values with those blanked (NaN) that open interest and ratios never have: zero, negative, absurd."""
    can_be = values >= SMALLEST
    can_be &= values <= LARGEST
    return values if can_be.all() else np.where(can_be, values, np.nan)


def ohlc_nonsense(open_: np.ndarray, high: np.ndarray, low: np.ndarray, close: np.ndarray) -> np.ndarray:
    """Mark bars that cannot be: blank, NaN, infinite or non-positive prices, or a high or low that does not enclose."""
    prices = (open_, high, low, close)
    lowest, highest = np.minimum.reduce(prices), np.maximum.reduce(prices)
    # Written so that NaN, for which every comparison is false, is nonsense.
    return ~((lowest > 0) & np.isfinite(highest) & (high == highest) & (low == lowest))


def keep_last_of_equal(stamps: np.ndarray, values: list[np.ndarray]) -> tuple[np.ndarray, dict[str, int]]:
    """Order rows by stamp and keep one row per stamp.

    Rows are unsorted in whole files, whole months are doubled, and a midnight row stands in two files, at times with
    different values (exchange.md 1.6). Rows must come in the order of their files' dates: the later file wins.

    Args:
        stamps: stamp of each row.
        values: columns to compare; NaN equals NaN.

    Returns:
        Indices of the rows to keep, by stamp; and counts of `reordered_rows`, `duplicate_rows` (same values) and
        `conflicting_duplicates` (other values).
    """
    steps = np.diff(stamps)
    if (steps > 0).all():
        return np.arange(len(stamps)), {}
    order = np.argsort(stamps, kind="stable")
    repeated = np.flatnonzero(np.diff(stamps[order]) == 0)
    earlier, later = order[repeated], order[repeated + 1]
    same = np.ones(len(repeated), dtype=bool)
    for column in values:
        a, b = column[earlier], column[later]
        same &= (a == b) | (np.isnan(a) & np.isnan(b))
    counts = {
        "reordered_rows": int(np.count_nonzero(steps < 0)),
        "duplicate_rows": int(np.count_nonzero(same)),
        "conflicting_duplicates": int(np.count_nonzero(~same)),
    }
    return np.delete(order, repeated), {name: count for name, count in counts.items() if count}

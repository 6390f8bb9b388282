"""The defects of the real archive, each a named, switchable function on the lines of a day (exchange.md 1.2, 1.6, 1.7).

They lose nothing that a correct parser cannot recover, except those named `*_hole`. Which days they hit depends on the
number of the day alone, so that eight days show all of them.
"""

from __future__ import annotations

import random

Lines = list[str]

# name -> (every so many days, from this day on); 0 = once, in the middle of the data
PERIODIC = {
    "unsorted_rows": (2, 0),
    "doubled_rows": (5, 1),
    "quoted_empty_ratios": (7, 2),
    "blank_ratios": (7, 3),
    "seconds_jitter": (3, 0),
    "midnight_in_two_files": (4, 1),
    "headerless_klines": (3, 1),
}
HOLES = ("zero_open_interest_hole", "row_hole")
ALL_DEFECTS: frozenset[str] = frozenset([*PERIODIC, *HOLES, "junk_keys"])


def hits(name: str, day: int, days: int) -> bool:
    """Tell whether the defect shows on day number `day` (0 = first) of `days`."""
    if name in PERIODIC:
        every, phase = PERIODIC[name]
        return day % every == phase
    return day == days * (1 + HOLES.index(name)) // 3 if name in HOLES else False


def quoted_empty_ratios(lines: Lines) -> Lines:
    """Write `""` in the four ratio cells of a few rows (BTC 2021-12-30)."""
    first = len(lines) // 7
    spoiled = [",".join([*line.split(",")[:4], *['""'] * 4]) for line in lines[first : first + 6]]
    return [*lines[:first], *spoiled, *lines[first + 6 :]]


def blank_ratios(lines: Lines) -> Lines:
    """Leave the taker ratio of a few rows blank (BTC 2020-09-27)."""
    first = len(lines) // 5
    return [*lines[:first], *(line.rsplit(",", 1)[0] + "," for line in lines[first : first + 4]), *lines[first + 4 :]]


def seconds_jitter(lines: Lines) -> Lines:
    """Label every seventh row, and the last one, two seconds late."""
    late = {*range(5, len(lines), 7), len(lines) - 1}
    return [line[:17] + "02" + line[19:] if n in late else line for n, line in enumerate(lines)]


def zero_open_interest_hole(lines: Lines) -> Lines:
    """Print an open interest of zero in one row: the snapshot is lost."""
    at = len(lines) // 3
    cells = lines[at].split(",")
    return [*lines[:at], ",".join([*cells[:2], "0.00000000", "0.00000000", *cells[4:]]), *lines[at + 1 :]]


def row_hole(lines: Lines) -> Lines:
    """Leave out six rows in the middle of the day."""
    first = len(lines) // 2
    return [*lines[:first], *lines[first + 6 :]]


def doubled_rows(lines: Lines) -> Lines:
    """Print every row twice, byte for byte (BTC 2020-09-01)."""
    return [line for line in lines for _ in range(2)]


def unsorted_rows(lines: Lines) -> Lines:
    """Print the rows in any order (2026-08-20)."""
    lines = list(lines)
    random.Random(len(lines)).shuffle(lines)
    return lines


def wrong_twin(line: str) -> str:
    """Return a row as the other file of a midnight has it: its open interest is half a percent too high."""
    label, symbol, contracts, value, *ratios = line.split(",")
    return ",".join([label, symbol, f"{float(contracts) * 1.005:.8f}", f"{float(value) * 1.005:.8f}", *ratios])


# In the order in which they apply: rows are counted before they are doubled and shuffled.
ROW_DEFECTS = {
    "quoted_empty_ratios": quoted_empty_ratios,
    "blank_ratios": blank_ratios,
    "zero_open_interest_hole": zero_open_interest_hole,
    "seconds_jitter": seconds_jitter,
    "row_hole": row_hole,
    "doubled_rows": doubled_rows,
    "unsorted_rows": unsorted_rows,
}

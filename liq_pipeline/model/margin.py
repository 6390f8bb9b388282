"""Maintenance-margin brackets and exact liquidation prices (isolated margin, USD-M).

Source of the formula: the exchange's published one (FAQ b3c689c1f50a44cabb3a84e663b81d93) with an isolated wallet of
`Q·E/L`. The fee of opening is not part of it.

Sources of the brackets: `brackets.csv`, dated, one line per bracket, with where each was read; and for 2022-04 to
2024-10 `brackets_2022_2024.csv.gz`, one line per symbol and day on which a changed table was first seen: figures of the
exchange's `leverageBracket`, as kept in the history of `freqtrade/exchange/binance_leverage_tiers.json`.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Side = Literal["long", "short"]
SIDES: tuple[Side, Side] = ("long", "short")

LADDER = (3.0, 5.0, 7.0, 10.0, 15.0, 20.0, 25.0, 35.0, 50.0, 75.0, 100.0, 125.0, 150.0)
"""Default leverage ladder, equal weights (model.md 3)."""
CLASSIC_LADDER = {5.0: 0.15, 10.0: 0.30, 25.0: 0.25, 50.0: 0.20, 100.0: 0.10}
"""The ladder of the legacy system, with its weights; kept as a preset."""

_BRACKETS_FILE = Path(__file__).with_name("brackets.csv")
_OLDER_FILE = Path(__file__).with_name("brackets_2022_2024.csv.gz")
_KNOWN_UNTIL = {_BRACKETS_FILE: "2026-09-29", _OLDER_FILE: "2024-10-31"}
"""The last day on which somebody looked at the exchange's tables, by file."""
_CUM_TOLERANCE_USD = 0.01
_imported: list[tuple[str, Brackets]] = []  # what `use_imported_brackets` was given


@dataclass(frozen=True)
class Brackets:
    """One symbol's brackets from one date on. Arrays of one length, ordered by notional.

    Attributes:
        valid_from: first day, numpy datetime64[D].
        notional_floor: lower edge of each bracket, USD.
        mmr: maintenance-margin rate of each bracket.
        cum: maintenance amount of each bracket, USD.
        max_leverage: highest leverage the bracket allows.
    """

    valid_from: np.datetime64
    notional_floor: Floats
    mmr: Floats
    cum: Floats
    max_leverage: Floats

    def __post_init__(self) -> None:
        # cum_n = floor_n·(m_n − m_{n−1}) + cum_{n−1} makes the maintenance margin continuous in the notional.
        expected = np.concatenate([[0.0], np.cumsum(self.notional_floor[1:] * np.diff(self.mmr))])
        wrong = np.flatnonzero(np.abs(self.cum - expected) > _CUM_TOLERANCE_USD)
        if wrong.size:
            line = int(wrong[0])
            raise ValueError(
                f"bracket {line + 1} valid from {self.valid_from}: cum is {self.cum[line]}, "
                f"but the brackets below it give {expected[line]:.2f}; correct {_BRACKETS_FILE.name}"
            )

    def allows(self, leverage: ArrayLike) -> NDArray[np.bool_]:
        """Tell which leverages a small position can have: 1/L above the maintenance rate, L within the maximum."""
        factor = np.asarray(leverage, dtype=float)
        return (1 / factor > self.mmr[0]) & (factor <= self.max_leverage[0])


def use_imported_brackets(tables: Iterable[tuple[str, Brackets]]) -> None:
    """Let this process use brackets beside those that come with it; of one symbol and day these win."""
    _imported[:] = tables
    _bracket_file.cache_clear()
    brackets_known_until.cache_clear()


@cache
def _bracket_file() -> dict[str, tuple[Brackets, ...]]:
    tables: dict[str, dict[np.datetime64, Brackets]] = {}
    for symbol, table in [*_older_tables(), *_newer_tables(), *_imported]:
        tables.setdefault(symbol, {})[table.valid_from] = table
    return {symbol: tuple(history[day] for day in sorted(history)) for symbol, history in tables.items()}


def _newer_tables() -> Iterator[tuple[str, Brackets]]:
    rows: dict[tuple[str, str], list[dict[str, str]]] = {}
    with _BRACKETS_FILE.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            rows.setdefault((row["symbol"], row["valid_from"]), []).append(row)
    for (symbol, valid_from), lines in rows.items():
        columns = {
            name: np.array([float(line[name]) for line in lines])
            for name in ("notional_floor", "mmr", "cum", "max_leverage")
        }
        yield symbol, Brackets(valid_from=np.datetime64(valid_from, "D"), **columns)


def _older_tables() -> Iterator[tuple[str, Brackets]]:
    with gzip.open(_OLDER_FILE, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            floor, mmr, leverage = (
                np.array(row[name].split(), float) for name in ("notional_floor", "mmr", "max_leverage")
            )
            cum = np.concatenate([[0.0], np.cumsum(floor[1:] * np.diff(mmr))])
            yield row["symbol"], Brackets(np.datetime64(row["valid_from"], "D"), floor, mmr, cum, leverage)


@cache
def brackets_known_until(symbol: str) -> str | None:
    """Return the last day on which somebody looked at the symbol's brackets; None where nobody did."""
    if not has_own_brackets(symbol):
        return None
    newer = {name for name, _ in _newer_tables()}
    older = {name for name, _ in _older_tables()}
    files = [file for file, names in ((_BRACKETS_FILE, newer), (_OLDER_FILE, older)) if symbol in names]
    return max(
        [_KNOWN_UNTIL[file] for file in files] + [str(day.valid_from) for name, day in _imported if name == symbol]
    )


def bracket_history(symbol: str) -> tuple[Brackets, ...]:
    """Return the symbol's dated brackets, oldest first.

    The oldest table also serves the time before it. A symbol without an entry gets the documented default
    (1.5 %, 50x): the most frequent first bracket of all symbols, wrong for any one of them.
    """
    tables = _bracket_file()
    return tables.get(symbol, tables["*"])


def bracket_symbols() -> list[str]:
    """Return every symbol with brackets of its own, by name."""
    return sorted(_bracket_file().keys() - {"*"})


def has_own_brackets(symbol: str) -> bool:
    """Tell whether the bracket file knows the symbol, or the default stands in."""
    return symbol in _bracket_file()


def bracket_epochs(symbol: str, ts: NDArray[np.datetime64]) -> tuple[NDArray[np.int64], tuple[Brackets, ...]]:
    """Return, for each instant, the index of the brackets in force, and the brackets."""
    history = bracket_history(symbol)
    starts = np.array([table.valid_from for table in history], dtype="datetime64[D]")
    epoch = np.searchsorted(starts, ts.astype("datetime64[D]"), side="right") - 1
    return np.maximum(epoch, 0), history


def leverages_used(
    symbol: str, ladder: tuple[float, ...], first: np.datetime64, last: np.datetime64
) -> tuple[float, ...]:
    """Return the leverages of the ladder that the symbol's brackets allowed at some time between two instants."""
    epoch, history = bracket_epochs(symbol, np.array([first, last]))
    allowed = np.any([table.allows(ladder) for table in history[epoch[0] : epoch[1] + 1]], axis=0)
    return tuple(np.array(ladder)[allowed].tolist())


def liquidation_price(
    side: Side, entry_price: ArrayLike, leverage: ArrayLike, mmr: ArrayLike, cum_share: ArrayLike = 0.0
) -> Floats:
    """Return the price at which an isolated position is liquidated.

    `long λ = E·(1 − 1/L − cum/N)/(1 − m)`, `short λ = E·(1 + 1/L + cum/N)/(1 + m)`.

    Args:
        side: 'long' or 'short'.
        entry_price: E, USD. Broadcasts with the others.
        leverage: L.
        mmr: m, the maintenance rate of the bracket of the notional at the liquidation price.
        cum_share: cum/N, the bracket's maintenance amount over the notional at entry.
    """
    direction = 1.0 if side == "long" else -1.0
    entry, rate = np.asarray(entry_price, dtype=float), np.asarray(mmr, dtype=float)
    share = np.asarray(cum_share, dtype=float)
    return entry * (1 - direction * (1 / np.asarray(leverage, dtype=float) + share)) / (1 - direction * rate)


def liquidation_price_of_position(
    side: Side, entry_price: float, leverage: float, notional_usd: float, brackets: Brackets
) -> float:
    """Return the liquidation price of a position of a given size, with the bracket of its notional *at that price*.

    Args:
        side: 'long' or 'short'.
        entry_price: USD.
        leverage: L.
        notional_usd: notional at entry, USD.
        brackets: the brackets in force.

    Raises:
        ValueError: no bracket is consistent with its own liquidation price (the position cannot exist).
    """
    candidates = liquidation_price(side, entry_price, leverage, brackets.mmr, brackets.cum / notional_usd)
    notional_at_price = notional_usd * candidates / entry_price
    line = np.searchsorted(brackets.notional_floor, notional_at_price, side="right") - 1
    consistent = np.flatnonzero((line == np.arange(line.size)) & (candidates > 0))
    if not consistent.size:
        raise ValueError(f"no bracket fits a {side} of {notional_usd:,.0f} USD at {leverage}x")
    return float(candidates[consistent[0]])

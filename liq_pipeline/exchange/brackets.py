"""Margin brackets that a user brings: the exchange's own answer, or ccxt's tiers; kept with their day.

Forms: `GET /fapi/v1/leverageBracket` (a list of symbols with `brackets`, or one of them; exchange.md 4), and the JSON
of ccxt's `fetch_leverage_tiers`, as freqtrade keeps it (`{"BTC/USDT:USDT": [{"minNotional": …}]}`).
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from liq_pipeline.errors import FormatError
from liq_pipeline.model.margin import LADDER, Brackets, use_imported_brackets
from liq_pipeline.setting_forms import day_of, symbol_of
from liq_pipeline.system.storage import write_whole

FILE = "brackets.csv"
COLUMNS = ("symbol", "valid_from", "notional_floor", "mmr", "cum", "max_leverage")
MOST_BYTES = 64 << 20  # all symbols have 3 MB
_LINEAR = re.compile(r"([^/:]+)/(USDT|USDC):\2")  # BTC/USDT:USDT; others are of other contracts
_EXPECTED = "the exchange's answer to /fapi/v1/leverageBracket, or ccxt's leverage tiers, as JSON"
_ALIASES = {
    "floor": ("notionalFloor", "minNotional"),
    "mmr": ("maintMarginRatio", "maintenanceMarginRate"),
    "leverage": ("initialLeverage", "maxLeverage"),
}

Tables = dict[str, Brackets]


@dataclass
class Imported:
    """What a file held: brackets by symbol, and what was left out, in words."""

    tables: Tables = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


def read_brackets(content: bytes, day: date, what: str = "the file") -> Imported:
    """Return the brackets that a file holds.

    Args:
        content: JSON.
        day: from which on they are known.
        what: the file, for messages.

    Raises:
        FormatError: it holds no bracket.
    """
    if len(content) > MOST_BYTES:
        raise FormatError(f"{what} has {len(content):,} bytes", expected=f"at most {MOST_BYTES:,}; {_EXPECTED}")
    try:
        body = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{what} is not JSON ({str(error)[:80]})", expected=_EXPECTED) from None
    found = Imported()
    for name, rows in _by_symbol(body, what):
        try:
            symbol = symbol_of(name)
            found.tables[symbol] = _table(rows, day)
        except (ValueError, TypeError, LookupError, OverflowError, AttributeError) as error:
            found.left_out.append(f"{name[:60]!r}: {type(error).__name__}: {str(error)[:200]}")
    if not found.tables:
        why = f": {'; '.join(found.left_out[:3])}" if found.left_out else ""
        raise FormatError(f"{what} holds no brackets{why}", expected=_EXPECTED)
    return found


def _by_symbol(body: Any, what: str) -> list[tuple[str, Any]]:
    if isinstance(body, dict) and "brackets" in body:
        body = [body]
    if isinstance(body, list):
        return [(str(item.get("symbol")), item.get("brackets")) for item in body if isinstance(item, dict)]
    if isinstance(body, dict):
        named = {name: _LINEAR.fullmatch(name) for name in body}
        return [(match[1] + match[2], body[name]) for name, match in named.items() if match]
    raise FormatError(f"{what} holds a {type(body).__name__}", expected=_EXPECTED)


def _table(rows: Any, day: date) -> Brackets:
    if not isinstance(rows, list) or not rows:
        raise ValueError("no brackets")
    columns = {
        name: np.array([_number(row, aliases) for row in rows], dtype=float) for name, aliases in _ALIASES.items()
    }
    floor, mmr, leverage = columns["floor"], columns["mmr"], columns["leverage"]
    order = np.argsort(floor, kind="stable")
    floor, mmr, leverage = floor[order], mmr[order], leverage[order]
    if floor[0] != 0 or (np.diff(floor) <= 0).any():
        raise ValueError(f"notional floors {floor[:4].tolist()}; expected 0 and rising")
    if not ((mmr > 0) & (mmr < 1)).all() or (np.diff(mmr) < 0).any():
        raise ValueError(f"maintenance rates {mmr[:4].tolist()}; expected between 0 and 1, rising")
    if not ((leverage >= 1) & (leverage <= 1000)).all() or (np.diff(leverage) > 0).any():
        raise ValueError(f"leverages {leverage[:4].tolist()}; expected 1 to 1000, falling")
    table = Brackets(np.datetime64(day, "D"), floor, mmr, _amounts(floor, mmr), leverage)
    if not table.allows(LADDER).any():
        raise ValueError(f"{leverage[0]:g}x at {100 * mmr[0]:g} %: no leverage from {LADDER[0]:g}x on is possible")
    return table


def _amounts(floor: Any, mmr: Any) -> Any:
    return np.concatenate([[0.0], np.cumsum(floor[1:] * np.diff(mmr))])


def _number(row: dict[str, Any], names: Iterable[str]) -> float:
    value = next((row[name] for name in names if row.get(name) is not None), None)
    if value is None:
        raise ValueError(f"a bracket without {' or '.join(names)}")
    number = float(value)
    if not np.isfinite(number):
        raise ValueError(f"{names}: {value!r}")
    return number


def keep_brackets(raw_dir: Path, imported: Imported) -> int:
    """Add brackets to those that are kept; of one symbol and day the newer import stays. Return how many changed."""
    kept = {(symbol, table.valid_from): table for symbol, table in imported_brackets(raw_dir)}
    before = dict(kept)
    kept |= {(symbol, table.valid_from): table for symbol, table in imported.tables.items()}
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow(COLUMNS)
    for (symbol, day), table in sorted(kept.items()):
        for numbers in zip(table.notional_floor, table.mmr, table.cum, table.max_leverage, strict=True):
            out.writerow([symbol, day, *(repr(float(number)) for number in numbers)])
    write_whole(raw_dir / FILE, text.getvalue().encode())
    return sum(not _same(before.get(key), table) for key, table in kept.items())


def _same(one: Brackets | None, other: Brackets) -> bool:
    return one is not None and all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in ("notional_floor", "mmr", "max_leverage")
    )


def imported_brackets(raw_dir: Path) -> list[tuple[str, Brackets]]:
    """Return the brackets that were imported, with their symbols; none if none were.

    Raises:
        FormatError: the file was altered.
    """
    path = raw_dir / FILE
    try:
        reader = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8")))
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise ValueError(f"its columns are {reader.fieldnames}")
        lines = list(reader)
        groups: dict[tuple[str, str], list[dict[str, str]]] = {}
        for line in lines:
            groups.setdefault((line["symbol"], line["valid_from"]), []).append(line)
        return [(symbol_of(symbol), _kept_table(rows, day_of(day))) for (symbol, day), rows in groups.items()]
    except FileNotFoundError:
        return []
    except (ValueError, LookupError, TypeError, csv.Error) as error:
        raise FormatError(
            f"{path} cannot be read ({str(error)[:120]})",
            expected=f"columns {', '.join(COLUMNS)}",
            remedy="delete it, and import the brackets again: liq brackets import FILE",
        ) from None


def _kept_table(rows: list[dict[str, str]], day: date) -> Brackets:
    names = {"notionalFloor": "notional_floor", "maintMarginRatio": "mmr", "initialLeverage": "max_leverage"}
    return _table([{ours: row[name] for ours, name in names.items()} for row in rows], day)


def use_brackets_below(raw_dir: Path) -> None:
    """Let the model use what was imported.

    Raises:
        FormatError: as `imported_brackets`.
    """
    use_imported_brackets(imported_brackets(raw_dir))

"""JSON of REST as Arrow tables, in the schemas of the archive's rows. A body is read whole or not at all.

Sources: exchange.md 3.1 and 3.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from liq_pipeline.exchange import quirks
from liq_pipeline.exchange.formats import INSTANT, KLINES_SCHEMA, OPEN_INTEREST_SCHEMA, RATIOS
from liq_pipeline.exchange.row_rules import KLINE_NUMBERS, kline_faults

OPEN_INTEREST_FIELDS = ("symbol", "sumOpenInterest", "sumOpenInterestValue", "timestamp")
KLINE_FIELDS = (
    "open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume", "trade_count",
    "taker_buy_volume", "taker_buy_quote_volume", "ignore",
)  # fmt: skip
_MILLISECONDS = 10**11, 10**14  # 1973 and 5138: what lies outside is another unit
Notes = dict[str, int]


class WrongShape(Exception):
    """A body that is not what its address promises; says what was read and where in it."""


def open_interest_rows(body: Any, symbol: str) -> tuple[pa.Table, Notes]:
    """Read what `openInterestHist` answered. `ts` is the stamp as it stands; calibration tells what it means.

    Args:
        body: parsed JSON.
        symbol: whose rows were asked for.

    Raises:
        WrongShape: anything but a list of rows of this symbol with numbers and stamps on the 5-minute grid.
    """
    rows = _rows(body)
    for number, row in enumerate(rows):
        if not isinstance(row, dict) or not set(OPEN_INTEREST_FIELDS) <= set(row):
            raise WrongShape(f"row {number} is {_shown(row)}, not an object with {', '.join(OPEN_INTEREST_FIELDS)}")
        if row["symbol"] != symbol:
            raise WrongShape(f"row {number} is of {_shown(row['symbol'])}, not {symbol}")
    labels = np.array([_stamp(row["timestamp"], n) for n, row in enumerate(rows)], dtype=np.int64) * 1000
    snapped, off_grid = quirks.snap_jitter(labels)
    if off_grid.any():
        raise WrongShape(f"row {int(np.argmax(off_grid))} is not within 60 s of the 5-minute grid")
    numbers = {
        name: _numbers([row[name] for row in rows], name) for name in ("sumOpenInterest", "sumOpenInterestValue")
    }
    values = {name: quirks.blank_bad_prints(column) for name, column in numbers.items()}
    values["sumOpenInterestValue"] = quirks.worth_of_nothing(numbers["sumOpenInterest"], values["sumOpenInterestValue"])
    keep, notes = _once(snapped, list(values.values()))
    stamps = pa.array(snapped[keep], pa.int64()).cast(INSTANT)
    contracts = values["sumOpenInterest"][keep]
    if bad := int(np.isnan(contracts).sum()):
        notes["bad_prints"] = bad
    count = len(keep)
    table = pa.table(
        {
            "symbol": pa.repeat(symbol, count),
            "ts": stamps,
            "open_interest": pa.array(contracts, from_pandas=True),
            "open_interest_value_usd": pa.array(values["sumOpenInterestValue"][keep], from_pandas=True),
            **{name: pa.nulls(count, pa.float64()) for name in RATIOS},
            "create_time": pa.array(labels[keep], pa.int64()).cast(INSTANT),
            "file_date": pa.nulls(count, pa.date32()),
            "source": pa.repeat("rest", count),
        },
        schema=OPEN_INTEREST_SCHEMA,
    )
    return table, notes


def kline_rows(body: Any, symbol: str, interval: str, closed_before: datetime) -> tuple[pa.Table, Notes]:
    """Read what `klines` answered, without bars that were still open.

    Args:
        body: parsed JSON.
        symbol: whose rows were asked for (the body does not name it).
        interval: width of a bar, e.g. `5m`.
        closed_before: bars that close later than this are open: dropped.

    Raises:
        WrongShape: anything but a list of bars of this width whose prices and volumes can be.
    """
    rows = _rows(body)
    for number, row in enumerate(rows):
        if not isinstance(row, list) or len(row) < len(KLINE_FIELDS) - 1:
            raise WrongShape(f"row {number} is {_shown(row)}, not a list of {len(KLINE_FIELDS)}")
    minutes = int(interval.removesuffix("m"))
    bar = minutes * quirks.MINUTE
    opened = np.array([_stamp(row[0], n) for n, row in enumerate(rows)], dtype=np.int64) * 1000
    closed = np.array([_stamp(row[6], n) for n, row in enumerate(rows)], dtype=np.int64) * 1000
    if (opened % bar != 0).any() or (closed - opened != bar - 1000).any():
        raise WrongShape(f"a bar is not one of {interval} on its grid")
    numbers = {name: _numbers([row[KLINE_FIELDS.index(name)] for row in rows], name) for name in KLINE_NUMBERS}
    for mask, expected in kline_faults(numbers):
        first = int(np.argmax(mask))
        raise WrongShape(f"row {first} cannot be a bar: {_shown(rows[first])}, expected {expected}")
    keep, notes = _once(opened, list(numbers.values()))
    is_closed = opened[keep] + bar <= int(closed_before.timestamp() * 1_000_000)
    if dropped := int((~is_closed).sum()):
        notes["open_bars_dropped"] = dropped
    keep = keep[is_closed]
    opening = pa.array(opened[keep], pa.int64()).cast(INSTANT)
    closing = pa.array(opened[keep] + bar, pa.int64()).cast(INSTANT)
    columns = {
        "symbol": pa.repeat(symbol, len(keep)),
        "ts": closing,
        "open_time": opening,
        **{name: pa.array(values[keep]) for name, values in numbers.items()},
        "trade_count": pa.array(numbers["trade_count"][keep].astype(np.int64)),
        "source": pa.repeat("rest", len(keep)),
    }
    return pa.table({name: columns[name] for name in KLINES_SCHEMA.names}, schema=KLINES_SCHEMA), notes


@dataclass(frozen=True)
class SymbolFacts:
    """What the exchange says of a symbol: status ('TRADING', 'SETTLING', …), contract type, when it was listed."""

    status: str
    contract_type: str
    onboarded: datetime


def symbol_facts(body: Any) -> tuple[dict[str, SymbolFacts], int | None]:
    """Read what `exchangeInfo` answered: the symbols, and the limit of request weight per minute if it is told.

    Raises:
        WrongShape: anything else.
    """
    weight = None
    try:
        for limit in body["rateLimits"]:
            if limit["rateLimitType"] == "REQUEST_WEIGHT" and limit["interval"] == "MINUTE":
                weight = int(limit["limit"]) // int(limit["intervalNum"])
        if weight is not None and not 0 < weight < 10**9:
            raise ValueError(f"a limit of {weight}")
        found = {
            _text(item["symbol"]): SymbolFacts(
                _text(item["status"]),
                _text(item["contractType"]),
                datetime.fromtimestamp(item["onboardDate"] / 1000, UTC),
            )
            for item in body["symbols"]
        }
    except (KeyError, TypeError, ValueError, ZeroDivisionError, OverflowError, OSError) as error:
        raise WrongShape(f"symbols and limits that cannot be read ({type(error).__name__}: {error})"[:300]) from error
    return found, weight


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{_shown(value)} is no text")
    return value


def _rows(body: Any) -> list[Any]:
    if not isinstance(body, list):
        raise WrongShape(f"the body is {_shown(body)}, not a list of rows")
    return body


def _stamp(value: Any, number: int) -> int:
    """Return milliseconds; an integer in reality, a string in the documentation's sample."""
    if isinstance(value, str) and value.isdecimal() and len(value) <= 20:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not _MILLISECONDS[0] <= value <= _MILLISECONDS[1]:
        raise WrongShape(f"row {number} has the stamp {_shown(value)}, not milliseconds since 1970")
    return value


def _numbers(values: list[Any], name: str) -> np.ndarray:
    found = np.empty(len(values))
    for number, value in enumerate(values):
        try:
            # A number may be written as one or as text; what Python reads beyond that (True, "1_000") is none.
            if (
                isinstance(value, bool)
                or not isinstance(value, str | int | float)
                or (isinstance(value, str) and "_" in value)
            ):
                raise ValueError
            found[number] = float(value)
        except (ValueError, OverflowError):
            raise WrongShape(f"row {number} has {_shown(value)} as {name}, not a number") from None
    if not np.isfinite(found).all():
        raise WrongShape(f"row {int(np.argmin(np.isfinite(found)))} has no finite {name}")
    return found


def _once(stamps: np.ndarray, values: list[np.ndarray]) -> tuple[np.ndarray, Notes]:
    """Order rows and keep one per stamp; two that contradict each other cannot both be read."""
    keep, notes = quirks.keep_last_of_equal(stamps, values)
    if notes.get("conflicting_duplicates"):
        raise WrongShape("two rows of one stamp have different values")
    return keep, notes


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number with too many digits, or too deep
        text = f"a {type(value).__name__} that cannot be shown"
    return text if len(text) <= 80 else f"{text[:77]}..."


def windows(since: datetime, until: datetime, width: timedelta) -> list[tuple[datetime, datetime]]:
    """Return the stretches of at most `width` that make up `since` to `until`, oldest first."""
    found = []
    while since < until:
        found.append((since, min(since + width, until)))
        since += width
    return found

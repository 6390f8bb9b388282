"""The public forced-order stream: its address, its messages, and the tables they become (exchange.md 4).

What it tells is a LOWER BOUND: of each symbol only the largest order of a second is sent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pyarrow as pa

from liq_pipeline.errors import SettingsError
from liq_pipeline.exchange.quirks import LARGEST
from liq_pipeline.setting_forms import url_parts

LOWER_BOUND = "LOWER BOUND of liquidations: of each symbol only the largest forced order per second is sent"
LONGEST_URL = 8_000  # bytes; servers commonly refuse longer request lines
MOST_SKEW = timedelta(days=7)  # a trade time further from our clock is not believed
MOST_DELAY = timedelta(hours=1)  # between a trade and the event that tells of it

_NUMBER = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")
_WORD = re.compile(r"[A-Z_]{1,32}")


def _column(name: str, kind: pa.DataType, meaning: str) -> pa.Field:
    return pa.field(name, kind, metadata={"meaning": meaning})


_INSTANT = pa.timestamp("ms", tz="UTC")
_NOTES = {"note": LOWER_BOUND, "source": "<symbol>@forceOrder, Binance USD-M", "schema_version": "1"}

ORDER_SCHEMA = pa.schema(
    [
        _column("symbol", pa.string(), "perpetual"),
        _column("ts", _INSTANT, "trade time, UTC, by the exchange's clock"),
        _column("event_time", _INSTANT, "when the exchange sent it, UTC, by its clock"),
        _column("side", pa.string(), "of the order: SELL closes a long, BUY closes a short"),
        _column("order_type", pa.string(), "such as LIMIT"),
        _column("time_in_force", pa.string(), "such as IOC"),
        _column("price", pa.float64(), "of the order, USD per contract"),
        _column("average_price", pa.float64(), "of the fills, USD per contract"),
        _column("quantity", pa.float64(), "ordered, base asset"),
        _column("last_filled_quantity", pa.float64(), "of the last fill, base asset"),
        _column("filled_quantity", pa.float64(), "of all fills, base asset; times average_price = USD liquidated"),
        _column("status", pa.string(), "such as FILLED"),
        _column("received_at", pa.timestamp("us", tz="UTC"), "when we had it, UTC, by our clock"),
    ],
    metadata=_NOTES,
)
IDENTITY = (
    "symbol", "ts", "side", "order_type", "time_in_force", "price", "average_price", "quantity",
    "last_filled_quantity", "filled_quantity", "status",
)  # fmt: skip
"""What makes two rows the same order: all that the exchange says of it, but not when it was said (two connections may
be told at different times)."""

COVERAGE_SCHEMA = pa.schema(
    [
        _column("connected_from", pa.timestamp("us", tz="UTC"), "from here on we listened, UTC; included"),
        _column("connected_until", pa.timestamp("us", tz="UTC"), "until here that is proven, UTC; excluded"),
        _column("symbols", pa.list_(pa.string()), "whose orders we listened to"),
        _column("ended_by", pa.string(), "why it ended; empty: it goes on, or the recorder was killed"),
    ],
    metadata={**_NOTES, "gaps": "between two rows nobody listened: no order there does not mean no liquidation"},
)
QUARANTINE_SCHEMA = pa.schema(
    [
        _column("received_at", pa.timestamp("us", tz="UTC"), "UTC, by our clock"),
        _column("reason", pa.string(), "why it was not taken"),
        _column("message", pa.string(), "its first 500 characters"),
    ]
)


@dataclass(frozen=True, slots=True)
class ForcedOrder:
    """One forced order. Fields as in `ORDER_SCHEMA`."""

    symbol: str
    ts: datetime
    event_time: datetime
    side: str
    order_type: str
    time_in_force: str
    price: float
    average_price: float
    quantity: float
    last_filled_quantity: float
    filled_quantity: float
    status: str
    received_at: datetime

    @property
    def identity(self) -> tuple[object, ...]:
        """What makes it the same order when it comes twice."""
        return tuple(getattr(self, name) for name in IDENTITY)


class Malformed(Exception):
    """A message that is not a forced order of ours; the text says why."""


def stream_url(address: str, symbols: Collection[str]) -> str:
    """Return where the forced orders of these symbols are streamed.

    Raises:
        SettingsError: an address that cannot be used, or would connect and stay silent; too many symbols for one URL.
    """
    try:
        parts = url_parts(address, "ws", "wss")
    except ValueError as error:
        raise SettingsError(
            f"{address!r} is not the address of a stream: {error}", remedy="wss://host/market"
        ) from None
    if parts.path.rstrip("/") != "/market":
        raise SettingsError(
            f"{address!r} is not routed: since 2026-04-23 such an address connects and sends no forced order",
            expected="an address that ends with /market",
            remedy="leave out --stream (LIQ_STREAM) for the exchange's own",
        )
    streams = "/".join(f"{quote(symbol.lower())}@forceOrder" for symbol in symbols)
    url = f"{address.rstrip('/')}/stream?streams={streams}"
    if len(url) > LONGEST_URL:
        raise SettingsError(
            f"{len(symbols)} symbols make an address of {len(url)} characters", expected=f"at most {LONGEST_URL}",
            remedy="record fewer symbols, or some of them into another --data folder",
        )  # fmt: skip
    return url


def parse_message(message: str | bytes, symbols: Collection[str], received_at: datetime) -> ForcedOrder:
    """Return the forced order in a message of a combined stream.

    Raises:
        Malformed: anything else, with the reason.
    """
    try:
        content = json.loads(message)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"not JSON: {str(error)[:80]}") from None
    event = _object(content, "data") if isinstance(content, dict) and "data" in content else content
    if not isinstance(event, dict) or event.get("e") != "forceOrder":
        raise Malformed("not a forced order")
    order = _object(event, "o")
    symbol = order.get("s")
    if not isinstance(symbol, str) or symbol not in symbols:
        raise Malformed("o.s: not a symbol that we asked for")
    if order.get("S") not in ("BUY", "SELL"):
        raise Malformed("o.S: neither BUY nor SELL")
    ts, event_time = _instant(order, "T", received_at), _instant(event, "E", received_at)
    if abs(event_time - ts) > MOST_DELAY:
        raise Malformed("E and o.T are more than an hour apart")
    return ForcedOrder(
        symbol=symbol,
        ts=ts,
        event_time=event_time,
        side=order["S"],
        order_type=_word(order, "o"),
        time_in_force=_word(order, "f"),
        price=_number(order, "p", positive=True),
        average_price=_number(order, "ap"),
        quantity=_number(order, "q", positive=True),
        last_filled_quantity=_number(order, "l"),
        filled_quantity=_number(order, "z"),
        status=_word(order, "X"),
        received_at=received_at,
    )


def _object(parent: dict[str, Any], name: str) -> dict[str, Any]:
    found = parent.get(name)
    if not isinstance(found, dict):
        raise Malformed(f"{name}: not an object")
    return found


def _number(order: dict[str, Any], name: str, *, positive: bool = False) -> float:
    text = order.get(name)
    # Only the exchange's plain decimals: float() alone would also take 'nan', ' 1 ' and '1_000'.
    if not isinstance(text, str) or not _NUMBER.fullmatch(text) or (positive and not float(text) > 0):
        raise Malformed(f"o.{name}: not a {'positive ' if positive else ''}number in quotes")
    if float(text) > LARGEST:
        raise Malformed(f"o.{name}: more than {LARGEST:g}")
    return float(text)


def _word(order: dict[str, Any], name: str) -> str:
    text = order.get(name)
    if not isinstance(text, str) or not _WORD.fullmatch(text):
        raise Malformed(f"o.{name}: not a word in capitals")
    return text


def _instant(parent: dict[str, Any], name: str, received_at: datetime) -> datetime:
    number = parent.get(name)
    if not isinstance(number, int) or isinstance(number, bool) or not 0 < number < 10**14:
        raise Malformed(f"{name}: not milliseconds since 1970")
    found = datetime.fromtimestamp(number // 1000, UTC) + timedelta(milliseconds=number % 1000)
    if abs(found - received_at) > MOST_SKEW:
        raise Malformed(f"{name}: more than {MOST_SKEW.days} days from our clock")
    return found

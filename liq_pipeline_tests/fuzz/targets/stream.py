"""Messages of the public stream of forced orders."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from liq_pipeline.exchange.forced_orders import Malformed, parse_message
from liq_pipeline.exchange.quirks import LARGEST
from liq_pipeline_tests.fuzz.harness import Broken, Target
from liq_pipeline_tests.fuzz.mutators import NUMBERS

NOW = datetime(2026, 6, 27, 6, 2, tzinfo=UTC)
_T = int(NOW.timestamp() * 1000) - 1500
_ORDER = {
    "s": "BTCUSDT", "S": "SELL", "o": "LIMIT", "f": "IOC", "q": "0.014", "p": "9910", "ap": "9910.5", "X": "FILLED",
    "l": "0.014", "z": "0.014", "T": _T,
}  # fmt: skip
_EVENT = {"e": "forceOrder", "E": _T + 10, "o": _ORDER}
_COMBINED = {"stream": "btcusdt@forceOrder", "data": _EVENT}


def targets(workspace: Path) -> list[Target]:
    """Return the targets of this module."""
    seeds = [json.dumps(_COMBINED).encode(), json.dumps(_EVENT).encode()]
    return [Target("stream", seeds, _parse, _make, (Malformed,))]


def _make(rng: Random) -> bytes:
    order = {name: value for name, value in _ORDER.items() if rng.random() > 0.02}
    for name in list(order):
        if rng.random() < 0.1:
            number = rng.choice(NUMBERS).decode("utf-8", "replace")
            order[name] = rng.choice((number, number, rng.randrange(2 * _T), None, [], {}, True, 1e308))
    return json.dumps(_COMBINED | {"data": _EVENT | {"o": order}}).encode()


def _parse(data: bytes) -> None:
    order = parse_message(data, {"BTCUSDT", "ETHUSDT"}, NOW)
    numbers = (order.price, order.average_price, order.quantity, order.last_filled_quantity, order.filled_quantity)
    if not all(0 <= number <= LARGEST for number in numbers) or order.price <= 0 or order.quantity <= 0:
        raise Broken(f"numbers that cannot be: {numbers}")
    if order.side not in ("BUY", "SELL") or abs((order.ts - NOW).days) > 7:
        raise Broken("an order that cannot be")

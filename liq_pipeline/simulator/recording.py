"""A recording of a market's forced orders, as `liq record` would have kept it had it listened all the time."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from liq_pipeline.exchange.forced_orders import parse_message
from liq_pipeline.exchange.recorded import Batch, Connected, RecordingFolder
from liq_pipeline.simulator.market import Market
from liq_pipeline.simulator.stream import forced_orders_of


def record(market: Market, folder: Path, days: int) -> int:
    """Write what the stream told in the last days of a market; return the number of orders.

    The messages take the recorder's own way, so that the files are those of `liq record`.
    """
    config = market.config
    until = datetime.combine(config.first_day, datetime.min.time(), UTC) + timedelta(days=config.days)
    since = until - timedelta(days=days)
    first = int(since.timestamp() * 1000)
    orders = [
        parse_message(json.dumps(order.message()), {config.symbol}, datetime.fromtimestamp(order.event_ms / 1000, UTC))
        for order in forced_orders_of(market)
        if order.ts_ms >= first
    ]
    # The last bar counts as heard whole: an order is pushed up to a second after it traded.
    heard = Connected(since, until + timedelta(minutes=1), (config.symbol,), "stopped")
    with RecordingFolder(folder) as recording:
        recording.write(Batch(orders, [heard]))
    return len(orders)

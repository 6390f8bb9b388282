"""A small published folder, and a service over it."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import uvicorn

from liq_pipeline.model.levels import LEVERAGE_CLASSES
from liq_pipeline.model.timeframes import TIMEFRAMES
from liq_pipeline.published.publish import PublishedDataset, Publisher
from liq_pipeline.published.schemas import (
    CANDLES_SCHEMA,
    HEATMAP_SCHEMA,
    LEVELS_SCHEMA,
    OI_DELTA_SCHEMA,
    POSITIONS_SCHEMA,
)
from liq_pipeline.server.app import create_app
from liq_pipeline.server.connection import Connection
from liq_pipeline.server.run import OPTIONS
from liq_pipeline_tests.conftest import MadeOnce

AS_OF = datetime(2026, 6, 28, tzinfo=UTC)
NOW = AS_OF + timedelta(hours=5)
GOOD, HURT = "GOODUSDT", "HURTUSDT"
DATASETS = ("liquidation_levels", "liquidation_heatmap", "candles")


def datasets_of(symbol: str, timeframe: str, as_of: datetime = AS_OF, price: float = 100.0) -> list[PublishedDataset]:
    """Return a few rows of everything that the service reads."""
    key = {"exchange": "binance", "symbol": symbol, "timeframe": timeframe}
    hours = [as_of - timedelta(hours=back) for back in (3, 2, 1, 0)]
    levels = [
        {**key, "as_of": as_of, "side": side, "leverage": leverage,
         "price_low": low, "price_high": low + 0.1, "contracts": 2.0, "notional_usd": 2 * low, "current_price": price,
         "distance_pct": low - price}
        for side, low in (("long", 95.0), ("long", 90.0), ("short", 105.0)) for leverage in (10.0, 100.0)
    ]  # fmt: skip
    cells = [
        {**key, "ts": ts, "price_low": low, "price_high": low + 0.5, "side": side,
         "notional_usd": 100.0, "contracts": 1.0,
         **{f"notional_usd_{name}": 25.0 for name in LEVERAGE_CLASSES}}
        for ts in hours for side, low in (("long", 98.0), ("long", 97.5), ("short", 102.0))
    ]  # fmt: skip
    candles = [
        {**key, "ts": ts, "open_time": ts - timedelta(hours=1), "open": price,
         "high": price + 1, "low": price - 1, "close": price, "volume": 5.0}
        for ts in hours
    ]  # fmt: skip
    facts = {
        "as_of": as_of.isoformat().replace("+00:00", "Z"), "first_ts": "2026-06-01T00:05:00Z", "current_price": price,
        "open_interest_contracts": 1000.0, "burn_in_days": 20.0, "bar_minutes": 5, "long_notional_usd": 740.0,
        "short_notional_usd": 420.0, "long_contracts": 8.0, "short_contracts": 4.0, "coverage_pct": 100.0,
    }  # fmt: skip
    rows = (
        pa.Table.from_pylist(levels, LEVELS_SCHEMA),
        pa.Table.from_pylist(cells, HEATMAP_SCHEMA),
        pa.Table.from_pylist(candles, CANDLES_SCHEMA),
    )
    return [
        PublishedDataset(name, symbol, table, dict(facts), timeframe)
        for name, table in zip(DATASETS, rows, strict=True)
    ]


def publish_small(folder: Path) -> Path:
    """Publish two symbols."""
    for symbol in (GOOD, HURT):
        for timeframe in TIMEFRAMES:
            Publisher(folder=str(folder), code_version="1").publish(datasets_of(symbol, timeframe))
        Publisher(folder=str(folder), code_version="1").publish([deltas_of(symbol), positions_of(symbol)])
    return folder


def deltas_of(symbol: str) -> PublishedDataset:
    """Return `oi_delta` with one row."""
    row = {"symbol": symbol, "ts": AS_OF, "open_interest": 1000.0, "oi_delta": 1.0, "oi_delta_usd": 100.0,
           "entry_price": 100.0, "volume": 5.0, "is_interpolated": False, "contract": 0}  # fmt: skip
    facts = {"as_of": AS_OF.isoformat().replace("+00:00", "Z")}
    return PublishedDataset("oi_delta", symbol, pa.Table.from_pylist([row], OI_DELTA_SCHEMA), facts)


def positions_of(symbol: str) -> PublishedDataset:
    """Return `positions` of three bars; something opened in each but the first."""
    ended = [None] * 12 + [AS_OF]
    rows = [
        {"exchange": "binance", "symbol": symbol, "ts": AS_OF - timedelta(minutes=5 * back), "side": side,
         "low": 99.0, "high": 101.0, "close": 100.0,
         "entry_price": 100.0 if back < 2 else None, "contracts_opened": 13.0 if back < 2 else 0.0,
         "maintenance_margin_rate": 0.004 if back < 2 else None, "leverages": 13 if back < 2 else None,
         "liquidated_at": (ended if back else [None] * 13) if back < 2 else None,
         "log_survival": -0.1 * (3 - back), "is_interpolated": False}
        for back in (2, 1, 0) for side in ("long", "short")
    ]  # fmt: skip
    facts = {"as_of": AS_OF.isoformat().replace("+00:00", "Z"), "first_ts": "2026-06-27T23:50:00Z"}
    return PublishedDataset("positions", symbol, pa.Table.from_pylist(rows, POSITIONS_SCHEMA), facts)


def small_copy(folder: Path, made_once: MadeOnce) -> Path:
    """Return a copy of what `publish_small` makes, in a folder that is not there yet."""
    return shutil.copytree(made_once("small", lambda empty: publish_small(empty) and None), folder)


class Impatient(Connection):
    """Waits less, so that a cut-off request does not take long."""

    head_seconds = 0.3
    look_seconds = 0.05


def serve(folder: Path, **options: Any) -> tuple[uvicorn.Server, threading.Thread, int]:
    """Start a service in a thread; return it and its port."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=512)
    config = uvicorn.Config(
        create_app(folder, lambda: NOW, **options), **OPTIONS | {"log_level": "critical", "http": Impatient}
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    return server, thread, listening.getsockname()[1]

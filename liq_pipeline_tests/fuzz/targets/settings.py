"""Settings: whatever stands in a variable or an option is a setting that works, or refused with exit code 2."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from math import isfinite
from pathlib import Path
from random import Random

from liq_pipeline.exchange.forced_orders import stream_url
from liq_pipeline.settings import DEFAULT_HISTORY, Settings, load_settings
from liq_pipeline_tests.fuzz.harness import Broken, Target
from liq_pipeline_tests.fuzz.mutators import NUMBERS, TOKENS

_GOOD = {
    "symbols": "BTCUSDT,ETHUSDT", "bar": "5m", "since": "2026-01-11", "archive": "https://data.binance.vision",
    "no_checksums": "0", "rest": "off", "stream": "wss://fstream.binance.com/market", "data_dir": "data",
    "now": "2026-06-27T06:00:00Z", "replay_speed": "10", "replay_started": "2026-06-27T06:00:00+02:00", "workers": "8",
    "memory_limit": "2GB", "lock_timeout_seconds": "600", "truth": "BTCUSDT=a.csv", "source_label": "simulated",
    "serve_port": "8000", "serve_origins": "https://a.example", "serve_rate_limit": "600/minute",
    "alert_stale_hours": "72", "alert_zone_pct": "2", "alert_cooldown_hours": "6", "alert_daily_cap": "20",
}  # fmt: skip
_ODD = [
    "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "inf", "-inf", "nan", "A" * 300, "wss://[/market",
    "wss://a:99999/market", "a $\\frac$ b", "\u0663/minute", "1/0minute", "99999999999/day", "7m", "off", "../..", "\0",
    "http://", "https://[", "~", "%s", "1e999", "true", "\u5e01\u5b89USDT", "2026-02-30",
]  # fmt: skip


def targets(workspace: Path) -> list[Target]:
    """Return the targets of this module."""
    seeds = [json.dumps({name: value}).encode() for name, value in _GOOD.items()]
    return [Target("settings", [json.dumps(_GOOD).encode(), *seeds], _parse, _make, typed=(_NotOurs,))]


class _NotOurs(Exception):
    """An input of the harness that is no set of settings."""


def _make(rng: Random) -> bytes:
    names = rng.sample(sorted(_GOOD), rng.randint(1, 3))
    words = [*_ODD, *(one.decode("utf-8", "replace") for one in (*NUMBERS, *TOKENS)), *_GOOD.values()]
    return json.dumps({name: rng.choice(words) for name in names}).encode()


def _parse(data: bytes) -> None:
    try:
        given = json.loads(data)
    except (ValueError, RecursionError):
        raise _NotOurs from None
    if not isinstance(given, dict):
        raise _NotOurs
    given = {name: str(value) for name, value in given.items() if name in Settings.model_fields}
    settings = load_settings(**given)
    now = settings.now or datetime(2026, 6, 27, tzinfo=UTC)
    first_day = settings.since or (now - DEFAULT_HISTORY).date()
    if not isinstance(first_day, date) or now + timedelta(days=400) < now - timedelta(days=400):
        raise Broken("days that cannot be")
    if not all(0 < len(symbol.encode()) <= 100 for symbol in settings.symbols):
        raise Broken("a symbol that cannot name a file")
    if not all(isfinite(value) for _, value in settings if isinstance(value, float)):
        raise Broken("a number that is none")
    assert (settings.rest_url is None) or settings.listing_url is not None
    settings.as_environment()
    stream_url(settings.stream, settings.symbols)

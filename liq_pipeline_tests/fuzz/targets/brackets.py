"""Margin brackets that a user brings."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import numpy as np

from liq_pipeline.exchange.brackets import read_brackets
from liq_pipeline_tests.fuzz.harness import Broken, Target

_ROWS = [
    {"bracket": 1, "initialLeverage": 75, "notionalCap": 5000, "notionalFloor": 0, "maintMarginRatio": 0.01, "cum": 0},
    {"bracket": 2, "initialLeverage": 50, "notionalCap": 9e4, "notionalFloor": 5000, "maintMarginRatio": 0.015,
     "cum": 25.0},
]  # fmt: skip
_TIERS = [
    {"tier": 1.0, "minNotional": 0.0, "maxNotional": 5e3, "maintenanceMarginRate": 0.01, "maxLeverage": 60.0},
    {"tier": 2.0, "minNotional": 5e3, "maxNotional": 5e4, "maintenanceMarginRate": 0.015, "maxLeverage": 40.0},
]


def targets(workspace: Path) -> list[Target]:
    """Return the targets of this module."""
    seeds = [
        [{"symbol": "ETHUSDT", "notionalCoef": 1.5, "brackets": _ROWS}, {"symbol": "BTCUSDT", "brackets": _ROWS}],
        {"symbol": "ETHUSDT", "brackets": _ROWS},
        {"BTC/USDT:USDT": _TIERS, "ETH/USDC:USDC": _TIERS, "BTC/USD:BTC": _TIERS},
    ]
    return [Target("brackets", [json.dumps(seed).encode() for seed in seeds], _parse)]


def _parse(data: bytes) -> None:
    for symbol, table in read_brackets(data, date(2026, 6, 25)).tables.items():
        numbers = np.concatenate([table.notional_floor, table.mmr, table.cum, table.max_leverage])
        if not symbol or not np.isfinite(numbers).all():
            raise Broken(f"{symbol}: {numbers}")
        if table.notional_floor[0] or (np.diff(table.mmr) < 0).any() or not (0 < table.mmr[0] < 1):
            raise Broken(f"{symbol}: {table.mmr}")

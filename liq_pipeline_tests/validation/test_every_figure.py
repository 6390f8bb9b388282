"""Every figure of a small validation, to seven digits: a change may not move one unmeant.

The figures lie beside this file. After a change that is meant to change some, write them anew, and read what changed:

    pytest liq_pipeline_tests/validation/test_every_figure.py --update-docs && git diff
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from liq_pipeline.model import boosted
from liq_pipeline.model.alignment import MarketData, ObservedLiquidations, spread_open_interest
from liq_pipeline.model.scoring import ridge
from liq_pipeline.model.walk import WalkInput
from liq_pipeline.validation.inputs import Inputs
from liq_pipeline.validation.run import validate

FIGURES = Path(__file__).with_name("every_figure.json")
HALF_HOUR, HOUR = np.timedelta64(30, "m"), np.timedelta64(60, "m")
BARS = 12 * 48


def small_market() -> Inputs:
    """Bars of half an hour of which one is missing, open interest every hour and a half, a truth by the hour."""
    rng = np.random.default_rng(12)
    ts = np.datetime64("2026-03-01T00:30", "us") + np.arange(BARS) * HALF_HOUR
    close = 50_000 * np.exp(np.cumsum(rng.normal(0, 0.006, BARS)))
    opening = np.concatenate([[50_000.0], close[:-1]])
    high = np.maximum(opening, close) * (1 + rng.exponential(0.002, BARS))
    low = np.minimum(opening, close) * (1 - rng.exponential(0.002, BARS))
    volume = rng.exponential(3_000, BARS) * (rng.random(BARS) > 0.02)
    entry = low + rng.random(BARS) * (high - low)
    snapshots = 80_000 * np.exp(np.cumsum(rng.normal(0, 0.02, BARS // 3 + 1)))
    at = ts[::3]
    interest, known = spread_open_interest(ts, HALF_HOUR, volume, at, snapshots[: at.size])
    usd = np.column_stack([1 - low / opening, high / opening - 1]) * rng.lognormal(15, 1.0, (BARS, 2))
    usd = np.where(rng.random((BARS, 2)) < 0.1, 0.0, usd)
    kept = (np.arange(BARS) != 400) & np.isfinite(interest)
    bars = (interest, entry, low, high, close, volume)
    walk_input = WalkInput(ts[kept], *(values[kept] for values in bars))
    hourly = usd.reshape(-1, 2, 2).sum(axis=1)
    listened = np.arange(BARS // 2) != 250
    truth = ObservedLiquidations(ts[1::2][listened], hourly[listened, 0], hourly[listened, 1], HOUR)
    return Inputs(MarketData(walk_input, opening[kept], known[kept], HALF_HOUR), truth, 3 * HALF_HOUR, ["a note"],
                  {"bar_minutes": 30})  # fmt: skip


def differences(found: Any, expected: Any, at: str = "") -> list[str]:
    """What differs, each with its place."""
    if isinstance(found, dict) and isinstance(expected, dict) and found.keys() == expected.keys():
        return [line for name in found for line in differences(found[name], expected[name], f"{at}.{name}")]
    if isinstance(found, list) and isinstance(expected, list) and len(found) == len(expected):
        return [line for place, pair in enumerate(zip(found, expected, strict=True))
                for line in differences(*pair, f"{at}[{place}]")]  # fmt: skip
    if isinstance(found, float) and isinstance(expected, float):
        return [] if math.isclose(found, expected, rel_tol=1e-7, abs_tol=1e-7) else [f"{at}: {found}, was {expected}"]
    return [] if found == expected and type(found) is type(expected) else [f"{at}: {found}, was {expected}"]


def test_every_figure_of_a_small_validation_is_as_it_was(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
):
    monkeypatch.setattr(boosted, "boosted", ridge)  # a forest's figures change with scikit-learn's version

    found = json.loads(json.dumps(validate(small_market(), "BTCUSDT", "somebody").as_json(), sort_keys=True))

    if request.config.getoption("--update-docs"):
        FIGURES.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    assert differences(found, json.loads(FIGURES.read_text(encoding="utf-8"))) == []

"""The examples run over what a run published, and say what they promise."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from liq_pipeline import client
from liq_pipeline_tests.conftest import REPOSITORY

FOLDER = REPOSITORY / "examples"


def load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.py")))
def test_each_runs_and_names_the_symbol(name: str, good_run, child_env) -> None:
    done = subprocess.run(
        [sys.executable, FOLDER / f"{name}.py", good_run.published_dir],
        env=child_env(PYTHONPATH=str(REPOSITORY)), capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert "BTCUSDT" in done.stdout or "liq_imbalance" in done.stdout


def test_every_example_is_listed() -> None:
    listed = (FOLDER / "README.md").read_text(encoding="utf-8")

    assert all(path.name in listed for kind in ("*.py", "*.pine") for path in FOLDER.glob(kind))


def test_a_candle_gets_what_was_known_when_it_closed(good_run) -> None:
    features = client.liquidation_features("BTCUSDT", folder=good_run.published_dir)
    opened = features["ts"].iloc[[100, 101, 500]] - timedelta(minutes=5)
    merged = load("freqtrade_merge").merge_features(
        pd.DataFrame({"date": opened}), "BTC/USDT:USDT", str(good_run.published_dir)
    )

    np.testing.assert_array_equal(merged["liq_imbalance"], features["imbalance"].iloc[[100, 101, 500]])
    late = pd.DataFrame({"date": [features["ts"].iloc[-1] + timedelta(days=3)]})
    none = load("freqtrade_merge").merge_features(late, "BTC/USDT:USDT", str(good_run.published_dir))
    assert none["liq_imbalance"].isna().all()  # nothing of three days ago is taken for news


def test_the_pasted_line_holds_the_twenty_largest_zones(good_run) -> None:
    line = load("tradingview").zones("BTCUSDT", folder=str(good_run.published_dir))
    items = [item.split(":") for item in line.split(";")]

    assert len(items) == 20
    assert all(float(low) < float(high) and float(usd) > 0 and side in "LS" for low, high, usd, side in items)
    usd = [float(item[2]) for item in items]
    assert usd == sorted(usd, reverse=True)

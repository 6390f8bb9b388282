"""Frames of the good run, and a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from liq_pipeline.published.layout import dataset_path, view_folder
from liq_pipeline.published.manifests import read_manifest
from liq_pipeline.settings import Settings
from liq_pipeline.views.frame import HeatmapView, frame_of
from liq_pipeline.views.levels_frame import LevelsView, levels_frame_of
from liq_pipeline_tests.page import QUIET


@pytest.fixture(scope="session")
def frames(good_run: Settings) -> Callable[..., tuple[HeatmapView, LevelsView]]:
    """Return what the pictures of a timeframe show, some hours after the data ends."""

    def make(timeframe: str, hours: float = 6, **facts: Any) -> tuple[HeatmapView, LevelsView]:
        found = {}
        for name in ("liquidation_heatmap", "candles", "liquidation_levels"):
            path = dataset_path(good_run.published_dir, name, "BTCUSDT", timeframe)
            found[name] = (pq.read_table(path, partitioning=None), read_manifest(path) | facts)
        cells, of_cells = found["liquidation_heatmap"]
        levels, of_levels = found["liquidation_levels"]
        now = good_run.now + timedelta(hours=hours - 6)
        return (
            frame_of(cells, found["candles"][0], of_cells, now),
            levels_frame_of(levels, of_levels, "BTCUSDT", timeframe, now),
        )

    return make


@pytest.fixture(scope="session")
def pages(good_run: Settings) -> Callable[[str], Path]:
    """Return the folder of a timeframe's views."""
    return lambda timeframe: view_folder(good_run.published_dir, "BTCUSDT", timeframe)


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Any]:
    """A headless Chromium that asks nobody anything."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        running = play.chromium.launch(executable_path=str(chromium), args=QUIET)
        yield running
        running.close()

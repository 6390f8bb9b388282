"""All views of one symbol and timeframe, from its published files."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from liq_pipeline.clock import iso
from liq_pipeline.errors import NoData, PublishedDamaged
from liq_pipeline.model.if_reached import HORIZON_HOURS
from liq_pipeline.published.if_reached import DATASET, hidden_because
from liq_pipeline.published.layout import dataset_path
from liq_pipeline.published.manifests import read_manifest
from liq_pipeline.views.frame import frame_of
from liq_pipeline.views.heatmap_png import draw_heatmap
from liq_pipeline.views.levels_frame import levels_frame_of
from liq_pipeline.views.map_png import draw_map
from liq_pipeline.views.packed import heatmap_packed, levels_packed
from liq_pipeline.views.page import heatmap_html, page_assets
from liq_pipeline.views.reached import reached_payload
from liq_pipeline.views.style import DARK, LIGHT


def draw_all(folder: Path, symbol: str, timeframe: str, now: datetime) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Return the files of `views/<SYMBOL>/<TF>/` by name, and what their manifest says.

    Raises:
        NoData: the symbol's levels, heatmap or candles are not published.
    """
    (cells, facts), (candles, _), (levels, of_levels) = (
        _published(folder, name, symbol, timeframe) for name in ("liquidation_heatmap", "candles", "liquidation_levels")
    )
    frame = frame_of(cells, candles, facts, now)
    map_ = levels_frame_of(levels, of_levels, symbol, timeframe, now)
    files = {
        "heatmap.png": draw_heatmap(frame, DARK),
        "heatmap-light.png": draw_heatmap(frame, LIGHT),
        "map.png": draw_map(map_, DARK),
        "map-light.png": draw_map(map_, LIGHT),
        "heatmap.html": heatmap_html(
            symbol,
            timeframe,
            heatmap_packed(frame),
            levels_packed(levels, of_levels, symbol, timeframe, now),
            _ranges(folder, symbol, of_levels["as_of"], now),
        ),
    }
    return files, {"as_of": facts["as_of"], "drawn_at": iso(now)}


def shared_files() -> dict[str, bytes]:
    """Return the files that all pages share, by name."""
    return page_assets()


def _ranges(folder: Path, symbol: str, as_of: str, now: datetime) -> dict[str, dict[str, Any]]:
    """Return what gets liquidated on the way to a price, by hours of the horizon, or why that is not known."""
    path = dataset_path(folder, DATASET, symbol)
    facts = read_manifest(path)
    why = hidden_because((), None)
    if facts and facts["as_of"] != as_of:
        why = f"it is known as of {facts['as_of']}, not as of these levels. To do: liq run"
    elif facts:
        try:
            rows = pq.read_table(path, partitioning=None)
            return {str(hours): reached_payload(rows, facts, symbol, hours, now) for hours in HORIZON_HOURS}
        except PublishedDamaged as error:  # the rest of the page is good
            why = str(error)
    return {str(hours): {"hidden_because": why} for hours in HORIZON_HOURS}


def _published(folder: Path, name: str, symbol: str, timeframe: str) -> tuple[pa.Table, dict[str, Any]]:
    path = dataset_path(folder, name, symbol, timeframe)
    manifest = read_manifest(path)
    if manifest is None or not path.exists():
        raise NoData(
            f"{path} is not published",
            expected="levels, heatmap and candles of the same run",
            remedy="run `refresh_job`",
        )
    return pq.read_table(path, partitioning=None), manifest

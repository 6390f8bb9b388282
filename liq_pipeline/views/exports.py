"""What is made when asked for: a heatmap in the shape that bots parse, levels for spreadsheets."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from liq_pipeline.clock import iso
from liq_pipeline.views.frame import HeatmapView
from liq_pipeline.views.payload import ESTIMATED, age_facts


def bot_payload(frame: HeatmapView) -> dict[str, Any]:
    """Return a heatmap in the shape bots already parse.

    `y_axis`: middle price of each row. `liquidation_leverage_data`: [x, y, usd], x into `price_candlesticks`, y into
    `y_axis`. `price_candlesticks`: [opening second, "open", "high", "low", "close", "volume"]; a column without a bar
    repeats the last close, volume "0".
    """
    column, row = np.nonzero(np.rint(frame.total))
    amounts = np.rint(frame.total[column, row]).astype(np.int64)
    edges = frame.row_edges
    return {
        "symbol": frame.symbol,
        "timeframe": frame.timeframe,
        "source_label": frame.source_label,
        **{name: value for name, value in age_facts(frame.as_of, frame.now).items() if name == "as_of"},
        "note": ESTIMATED,
        "y_axis": np.round((edges[:-1] + edges[1:]) / 2, 10).tolist(),
        "liquidation_leverage_data": np.column_stack([column, row, amounts]).tolist(),
        "price_candlesticks": _candlesticks(frame),
    }


def _candlesticks(frame: HeatmapView) -> list[list[int | str]]:
    seconds = (frame.ts - np.datetime64(0, "s")).astype("timedelta64[s]").astype(int) - int(frame.column_width)
    rows: list[list[int | str]] = []
    last = frame.current_price
    for place, second in enumerate(seconds.tolist()):
        prices = [float(frame.candles[name][place]) for name in ("open", "high", "low", "close", "volume")]
        if np.isnan(prices[3]):
            prices = [last, last, last, last, 0.0]
        last = prices[3]
        rows.append([second, *(f"{value:.10g}" for value in prices)])
    return rows


def heatmap_json(frame: HeatmapView) -> bytes:
    """Return `bot_payload` as JSON."""
    return json.dumps(bot_payload(frame), ensure_ascii=False, separators=(",", ":")).encode()


def levels_csv(levels: pa.Table) -> bytes:
    """Return rows of `liquidation_levels` as CSV with a header; instants are ISO 8601, UTC."""
    place = levels.schema.get_field_index("as_of")
    instants = pa.array([iso(value) for value in levels["as_of"].to_pylist()], pa.string())
    sink = io.BytesIO()
    options = pyarrow.csv.WriteOptions(quoting_style="needed")
    pyarrow.csv.write_csv(levels.set_column(place, "as_of", instants), sink, options)
    return sink.getvalue()

"""How long a heatmap and its pictures take, on the data of a run: `python -m benchmarks.heatmap data/demo BTCUSDT`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any

import duckdb
import numpy as np

from liq_pipeline.model.heatmap import COLUMN_WIDTHS, MAX_ROWS, MAX_ROWS_1D, column_instants, heatmap
from liq_pipeline.model.margin import SIDES
from liq_pipeline.published.positions import positions_of
from liq_pipeline.transform.heatmaps import heatmap_rows
from liq_pipeline.views.everything import draw_all
from liq_pipeline.warehouse.schema import named_query


def timed(work: Callable[[], Any], times: int = 5) -> tuple[float, Any]:
    """Median milliseconds after one warm-up, and the result."""
    result = work()
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - began)
    return 1000 * median(seconds), result


def main(data: str = "data/demo", symbol: str = "BTCUSDT") -> dict[str, Any]:
    """Print and return the figures."""
    folder, found = Path(data), {}
    with duckdb.connect(str(folder / "warehouse" / f"{symbol}.duckdb"), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")

        def read(name: str, **parameters: Any) -> Any:
            return connection.execute(named_query(name), {"symbol": symbol, **parameters}).to_arrow_table()

        newest = read("newest_bar").to_pylist()[0]
        survival = read("survival")
        ts = survival["ts"].to_numpy().astype("datetime64[us]")
        log_survival = {side: survival[side].to_numpy() for side in SIDES}
        first = np.datetime64(newest["first_ts"].replace(tzinfo=None), "us")
        found["read_cohorts_ms"], cohorts = timed(lambda: positions_of(read("cohorts")).alive_since(first, ts), 3)
    found["cohorts"] = cohorts.opened.size
    for timeframe in COLUMN_WIDTHS:
        columns = column_instants(ts, timeframe)
        most = MAX_ROWS_1D if timeframe == "1d" else MAX_ROWS
        milliseconds, picture = timed(
            lambda columns=columns, most=most: heatmap(
                cohorts, ts, log_survival, columns, newest["current_price"], most
            )
        )
        tracked = np.bincount(picture.column, picture.contracts, columns.size)
        found[timeframe] = {
            "heatmap_ms": milliseconds,
            "columns": int(columns.size),
            "cells": int(picture.column.size),
            "row_usd": picture.bin_width,
            "last_column_contracts": float(tracked[-1]),
            "rows_ms": timed(lambda picture=picture, timeframe=timeframe: heatmap_rows(picture, symbol, timeframe), 3)[
                0
            ],
        }
        now = newest["as_of"] + timedelta(hours=6)
        milliseconds, (files, _) = timed(
            lambda timeframe=timeframe, now=now: draw_all(folder / "published", symbol, timeframe, now), 3
        )
        found[timeframe]["all_views_ms"] = milliseconds
        found[timeframe]["view_bytes"] = {name: len(content) for name, content in files.items()}
    print(json.dumps(found, indent=2))
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])

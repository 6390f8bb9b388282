"""Heatmaps per timeframe: positions over time × price, four windows on one walk; and a candle for each column."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from liq_pipeline.model.heatmap import COLUMN_WIDTHS, MAX_ROWS, MAX_ROWS_1D, Heatmap, column_instants, heatmap
from liq_pipeline.model.levels import LEVERAGE_CLASSES
from liq_pipeline.model.margin import SIDES
from liq_pipeline.published.layout import EXCHANGE
from liq_pipeline.published.publish import parquet_bytes, rounded
from liq_pipeline.transform.described import described
from liq_pipeline.transform.positions import stored_positions
from liq_pipeline.warehouse.tables import Tables

MANTISSA = 10
"""Bits of a cell's amounts: to 1 part in 2,048. A picture has 200 shades, and one bit more takes 0.9 MB per symbol."""


def write_heatmaps(
    tables: Tables, symbol: str, current_price: float, timeframes: Collection[str]
) -> Iterator[tuple[str, Heatmap, pa.Table]]:
    """Replace the symbol's heatmaps of these timeframes; yield each with its rows as it is done."""
    survival = tables.read("survival", symbol=symbol)
    ts = survival["ts"].to_numpy().astype("datetime64[us]")
    log_survival = {side: survival[side].to_numpy() for side in SIDES}
    columns = {timeframe: column_instants(ts, timeframe) for timeframe in timeframes}
    since = min(instants[0] for instants in columns.values())
    cohorts = stored_positions(tables, symbol).alive_since(since, ts)
    for timeframe, instants in columns.items():
        found = heatmap(cohorts, ts, log_survival, instants, current_price, _max_rows(timeframe))
        rows = heatmap_rows(found, symbol, timeframe)
        tables.store_file(f"liquidation_heatmap_{timeframe}", parquet_bytes(rows))
        yield timeframe, found, rows


def heatmap_rows(found: Heatmap, symbol: str, timeframe: str) -> pa.Table:
    """Return the rows of one `liquidation_heatmap_<timeframe>`, as they are published."""
    count = found.column.size
    classes = {
        f"notional_usd_{name}": rounded(found.by_class[:, place], MANTISSA)
        for place, name in enumerate(LEVERAGE_CLASSES)
    }
    return pa.table(
        {
            "exchange": pa.repeat(EXCHANGE, count),
            "symbol": pa.repeat(symbol, count),
            "timeframe": pa.repeat(timeframe, count),
            "ts": pa.array(found.ts[found.column]).cast(pa.timestamp("us", "UTC")),
            "price_low": found.price_low,
            "price_high": found.price_high,
            "side": pc.if_else(pa.array(found.is_long), "long", "short"),
            "notional_usd": rounded(found.notional_usd, MANTISSA),
            "contracts": rounded(found.contracts, MANTISSA),
            **classes,
        },
        schema=described("liquidation_heatmap"),
    )


def read_candles(tables: Tables, symbol: str, timeframe: str, instants: np.ndarray) -> pa.Table:
    """Return a candle per column: the columns' instants decide its width."""
    width = np.diff(instants).min() if instants.size > 1 else COLUMN_WIDTHS[timeframe]
    return tables.read(
        "candles",
        symbol=symbol,
        timeframe=timeframe,
        as_of=_utc(instants[-1]),
        since=_utc(instants[0] - width),
        width=int(width / np.timedelta64(1, "s")),
    )


def _max_rows(timeframe: str) -> int:
    return MAX_ROWS_1D if timeframe == "1d" else MAX_ROWS


def _utc(value: np.datetime64) -> datetime:
    moment: datetime = value.astype("datetime64[us]").item()
    return moment.replace(tzinfo=UTC)

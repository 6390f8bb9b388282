"""Meaning and unit of the published columns, as they stand inside the files; from one source: the tables' comments."""

from __future__ import annotations

from functools import cache

import pyarrow as pa

from liq_pipeline.published.schemas import SCHEMAS
from liq_pipeline.warehouse.schema import table_columns

TABLE_OF = {
    "liquidation_levels": "liquidation_levels_1d",
    "oi_delta": "oi_delta",
    "liquidation_heatmap": "liquidation_heatmap_1d",
    "candles": "klines",
    "positions": "position_cohorts",
    "liquidation_features": "liquidation_features",
    "levels_history": "liquidation_levels_1d",
}
"""The table whose comments describe the columns of each dataset."""
OF_CANDLES = {
    "exchange": ("where the perpetual is traded: binance (USD-M futures)", ""),
    "timeframe": ("how far back the candles go", ""),
    "ts": ("closing instant of the candle, and of the heatmap's column", "UTC"),
    "open_time": ("opening instant of the candle", "UTC"),
}
OF_POSITIONS = {
    "exchange": ("where the perpetual is traded: binance (USD-M futures)", ""),
    "ts": ("closing instant of the bar", "UTC"),
    "low": ("lowest price of the bar", "USD"),
    "high": ("highest price of the bar", "USD"),
    "close": ("last price of the bar", "USD"),
    "log_survival": (
        "natural log of the side's survival factor: of what opened in bar i, "
        "exp(log_survival(T) − log_survival(i)) is left at T",
        "1",
    ),
    "is_interpolated": ("whether a gap of open interest was spread over this bar, with the snapshot after it", ""),
}
OF_HISTORY = {
    "published_at": ("when the entry was written", "UTC"),
    "bin_width": ("height of a whole bin; the one that holds current_price is cut there", "USD"),
    "notional_usd": ("contracts × liquidation price, summed: estimated exposure, to four digits", "USD"),
}
_ADDED = {"candles": OF_CANDLES, "positions": OF_POSITIONS, "levels_history": OF_HISTORY}


@cache
def meanings(dataset: str) -> dict[str, tuple[str, str]]:
    """Return description and unit (empty: none) of each column of a dataset."""
    described = {column.name: (column.description, column.unit) for column in table_columns()[TABLE_OF[dataset]]}
    described |= _ADDED.get(dataset, {})
    return {name: described[name] for name in SCHEMAS[dataset].names}


@cache
def described(dataset: str) -> pa.Schema:
    """Return the schema of a dataset, with `description` and `unit` in the metadata of its fields."""
    fields = []
    for field in SCHEMAS[dataset]:
        description, unit = meanings(dataset)[field.name]
        fields.append(field.with_metadata({"description": description} | ({"unit": unit} if unit else {})))
    return pa.schema(fields)

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
    "if_reached": "liquidation_levels_1d",
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
    "liquidated_at": (
        "by leverage, then for leverages from 50x on at the low, then at the high of the bar: closing instant of the "
        "bar that touched the liquidation price; null while alive",
        "UTC",
    ),
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
OF_IF_REACHED = {
    "side": ("long (on the way down) or short (on the way up)", ""),
    "source": ("name of the source of reported liquidations that it was fitted on", ""),
    "horizon_hours": ("the price gets to the target within so many hours: given, not said", "h"),
    "target": ("ladder, or zone: the far edge of one of the largest zones", ""),
    "target_price": ("price that is reached", "USD"),
    "distance_pct": ("of the target from the price at as_of; negative below it", "%"),
    "mapped_usd": ("estimated exposure between the price and the target", "USD"),
    "p10_usd": ("liquidated from now until the target is reached: one of ten past cases had less", "USD"),
    "p50_usd": ("the same: half of the past cases had less", "USD"),
    "p90_usd": ("the same: one of ten past cases had more", "USD"),
    "coverage_80": ("share of past cases between p10 and p90, each day fitted on the days before; .80 is right", "1"),
    "range_ratio": ("p90 over p10, median of past cases", "1"),
    "crps_gain_over_distance": ("share by which its CRPS was better than that of distance alone", "1"),
    "days_of_truth": ("days of reported liquidations that it was fitted on", "d"),
}
_ADDED = {"candles": OF_CANDLES, "positions": OF_POSITIONS, "levels_history": OF_HISTORY, "if_reached": OF_IF_REACHED}


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

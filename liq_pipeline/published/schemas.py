"""The columns of each published file, as Arrow schemas. A contract (docs/architecture.md)."""

from __future__ import annotations

import pyarrow as pa

LEVELS_SCHEMA = pa.schema(
    {
        "exchange": pa.string(),
        "symbol": pa.string(),
        "timeframe": pa.string(),
        "as_of": pa.timestamp("us", "UTC"),
        "side": pa.string(),
        "leverage": pa.float64(),
        "price_low": pa.float64(),
        "price_high": pa.float64(),
        "contracts": pa.float64(),
        "notional_usd": pa.float64(),
        "current_price": pa.float64(),
        "distance_pct": pa.float64(),
    }
)
OI_DELTA_SCHEMA = pa.schema(
    {
        "exchange": pa.string(),
        "symbol": pa.string(),
        "ts": pa.timestamp("us", "UTC"),
        "open_interest": pa.float64(),
        "oi_delta": pa.float64(),
        "oi_delta_usd": pa.float64(),
        "entry_price": pa.float64(),
        "volume": pa.float64(),
        "is_interpolated": pa.bool_(),
        "contract": pa.int32(),
    }
)
HEATMAP_SCHEMA = pa.schema(
    {
        "exchange": pa.string(),
        "symbol": pa.string(),
        "timeframe": pa.string(),
        "ts": pa.timestamp("us", "UTC"),
        "price_low": pa.float64(),
        "price_high": pa.float64(),
        "side": pa.string(),
        "notional_usd": pa.float32(),
        "contracts": pa.float32(),
        "notional_usd_10x": pa.float32(),
        "notional_usd_25x": pa.float32(),
        "notional_usd_50x": pa.float32(),
        "notional_usd_over_50x": pa.float32(),
    }
)
CANDLES_SCHEMA = pa.schema(
    {
        "exchange": pa.string(),
        "symbol": pa.string(),
        "timeframe": pa.string(),
        "ts": pa.timestamp("us", "UTC"),
        "open_time": pa.timestamp("us", "UTC"),
        "open": pa.float64(),
        "high": pa.float64(),
        "low": pa.float64(),
        "close": pa.float64(),
        "volume": pa.float64(),
    }
)
POSITIONS_SCHEMA = pa.schema(
    {
        "exchange": pa.string(),
        "symbol": pa.string(),
        "ts": pa.timestamp("us", "UTC"),
        "side": pa.string(),
        "low": pa.float64(),
        "high": pa.float64(),
        "close": pa.float64(),
        "entry_price": pa.float64(),
        "contracts_opened": pa.float64(),
        "maintenance_margin_rate": pa.float64(),
        "leverages": pa.int32(),
        "liquidated_at": pa.list_(pa.field("element", pa.timestamp("us", "UTC"))),  # as Parquet names it
        "log_survival": pa.float64(),
        "is_interpolated": pa.bool_(),
    }
)
_FEATURES = (
    *(f"{side}_usd_within_{pct}_pct" for side in ("long", "short") for pct in ("0_5", "1", "2", "5")),
    "long_notional_usd", "short_notional_usd", "long_zone_distance_pct", "long_zone_usd", "short_zone_distance_pct",
    "short_zone_usd", "imbalance", "long_usd_within_2_pct_change", "short_usd_within_2_pct_change", "imbalance_change",
)  # fmt: skip
FEATURES_SCHEMA = pa.schema(
    {
        "exchange": pa.string(),
        "symbol": pa.string(),
        "ts": pa.timestamp("us", "UTC"),
        "close": pa.float64(),
        **dict.fromkeys(_FEATURES, pa.float32()),
        "open_interest_age_minutes": pa.int32(),
        "is_interpolated": pa.bool_(),
    }
)

HISTORY_SCHEMA = pa.schema(
    {
        "exchange": pa.string(),
        "symbol": pa.string(),
        "timeframe": pa.string(),
        "as_of": pa.timestamp("us", "UTC"),
        "published_at": pa.timestamp("us", "UTC"),
        "current_price": pa.float64(),
        "bin_width": pa.float64(),
        "side": pa.string(),
        "leverage": pa.float64(),
        "price_low": pa.float64(),
        "notional_usd": pa.float32(),
    }
)

IF_REACHED_SCHEMA = pa.schema(
    {
        "exchange": pa.string(),
        "symbol": pa.string(),
        "as_of": pa.timestamp("us", "UTC"),
        "source": pa.string(),
        "horizon_hours": pa.int32(),
        "side": pa.string(),
        "target": pa.string(),
        "target_price": pa.float64(),
        "distance_pct": pa.float64(),
        "mapped_usd": pa.float64(),
        "p10_usd": pa.float64(),
        "p50_usd": pa.float64(),
        "p90_usd": pa.float64(),
        "coverage_80": pa.float64(),
        "range_ratio": pa.float64(),
        "crps_gain_over_distance": pa.float64(),
        "days_of_truth": pa.float64(),
    }
)

SCHEMAS = {
    "liquidation_levels": LEVELS_SCHEMA,
    "oi_delta": OI_DELTA_SCHEMA,
    "liquidation_heatmap": HEATMAP_SCHEMA,
    "candles": CANDLES_SCHEMA,
    "positions": POSITIONS_SCHEMA,
    "liquidation_features": FEATURES_SCHEMA,
    "levels_history": HISTORY_SCHEMA,
    "if_reached": IF_REACHED_SCHEMA,
}
REPEATED = {"leverage", "current_price", "distance_pct", "maintenance_margin_rate", "bin_width"}
"""Numbers that come again from row to row: a dictionary holds them best."""
DECIMAL = {"open", "high", "low", "close", "price_low", "price_high", "entry_price", "contracts_opened",
           "open_interest", "oi_delta", "volume"}  # fmt: skip
"""Numbers of few digits, or that two sides share: zstd finds that in plain bytes. Others are split by byte."""

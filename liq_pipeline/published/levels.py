"""Liquidation levels as rows, as they are published."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pyarrow as pa

from liq_pipeline.model.levels import Levels
from liq_pipeline.published.layout import EXCHANGE
from liq_pipeline.published.schemas import LEVELS_SCHEMA


def level_rows(found: Levels, symbol: str, timeframe: str, as_of: datetime, current_price: float) -> pa.Table:
    """Return the rows of one `liquidation_levels_<timeframe>`, as they are published."""
    count = found.contracts.size
    middle = (found.price_low + found.price_high) / 2
    return pa.table(
        {
            "exchange": pa.repeat(EXCHANGE, count),
            "symbol": pa.repeat(symbol, count),
            "timeframe": pa.repeat(timeframe, count),
            "as_of": pa.repeat(pa.scalar(as_of, pa.timestamp("us", "UTC")), count),
            "side": np.where(found.is_long, "long", "short"),
            "leverage": found.leverage,
            "price_low": found.price_low,
            "price_high": found.price_high,
            "contracts": found.contracts,
            "notional_usd": found.notional_usd,
            "current_price": np.full(count, current_price),
            "distance_pct": 100 * (middle / current_price - 1),
        },
        schema=LEVELS_SCHEMA,
    )

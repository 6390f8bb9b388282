"""What was published, as it was: a file per day that is never written again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pyarrow as pa

from liq_pipeline.clock import iso
from liq_pipeline.model.levels import bin_width
from liq_pipeline.model.timeframes import TIMEFRAMES
from liq_pipeline.published.layout import HISTORY
from liq_pipeline.published.publish import PublishedDataset, rounded
from liq_pipeline.transform.described import described


def history_dataset(levels: Mapping[str, pa.Table], facts: dict[str, Any], now: datetime) -> PublishedDataset:
    """Return the day's entry: levels of every timeframe.

    Args:
        levels: rows of `liquidation_levels` by timeframe, of one symbol and instant.
        facts: what the levels' manifests say alike.
        now: when they are published.
    """
    whole = pa.concat_tables([levels[timeframe] for timeframe in TIMEFRAMES if timeframe in levels])
    symbol, price, count = str(whole["symbol"][0]), float(whole["current_price"][0].as_py()), whole.num_rows
    rows = pa.table(
        {
            **{name: whole[name] for name in ("exchange", "symbol", "timeframe", "as_of")},
            "published_at": pa.repeat(pa.scalar(now, pa.timestamp("us", "UTC")), count),
            "current_price": whole["current_price"],
            "bin_width": pa.repeat(bin_width(price), count),
            **{name: whole[name] for name in ("side", "leverage", "price_low")},
            "notional_usd": rounded(whole["notional_usd"].to_numpy()),
        }
    )
    entry = {"as_of": facts["as_of"], "published_at": iso(now), "model": facts["model"]}
    return PublishedDataset(HISTORY, symbol, rows.cast(described(HISTORY)), entry, facts["as_of"][:10], is_kept=True)

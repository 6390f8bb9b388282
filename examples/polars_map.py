"""The largest levels with Polars, lazily: from files, or from `http://127.0.0.1:8000/files/...` by ranges."""

import sys

import polars as pl

SOURCE = sys.argv[1] if len(sys.argv) > 1 else "data/published"

levels = pl.scan_parquet(f"{SOURCE}/liquidation_levels/*/*.parquet")
largest = (
    levels.filter(pl.col("timeframe") == "7d")
    .group_by("symbol", "side", "price_low", "price_high")
    .agg(pl.col("notional_usd").sum().alias("estimated_usd"))
    .sort("estimated_usd", descending=True)
    .group_by("symbol", "side", maintain_order=True)
    .head(3)
    .sort("symbol", "side")
)
print(largest.collect())

"""The largest levels with DuckDB. Over HTTP, after INSTALL httpfs: FROM 'http://127.0.0.1:8000/files/.../7d.parquet'."""

import sys

import duckdb

FOLDER = sys.argv[1] if len(sys.argv) > 1 else "data/published"

print(
    duckdb.sql(f"""
        SELECT symbol, side, price_low, price_high, round(sum(notional_usd)) AS estimated_usd
        FROM '{FOLDER}/liquidation_levels/*/*.parquet'
        WHERE timeframe = '7d'
        GROUP BY symbol, side, price_low, price_high
        QUALIFY row_number() OVER (PARTITION BY symbol, side ORDER BY sum(notional_usd) DESC) <= 3
        ORDER BY symbol, side, estimated_usd DESC
    """)
)

"""The 20 largest zones as one line, to paste into the input of `tradingview.pine`: price_low:price_high:M USD:side."""

import sys

from liq_pipeline import client

FOLDER = sys.argv[1] if len(sys.argv) > 1 else "data/published"
COUNT = 20


def zones(symbol: str, timeframe: str = "7d", folder: str = FOLDER) -> str:
    """Return the largest zones of a symbol, millions of estimated USD."""
    levels = client.liquidation_levels(symbol, timeframe, folder=folder)
    bins = levels.groupby(["side", "price_low", "price_high"], as_index=False)["notional_usd"].sum()
    rows = bins.nlargest(COUNT, "notional_usd").itertuples()
    return ";".join(
        f"{row.price_low:.10g}:{row.price_high:.10g}:{row.notional_usd / 1e6:.1f}:{'L' if row.side == 'long' else 'S'}"
        for row in rows
    )


if __name__ == "__main__":
    for name in client.symbols(FOLDER):
        print(f"{name}\n{zones(name)}\n")

"""The map now, the map of an instant of the past, and the features per bar, with pandas."""

import sys
from datetime import timedelta

from liq_pipeline import client

FOLDER = sys.argv[1] if len(sys.argv) > 1 else "data/published"


def largest(levels, count=5):
    """Return the price bins that hold most, all leverages together."""
    bins = levels.groupby(["side", "price_low", "price_high"], as_index=False)["notional_usd"].sum()
    return bins.nlargest(count, "notional_usd").reset_index(drop=True)


for symbol in client.symbols(FOLDER):
    now = client.liquidation_levels(symbol, "7d", folder=FOLDER)
    as_of = now["as_of"].iloc[0]
    print(f"{symbol}, estimated, as of {as_of:%Y-%m-%d %H:%M} UTC, price {now['current_price'].iloc[0]:,.10g}")
    print(largest(now).to_string(index=False))

    past = client.liquidation_levels(symbol, "7d", at=as_of - timedelta(days=2), folder=FOLDER)
    print(f"two days before: {past['notional_usd'].sum() / 1e9:.2f} B USD, now {now['notional_usd'].sum() / 1e9:.2f}")

    features = client.liquidation_features(symbol, folder=FOLDER).set_index("ts")
    print(features[["close", "long_usd_within_2_pct", "short_usd_within_2_pct", "imbalance"]].tail(3).to_string())

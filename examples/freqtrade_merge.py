"""Features merged with a bot's candles, as in freqtrade's `populate_indicators`, without a look at the future.

    def populate_indicators(self, dataframe, metadata):
        return merge_features(dataframe, metadata["pair"], "data/published")

freqtrade names a candle by its opening instant, features by the closing instant of their bar: a candle gets the newest
row that was known when it closed.
"""

import sys
from datetime import timedelta

import pandas as pd

from liq_pipeline import client


def merge_features(dataframe: pd.DataFrame, pair: str, folder: str, minutes: int = 5) -> pd.DataFrame:
    """Return candles with the features of their close; none where nothing is newer than a day.

    Args:
        dataframe: candles with `date`, the opening instant, UTC, ascending.
        pair: such as BTC/USDT:USDT.
        folder: the published folder.
        minutes: width of a candle.
    """
    symbol = pair.split(":", maxsplit=1)[0].replace("/", "")
    features = client.liquidation_features(symbol, folder=folder).drop(columns=["exchange", "symbol", "close"])
    features = features.rename(columns={name: f"liq_{name}" for name in features.columns if name != "ts"})
    features["ts"] = features["ts"].astype("datetime64[ns, UTC]")
    closed = (dataframe["date"] + timedelta(minutes=minutes)).astype("datetime64[ns, UTC]")
    merged = pd.merge_asof(
        pd.DataFrame({"ts": closed}), features, on="ts", direction="backward", tolerance=timedelta(days=1)
    )
    return pd.concat([dataframe.reset_index(drop=True), merged.drop(columns="ts")], axis=1)


if __name__ == "__main__":
    source = sys.argv[1] if len(sys.argv) > 1 else "data/published"
    name = client.symbols(source)[0]
    end = client.liquidation_features(name, folder=source)["ts"].iloc[-1]
    candles = pd.DataFrame({"date": pd.date_range(end=end - timedelta(minutes=5), periods=4, freq="5min")})
    print(merge_features(candles, f"{name.removesuffix('USDT')}/USDT:USDT", source).T.to_string())

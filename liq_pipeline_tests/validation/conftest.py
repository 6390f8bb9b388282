"""A simulated market with its own liquidations, as the scorer sees it and as files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from liq_pipeline.model.alignment import MarketData, ObservedLiquidations, Steps, match_steps
from liq_pipeline.model.walk import WalkInput
from liq_pipeline.simulator.market import Market, MarketConfig, simulate


@dataclass(frozen=True)
class Scene:
    market: Market
    data: MarketData
    truth: ObservedLiquidations
    steps: Steps


def market_data(market: Market, every: int = 1) -> MarketData:
    """The bars; open interest observed at every `every`-th bar, spread by volume between."""
    bars = market.bars
    known = (np.arange(bars["ts"].size) + 1) % every == 0
    known[0] = True
    interest = market.open_interest.copy()
    at = np.flatnonzero(known)
    turned = np.cumsum(bars["volume"])
    interest = np.interp(turned, turned[at], interest[at])
    entry = np.clip(bars["quote_volume"] / bars["volume"], bars["low"], bars["high"])
    walk_input = WalkInput(
        bars["ts"].astype("datetime64[us]"), interest, entry, bars["low"], bars["high"], bars["close"], bars["volume"]
    )
    return MarketData(walk_input, bars["open"], known, np.timedelta64(market.config.bar_minutes, "m"))


def scene_of(market: Market) -> Scene:
    data, reported = market_data(market), market.liquidations
    truth = ObservedLiquidations(data.walk_input.ts, reported["long_usd"], reported["short_usd"], data.width)
    return Scene(market, data, truth, match_steps(data, truth))


@pytest.fixture(scope="session")
def scene() -> Scene:
    return scene_of(simulate(MarketConfig(days=24, bar_minutes=15, steps=20)))


@dataclass(frozen=True)
class Files:
    klines: Path
    open_interest: Path
    liquidations: Path

    def options(self) -> list[str]:
        return [
            "--klines", str(self.klines), "--open-interest", str(self.open_interest), "--liquidations",
            str(self.liquidations),
        ]  # fmt: skip


def frames(scene: Scene) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    bars, reported = scene.market.bars, scene.market.liquidations
    ts = pd.DatetimeIndex(bars["ts"]).tz_localize("UTC")
    klines = pd.DataFrame({"ts": ts, **{name: bars[name] for name in ("open", "high", "low", "close", "volume")}})
    interest = pd.DataFrame({"ts": ts, "open_interest": scene.market.open_interest})
    truth = pd.DataFrame({"ts": ts, "long_usd": reported["long_usd"], "short_usd": reported["short_usd"]})
    half_hours = truth.set_index("ts").resample("30min", closed="right", label="left").sum().reset_index()
    return klines, interest, half_hours.iloc[1:-1]


def write(folder: Path, tables: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]) -> Files:
    files = Files(folder / "klines.csv", folder / "open_interest.parquet", folder / "truth.csv")
    tables[0].to_csv(files.klines, index=False)
    tables[1].to_parquet(files.open_interest, index=False)
    tables[2].to_csv(files.liquidations, index=False)
    return files

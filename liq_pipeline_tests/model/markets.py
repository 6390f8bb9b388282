"""Markets to walk over: random ones, and one in which nothing moves."""

from dataclasses import replace

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from liq_pipeline.model.walk import WalkInput

START = np.datetime64("2026-01-01T00:00", "us")
FIVE_MINUTES = np.timedelta64(5, "m")


def market(seed=0, bars=120, volatility=0.004, flows=0.02, turnover=0.05, quiet=0.0, start=90_000.0) -> WalkInput:
    """A random market. `quiet`: share of bars without volume and with unchanged open interest."""
    rng = np.random.default_rng(seed)
    close = start * np.exp(np.cumsum(rng.normal(0, volatility, bars)))
    opening = np.concatenate([[start], close[:-1]])
    high = np.maximum(opening, close) * (1 + rng.exponential(volatility / 3, bars))
    low = np.minimum(opening, close) * (1 - rng.exponential(volatility / 3, bars).clip(max=0.5))
    still = rng.random(bars) < quiet
    open_interest = 80_000 * np.exp(np.cumsum(np.where(still, 0.0, rng.normal(0, flows, bars))))
    return WalkInput(
        ts=START + np.arange(bars) * FIVE_MINUTES,
        open_interest=open_interest,
        entry_price=low + rng.random(bars) * (high - low),
        low=low,
        high=high,
        close=close,
        volume=np.where(still, 0.0, rng.exponential(turnover, bars) * open_interest),
    )


markets = st.builds(
    market,
    seed=st.integers(0, 10_000),
    bars=st.integers(1, 120),
    volatility=st.sampled_from([1e-4, 0.002, 0.01, 0.1]),
    flows=st.sampled_from([0.0, 0.005, 0.1, 1.0]),
    turnover=st.sampled_from([0.0, 0.05, 50.0]),
    quiet=st.sampled_from([0.0, 0.5, 1.0]),
)
every_market = settings(max_examples=60, deadline=None)


def cut(bars: WalkInput, size: int) -> WalkInput:
    return replace(bars, **{name: getattr(bars, name)[:size] for name in bars.__dataclass_fields__})


def scaled(bars: WalkInput, factor: float) -> WalkInput:
    return replace(bars, **{name: getattr(bars, name) * factor for name in ("entry_price", "low", "high", "close")})


def flat(count=4, **changes) -> WalkInput:
    """Nothing moves: price 90,000, open interest 1,000, no volume."""
    values = {name: np.full(count, 90_000.0) for name in ("entry_price", "low", "high", "close")}
    values |= {"open_interest": np.full(count, 1_000.0), "volume": np.zeros(count)}
    values |= {name: np.array(value, dtype=float) for name, value in changes.items()}
    return WalkInput(ts=START + np.arange(count) * FIVE_MINUTES, **values)

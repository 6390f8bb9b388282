"""The random paths on which the simulated traders live: prices, open-interest shocks, turnover.

Numpy draws only; nothing here knows traders.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

REGIMES = (0.55, 1.0, 1.7)  # calm, normal and wild days, as multiples of the ordinary volatility
REGIME_DAYS = 1.0  # mean stay in a regime
CLUSTER_HOURS = 3.0  # memory of the volatility inside a regime
TAIL_FREEDOM = 4.0  # Student-t steps: kurtosis is infinite, as with real returns
OI_SHOCK = 0.0012  # standard deviation of the relative change of open interest in five minutes
OI_JUMP = 0.012  # and of its jumps, one a day


@dataclass(frozen=True)
class PricePath:
    """Prices per bar, on the tick grid (quote currency); `vwap` is not rounded and lies inside [low, high]."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    vwap: Floats
    sigma: Floats  # the volatility that ruled the bar, relative, per bar


def decimals(tick: float) -> int:
    """Return how many decimals the prices of a tick grid have."""
    return len(f"{tick:.10f}".rstrip("0").split(".")[1])


def volatility(rng: np.random.Generator, bars: int, bars_per_day: float, daily: float) -> Floats:
    """Return the volatility of each bar (relative): a regime × a clustered factor × the hour of the day."""
    switch = rng.random(bars) < 1.0 / (REGIME_DAYS * bars_per_day)
    since = np.maximum.accumulate(np.where(switch, np.arange(bars), 0))
    regime = rng.choice(np.array(REGIMES), size=bars)[since]
    memory = np.exp(-24.0 / (CLUSTER_HOURS * bars_per_day))
    noise = rng.standard_normal(bars) * 0.45 * np.sqrt(1.0 - memory**2)
    cluster = np.exp(np.array(list(accumulate(noise.tolist(), lambda level, shock: memory * level + shock))))
    hour = 1.0 + 0.3 * np.sin(2.0 * np.pi * (np.arange(bars) / bars_per_day - 0.35))
    shape = regime * cluster * hour
    usual = np.sqrt(np.mean(np.square(REGIMES)) * np.exp(2 * 0.45**2) * (1 + 0.3**2 / 2))
    return shape * daily / np.sqrt(bars_per_day) / usual


def price_path(
    rng: np.random.Generator, bars: int, steps: int, bars_per_day: float, daily: float, start_price: float, tick: float
) -> PricePath:
    """Walk `steps` fat-tailed steps per bar from `start_price`, each rounded to the tick grid.

    Args:
        rng: source of every draw.
        bars: number of bars.
        steps: price steps inside a bar.
        bars_per_day: bars in 24 hours.
        daily: volatility of a day, relative (0.025 = 2.5 %).
        start_price: the open of the first bar.
        tick: price step of the exchange.
    """
    sigma = volatility(rng, bars, bars_per_day, daily)
    unit = rng.standard_t(TAIL_FREEDOM, size=(bars, steps)) / np.sqrt(TAIL_FREEDOM / (TAIL_FREEDOM - 2.0))
    log_price = np.cumsum((unit * (sigma / np.sqrt(steps))[:, None]).ravel()).reshape(bars, steps)
    close_ticks = np.maximum(np.rint(start_price * np.exp(log_price) / tick), 1.0)
    open_ticks = np.concatenate([[np.rint(start_price / tick)], close_ticks[:-1, -1]])
    ticks = np.concatenate([open_ticks[:, None], close_ticks], axis=1)
    weight = rng.standard_exponential((bars, steps + 1))
    vwap = (ticks * weight).sum(axis=1) / weight.sum(axis=1) * tick
    digits = decimals(tick)

    def price(grid: Floats) -> Floats:
        return np.round(grid * tick, digits)  # the double nearest to the decimal number that the file shows

    return PricePath(
        price(ticks[:, 0]), price(ticks.max(axis=1)), price(ticks.min(axis=1)), price(ticks[:, -1]), vwap, sigma
    )


def open_interest_shocks(rng: np.random.Generator, bars: int, bars_per_day: float) -> Floats:
    """Return the relative shock to open interest in each bar: noise, and about one jump a day."""
    noise = rng.standard_normal(bars) * OI_SHOCK * np.sqrt(288.0 / bars_per_day)
    jump = (rng.random(bars) < 1.0 / bars_per_day) * rng.standard_normal(bars) * OI_JUMP
    return noise + jump


def turnover(rng: np.random.Generator, path: PricePath, bars_per_day: float, daily: float) -> Floats:
    """Return the volume of each bar beside flows and liquidations, as a fraction of open interest.

    Volume follows the range of the bar, as it does on the exchange; `daily` is its mean over a day.
    """
    reach = (path.high - path.low) / path.close
    lively = reach / max(float(reach.mean()), 1e-12)
    luck = np.exp(0.3 * rng.standard_normal(path.close.size) - 0.3**2 / 2)
    return daily / bars_per_day * (0.15 + 0.85 * lively) * luck


def taker_share(rng: np.random.Generator, path: PricePath) -> Floats:
    """Return the share of the volume that takers bought: above a half when the price rose."""
    move = (path.close / path.open - 1.0) / np.maximum(path.sigma, 1e-12)
    return np.clip(0.5 + 0.2 * np.tanh(move / 2.0) + 0.04 * rng.standard_normal(move.size), 0.05, 0.95)

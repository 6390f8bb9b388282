"""Clusters of estimated liquidation levels near the price, and what gets liquidated until one is reached."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

PEAK_SHARE = 0.25
"""A bin belongs to a zone if it holds at least this share of the largest bin nearby."""


@dataclass(frozen=True)
class Zone:
    """Neighbouring bins of one side, seen as one cluster of estimated liquidation levels.

    Attributes:
        side: 'long' or 'short'.
        price_low, price_high: edges, USD.
        notional_usd: estimated exposure of all its bins.
        distance_pct: from the price to its nearest edge, %, positive.
    """

    side: str
    price_low: float
    price_high: float
    notional_usd: float
    distance_pct: float

    @property
    def far_edge(self) -> float:
        """The edge that price reaches last, USD."""
        return self.price_low if self.side == "long" else self.price_high


def zones(levels: pa.Table, within_pct: float, at_least_usd: float) -> list[Zone]:
    """Return the zones near the price, the largest first.

    Bins are summed over leverage. Nearby are the bins that begin within twice `within_pct`; of these, bins that hold at
    least a quarter of the largest one on their side belong to a zone, and a single weaker bin between two does not part
    them. (Without such a rule a smooth map would be one zone from end to end.) Zones that are smaller than
    `at_least_usd`, or whose nearest edge is further than `within_pct`, are left out.

    Args:
        levels: rows of `liquidation_levels` of one symbol and timeframe.
        within_pct: how close the nearest edge must be, % of the price.
        at_least_usd: smallest zone, estimated USD.
    """
    if not levels.num_rows:
        return []
    price = float(levels["current_price"][0].as_py())
    bins = levels.group_by(["side", "price_low", "price_high"]).aggregate([("notional_usd", "sum")])
    bins = bins.sort_by([("side", "ascending"), ("price_low", "ascending")])
    side = np.array(bins["side"].to_pylist())
    low, high = bins["price_low"].to_numpy(), bins["price_high"].to_numpy()
    usd = bins["notional_usd_sum"].to_numpy()
    width = float(np.median(high - low))
    found: list[Zone] = []
    for name in ("long", "short"):
        away = np.where(side == "long", price - high, low - price) / price * 100
        near = (side == name) & (away <= 2 * within_pct)
        if not near.any():
            continue
        strong = np.flatnonzero(near & (usd >= PEAK_SHARE * usd[near].max()))
        # One weaker or empty bin between two strong ones does not part them.
        breaks = np.flatnonzero(low[strong][1:] - high[strong][:-1] > 1.5 * width) + 1
        for part in np.split(strong, breaks):
            span = np.arange(part[0], part[-1] + 1)
            distance = float(max(0.0, away[span].min()))
            zone = Zone(name, float(low[part[0]]), float(high[part[-1]]), float(usd[span].sum()), distance)
            if zone.notional_usd >= at_least_usd and zone.distance_pct <= within_pct:
                found.append(zone)
    return sorted(found, key=lambda zone: -zone.notional_usd)


@dataclass(frozen=True)
class Reached:
    """What gets liquidated until a price is reached, given that it is within some hours: three quantiles in USD."""

    price: float
    hours: int
    p10: float
    p50: float
    p90: float

    def __str__(self) -> str:
        return (
            f"If {self.price:,.6g} is reached within {self.hours} h: {usd(self.p10)} to {usd(self.p90)} liquidated on "
            f"the way, half the time below {usd(self.p50)}."
        )


def usd(amount: float) -> str:
    """Return an amount as traders write it."""
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "K")):
        if amount >= 0.9995 * size:  # 999,500 is 1M
            return f"${amount / size:.3g}{unit}"
    return f"${amount:.0f}"

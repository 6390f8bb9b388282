"""What the model must be measured against, each time: itself with a part taken out, and other models.

Every variant gives exposure in the shape of `exposure.bar_exposure`, from the state before each bar.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from liq_pipeline.model.alignment import MarketData
from liq_pipeline.model.baselines import legacy_entry_bin, legacy_liquidation_price
from liq_pipeline.model.compiled import compiled
from liq_pipeline.model.exposure import CLASS_EDGES, MARGINS, bar_exposure, leverage_class
from liq_pipeline.model.margin import CLASSIC_LADDER, SIDES, Side
from liq_pipeline.model.walk import VERSIONS, WalkParameters, parameters_in_use, walk

Floats = NDArray[np.float64]
Exposure = dict[Side, Floats]

MAIN = "walk"
LEGACY = "legacy system"
CLASSES = len(CLASS_EDGES) + 1
LEGACY_SPAN = np.timedelta64(7, "D")
_SHUFFLE_SEED = 7


def walk_exposure(data: MarketData, symbol: str, parameters: WalkParameters | None = None) -> Exposure:
    """Return the walk's exposure."""
    return bar_exposure(walk(data.walk_input, symbol, parameters), data.known)


def all_exposures(data: MarketData, symbol: str, parameters: WalkParameters | None = None) -> dict[str, Exposure]:
    """Return the walk, and every ablation that lives on the same bars."""
    base = parameters or parameters_in_use()
    classic = replace(base, ladder=tuple(CLASSIC_LADDER), weights=tuple(CLASSIC_LADDER.values()))
    return {
        MAIN: walk_exposure(data, symbol, base),
        "constant open interest": walk_exposure(constant_open_interest(data), symbol, base),
        "shuffled open interest": walk_exposure(shuffled_open_interest(data), symbol, base),
        "no churn": walk_exposure(data, symbol, replace(base, churn_per_turnover=0.0)),
        **_other_version(data, symbol, base),
        "classic ladder": walk_exposure(data, symbol, classic),
        LEGACY: legacy_exposure(data),
        "1/L bands": band_exposure(data),
    }


def _other_version(data: MarketData, symbol: str, base: WalkParameters) -> dict[str, Exposure]:
    """Return the walk of the other version of the model, by name: 1 beside 2, 2 beside 1."""
    return {
        f"model {version}": walk_exposure(data, symbol, replace(base, extremes_share=other.extremes_share))
        for version, other in VERSIONS.items()
        if other.extremes_share != base.extremes_share
    }


def constant_open_interest(data: MarketData) -> MarketData:
    """Return the bars with the first open interest throughout: what turnover alone gives."""
    bars = data.walk_input
    flat = np.full(bars.ts.size, bars.open_interest[0])
    return replace(data, walk_input=replace(bars, open_interest=flat), known=np.ones(bars.ts.size, dtype=bool))


def shuffled_open_interest(data: MarketData, seed: int = _SHUFFLE_SEED) -> MarketData:
    """Return the bars with the changes of open interest between observations in another order."""
    bars = data.walk_input
    at = np.flatnonzero(data.known)
    changes = np.diff(np.log(bars.open_interest[at]))
    order = np.random.default_rng(seed).permutation(changes)
    path = bars.open_interest[at[0]] * np.exp(np.concatenate([[0.0], np.cumsum(order)]))
    open_interest = np.interp(np.arange(bars.ts.size), at, path)
    return replace(data, walk_input=replace(bars, open_interest=open_interest))


def band_exposure(data: MarketData) -> Exposure:
    """Return bands at `1/L` from the last close, the same every day: a step function of the move, no positions."""
    bars = data.walk_input
    ladder = np.array(WalkParameters().ladder)
    classes = leverage_class(ladder)
    before = np.concatenate([bars.close[:1], bars.close[:-1]])
    seen = _seen(data)
    seen = np.concatenate([seen[:1], seen[:-1]])
    result: Exposure = {}
    for side in SIDES:
        sign, extreme = (1.0, bars.low) if side == "long" else (-1.0, bars.high)
        usd = np.zeros((bars.ts.size, CLASSES, len(MARGINS)))
        for leverage, kind in zip(ladder, classes, strict=True):
            price = before * (1 - sign / leverage)
            amount = seen * before / ladder.size
            for number, margin in enumerate(MARGINS):
                hit = sign * (extreme * (1 - sign * margin) - price) <= 0
                usd[:, kind, number] += np.where(hit, amount, 0.0)
        usd[0] = 0.0
        result[side] = usd
    return result


def legacy_exposure(data: MarketData, span: np.timedelta64 = LEGACY_SPAN) -> Exposure:
    """Return the exposure of the legacy system (`baselines.legacy_levels`), asked anew after each bar.

    Its levels of the last `span`, with its own prices and ladder, as it would have shown them when the bar began.
    Open interest that is not known yet is the last known.
    """
    bars = data.walk_input
    value = _seen(data) * bars.close
    delta = np.diff(value, prepend=np.nan)
    ladder, weights = np.array(list(CLASSIC_LADDER)), np.array(list(CLASSIC_LADDER.values()))
    width = legacy_entry_bin(span)
    entry = np.floor(bars.close / width) * width
    is_long = bars.close >= data.open
    first = np.searchsorted(bars.ts, bars.ts - span, side="right")
    amount = np.where(delta > 0, bars.volume * bars.entry_price, 0.0)  # quote volume of the candles it counts
    result: Exposure = {}
    for side in SIDES:
        sign, extreme = (1.0, bars.low) if side == "long" else (-1.0, bars.high)
        price = legacy_liquidation_price(side, entry[:, None], ladder)
        result[side] = _legacy_kernel(
            sign, extreme, bars.close, price, is_long == (side == "long"), amount, value, first, weights,
            leverage_class(ladder), CLASSES, np.array(MARGINS),
        )  # fmt: skip
    return result


def _seen(data: MarketData) -> Floats:
    """Return the newest observed open interest at each bar."""
    newest = np.maximum.accumulate(np.where(data.known, np.arange(data.known.size), 0))
    return data.walk_input.open_interest[newest]


@compiled(nogil=True)
def _legacy_kernel(
    sign: float,
    extreme: Floats,
    close: Floats,
    price: Floats,
    mine: NDArray[np.bool_],
    amount: Floats,
    value: Floats,
    first: NDArray[np.int64],
    weights: Floats,
    classes_of: NDArray[np.int64],
    classes: int,
    margins: Floats,
) -> Floats:
    bars, leverages = price.shape
    result = np.zeros((bars, classes, margins.size))
    for t in range(1, bars):
        now = t - 1
        total = 0.0
        for i in range(first[now], now + 1):
            total += amount[i]
        if total <= 0.0:
            continue
        for i in range(first[now], now + 1):
            if not mine[i] or amount[i] <= 0.0:
                continue
            usd = value[now] * amount[i] / total
            for k in range(leverages):
                level = price[i, k]
                if sign * level >= sign * close[now]:
                    continue  # it shows only what lies beyond the current price
                for m in range(margins.size):
                    if sign * (extreme[t] * (1 - sign * margins[m]) - level) <= 0.0:
                        result[t, classes_of[k], m] += usd * weights[k]
    return result

"""All four timeframes in one pass, against the 90-day one alone."""

from __future__ import annotations

import numpy as np

from benchmarks.data import SYMBOL, whole_path
from benchmarks.harness import Outcome, against
from liq_pipeline.model.levels import (
    SPANS,
    Cells,
    Levels,
    bin_edge,
    bin_index,
    bin_width,
    liquidation_levels,
)
from liq_pipeline.model.walk import Walk, walk


def living_cells(result: Walk) -> Cells:
    """Return the cells alive at the newest bar."""
    parts = []
    for name, side in result.sides.items():
        left = side.contracts_open()
        bar, tier = np.nonzero(left)
        leverage = result.parameters.layout.leverage[tier]
        is_long = np.full(bar.size, name == "long")
        parts.append((result.bars.ts[bar], is_long, leverage, side.liquidation_price[bar, tier], left[bar, tier]))
    return Cells(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def ninety_days(cells: Cells, as_of: np.datetime64, price: float) -> Levels:
    """Sum the cells younger than 90 days, and nothing else: what one would write for a single timeframe."""
    kept = cells.opened_at > as_of - SPANS["90d"]
    width = bin_width(price)
    index = bin_index(cells.liquidation_price[kept], width)
    is_long, leverage, contracts = cells.is_long[kept], cells.leverage[kept], cells.contracts[kept]
    order = np.lexsort((index, leverage, ~is_long))
    is_long, leverage, index, contracts = is_long[order], leverage[order], index[order], contracts[order]
    starts = np.flatnonzero(
        np.concatenate(
            [[True], (np.diff(index) != 0) | (np.diff(leverage) != 0) | (is_long[1:] != is_long[:-1])],
        )
    )
    low, high, side = bin_edge(index[starts], width), bin_edge(index[starts] + 1, width), is_long[starts]
    return Levels(
        side,
        leverage[starts],
        np.where(side, low, np.maximum(low, price)),
        np.where(side, np.minimum(high, price), high),
        np.add.reduceat(contracts, starts),
        np.add.reduceat(contracts * cells.liquidation_price[kept][order], starts),
    )


def run() -> list[Outcome]:
    """Measure on the living cells of a walk over 150 days."""
    market = whole_path().last(150 * 288)
    cells = living_cells(walk(market.walk_input(), SYMBOL))
    as_of, price = market.ts[-1], float(market.close[-1])
    one, four = ninety_days(cells, as_of, price), liquidation_levels(cells, as_of, price)
    for name in ("is_long", "leverage", "price_low", "price_high"):
        np.testing.assert_array_equal(getattr(one, name), getattr(four["90d"], name))
    np.testing.assert_allclose(one.contracts, four["90d"].contracts, rtol=1e-9)
    np.testing.assert_allclose(one.notional_usd, four["90d"].notional_usd, rtol=1e-9)
    assert 0 < four["1d"].contracts.sum() < four["7d"].contracts.sum() < one.contracts.sum()
    return [
        against(
            "levels",
            f"four timeframes of {cells.contracts.size:,} cells in one pass, against 90d alone",
            lambda: liquidation_levels(cells, as_of, price),
            lambda: ninety_days(cells, as_of, price),
            1.6,
            pairs=15,
        )
    ]

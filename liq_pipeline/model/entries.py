"""The cells that one bar opens per side: at which leverage, at which price of the bar, with which share (model.md 3).

Traders enter all over the bar, not at one price. At 50x and more the liquidation price is no farther away than some
bars are high, so there a part enters at the bar's low and at its high; below, its VWAP stands for all. Figures of the
36 spreads that were tried: docs/validation.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from liq_pipeline.model.margin import LADDER

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

ENTRIES = ("vwap", "low", "high")
"""Prices of the bar at which positions open, in the order of `entry_prices`."""
EXTREMES_SHARE = 0.3
"""Of what opens at a leverage of `EXTREMES_FROM` or more: the part that enters at the low and the high, half each."""
EXTREMES_FROM = 50.0


class Layout(NamedTuple):
    """The cells of one bar and side, shape (cells,): the whole ladder at the VWAP, then high leverages at low and high.

    Attributes:
        leverage: leverage.
        place: of the leverage in the ladder.
        entry: place of the entry price in `ENTRIES`.
        share: of what opens at that leverage.
    """

    leverage: Floats
    place: Integers
    entry: Integers
    share: Floats


def layout(ladder: Sequence[float] = LADDER, extremes_share: float = EXTREMES_SHARE) -> Layout:
    """Return the cells that a bar opens; without a share at the extremes, those of the ladder at the VWAP."""
    leverage = np.array(ladder, dtype=np.float64)
    high = np.flatnonzero(leverage >= EXTREMES_FROM) if extremes_share > 0 else np.empty(0, dtype=np.int64)
    at_vwap = np.ones(leverage.size)
    at_vwap[high] = 1 - extremes_share
    place = np.concatenate([np.arange(leverage.size), high, high])
    entry = np.repeat([0, 1, 2], [leverage.size, high.size, high.size])
    share = np.concatenate([at_vwap, np.full(2 * high.size, extremes_share / 2)])
    return Layout(leverage[place], place, entry, share)


@cache
def stored_layout(cells: int) -> Layout:
    """Return the layout of a list with so many cells, in tables and files: of model 2, or of model 1.

    Raises:
        ValueError: no model has that many.
    """
    known = {found.place.size: found for found in (layout(), layout(extremes_share=0.0))}
    if cells not in known:
        raise ValueError(f"{cells} cells per bar; known are {' and '.join(map(str, sorted(known)))}")
    return known[cells]

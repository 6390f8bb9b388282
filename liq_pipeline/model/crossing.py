"""First touch: at which bar does the price first reach a level?

Exact and O((bars + levels)·log bars), by a stack of record extremes read from the newest bar to the oldest: after the
bars right of `i` were pushed, the stack holds the running minima seen when looking right from `i`, so the first bar at
or below a price is found by bisection.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from liq_pipeline.model.compiled import compiled


@compiled(nogil=True)
def first_touch(extreme: NDArray[np.float64], price: NDArray[np.float64]) -> NDArray[np.int32]:
    """Return, for each level, the first later bar whose extreme is at or below the level's price.

    Shorts are the mirror image: pass `-high` and `-price`.

    Args:
        extreme: low of each bar, shape (bars,).
        price: level prices, shape (bars, cells): row i holds the levels that opened in bar i. NaN never touches.

    Returns:
        Bar indices, shape (bars, cells): greater than the row's own index, or `bars` where no bar touches.
    """
    bars, cells = price.shape
    touched = np.full((bars, cells), bars, dtype=np.int32)
    record = np.empty(bars, dtype=np.int32)  # bottom: the lowest and latest record; top: the nearest bar
    size = 0
    for i in range(bars - 1, -1, -1):
        nearest, previous = 0, -np.inf
        for k in range(cells):
            target = price[i, k]
            if size and extreme[record[0]] <= target:
                # extreme[record[·]] rises towards the top: find the topmost <= target, above that of a lower price
                lowest, highest = nearest if target >= previous else 0, size - 1
                while lowest < highest:
                    middle = (lowest + highest + 1) >> 1
                    if extreme[record[middle]] <= target:
                        lowest = middle
                    else:
                        highest = middle - 1
                touched[i, k] = record[lowest]
                nearest, previous = lowest, target
        while size and extreme[record[size - 1]] >= extreme[i]:
            size -= 1
        record[size] = i
        size += 1
    return touched


@compiled(nogil=True)
def cells_by_bar(touched: NDArray[np.int32], bars: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Sort cells by the bar that touches them; those of one bar keep their own order, so that sums are reproducible.

    Args:
        touched: bar of each cell, shape (cells,); `bars` where no bar touches it.
        bars: number of bars.

    Returns:
        `first`, shape (bars + 1,), and `cells`: those of bar t are `cells[first[t]:first[t + 1]]`.
    """
    first = np.zeros(bars + 2, dtype=np.int64)
    for bar in touched:
        first[bar + 1] += 1
    for t in range(bars):
        first[t + 1] += first[t]
    cells = np.empty(first[bars], dtype=np.int32)
    place = first[:bars].copy()
    for cell in range(touched.size):
        bar = touched[cell]
        if bar < bars:
            cells[place[bar]] = cell
            place[bar] += 1
    return first[: bars + 1], cells

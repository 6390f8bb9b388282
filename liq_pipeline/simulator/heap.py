"""A binary min-heap of (key, id) in two arrays; the caller keeps the length. Compiled."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from liq_pipeline.model.compiled import compiled


@compiled()
def push(keys: NDArray[np.float64], ids: NDArray[np.int64], size: int, key: float, name: int) -> int:
    """Add (key, name) and return the new length."""
    at = size
    while at > 0:
        parent = (at - 1) >> 1
        if keys[parent] <= key:
            break
        keys[at], ids[at] = keys[parent], ids[parent]
        at = parent
    keys[at], ids[at] = key, name
    return size + 1


@compiled()
def pop(keys: NDArray[np.float64], ids: NDArray[np.int64], size: int) -> int:
    """Drop the smallest entry, which stands at index 0, and return the new length."""
    size -= 1
    key, name = keys[size], ids[size]
    at = 0
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        if child + 1 < size and keys[child + 1] < keys[child]:
            child += 1
        if key <= keys[child]:
            break
        keys[at], ids[at] = keys[child], ids[child]
        at = child
    keys[at], ids[at] = key, name
    return size

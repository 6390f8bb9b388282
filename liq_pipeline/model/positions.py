"""Positions as arrays: all that ever opened, and where a side stands. Nothing compiled, so that readers start fast."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Cohorts:
    """Cells of the walk, oldest first. Arrays of one length.

    Attributes:
        opened: index of the bar that opened the cell.
        ended: index of the bar that touched it; the number of bars where it is alive.
        is_long: side.
        leverage: leverage.
        liquidation_price: USD.
        contracts_opened: base asset.
    """

    opened: Integers
    ended: Integers
    is_long: NDArray[np.bool_]
    leverage: Floats
    liquidation_price: Floats
    contracts_opened: Floats


@dataclass(frozen=True)
class SideState:
    """Where one side stands after a bar: all that is needed to walk on from there.

    Attributes:
        tracked, untracked: contracts.
        log_survival: at that bar.
        liquidation_price, contracts_opened, opening_log_survival: the cells alive then, shape (cells,), ordered by bar
            of opening, then leverage; those that no later bar touches may be left out.
    """

    tracked: float
    untracked: float
    log_survival: float
    liquidation_price: Floats
    contracts_opened: Floats
    opening_log_survival: Floats

"""Living cells that were written by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from liq_pipeline.model.levels import Cells
from liq_pipeline.model.margin import SIDES, Side
from liq_pipeline_tests.warehouse.by_hand import at


def living(**of_side: Sequence[tuple[float, float, float]]) -> dict[Side, Cells]:
    """Return the cells of each side from rows of: opened at (minutes), liquidation price, contracts."""
    return {side: _cells(side, of_side.get(side, ())) for side in SIDES}


def _cells(side: Side, rows: Sequence[tuple[float, float, float]]) -> Cells:
    opened_at, price, contracts = np.array(rows, dtype=float).reshape(-1, 3).T
    return Cells(
        opened_at=np.array([at(minutes).replace(tzinfo=None) for minutes in opened_at], "datetime64[us]"),
        is_long=np.full(len(rows), side == "long"),
        leverage=np.full(len(rows), 10.0),
        liquidation_price=price,
        contracts=contracts,
    )

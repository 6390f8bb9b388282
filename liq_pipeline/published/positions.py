"""Positions by bar, side and leverage: rows of `position_cohorts` as arrays, as `position_cells` shows them in SQL."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from liq_pipeline.model.entries import ENTRIES, layout, stored_layout
from liq_pipeline.model.levels import Cells
from liq_pipeline.model.margin import SIDES, Side, liquidation_price
from liq_pipeline.model.positions import Cohorts, SideState

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Positions:
    """All positions of a symbol. `rows` = bars × sides in which something opened, by bar, then side (long first).

    `cells` = what a bar opens per side (`model.entries.Layout`).

    Attributes:
        opened_at: datetime64[us], UTC, shape (rows,).
        is_long: shape (rows,).
        opening_log_survival: of the side when they opened, shape (rows,).
        survived: share that has not closed by the newest bar, shape (rows,).
        liquidation_price: USD, shape (rows, cells).
        contracts_opened: shape (rows, cells); 0 where the brackets do not allow the leverage.
        liquidated_at: datetime64[us], NaT while alive, shape (rows, cells).
    """

    opened_at: NDArray[np.datetime64]
    is_long: NDArray[np.bool_]
    opening_log_survival: Floats
    survived: Floats
    liquidation_price: Floats
    contracts_opened: Floats
    liquidated_at: NDArray[np.datetime64]

    @property
    def is_alive(self) -> NDArray[np.bool_]:
        """Which cells are alive at the newest bar, shape (rows, cells)."""
        return np.isnat(self.liquidated_at) & (self.contracts_opened > 0)

    def living(self) -> Cells:
        """Return the cells that are alive at the newest bar, in the order in which they opened."""
        count = self.liquidation_price.shape[1]
        cell = np.flatnonzero(self.is_alive)
        row = cell // count
        return Cells(
            opened_at=self.opened_at[row],
            is_long=self.is_long[row],
            leverage=stored_layout(count).leverage[cell % count],
            liquidation_price=self.liquidation_price.ravel()[cell],
            contracts=self.contracts_opened.ravel()[cell] * self.survived[row],
        )

    def alive_since(self, since: np.datetime64, ts: NDArray[np.datetime64]) -> Cohorts:
        """Return the cells that were alive at an instant or later; their instants as indices of `ts`, the bars."""
        row, place = np.nonzero(
            ((self.liquidated_at > since) | np.isnat(self.liquidated_at)) & (self.contracts_opened > 0)
        )
        ended = self.liquidated_at[row, place]
        return Cohorts(
            opened=np.searchsorted(ts, self.opened_at)[row],
            ended=np.where(np.isnat(ended), ts.size, np.searchsorted(ts, ended)),
            is_long=self.is_long[row],
            leverage=stored_layout(self.liquidation_price.shape[1]).leverage[place],
            liquidation_price=self.liquidation_price[row, place],
            contracts_opened=self.contracts_opened[row, place],
        )

    def touched(self, side: Side, low: float, high: float) -> NDArray[np.bool_]:
        """Return which living cells of a side lie where a range of prices reaches, shape (rows, cells)."""
        is_within = self.liquidation_price >= low if side == "long" else self.liquidation_price <= high
        return self.is_alive & is_within & (self.is_long == (side == "long"))[:, None]

    def state(self, cells: NDArray[np.bool_], tracked: float, untracked: float, log_survival: float) -> SideState:
        """Return where a side stands, with these of its cells (`touched`)."""
        row, place = np.nonzero(cells)
        price, opened = self.liquidation_price[row, place], self.contracts_opened[row, place]
        return SideState(tracked, untracked, log_survival, price, opened, self.opening_log_survival[row])


def positions_of(rows: pa.Table) -> Positions:
    """Unfold rows as `queries/cohorts.sql` gives them, or as they are published: with a list instead of columns."""
    of_ends = "ends" if "ends" in rows.column_names else "liquidated_at"
    columns = {name: rows[name].to_numpy(zero_copy_only=False) for name in rows.column_names if name != of_ends}
    leverages, is_long, rate = columns["leverages"], columns["is_long"], columns["maintenance_margin_rate"]
    opened_at = columns["opened_at"].astype("datetime64[us]")
    liquidated_at = _ends(rows[of_ends].combine_chunks(), opened_at)
    if "cells" in columns and rows.num_rows:  # columns beyond are of another version of the model
        liquidated_at = liquidated_at[:, : columns["cells"][0]]
    cells = stored_layout(liquidated_at.shape[1])
    names = {"vwap": "entry_price", "low": "low", "high": "high"}
    entry = np.column_stack([columns[names[name]] for name in ENTRIES])
    price = np.empty((rate.size, cells.leverage.size))
    for side in SIDES:
        mine = is_long == (side == "long")
        price[mine] = liquidation_price(side, entry[mine][:, cells.entry], cells.leverage, rate[mine, None])
    opened = columns["contracts_opened"][:, None] * ((1.0 / leverages)[:, None] * cells.share)
    is_allowed = cells.place < leverages[:, None]
    return Positions(
        opened_at=opened_at,
        is_long=is_long,
        opening_log_survival=columns["opening_log_survival"],
        survived=columns["survived"],
        liquidation_price=price,
        contracts_opened=np.where(is_allowed, opened, 0.0),
        liquidated_at=liquidated_at,
    )


def _ends(ends: pa.StructArray | pa.ListArray, opened_at: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    """Return when each cell was liquidated, shape (rows, cells); NaT while alive.

    Args:
        ends: a struct with a column for each cell, minutes from the opening on; or a list of instants.
        opened_at: of each row.
    """
    if isinstance(ends, pa.ListArray):
        instants = ends.flatten().to_numpy(zero_copy_only=False).astype("datetime64[us]")
        return instants.reshape(-1, instants.size // len(ends) if len(ends) else layout().place.size)
    minutes, is_alive = map(np.column_stack, zip(*map(_minutes, ends.flatten()), strict=True))
    return np.where(is_alive, np.datetime64("NaT", "us"), opened_at[:, None] + minutes)


def _minutes(values: pa.Array) -> tuple[NDArray[np.timedelta64], NDArray[np.bool_]]:
    minutes = values.fill_null(0).to_numpy().astype("timedelta64[m]").astype("timedelta64[us]")
    return minutes, values.is_null().to_numpy(zero_copy_only=False)

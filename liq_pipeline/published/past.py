"""The map at any instant of the past, from the dataset `positions`: as the model sees it from the bars up to then."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from liq_pipeline.errors import NoData
from liq_pipeline.model.levels import SPANS, liquidation_levels
from liq_pipeline.model.timeframes import TIMEFRAMES
from liq_pipeline.published.levels import level_rows
from liq_pipeline.published.positions import Positions, positions_of

_COLUMNS = {
    "opened_at": "ts", "is_long": "is_long", "entry_price": "entry_price", "low": "low", "high": "high",
    "contracts_opened": "contracts_opened",
    "maintenance_margin_rate": "maintenance_margin_rate", "leverages": "leverages",
    "liquidated_at": "liquidated_at", "opening_log_survival": "log_survival",
}  # fmt: skip
"""What `positions_of` reads, and the column of the dataset that holds it."""


@dataclass(frozen=True)
class Past:
    """All bars of a symbol, and all positions that opened in them.

    Attributes:
        symbol: which.
        ts: closing instants of the bars, datetime64[us], UTC, ascending; shape (bars,).
        close: last price of each bar, USD, shape (bars,).
        log_survival: of each side (long, short), shape (2, bars).
        positions: with their end, whenever it came; `survived` is not used.
    """

    symbol: str
    ts: NDArray[np.datetime64]
    close: NDArray[np.float64]
    log_survival: NDArray[np.float64]
    positions: Positions

    def newest(self, at: datetime) -> int:
        """Return the place of the newest bar that had closed at an instant.

        Raises:
            NoData: the first one closed later.
        """
        instant = np.datetime64(at.astimezone(UTC).replace(tzinfo=None), "us")
        place = int(np.searchsorted(self.ts, instant, side="right")) - 1
        if place < 0:
            raise NoData(
                f"{self.symbol} has no bar that closed by {at:%Y-%m-%d %H:%M:%S} UTC",
                expected=f"an instant from {np.datetime_as_string(self.ts[0], 'm')}Z on",
                remedy="ask for a later one, or load more days: liq run --since",
            )
        return place

    def positions_at(self, bar: int, age: np.timedelta64) -> Positions:
        """Return the positions younger than an age as they stood when a bar had closed: nothing of later is in them."""
        instant = self.ts[bar]
        some = slice(*np.searchsorted(self.positions.opened_at, [instant - age, instant], side="right"))
        older = Positions(*(values[some] for values in vars(self.positions).values()))
        survival = np.where(older.is_long, self.log_survival[0, bar], self.log_survival[1, bar])
        ended = older.liquidated_at
        return replace(
            older,
            survived=np.exp(survival - older.opening_log_survival),
            liquidated_at=np.where(ended > instant, np.datetime64("NaT", "us"), ended),
        )

    def levels_at(self, at: datetime, timeframes: Collection[str] = tuple(TIMEFRAMES)) -> dict[str, pa.Table]:
        """Return the liquidation levels of an instant by timeframe, in the columns of `liquidation_levels`.

        Raises:
            NoData: as `newest`.
        """
        bar = self.newest(at)
        as_of, price = self.ts[bar], float(self.close[bar])
        living = self.positions_at(bar, max(SPANS[name] for name in timeframes)).living()
        found = liquidation_levels(living, as_of, price, timeframes)
        stamp = as_of.item().replace(tzinfo=UTC)
        return {name: level_rows(levels, self.symbol, name, stamp, price) for name, levels in found.items()}


def past_of(rows: pa.Table) -> Past:
    """Turn the rows of a symbol's `positions` into arrays.

    Args:
        rows: in the columns of `POSITIONS_SCHEMA`, ordered by ts, side.
    """
    is_long = pc.equal(rows["side"], "long")
    longs, shorts = rows.filter(is_long), rows.filter(pc.invert(is_long))
    opened = rows.append_column("is_long", is_long).filter(pc.greater(rows["contracts_opened"], 0))
    columns = {name: opened[source] for name, source in _COLUMNS.items()}
    return Past(
        symbol=str(rows["symbol"][0]),
        ts=longs["ts"].to_numpy().astype("datetime64[us]"),
        close=longs["close"].to_numpy(),
        log_survival=np.stack([longs["log_survival"].to_numpy(), shorts["log_survival"].to_numpy()]),
        positions=positions_of(pa.table({**columns, "survived": pa.nulls(opened.num_rows, pa.float64())})),
    )

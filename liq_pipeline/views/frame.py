"""What every view of a heatmap shows: the cells inside a price window around the candles, dense at display size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from liq_pipeline.model.levels import LEVERAGE_CLASSES
from liq_pipeline.published.manifests import margin_note
from liq_pipeline.published.staleness import notice, short_history

CLASS_NAMES = {"10x": "≤ 10x", "25x": "11–25x", "50x": "26–50x", "over_50x": "> 50x"}
"""How people read the leverage classes, lowest first."""

MAX_ROWS = 240
_PAD_OF_RANGE = 0.5
_LEAST_PAD, _MOST_PAD = 0.04, 0.12  # of the price
QUANTILE = 0.99


@dataclass(frozen=True)
class HeatmapView:
    """One picture's content.

    Attributes:
        symbol, timeframe, source_label: what is shown.
        as_of, now: newest bar, and when the picture is drawn.
        current_price: close at `as_of`, USD.
        burn_in_days: history before the first column; None where unknown.
        margin_note: that default margin brackets stand in, in words; empty where they do not.
        short_history: in words, that the data does not fill the timeframe; empty where it does.
        ts: closing instants of the columns, datetime64[us].
        column_width: seconds.
        row_edges: USD, ascending, one more than rows.
        usd: notional, shape (sides: long, short; classes; columns; rows).
        candles: open, high, low, close, volume, shape (columns,); NaN where no bar is known.
    """

    symbol: str
    timeframe: str
    source_label: str
    as_of: datetime
    now: datetime
    current_price: float
    burn_in_days: float | None
    margin_note: str
    short_history: str
    ts: NDArray[np.datetime64]
    column_width: float
    row_edges: NDArray[np.float64]
    usd: NDArray[np.float64]
    candles: dict[str, NDArray[np.float64]]

    @cached_property
    def total(self) -> NDArray[np.float64]:
        """Notional of both sides and all classes, shape (columns, rows)."""
        total: NDArray[np.float64] = self.usd.sum(axis=(0, 1))
        return total

    @property
    def row_height(self) -> float:
        """USD."""
        return float(self.row_edges[1] - self.row_edges[0])

    @cached_property
    def top(self) -> float:
        """The amount from which on everything has the brightest colour: a quantile, or the map's outliers blind it."""
        some = self.total[self.total > 0]
        return float(np.quantile(some, QUANTILE)) if some.size else 1.0

    @property
    def notice(self) -> str:
        """How old the data is, in words."""
        return notice(self.as_of, self.now)

    @property
    def age(self) -> timedelta:
        """How old the data is."""
        return self.now - self.as_of


def frame_of(
    cells: pa.Table, candles: pa.Table, facts: Mapping[str, Any], now: datetime, max_rows: int = MAX_ROWS
) -> HeatmapView:
    """Return what a picture shows.

    Args:
        cells, candles: rows of `liquidation_heatmap` and `candles`, one symbol and timeframe.
        facts: their manifest: as_of, first_ts, current_price, source_label, burn_in_days.
        now: the current instant.
        max_rows: rows of cells are added together until there are no more than this.
    """
    ts = np.union1d(_instants(cells), _instants(candles))
    column = np.searchsorted(ts, cells["ts"].to_numpy().astype("datetime64[us]"))
    place = np.searchsorted(ts, candles["ts"].to_numpy().astype("datetime64[us]"))
    shown = {}
    for name in ("open", "high", "low", "close", "volume"):
        shown[name] = np.full(ts.size, np.nan)
        shown[name][place] = candles[name].to_numpy()

    price = float(facts["current_price"])
    low_edge, high_edge = cells["price_low"].to_numpy(), cells["price_high"].to_numpy()
    width = float(high_edge[0] - low_edge[0]) if cells.num_rows else price / 1000
    bottom, top = _window(shown, price)
    row = np.rint(low_edge / width).astype(np.int64)
    first, last = int(np.floor(bottom / width)), int(np.ceil(top / width))
    merged = max(1, -(-(last - first) // max_rows))
    first, last = first // merged, -(-last // merged)
    row = row // merged - first
    rows = last - first
    inside = (row >= 0) & (row < rows)
    column, row = column[inside], row[inside]
    is_short = pc.equal(cells["side"], "short").to_numpy()  # no Python string for each of half a million cells
    side = is_short[inside].astype(np.int64)
    slot = (side * ts.size + column) * rows + row
    usd = np.zeros((2, len(LEVERAGE_CLASSES), ts.size, rows))
    for number, name in enumerate(LEVERAGE_CLASSES):
        sums = np.bincount(slot, cells[f"notional_usd_{name}"].to_numpy()[inside], 2 * ts.size * rows)
        usd[:, number] = sums.reshape(2, ts.size, rows)
    step = merged * width
    timeframe = cells["timeframe"][0].as_py() if cells.num_rows else ""
    return HeatmapView(
        symbol=cells["symbol"][0].as_py() if cells.num_rows else "",
        timeframe=timeframe,
        source_label=str(facts.get("source_label") or ""),
        as_of=_datetime(facts["as_of"]),
        now=now,
        current_price=price,
        burn_in_days=facts.get("burn_in_days"),
        margin_note=margin_note(facts),
        short_history=history_notice(timeframe, facts),
        ts=ts,
        column_width=float(np.diff(ts).min() / np.timedelta64(1, "s")) if ts.size > 1 else 3600.0,
        row_edges=np.round((first + np.arange(rows + 1)) * step, 10),
        usd=usd,
        candles=shown,
    )


def history_notice(timeframe: str, facts: Mapping[str, Any]) -> str:
    """Return words for a manifest whose data does not fill its timeframe; empty where it does, or is unknown."""
    if not timeframe or not facts.get("first_ts"):
        return ""
    return short_history(timeframe, _datetime(facts["first_ts"]), _datetime(facts["as_of"]))


def _window(candles: Mapping[str, NDArray[np.float64]], price: float) -> tuple[float, float]:
    low = float(np.nanmin(candles["low"], initial=price))
    high = float(np.nanmax(candles["high"], initial=price))
    pad = float(np.clip(_PAD_OF_RANGE * (high - low), _LEAST_PAD * price, _MOST_PAD * price))
    return max(low - pad, 0.0), high + pad


def _instants(rows: pa.Table) -> NDArray[np.datetime64]:
    instants: NDArray[np.datetime64] = np.unique(rows["ts"].to_numpy().astype("datetime64[us]"))
    return instants


def _datetime(value: Any) -> datetime:
    return (datetime.fromisoformat(value) if isinstance(value, str) else value).astimezone(UTC)

"""What every view of a map shows: levels around the price, by leverage class, and how they add up with distance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from liq_pipeline.model.levels import LEVERAGE_CLASSES, bin_width
from liq_pipeline.published.manifests import margin_note
from liq_pipeline.published.staleness import notice
from liq_pipeline.views.frame import history_notice

MAX_BARS = 240
_SHOWN_SHARE = 0.8
_NEAREST, _FARTHEST = 0.03, 0.20


@dataclass(frozen=True)
class LevelsView:
    """One map's content.

    Attributes:
        symbol, timeframe, source_label: what is shown.
        as_of, now: newest bar, and when the picture is drawn.
        current_price: close at `as_of`, USD.
        burn_in_days: None: a map has no left edge.
        margin_note: that default margin brackets stand in, in words; empty where they do not.
        short_history: in words, that the data does not fill the timeframe; empty where it does.
        edges: price edges of the bars, USD, ascending, one more than bars; the current price lies inside one.
        usd: notional, shape (sides: long, short; classes; bars).
        beyond: notional outside the picture, per side.
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
    edges: NDArray[np.float64]
    usd: NDArray[np.float64]
    beyond: tuple[float, float]

    @property
    def notice(self) -> str:
        """How old the data is, in words."""
        return notice(self.as_of, self.now)

    @property
    def age(self) -> timedelta:
        """How old the data is."""
        return self.now - self.as_of

    def cumulative(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return prices and sums of longs (growing leftwards), then of shorts (rightwards). Both start at zero."""
        price = np.array([self.current_price])
        below, above = self.edges < self.current_price, self.edges > self.current_price
        long = self.usd[0].sum(axis=0)[below[:-1]][::-1].cumsum()
        short = self.usd[1].sum(axis=0)[above[1:]].cumsum()
        zero = np.zeros(1)
        return (
            np.concatenate([price, self.edges[:-1][below[:-1]][::-1]]), np.concatenate([zero, long]),
            np.concatenate([price, self.edges[1:][above[1:]]]), np.concatenate([zero, short]),
        )  # fmt: skip


def levels_frame_of(
    levels: pa.Table, facts: Mapping[str, Any], symbol: str, timeframe: str, now: datetime
) -> LevelsView:
    """Return what a map shows.

    Args:
        levels: rows of `liquidation_levels`, one symbol and timeframe; may be empty.
        facts: their manifest: as_of, current_price, source_label.
        symbol, timeframe: which.
        now: the current instant.
    """
    price = float(facts["current_price"])
    notional = levels["notional_usd"].to_numpy()
    middle = (levels["price_low"].to_numpy() + levels["price_high"].to_numpy()) / 2
    is_short = np.asarray(levels["side"].to_numpy(zero_copy_only=False) == "short")
    away = np.abs(middle / price - 1)
    order = np.argsort(away)
    reached = np.searchsorted(np.cumsum(notional[order]), _SHOWN_SHARE * notional.sum())
    reach = away[order][min(reached, away.size - 1)] if away.size else _NEAREST
    pad = float(np.clip(reach, _NEAREST, _FARTHEST)) * price
    step = bin_width(price)
    step *= max(1, -(-int(2 * pad / step) // MAX_BARS))
    first, last = int(np.floor((price - pad) / step)), int(np.ceil((price + pad) / step))
    bar = np.floor(middle / step + 1e-9).astype(np.int64) - first
    inside = (bar >= 0) & (bar < last - first)
    klass = np.searchsorted(list(LEVERAGE_CLASSES.values()), levels["leverage"].to_numpy())
    shape = (2, len(LEVERAGE_CLASSES), last - first)
    slot = (is_short * shape[1] + klass) * shape[2] + bar
    usd = np.zeros(shape)
    np.add.at(usd.reshape(-1), slot[inside], notional[inside])
    as_of = facts["as_of"]
    return LevelsView(
        symbol=symbol,
        timeframe=timeframe,
        source_label=str(facts.get("source_label") or ""),
        as_of=(datetime.fromisoformat(as_of) if isinstance(as_of, str) else as_of).astimezone(UTC),
        now=now,
        current_price=price,
        burn_in_days=None,
        margin_note=margin_note(facts),
        short_history=history_notice(timeframe, facts),
        edges=np.round((first + np.arange(last - first + 1)) * step, 10),
        usd=usd,
        beyond=(float(notional[~inside & ~is_short].sum()), float(notional[~inside & is_short].sum())),
    )

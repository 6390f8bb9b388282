"""How much gets liquidated on the way to a price, if it is reached: as the dataset `if_reached` holds it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from liq_pipeline.errors import NotPublished
from liq_pipeline.published.if_reached import DATASET, fits_of, hidden_because, longest
from liq_pipeline.server.answers import as_json
from liq_pipeline.server.asked import Asked
from liq_pipeline.server.models import Aged
from liq_pipeline.server.store import Edition
from liq_pipeline.views.payload import age_facts

__all__ = ["DATASET", "IfReached", "if_reached"]

NOTE = (
    "Estimated USD that gets liquidated from now until the price first reaches a target, given that it does so within "
    "the horizon: eight of ten past cases lay between p10 and p90. Not whether it gets there."
)


class Target(BaseModel):
    """What happens on the way to a price, if it is reached."""

    price: float
    distance_pct: float = Field(description="from the current price; negative below it")
    mapped_usd: float = Field(description="estimated exposure on the way")
    p10_usd: float = Field(description="one of ten past cases had less")
    p50_usd: float
    p90_usd: float = Field(description="one of ten past cases had more")


class IfReached(Aged):
    """How much gets liquidated on the way to a price, given that it is reached in time."""

    symbol: str
    source_label: str
    note: str
    current_price: float
    horizon_hours: int
    source: str = Field(description="of the reported liquidations that it was fitted on")
    days_of_truth: float
    past_coverage_80: float | None = Field(description="share of past cases between p10 and p90")
    hidden_because: str = Field(description="why there is no range; empty where there is one")
    if_reached_long: list[Target] = Field(description="longs, on the way down; nearest first")
    if_reached_short: list[Target] = Field(description="shorts, on the way up; nearest first")
    zones_long: list[Target] = Field(description="the same at the far edges of the largest zones below the price")
    zones_short: list[Target] = Field(description="and above it")


def if_reached(edition: Edition, asked: Asked, *, hours: int, source: str) -> bytes:
    """Return, per side and target, how much gets liquidated on the way to it: a median and a range, if it is known.

    Args:
        hours: horizon.
        source: of the truth; empty for the one with most days of it.

    Raises:
        NotPublished: there is no such source.
        PublishedDamaged: fits that cannot be read.
    """
    (found,) = edition
    fits = fits_of(found.manifest)
    if source and source not in (sources := sorted({one.source for one in fits})):
        there = ", ".join(sources) or "none"
        raise NotPublished(f"there is no source {source!r} of {asked.symbol}", remedy=f"take one of: {there}")
    fit = longest(fits, hours, source)
    rows = found.rows.to_pylist() if fit and fit.is_shown else []
    rows = [row for row in rows if fit and (row["source"], row["horizon_hours"]) == (fit.source, hours)]
    return as_json(
        {
            "symbol": asked.symbol,
            "source_label": found.manifest.get("source_label", ""),
            **age_facts(datetime.fromisoformat(found.manifest["as_of"]), asked.moment),
            "note": NOTE,
            "current_price": float(found.manifest["current_price"]),
            "horizon_hours": hours,
            "source": fit.source if fit else "",
            "days_of_truth": fit.days_of_truth if fit else 0.0,
            "past_coverage_80": fit.coverage_80 if fit else None,
            "hidden_because": hidden_because(fits, fit),
            "if_reached_long": _targets(rows, "long", "ladder"),
            "if_reached_short": _targets(rows, "short", "ladder"),
            "zones_long": _targets(rows, "long", "zone"),
            "zones_short": _targets(rows, "short", "zone"),
        }
    )


def _targets(rows: list[dict[str, Any]], side: str, kind: str) -> list[dict[str, float]]:
    wanted = ("distance_pct", "mapped_usd", "p10_usd", "p50_usd", "p90_usd")
    return [
        {"price": row["target_price"], **{name: row[name] for name in wanted}}
        for row in rows
        if (row["side"], row["target"]) == (side, kind)
    ]

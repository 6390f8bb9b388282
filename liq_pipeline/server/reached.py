"""How much gets liquidated on the way to a price, if it is reached: as the dataset `if_reached` holds it."""

from __future__ import annotations

from pydantic import BaseModel, Field

from liq_pipeline.published.if_reached import DATASET
from liq_pipeline.server.answers import as_json
from liq_pipeline.server.asked import Asked
from liq_pipeline.server.models import Aged
from liq_pipeline.server.store import Edition
from liq_pipeline.views.reached import reached_payload

__all__ = ["DATASET", "IfReached", "if_reached"]


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
    return as_json(reached_payload(found.rows, found.manifest, asked.symbol, hours, asked.moment, source))

"""How much gets liquidated on the way to a price, if it is reached: from the levels and the validation's reports."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import numpy as np
from pydantic import BaseModel, Field

from liq_pipeline.errors import NotPublished
from liq_pipeline.model.if_reached import SHOWN_FROM_DAYS, TARGETS_PCT
from liq_pipeline.published.if_reached import Horizon, mapped_until, read_report
from liq_pipeline.server.answers import as_json
from liq_pipeline.server.asked import Asked
from liq_pipeline.server.models import Aged
from liq_pipeline.server.store import Edition
from liq_pipeline.views.payload import age_facts

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


def if_reached(edition: Edition, asked: Asked, *, hours: int, reports: Mapping[str, bytes], source: str) -> bytes:
    """Return, per side and target, how much gets liquidated on the way to it: a median and a range, if it is known.

    Args:
        hours: horizon.
        reports: of the validation, by source.
        source: which of them; empty for the one with most days of truth.

    Raises:
        NotPublished: there is no such source.
        PublishedDamaged: a report that cannot be read.
    """
    (found,) = edition
    price = float(found.manifest["current_price"])
    as_of = datetime.fromisoformat(found.manifest["as_of"])
    if source and source not in reports:
        there = ", ".join(reports) or "none"
        raise NotPublished(f"there is no source {source!r} of {asked.symbol}", remedy=f"take one of: {there}")
    known = [
        (one.days, name, one)
        for name, content in reports.items()
        if source in ("", name)
        for one in read_report(name, content).if_reached
        if one.horizon_hours == hours
    ]
    _, name, horizon = max(known, key=lambda item: item[:2], default=(0.0, "", None))
    distances = np.array(TARGETS_PCT)
    sides: dict[str, list[dict[str, float]]] = {"long": [], "short": []}
    if horizon and horizon.is_shown:
        for side, sign in (("long", -1.0), ("short", 1.0)):
            mapped = mapped_until(found.rows, side, price, distances)
            for away, both, usd in zip(distances, mapped, horizon.range.usd(distances, mapped), strict=True):
                sides[side].append(
                    {"price": price * (1 + sign * away / 100), "distance_pct": float(sign * away),
                     "mapped_usd": float(both.sum()), "p10_usd": float(usd[0]), "p50_usd": float(usd[1]),
                     "p90_usd": float(usd[2])}
                )  # fmt: skip
    return as_json(
        {
            "symbol": asked.symbol,
            "source_label": found.manifest.get("source_label", ""),
            **age_facts(as_of, asked.moment),
            "note": NOTE,
            "current_price": price,
            "horizon_hours": hours,
            "source": name,
            "days_of_truth": horizon.days if horizon else 0.0,
            "past_coverage_80": horizon.coverage_80 if horizon else None,
            "hidden_because": _hidden(horizon, bool(reports)),
            "if_reached_long": sides["long"],
            "if_reached_short": sides["short"],
        }
    )


def _hidden(horizon: Horizon | None, has_reports: bool) -> str:
    """Say why no range is shown; empty where one is."""
    get = "To do: liq record, or name reported liquidations in LIQ_TRUTH; then liq run"
    if horizon is None:
        return f"nothing was scored at this horizon yet. {get}" if has_reports else f"no reported liquidations. {get}"
    return "" if horizon.is_shown else f"{horizon.days:.1f} of {SHOWN_FROM_DAYS:g} days of reported liquidations. {get}"

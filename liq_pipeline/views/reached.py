"""How much gets liquidated on the way to a price, as the page and the service show it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pyarrow as pa

from liq_pipeline.errors import NotPublished
from liq_pipeline.published.if_reached import fits_of, hidden_because, longest
from liq_pipeline.views.payload import age_facts

NOTE = (
    "Estimated USD that gets liquidated from now until the price first reaches a target, given that it does so within "
    "the horizon: eight of ten past cases lay between p10 and p90. Not whether it gets there."
)
_COLUMNS = ("distance_pct", "mapped_usd", "p10_usd", "p50_usd", "p90_usd")


def reached_payload(
    rows: pa.Table, facts: Mapping[str, Any], symbol: str, hours: int, now: datetime, source: str = ""
) -> dict[str, Any]:
    """Return, per side and target, how much gets liquidated on the way to it: a median and a range, if it is known.

    Args:
        rows, facts: of the dataset `if_reached`.
        symbol: whose.
        hours: horizon.
        now: ages are told as of then.
        source: of the truth; empty for the one with most days of it.

    Raises:
        NotPublished: there is no such source.
        PublishedDamaged: fits that cannot be read.
    """
    fits = fits_of(dict(facts))
    if source and source not in (sources := sorted({one.source for one in fits})):
        there = ", ".join(sources) or "none"
        raise NotPublished(f"there is no source {source!r} of {symbol}", remedy=f"take one of: {there}")
    fit = longest(fits, hours, source)
    shown = rows.to_pylist() if fit and fit.is_shown else []
    shown = [row for row in shown if fit and (row["source"], row["horizon_hours"]) == (fit.source, hours)]
    return {
        "symbol": symbol,
        "source_label": facts.get("source_label", ""),
        **age_facts(datetime.fromisoformat(facts["as_of"]), now),
        "note": NOTE,
        "current_price": float(facts["current_price"]),
        "horizon_hours": hours,
        "source": fit.source if fit else "",
        "days_of_truth": fit.days_of_truth if fit else 0.0,
        "past_coverage_80": fit.coverage_80 if fit else None,
        "hidden_because": hidden_because(fits, fit),
        "if_reached_long": _targets(shown, "long", "ladder"),
        "if_reached_short": _targets(shown, "short", "ladder"),
        "zones_long": _targets(shown, "long", "zone"),
        "zones_short": _targets(shown, "short", "zone"),
    }


def _targets(rows: list[dict[str, Any]], side: str, kind: str) -> list[dict[str, float]]:
    return [
        {"price": row["target_price"], **{name: row[name] for name in _COLUMNS}}
        for row in rows
        if (row["side"], row["target"]) == (side, kind)
    ]

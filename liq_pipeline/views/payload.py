"""What the page reads, from disk and from the service alike: a heatmap and levels as JSON-ready dictionaries."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from liq_pipeline.clock import iso
from liq_pipeline.model.levels import LEVERAGE_CLASSES, bin_width
from liq_pipeline.published.manifests import margin_note
from liq_pipeline.published.staleness import AGEING, is_stale, notice
from liq_pipeline.views.frame import CLASS_NAMES, QUANTILE, HeatmapView, history_notice

ESTIMATED = "Estimated from open interest and prices; exposure, not a forecast."


def age_facts(as_of: datetime, now: datetime) -> dict[str, Any]:
    """Return as_of, age_hours, is_ageing (24 h), is_stale (48 h) and a notice in words."""
    age = now - as_of
    return {
        "as_of": iso(as_of),
        "age_hours": round(age / timedelta(hours=1), 3),
        "is_ageing": age >= AGEING,
        "is_stale": is_stale(age),
        "notice": notice(as_of, now),
    }


def heatmap_facts(frame: HeatmapView) -> dict[str, Any]:
    """Return what is known of a heatmap but for its columns, candles and cells."""
    return {
        "symbol": frame.symbol,
        "timeframe": frame.timeframe,
        "source_label": frame.source_label,
        **age_facts(frame.as_of, frame.now),
        "note": ESTIMATED + " Every position alive at each time, whatever its age.",
        "current_price": frame.current_price,
        "burn_in_days": frame.burn_in_days,
        "margin_note": frame.margin_note,
        "short_history": frame.short_history,
        "column_seconds": frame.column_width,
        "price_low": float(frame.row_edges[0]),
        "row_height": frame.row_height,
        "rows": int(frame.row_edges.size - 1),
        "brightest_usd": frame.top,
        "brightest_quantile": QUANTILE,
    }


def heatmap_payload(frame: HeatmapView) -> dict[str, Any]:
    """Return a heatmap at display size.

    `columns` are closing instants (epoch seconds). `layers` hold, per side and leverage class, one list per column: the
    index of the first row, then USD for that row and the ones above it; an empty list where nothing is alive.
    """
    layers = []
    for place, side in enumerate(("long", "short")):
        for number, name in enumerate(LEVERAGE_CLASSES):
            amounts = np.rint(frame.usd[place, number]).astype(np.int64)
            layers.append(
                {"side": side, "leverage_class": CLASS_NAMES[name], "columns": [_run(column) for column in amounts]}
            )
    stacked = np.column_stack([frame.candles[name] for name in ("open", "high", "low", "close", "volume")])
    return {
        **heatmap_facts(frame),
        "columns": (frame.ts - np.datetime64(0, "s")).astype("timedelta64[s]").astype(int).tolist(),
        "candles": [None if np.isnan(row[3]) else row.tolist() for row in stacked],
        "layers": layers,
    }


def _run(column: np.ndarray) -> list[int]:
    some = np.flatnonzero(column)
    return [int(some[0]), *column[some[0] : some[-1] + 1].tolist()] if some.size else []


def levels_facts(facts: Mapping[str, Any], symbol: str, timeframe: str, now: datetime) -> dict[str, Any]:
    """Return what is known of levels but for their rows."""
    price = float(facts["current_price"])
    return {
        "symbol": symbol,
        "timeframe": timeframe,
        "source_label": str(facts.get("source_label") or ""),
        **age_facts(datetime.fromisoformat(facts["as_of"]), now),
        "note": f"{ESTIMATED} Positions younger than {timeframe}.",
        "current_price": price,
        "margin_note": margin_note(facts),
        "bin_width": bin_width(price),
        "short_history": history_notice(timeframe, facts),
    }


def levels_payload(
    levels: pa.Table, facts: Mapping[str, Any], symbol: str, timeframe: str, now: datetime
) -> dict[str, Any]:
    """Return levels in full, longs and shorts apart, nearest to the price first."""
    return {
        **levels_facts(facts, symbol, timeframe, now),
        "long_liquidations": _side(levels, "long", "descending"),
        "short_liquidations": _side(levels, "short", "ascending"),
    }


def _side(levels: pa.Table, side: str, order: str) -> list[dict[str, float]]:
    names = ["price_low", "price_high", "leverage", "notional_usd", "contracts"]
    rows = levels.filter(pc.equal(levels["side"], side)).select(names)
    found: list[dict[str, float]] = rows.sort_by([("price_low", order), ("leverage", "ascending")]).to_pylist()
    return found

"""What the service answers: published rows, filtered and summed, as bytes."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic_core import to_json

from liq_pipeline.clock import iso
from liq_pipeline.model.levels import LEVERAGE_CLASSES, bin_width
from liq_pipeline.published.manifests import margin_note
from liq_pipeline.server.asked import Asked
from liq_pipeline.server.past import candles_until, heatmap_until
from liq_pipeline.server.sound import damaged
from liq_pipeline.server.store import Edition, Published, Store
from liq_pipeline.views.exports import heatmap_json, levels_csv
from liq_pipeline.views.frame import frame_of
from liq_pipeline.views.packed import heatmap_packed, levels_packed
from liq_pipeline.views.payload import ESTIMATED, age_facts, heatmap_payload, levels_payload

MAX_PAIN = (
    "The middle of the price bin in which the most USD would be liquidated, all leverages added: where one bin's width "
    "of price movement hurts most. An exposure estimate, not a target."
)
CLUSTER = "A bin among the largest tenth of its side's bins; the nearest three are given."
_CLUSTERS = 3
_CLUSTER_QUANTILE = 0.9


def as_json(content: dict[str, Any]) -> bytes:
    """Return compact JSON.

    Raises:
        ValueError: a number is not finite: JSON has none such.
    """
    body = to_json(content, inf_nan_mode="constants")  # six times as fast as `json`, which can refuse them
    if b"NaN" in body or b"Infinity" in body:  # or a text that says so
        json.dumps(content, allow_nan=False)
    return body


def levels(edition: Edition, asked: Asked, *, side: str, min_usd: float, leverage: str = "") -> bytes:
    """Return levels in the format asked for: the published ones, or of `positions` those of the moment asked for.

    Raises:
        NoData: the moment lies before the first bar.
        PublishedDamaged: positions that cannot be.
    """
    (found,) = edition
    facts = found.manifest
    if found.dataset == "positions":
        rows, facts = levels_at(found, asked)
    elif asked.kind == "parquet" and not (side or min_usd or leverage):
        return found.load()
    else:
        rows = found.rows
    rows = _some(rows, side, min_usd, leverage)
    if asked.kind == "csv":
        return levels_csv(rows)
    if asked.kind == "arrow":
        stream = io.BytesIO()
        with pa.ipc.new_stream(stream, rows.schema) as writer:
            writer.write_table(rows)
        return stream.getvalue()
    if asked.kind == "parquet":
        sink = io.BytesIO()
        pq.write_table(rows, sink, compression="zstd")
        return sink.getvalue()
    if asked.kind == "packed":
        return levels_packed(rows, facts, asked.symbol, asked.timeframe, asked.moment)
    return as_json(levels_payload(rows, facts, asked.symbol, asked.timeframe, asked.moment))


def levels_at(found: Published, asked: Asked) -> tuple[pa.Table, dict[str, Any]]:
    """Return levels of the moment asked for, and what is known of them.

    Raises:
        NoData, PublishedDamaged: as `levels`.
    """
    try:
        past = found.past
        bar = past.newest(asked.moment)
        rows = past.levels_at(asked.moment, [asked.timeframe])[asked.timeframe]
    except (ValueError, ArithmeticError, MemoryError) as error:  # of the model: such positions do not come to be
        raise damaged("positions", str(error)) from None
    as_of = past.ts[bar].item().replace(tzinfo=UTC)
    return rows, {**found.manifest, "as_of": iso(as_of), "current_price": float(past.close[bar])}


def _some(rows: pa.Table, side: str, min_usd: float, leverage: str) -> pa.Table:
    if side:
        rows = rows.filter(pc.equal(rows["side"], side))
    if leverage:
        places = [list(LEVERAGE_CLASSES).index(name) for name in leverage.split(",")]
        found = np.searchsorted(list(LEVERAGE_CLASSES.values()), rows["leverage"].to_numpy())
        rows = rows.filter(pa.array(np.isin(found, places)))
    return rows.filter(pc.greater_equal(rows["notional_usd"], min_usd)) if min_usd else rows


def heatmap(edition: Edition, asked: Asked, *, at: datetime | None = None) -> bytes:
    """Return a heatmap at display size, in our shape, the page's, or the one that bots parse; up to an instant.

    Raises:
        NoData: the instant lies before the first column.
    """
    frame = frame_of(*heatmap_until(edition, at), asked.moment)
    if asked.kind == "packed":
        return heatmap_packed(frame)
    return heatmap_json(frame) if asked.kind == "coinglass" else as_json(heatmap_payload(frame))


def candles(edition: Edition, asked: Asked, *, at: datetime | None = None) -> bytes:
    """Return candles, oldest first; up to an instant.

    Raises:
        NoData: the instant lies before the first one's close.
    """
    table, facts = candles_until(edition, at)
    rows = table.drop_columns(["symbol", "timeframe"]).to_pylist()
    for row in rows:
        row |= {name: iso(row[name]) for name in ("ts", "open_time")}
    as_of = datetime.fromisoformat(facts["as_of"])
    about = {"symbol": asked.symbol, "timeframe": asked.timeframe, **age_facts(as_of, asked.moment)}
    return as_json({**about, "candles": rows})


def summary(edition: Edition, asked: Asked) -> bytes:
    """Return totals per side, imbalance, the nearest clusters, and the max-pain price.

    Raises:
        NoData, PublishedDamaged: as `levels`.
    """
    (found,) = edition
    rows, facts = levels_at(found, asked) if found.dataset == "positions" else (found.rows, found.manifest)
    price = float(facts["current_price"])
    by_bin = rows.group_by(["side", "price_low", "price_high"]).aggregate([("notional_usd", "sum")])
    sides = {side: _bins(by_bin.filter(pc.equal(by_bin["side"], side)), price) for side in ("long", "short")}
    total = {side: sum(item["notional_usd"] for item in bins) for side, bins in sides.items()}
    both = total["long"] + total["short"]
    pains = {side: max(bins, key=lambda item: item["notional_usd"], default=None) for side, bins in sides.items()}
    overall = max(filter(None, pains.values()), key=lambda item: item["notional_usd"], default=None)
    as_of = datetime.fromisoformat(facts["as_of"])
    return as_json(
        {
            "symbol": asked.symbol,
            "timeframe": asked.timeframe,
            "source_label": facts.get("source_label", ""),
            **age_facts(as_of, asked.moment),
            "note": f"{ESTIMATED} Positions younger than {asked.timeframe}.",
            "current_price": price,
            "margin_note": margin_note(facts),
            "bin_width": bin_width(price),
            "long_notional_usd": total["long"],
            "short_notional_usd": total["short"],
            "imbalance": (total["long"] - total["short"]) / both if both else 0.0,
            "imbalance_definition": "(long − short) / (long + short): 1 if all exposure is long, −1 if all is short.",
            "nearest_long_clusters": _clusters(sides["long"]),
            "nearest_short_clusters": _clusters(sides["short"]),
            "cluster_definition": CLUSTER,
            "max_pain": {"price": overall and overall["price"], "long": pains["long"], "short": pains["short"]},
            "max_pain_definition": MAX_PAIN,
        }
    )


def _bins(rows: pa.Table, price: float) -> list[dict[str, float]]:
    """Return price bins, nearest to the price first."""
    found = []
    for row in rows.to_pylist():
        middle = (row["price_low"] + row["price_high"]) / 2
        found.append(
            {
                "price": middle,
                "price_low": row["price_low"],
                "price_high": row["price_high"],
                "distance_pct": 100 * (middle / price - 1),
                "notional_usd": row["notional_usd_sum"],
            }
        )
    return sorted(found, key=lambda item: abs(item["distance_pct"]))


def _clusters(bins: list[dict[str, float]]) -> list[dict[str, float]]:
    if not bins:
        return []
    least = np.quantile([item["notional_usd"] for item in bins], _CLUSTER_QUANTILE)
    return [item for item in bins if item["notional_usd"] >= least][:_CLUSTERS]


@dataclass(frozen=True)
class State:
    """What is published.

    Attributes:
        symbols: every symbol with a sound manifest, with its age and price.
        damaged: symbol, dataset, timeframe and what is wrong, for every file that is not what was published.
        exposure: for monitoring: USD by symbol, side and where: '1pct' of the price, or a timeframe.
    """

    symbols: list[dict[str, Any]]
    damaged: list[dict[str, str]]
    exposure: dict[tuple[str, str, str], float]

    @property
    def said(self) -> dict[str, Any]:
        """What an answer says of damage: nothing, if there is none."""
        return {"damaged": self.damaged} if self.damaged else {}


def state(store: Store, now: datetime) -> State:
    """Return what is published. One that is damaged hides no other."""
    found = State([], [], {})
    for symbol in store.symbols():
        manifests, damaged = store.manifests(symbol)
        found.damaged.extend(
            {"symbol": symbol, "dataset": dataset, "timeframe": timeframe, "detail": str(error)}
            for (dataset, timeframe), error in damaged.items()
        )
        if not manifests:
            continue
        newest = next(iter(manifests.values()))
        for side in ("long", "short"):
            for timeframe, manifest in manifests.items():
                found.exposure[symbol, side, timeframe] = manifest.get(f"{side}_notional_usd") or 0.0
            if (near := store.features(symbol).get(f"{side}_usd_within_1_pct")) is not None:
                found.exposure[symbol, side, "1pct"] = near
        found.symbols.append(
            {
                "symbol": symbol,
                "timeframes": list(manifests),
                **age_facts(datetime.fromisoformat(newest["as_of"]), now),
                "current_price": newest["current_price"],
                "source_label": newest.get("source_label", ""),
                "margin_note": margin_note(newest),
            }
        )
    return found

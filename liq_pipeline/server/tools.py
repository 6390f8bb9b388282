"""Tools for language models over the Model Context Protocol: five questions, read-only, each answer with its age."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field

from liq_pipeline.clock import iso
from liq_pipeline.errors import LiqError
from liq_pipeline.server import answers
from liq_pipeline.server.asked import Asked
from liq_pipeline.server.store import Store
from liq_pipeline.setting_forms import instant_of
from liq_pipeline.views.payload import age_facts

NOTE = "Estimated from open interest and prices; exposure, not a forecast."
MOST_BARS = 288
Symbol = Annotated[str, Field(description="perpetual, as the tool `symbols` lists it, such as BTCUSDT", max_length=40)]
Timeframe = Annotated[Literal["1d", "7d", "30d", "90d"], Field(description="positions younger than this")]
At = Annotated[
    str | None, Field(description="an instant of the past, ISO 8601, UTC; without it the newest bar", max_length=40)
]


def make_tools(folder: Path, now: Callable[[], datetime]) -> MCPServer:
    """Return the server over a published folder.

    Args:
        folder: `data/published`.
        now: tells the current instant, UTC.
    """
    server: MCPServer = MCPServer(
        "liq_pipeline",
        title="The open liquidation map",
        instructions="Estimated liquidation levels of crypto perpetuals. Every answer says how old its data is "
        "(age_hours, is_stale) and where it is from (source_label: simulated means invented). Amounts are exposure, "
        "not a forecast.",
    )
    store = Store(folder)

    @server.tool()
    def symbols() -> dict[str, Any]:
        """List the symbols that are published, with their price, age and source."""
        with _said():
            found = answers.state(store, now())
            return {"note": NOTE, "symbols": found.symbols, **found.said}

    @server.tool()
    def liquidation_map(symbol: Symbol, timeframe: Timeframe = "7d", at: At = None) -> dict[str, Any]:
        """Give totals per side, imbalance, and exposure by distance from the price: within 0.5, 1, 2, 5 and 10 %."""
        with _said():
            rows, facts = _levels(store, symbol, timeframe, at, now())
            price = facts["current_price"]
            away = pc.abs(pc.subtract(pc.divide(_middle(rows), price), 1))
            within = {
                side: {
                    f"{pct:g} %": _usd(
                        rows.filter(pc.and_(pc.equal(rows["side"], side), pc.less_equal(away, pct / 100)))
                    )
                    for pct in (0.5, 1, 2, 5, 10)
                }
                for side in ("long", "short")
            }
            totals = {side: _usd(rows.filter(pc.equal(rows["side"], side))) for side in ("long", "short")}
            both = sum(totals.values())
            return {
                **facts,
                "long_notional_usd": totals["long"],
                "short_notional_usd": totals["short"],
                "imbalance": (totals["long"] - totals["short"]) / both if both else 0.0,
                "usd_within": within,
            }

    @server.tool()
    def largest_zones(
        symbol: Symbol,
        timeframe: Timeframe = "7d",
        count: Annotated[int, Field(ge=1, le=100, description="per side")] = 5,
        at: At = None,
    ) -> dict[str, Any]:
        """Give the price bins that hold most, per side, all leverages together, the largest first."""
        with _said():
            rows, facts = _levels(store, symbol, timeframe, at, now())
            bins = rows.group_by(["side", "price_low", "price_high"]).aggregate([("notional_usd", "sum")])
            bins = bins.sort_by([("notional_usd_sum", "descending"), ("price_low", "ascending")])
            zones = {}
            for side in ("long", "short"):
                some = bins.filter(pc.equal(bins["side"], side)).slice(0, count).to_pylist()
                zones[side] = [
                    {
                        "price_low": zone["price_low"],
                        "price_high": zone["price_high"],
                        "notional_usd": round(zone["notional_usd_sum"]),
                        "distance_pct": _distance(zone, facts["current_price"]),
                    }
                    for zone in some
                ]
            return {**facts, "zones": zones}

    @server.tool()
    def features(
        symbol: Symbol, bars: Annotated[int, Field(ge=1, le=MOST_BARS, description="newest bars")] = 12
    ) -> dict[str, Any]:
        """Give what lies near the price, bar by bar: exposure within 0.5 to 5 %, the nearest large zones, imbalance."""
        with _said():
            (found,) = store.read(("liquidation_features",), symbol.upper(), "7d")
            rows = found.rows.slice(max(found.rows.num_rows - bars, 0)).drop_columns(["exchange", "symbol"])
            plain = [row | {"ts": iso(row["ts"])} for row in rows.to_pylist()]
            return {**_facts(found.manifest, symbol, now()), "bars": plain}

    @server.tool()
    def health() -> dict[str, Any]:
        """Tell whether all data is new and whole: stale symbols, damaged files."""
        with _said():
            found = answers.state(store, now())
            stale = [item["symbol"] for item in found.symbols if item["is_stale"]]
            status = "down" if not found.symbols else "degraded" if stale or found.damaged else "ok"
            return {"note": NOTE, "status": status, "stale": stale, **found.said}

    return server


@contextmanager
def _said() -> Iterator[None]:
    """Turn an error that a user can act on into an answer that says so."""
    try:
        yield
    except LiqError as error:
        raise ToolError(str(error)) from None


def _facts(manifest: dict[str, Any], symbol: str, now: datetime) -> dict[str, Any]:
    return {
        "symbol": symbol.upper(),
        "source_label": manifest.get("source_label", ""),
        **age_facts(datetime.fromisoformat(manifest["as_of"]), now),
        "note": NOTE,
    }


def _levels(
    store: Store, symbol: str, timeframe: str, at: str | None, now: datetime
) -> tuple[pa.Table, dict[str, Any]]:
    if at is None:
        (found,) = store.read(("liquidation_levels",), symbol.upper(), timeframe)
        rows, manifest, moment = found.rows, found.manifest, now
    else:
        try:
            moment = instant_of(at)
        except ValueError as error:
            raise ToolError(f"at: {at!r} {error}") from None
        (found,) = store.read(("positions",), symbol.upper(), timeframe)
        rows, manifest = answers.levels_at(found, Asked(("positions",), symbol.upper(), timeframe, moment, "json"))
    facts = {**_facts(manifest, symbol, moment), "timeframe": timeframe, "current_price": manifest["current_price"]}
    return rows, facts


def _middle(rows: pa.Table) -> pa.ChunkedArray:
    return pc.divide(pc.add(rows["price_low"], rows["price_high"]), 2)


def _usd(rows: pa.Table) -> int:
    return round(pc.sum(rows["notional_usd"]).as_py() or 0.0)


def _distance(zone: dict[str, float], price: float) -> float:
    return round(100 * ((zone["price_low"] + zone["price_high"]) / 2 / price - 1), 3)

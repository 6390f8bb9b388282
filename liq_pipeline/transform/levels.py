"""Liquidation levels per timeframe: filters over the living positions, summed in one pass."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from liq_pipeline.model.levels import liquidation_levels
from liq_pipeline.model.timeframes import TIMEFRAMES
from liq_pipeline.published.levels import level_rows
from liq_pipeline.transform.positions import stored_positions
from liq_pipeline.warehouse.tables import Tables


def write_levels(
    tables: Tables, symbol: str, newest: dict[str, Any], timeframes: Collection[str] = tuple(TIMEFRAMES)
) -> dict[str, pa.Table]:
    """Sum the living cells, replace the levels of these timeframes, and return them.

    Args:
        tables: inside a transaction.
        symbol: whose.
        newest: the newest bar, as `Tables.newest_bar` gives it.
        timeframes: which are wanted.
    """
    as_of = np.datetime64(newest["as_of"].replace(tzinfo=None), "us")
    living = stored_positions(tables, symbol).living()
    by_timeframe = {
        timeframe: level_rows(found, symbol, timeframe, newest["as_of"], newest["current_price"])
        for timeframe, found in liquidation_levels(living, as_of, newest["current_price"], timeframes).items()
    }
    for timeframe, rows in by_timeframe.items():
        tables.replace(f"liquidation_levels_{timeframe}", symbol, rows)
    return by_timeframe


def level_facts(rows: pa.Table, covered_pct: float) -> dict[str, float]:
    """Return the totals per side, and how much of the timeframe the data covers."""
    facts: dict[str, float] = {}
    for side in ("long", "short"):
        of_side = rows.filter(pc.equal(rows["side"], side))
        facts[f"{side}_contracts"] = pc.sum(of_side["contracts"]).as_py() or 0.0
        facts[f"{side}_notional_usd"] = pc.sum(of_side["notional_usd"]).as_py() or 0.0
    facts["coverage_pct"] = covered_pct
    return facts


def largest_levels(rows: pa.Table, limit: int = 5) -> pa.Table:
    """Return the price bins that hold most, all leverages together, the largest first; rounded, for people."""
    bins = rows.group_by(["side", "price_low", "price_high"]).aggregate(
        [("notional_usd", "sum"), ("distance_pct", "min")]
    )
    bins = bins.sort_by([("notional_usd_sum", "descending"), ("price_low", "ascending")]).slice(0, limit)
    ends = zip(bins["price_low"].to_pylist(), bins["price_high"].to_pylist(), strict=True)
    return pa.table(
        {
            "side": bins["side"],
            "price_usd": [f"{low:,.10g} – {high:,.10g}" for low, high in ends],
            "distance_pct": pc.round(bins["distance_pct_min"], 2),
            "notional_usd": [f"{usd:,.0f}" for usd in bins["notional_usd_sum"].to_pylist()],
        }
    )


def coverage_pct(tables: Tables, symbol: str) -> dict[str, float]:
    """Return which share of each timeframe's bars was observed, in percent: neither before the data, nor in a gap."""
    observed = tables.read("coverage", symbol=symbol).to_pylist()[0]
    return {timeframe: 100 * observed[f"covered_{timeframe}"] for timeframe in TIMEFRAMES}

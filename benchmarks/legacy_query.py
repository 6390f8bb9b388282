"""The 90-day levels: reading ours, or computing ours again from the positions, against the legacy system's query."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.data import SYMBOL, Market, kline_rows, open_interest_rows, temporary_warehouse, whole_path
from benchmarks.harness import Outcome, against
from liq_pipeline.model.baselines import LegacyInput, legacy_entry_bin, legacy_levels
from liq_pipeline.model.levels import SPANS, liquidation_levels
from liq_pipeline.published.levels import level_rows
from liq_pipeline.published.positions import positions_of
from liq_pipeline.transform.positions import walk_whole
from liq_pipeline.warehouse.schema import named_query

DAYS = 180
Legacy_QUERY = Path(__file__).with_name("legacy_levels.sql").read_text(encoding="utf-8")


def legacy_input(market: Market) -> LegacyInput:
    """Return what the legacy model reads."""
    value = market.open_interest * market.close
    prices = (market.open, market.high, market.low, market.close)
    return LegacyInput(market.ts, *prices, market.quote_volume, value)


def run() -> list[Outcome]:
    """Measure, all from one DuckDB file, each answer as an Arrow table."""
    market = whole_path().last(DAYS * 288)
    span = SPANS["90d"]
    as_of = market.ts[-1].item().replace(tzinfo=UTC)
    price = float(market.close[-1])
    with temporary_warehouse() as warehouse:
        with warehouse.transaction(SYMBOL) as tables:
            tables.replace("klines", SYMBOL, kline_rows(market))
            tables.replace("open_interest", SYMBOL, open_interest_rows(market))
            tables.rebuild("oi_delta", SYMBOL)
            walk_whole(tables, SYMBOL)
        bound: dict[str, Any] = {"symbol": SYMBOL, "now": as_of, "days": 90, "bin": legacy_entry_bin(span)}
        with warehouse.get_connection(SYMBOL) as connection:

            def legacy() -> pa.Table:
                return connection.execute(Legacy_QUERY, bound).to_arrow_table()

            def again() -> dict[str, pa.Table]:
                cohorts = connection.execute(named_query("cohorts"), {"symbol": SYMBOL}).to_arrow_table()
                found = liquidation_levels(positions_of(cohorts).living(), market.ts[-1], price)
                return {name: level_rows(levels, SYMBOL, name, as_of, price) for name, levels in found.items()}

            def stored() -> pa.Table:
                return connection.execute(
                    "SELECT side, leverage, price_low, price_high, notional_usd FROM liquidation_levels_90d "
                    "WHERE symbol = $symbol",
                    {"symbol": SYMBOL},
                ).to_arrow_table()

            _same_as_model(legacy(), market, span)
            rows = again()["90d"]
            connection.register("new_rows", rows)
            connection.execute("INSERT INTO liquidation_levels_90d BY NAME FROM new_rows")
            np.testing.assert_array_equal(stored()["notional_usd"].to_numpy(), rows["notional_usd"].to_numpy())

            def legacy_of_all() -> list[pa.Table]:
                every = []
                for timeframe in SPANS.values():
                    window = {"days": int(timeframe / np.timedelta64(1, "D")), "bin": legacy_entry_bin(timeframe)}
                    every.append(connection.execute(Legacy_QUERY, bound | window).to_arrow_table())
                return every

            what = f"{DAYS} days of 5m bars: "
            return [
                against("legacy query", what + "90d read from its table, against the legacy 90d", stored, legacy, 0.25),
                against("legacy query", what + "all four anew, against the legacy four", again, legacy_of_all, 2.0),
            ]


def _same_as_model(rows: pa.Table, market: Market, span: np.timedelta64) -> None:
    """The query and `baselines.py` must agree, level by level."""
    levels = legacy_levels(legacy_input(market), span)
    sums: dict[tuple[bool, float, float], float] = {}
    for side, leverage, price, usd in zip(
        levels.is_long.tolist(), levels.leverage.tolist(), levels.liquidation_price.round(6).tolist(),
        levels.notional_usd.tolist(), strict=True,
    ):  # fmt: skip
        sums[side, leverage, price] = sums.get((side, leverage, price), 0.0) + usd
    found = {
        (row["is_long"], row["leverage"], round(row["liquidation_price"], 6)): row["notional_usd"]
        for row in rows.to_pylist()
    }
    assert found.keys() == sums.keys()
    np.testing.assert_allclose([found[key] for key in sums], list(sums.values()), rtol=1e-9)

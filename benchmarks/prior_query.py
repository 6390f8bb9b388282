"""The 90-day levels: reading ours, or computing ours again from the positions, against the prior system's query."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.data import SYMBOL, Market, kline_rows, open_interest_rows, temporary_warehouse, whole_path
from benchmarks.harness import Outcome, against
from liq_pipeline.assets.levels import cells_of, level_rows
from liq_pipeline.assets.positions import cohort_rows, read_walk_input, survival_rows
from liq_pipeline.model.baselines import PriorInput, prior_entry_bin, prior_levels
from liq_pipeline.model.levels import TIMEFRAMES, liquidation_levels
from liq_pipeline.model.walk import walk
from liq_pipeline.warehouse.warehouse import named_query

DAYS = 180
PRIOR_QUERY = Path(__file__).with_name("prior_levels.sql").read_text(encoding="utf-8")


def prior_input(market: Market) -> PriorInput:
    """Return what the prior model reads."""
    value = market.open_interest * market.close
    prices = (market.open, market.high, market.low, market.close)
    return PriorInput(market.ts, *prices, market.quote_volume, value)


def run() -> list[Outcome]:
    """Measure, all from one DuckDB file, each answer as an Arrow table."""
    market = whole_path().last(DAYS * 288)
    span = TIMEFRAMES["90d"]
    as_of = market.ts[-1].item().replace(tzinfo=UTC)
    price = float(market.close[-1])
    with temporary_warehouse() as warehouse:
        warehouse.replace("klines", SYMBOL, kline_rows(market))
        warehouse.replace("open_interest", SYMBOL, open_interest_rows(market))
        warehouse.rebuild("oi_delta", SYMBOL)
        result = walk(read_walk_input(warehouse, SYMBOL), SYMBOL)
        warehouse.replace("position_cohorts", SYMBOL, cohort_rows(result, SYMBOL))
        warehouse.replace("position_survival", SYMBOL, survival_rows(result, SYMBOL))
        bound: dict[str, Any] = {"symbol": SYMBOL, "now": as_of, "days": 90, "bin": prior_entry_bin(span)}
        with warehouse.get_connection() as connection:

            def prior() -> pa.Table:
                return connection.execute(PRIOR_QUERY, bound).to_arrow_table()

            def again() -> dict[str, pa.Table]:
                cells = connection.execute(named_query("living_cells"), {"symbol": SYMBOL}).to_arrow_table()
                found = liquidation_levels(cells_of(cells), market.ts[-1], price)
                return {name: level_rows(levels, SYMBOL, name, as_of, price) for name, levels in found.items()}

            def stored() -> pa.Table:
                return connection.execute(
                    "SELECT side, leverage, price_low, price_high, notional_usd FROM liquidation_levels_90d "
                    "WHERE symbol = $symbol",
                    {"symbol": SYMBOL},
                ).to_arrow_table()

            _same_as_model(prior(), market, span)
            rows = again()["90d"]
            connection.register("new_rows", rows)
            connection.execute("INSERT INTO liquidation_levels_90d BY NAME FROM new_rows")
            np.testing.assert_array_equal(stored()["notional_usd"].to_numpy(), rows["notional_usd"].to_numpy())

            def prior_of_all() -> list[pa.Table]:
                every = []
                for timeframe in TIMEFRAMES.values():
                    window = {"days": int(timeframe / np.timedelta64(1, "D")), "bin": prior_entry_bin(timeframe)}
                    every.append(connection.execute(PRIOR_QUERY, bound | window).to_arrow_table())
                return every

            what = f"{DAYS} days of 5m bars: "
            return [
                against("prior query", what + "90d read from its table, against the prior 90d", stored, prior, 0.25),
                against("prior query", what + "all four anew, against the prior four", again, prior_of_all, 2.0),
            ]


def _same_as_model(rows: pa.Table, market: Market, span: np.timedelta64) -> None:
    """The query and `baselines.py` must agree, level by level."""
    levels = prior_levels(prior_input(market), span)
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

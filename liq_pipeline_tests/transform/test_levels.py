"""What a timeframe's manifest says of the data behind it."""

from __future__ import annotations

import pytest

from liq_pipeline.transform.levels import coverage_pct
from liq_pipeline.warehouse.warehouse import Warehouse
from liq_pipeline_tests.once import once

DAY = 288  # bars of five minutes


@pytest.mark.parametrize(("missing", "observed"), [((), DAY), ((10, 11, 12), DAY - 4)])
def test_coverage_counts_observed_bars_and_leaves_gaps_out(tmp_path, missing, observed) -> None:
    warehouse = Warehouse(database=str(tmp_path / "liq.duckdb"))
    with warehouse.get_connection("BTCUSDT") as connection:
        connection.execute(
            "INSERT INTO klines (symbol, ts, open_time, open, high, low, close, volume, quote_volume, source) "
            "SELECT 'BTCUSDT', t + INTERVAL 5 MINUTE, t, 1, 1, 1, 1, 1, 1, 'test' "
            "FROM generate_series(TIMESTAMPTZ '2026-06-01', TIMESTAMPTZ '2026-06-01 23:55', INTERVAL 5 MINUTE) AS g(t)"
        )
        connection.execute(
            "INSERT INTO open_interest (symbol, ts, open_interest, source) "
            "SELECT symbol, ts, 100, 'test' FROM klines "
            "WHERE NOT list_contains($missing::BIGINT[], "
            "date_diff('minute', TIMESTAMPTZ '2026-06-01', open_time) // 5)",
            {"missing": list(missing)},
        )
    once(warehouse).rebuild("oi_delta", "BTCUSDT")

    with warehouse.transaction("BTCUSDT") as tables:
        found = coverage_pct(tables, "BTCUSDT")

    # Of a gap of three, the bar that closes it is not observed either: its change is spread over all four.
    assert found == pytest.approx({name: 100 * observed / DAY / days for name, days in SPANS.items()})


SPANS = {"1d": 1, "7d": 7, "30d": 30, "90d": 90}

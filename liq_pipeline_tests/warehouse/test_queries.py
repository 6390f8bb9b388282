"""Named queries, each against the same thing computed without SQL."""

from __future__ import annotations

from datetime import datetime, timedelta

import pyarrow as pa
import pytest

from liq_pipeline.warehouse.warehouse import Warehouse
from liq_pipeline_tests.once import once

SYMBOL, OTHER = "BTCUSDT", "ETHUSDT"


@pytest.fixture
def two_symbols(warehouse: Warehouse) -> Warehouse:
    """The good run's tables, and the same bars at ten times the price under another name."""
    with warehouse.transaction("BTCUSDT") as tables:
        for table in ("klines", "oi_delta"):
            prices = "open, high, low, close" if table == "klines" else "entry_price"
            scaled = ", ".join(f"10 * {name} AS {name}" for name in prices.split(", "))
            tables.connection.execute(
                f"INSERT INTO {table} BY NAME SELECT * REPLACE ('{OTHER}' AS symbol, {scaled}) FROM {table}"
            )
    return warehouse


@pytest.mark.parametrize("hours", [1, 4])
def test_candles_are_the_bars_of_one_symbol_since_an_instant_by_column(two_symbols: Warehouse, hours: int) -> None:
    bars = once(two_symbols).sql("SELECT * FROM klines WHERE symbol = $s ORDER BY ts", s=SYMBOL).to_pylist()
    as_of: datetime = bars[-1]["ts"]
    width, since = timedelta(hours=hours), as_of - timedelta(hours=24)

    found = once(two_symbols).read(
        "candles", symbol=SYMBOL, timeframe="1d", as_of=as_of, since=since, width=hours * 3600
    ).to_pylist()  # fmt: skip

    assert [row["ts"] for row in found] == [since + width * (n + 1) for n in range(24 // hours)]
    for row in found:
        inside = [bar for bar in bars if row["ts"] - width < bar["ts"] <= row["ts"]]
        assert (row["symbol"], row["open"], row["close"]) == (SYMBOL, inside[0]["open"], inside[-1]["close"])
        assert row["high"] == max(bar["high"] for bar in inside)
        assert row["low"] == min(bar["low"] for bar in inside)
        assert row["volume"] == pytest.approx(sum(bar["volume"] for bar in inside), rel=1e-9)


def test_a_bar_that_is_exactly_as_old_as_a_timeframe_is_not_covered_by_it(warehouse: Warehouse) -> None:
    covered = once(warehouse).read("coverage", symbol=SYMBOL).to_pylist()[0]

    assert covered["covered_1d"] == 1  # 288 bars of five minutes, not 289
    assert covered["covered_7d"] == 1


def test_positions_come_in_one_order_whatever_the_order_of_insertion(warehouse: Warehouse) -> None:
    before = once(warehouse).read("cohorts", symbol=SYMBOL)
    with warehouse.transaction("BTCUSDT") as tables:
        tables.connection.execute("CREATE TEMP TABLE shuffled AS SELECT * FROM cohorts ORDER BY hash(opened_at)")
        tables.connection.execute("DELETE FROM cohorts")
        tables.connection.execute("INSERT INTO cohorts BY NAME FROM shuffled")

    assert once(warehouse).read("cohorts", symbol=SYMBOL).equals(before)


def test_of_a_bar_open_interest_is_as_old_as_its_own_symbols_newest_good_snapshot(book) -> None:
    book.fill([100.0, 110.0, None, None, 120.0])
    bars = book.deltas()
    survival = [
        {"symbol": SYMBOL, "ts": bar["ts"], "side": side, "log_survival": sign * 0.01 * number, "tracked": 0.0,
         "untracked": 100.0, "liquidated": 0.0}
        for number, bar in enumerate(bars)
        for side, sign in (("long", -1), ("short", -2))
    ]  # fmt: skip
    with book.warehouse.transaction(SYMBOL) as tables:
        tables.connection.register("survival_by_hand", pa.Table.from_pylist(survival))
        tables.connection.execute("INSERT INTO position_survival BY NAME FROM survival_by_hand")
        tables.connection.execute(  # another symbol has snapshots where this one has none
            f"INSERT INTO open_interest BY NAME SELECT * REPLACE ('{OTHER}' AS symbol, 7 AS open_interest) "
            "FROM open_interest"
        )
        found = tables.read("feature_bars", symbol=SYMBOL).to_pylist()

    assert [row["ts"] for row in found] == [bar["ts"] for bar in bars]
    assert [row["age"] for row in found] == [0, 0, 5, 10, 0]
    assert [row["close"] for row in found] == [101.0] * 5
    assert [row["long"] for row in found] == pytest.approx([0, -0.01, -0.02, -0.03, -0.04])
    assert [row["short"] for row in found] == pytest.approx([0, -0.02, -0.04, -0.06, -0.08])

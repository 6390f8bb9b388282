"""`oi_delta` of two contracts with every kind of gap, row by row."""

from __future__ import annotations

import pytest

from liq_pipeline.warehouse.tables import Tables
from liq_pipeline_tests.warehouse.by_hand import OTHER, SYMBOL, at, short

# bar, high, low, close, volume, quote volume, contract; snapshot at its end and the contract that it is of
BARS = [
    (5, 13, 10, 12, 2, 23, 1, 50, 1),
    (10, 17, 11, 16, 4, 54, 1, 53, 1),
    (15, 113, 97, 103, 5, 505, 2, 200, 2),
    (20, 109, 94, 107, 7, 700, 2, None, 2),
    (30, 127, 106, 109, None, 342, 2, 999, 1),  # typical price 114; the snapshot is of the contract before
    (35, 131, 89, 110, 10, 1200, 2, 240, 2),
    (40, 111, 104, 106, 3, None, 2, 250, 2),  # typical price 107
    (45, 112, 105, 107, 0, 0, 2, 0, 2),  # typical price 108
    (50, 113, 106, 108, 0, 0, 2, None, 2),  # 109
    (55, 114, 107, 109, 0, 0, 2, 280, 2),  # 110
    (60, 115, 108, 113, 2, 250, 2, 281, 2),  # 125 per contract lies above the bar
    (70, 119, 110, 118, 4, 400, 2, 300, 2),  # 100 lies below it; the bar before is missing
    (75, 120, 112, 119, 5, 590, 2, None, 2),
]
# ts, open interest, change, entry price, volume, whether it was spread, contract
ROWS = [
    (5, 50, None, 11.5, 2, False, 1),
    (10, 53, 3, 13.5, 4, False, 1),
    (15, 200, None, 101, 5, False, 2),
    (20, 214, 14, 100, 7, True, 2),  # of 40 contracts 7 parts of 20, then 3, then 10
    (30, 220, 6, 114, 3, True, 2),
    (35, 240, 20, 120, 10, True, 2),
    (40, 250, 10, 107, 3, False, 2),
    (45, 260, 10, 108, 0, True, 2),  # nothing traded: evenly
    (50, 270, 10, 109, 0, True, 2),
    (55, 280, 10, 110, 0, True, 2),
    (60, 281, 1, 115, 2, False, 2),
    (70, 300, 19, 110, 4, True, 2),
]


@pytest.fixture
def filled(tables: Tables) -> Tables:
    connection = tables.connection
    connection.execute("DELETE FROM klines; DELETE FROM open_interest; DELETE FROM oi_delta")
    for symbol, times in ((SYMBOL, 1), (OTHER, 7)):
        for ts, high, low, close, volume, quote_volume, contract, snapshot, of in reversed(BARS):
            connection.execute(
                "INSERT INTO klines BY NAME SELECT $1 AS symbol, $2 AS ts, $2 - INTERVAL 5 MINUTE AS open_time, 1 AS "
                "open, $3 AS high, $4 AS low, $5 AS close, $6 AS volume, $7 AS quote_volume, 'test' AS source, $8 AS "
                "contract, 'bad' AS bad_print",
                [symbol, at(ts), high, low, close, volume and volume * times, quote_volume, contract],
            )
            connection.execute(
                "INSERT INTO open_interest BY NAME SELECT $1 AS symbol, $2 AS ts, $3 AS open_interest, "
                "'test' AS source, $4 AS contract",
                [symbol, at(ts), snapshot and snapshot * times, of],
            )
    connection.execute(  # a bar with bad prices is none
        "INSERT INTO klines BY NAME SELECT * REPLACE ($ts AS ts, NULL AS close) FROM klines WHERE ts = $other",
        {"ts": at(65), "other": at(70)},
    )
    return tables


def test_every_row_is_what_its_gap_makes_of_it(filled: Tables) -> None:
    assert filled.rebuild("oi_delta", SYMBOL) == len(ROWS)

    found = filled.sql("FROM oi_delta").to_pylist()
    assert {(row["exchange"], row["symbol"]) for row in found} == {("binance", SYMBOL)}
    names = ("ts", "open_interest", "oi_delta", "entry_price", "volume", "is_interpolated", "contract")
    assert [tuple(short(row[name]) for name in names) for row in found] == [pytest.approx(row) for row in ROWS]
    usd = [row["oi_delta_usd"] for row in found]
    assert usd == [change and pytest.approx(change * price) for _, _, change, price, *_ in ROWS]


@pytest.mark.parametrize("since", [15, 40, 60])
def test_after_a_bar_with_a_snapshot_rows_are_the_same(since: int, filled: Tables) -> None:
    filled.rebuild("oi_delta", SYMBOL)
    query = "SELECT * FROM oi_delta WHERE ts > $since ORDER BY ts"
    whole = filled.sql(query, since=at(since))
    filled.connection.execute("DELETE FROM oi_delta WHERE ts > $since", {"since": at(since)})

    assert filled.extend("oi_delta", SYMBOL, at(since)) == len(ROWS)
    assert filled.sql(query, since=at(since)).equals(whole)

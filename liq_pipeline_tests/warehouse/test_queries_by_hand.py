"""Named queries and views on rows that were written by hand, every number of the answer beside them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from liq_pipeline.model.entries import ENTRIES, layout
from liq_pipeline.model.margin import LADDER, liquidation_price
from liq_pipeline.warehouse.schema import named_query
from liq_pipeline.warehouse.tables import Tables
from liq_pipeline_tests.warehouse.by_hand import CELLS, COHORTS, OTHER, SYMBOL, at, rows_of, short


def test_the_newest_bar_is_that_of_the_living_contract_with_its_close_and_open_interest(filled: Tables) -> None:
    found = rows_of(filled, "newest_bar", "as_of", "first_ts", "current_price", "open_interest")

    assert found == [(35, 15, 110, 233)]


def test_the_walk_reads_bars_of_the_living_contract_from_an_instant_on_and_including_it(filled: Tables) -> None:
    names = ("ts", "open_interest", "entry_price", "low", "high", "close", "volume")
    bars = [
        (15, 200, 101.5, 97, 113, 103, 5),
        (20, 217, 103.5, 94, 109, 107, 6.9),
        (30, 241, 109.0, 106, 127, 109, 13),
        (35, 233, 110.5, 89, 131, 110, 17),
    ]

    assert rows_of(filled, "walk_input", *names, since="-infinity") == bars
    assert rows_of(filled, "walk_input", *names, since=at(20)) == bars[1:]


def test_the_walk_stands_at_the_newest_bar_of_both_sides(filled: Tables) -> None:
    found = rows_of(filled, "walked_to", "ts", "side", "log_survival", "tracked", "untracked")

    assert found == [(35, "long", -1.1, 37, 196), (35, "short", -0.7, 71, 162)]


def test_survival_of_both_sides_lies_side_by_side(filled: Tables) -> None:
    both = [(15, 0.0, -0.1), (20, -0.2, -0.4), (30, -0.3, -0.5), (35, -1.1, -0.7)]

    assert rows_of(filled, "survival", "ts", "long", "short") == both


def test_bars_of_features_have_a_close_and_the_age_of_the_newest_snapshot(filled: Tables) -> None:
    """A snapshot of zero is one; the bar of 00:25 has no row, and what is null counts for nobody."""
    found = rows_of(filled, "feature_bars", "ts", "close", "long", "short", "is_interpolated", "age")

    assert found == [
        (15, 103, 0.0, -0.1, False, 0),
        (20, 107, -0.2, -0.4, False, 0),
        (30, 109, -0.3, -0.5, True, 0),
        (35, 110, -1.1, -0.7, False, 0),
    ]


def test_a_bar_without_a_snapshot_counts_from_the_snapshot_before(tables: Tables) -> None:
    tables.connection.execute("UPDATE open_interest SET open_interest = NULL WHERE ts >= $1", [at(30)])

    assert rows_of(tables, "feature_bars", "ts", "age") == [(15, 0), (20, 0), (30, 10), (35, 15)]


def test_validation_reads_good_bars_of_the_living_contract_where_quote_volume_stands_in(filled: Tables) -> None:
    names = ("ts", "open", "high", "low", "close", "volume", "quote_volume")

    assert rows_of(filled, "validation_klines", *names) == [
        (15, 101, 113, 97, 103, 5, 505),
        (20, 103, 109, 94, 107, pytest.approx(6.9), 713),  # 713 / ((109 + 94 + 107) / 3)
        (30, 108, 127, 106, 109, 13, 1417),
        (35, 109, 131, 89, 110, 17, 1870),
        (40, 110, 111, 104, 105, 0, 0),
    ]


def test_validation_reads_snapshots_above_zero_of_the_living_contract(filled: Tables) -> None:
    assert rows_of(filled, "validation_open_interest", "ts", "open_interest") == [(15, 200), (20, 217), (30, 241)]


def test_rows_of_rest_are_counted_by_table(filled: Tables) -> None:
    assert rows_of(filled, "rest_rows", "open_interest", "klines") == [(4, 3)]


def test_last_traded_is_the_newest_bar_with_volume_and_the_newest_snapshot_above_zero(filled: Tables) -> None:
    assert rows_of(filled, "last_traded", "klines", "open_interest") == [(35, 30)]


def test_candles_are_columns_back_from_the_newest_of_the_living_contract(filled: Tables) -> None:
    """Ten minutes wide, up to 00:35: 00:05 to 00:15, 00:15 to 00:25, 00:25 to 00:35."""
    names = ("exchange", "symbol", "timeframe", "ts", "open_time", "open", "high", "low", "close", "volume")
    asked = {"timeframe": "7d", "as_of": at(35), "width": 600}
    columns = [
        ("binance", SYMBOL, "7d", 15, 10, 101, 113, 97, 103, 5),
        ("binance", SYMBOL, "7d", 25, 15, 103, 109, 94, 107, pytest.approx(6.9)),
        ("binance", SYMBOL, "7d", 35, 25, 108, 131, 89, 110, 30),
    ]

    assert rows_of(filled, "candles", *names, **asked, since=at(0)) == columns
    assert rows_of(filled, "candles", *names, **asked, since=at(14)) == columns
    assert rows_of(filled, "candles", *names, **asked, since=at(15)) == columns[1:]


def test_positions_are_every_bar_of_both_sides_with_what_opened_there(filled: Tables) -> None:
    names = ("symbol", "ts", "side", "low", "high", "close", "entry_price", "contracts_opened", "leverages")
    more = ("maintenance_margin_rate", "log_survival", "is_interpolated")
    lived = {(opened_at, side): ends for symbol, opened_at, side, *_, ends in COHORTS if symbol == SYMBOL}

    assert rows_of(filled, "positions", *names, *more) == [
        (SYMBOL, 15, "long", 97, 113, 103, None, 0, None, None, 0.0, False),
        (SYMBOL, 15, "short", 97, 113, 103, None, 0, None, None, -0.1, False),
        (SYMBOL, 20, "long", 94, 109, 107, 103.5, 26, 13, 0.004, -0.2, False),
        (SYMBOL, 20, "short", 94, 109, 107, 103.5, 39, 13, 0.004, -0.4, False),
        (SYMBOL, 30, "long", 106, 127, 109, None, 0, None, None, -0.3, True),
        (SYMBOL, 30, "short", 106, 127, 109, 109.0, 24, 12, 0.005, -0.5, True),
        (SYMBOL, 35, "long", 89, 131, 110, None, 0, None, None, -1.1, False),
        (SYMBOL, 35, "short", 89, 131, 110, None, 0, None, None, -0.7, False),
    ]
    found = rows_of(filled, "positions", "ts", "side", "liquidated_after_minutes")
    assert {(ts, side): ends for ts, side, ends in found if ends} == lived


def test_cohorts_come_with_their_bar_and_how_much_of_them_survived(filled: Tables) -> None:
    names = ("opened_at", "is_long", "entry_price", "low", "high", "contracts_opened", "maintenance_margin_rate")
    more = ("leverages", "cells", "opening_log_survival")

    assert rows_of(filled, "cohorts", *names, *more) == [
        (20, True, 103.5, 94, 109, 26, 0.004, 13, CELLS, -0.2),
        (20, False, 103.5, 94, 109, 39, 0.004, 13, 13, -0.4),
        (30, False, 109.0, 106, 127, 24, 0.005, 12, CELLS, -0.5),
    ]
    survived = [row[0] for row in rows_of(filled, "cohorts", "survived")]
    assert survived == pytest.approx([np.exp(-1.1 + 0.2), np.exp(-0.7 + 0.4), np.exp(-0.7 + 0.5)])


class TestCells:
    """A row for each cell: the view must say what the model says."""

    def test_each_has_the_price_the_share_and_the_end_that_the_model_gives_it(self, filled: Tables) -> None:
        found = filled.sql(
            "SELECT opened_at, side, leverage, entry, entry_price, liquidation_price, contracts_opened, liquidated_at "
            "FROM position_cells WHERE symbol = $symbol ORDER BY ALL",
            symbol=SYMBOL,
        ).to_pylist()

        assert [tuple(map(short, row.values())) for row in found] == sorted(
            self._expected(20, "long", 26 / 13, 0.004, 13, {"vwap": 103.5, "low": 94, "high": 109}, {21: 10, 22: 15})
            + [  # of version 1 of the model: all of it at the VWAP
                (20, "short", x, "vwap", 103.5, liquidation_price("short", 103.5, x, 0.004), 3.0, None) for x in LADDER
            ]
            + self._expected(30, "short", 24 / 12, 0.005, 12, {"vwap": 109, "low": 106, "high": 127}, {0: 5})
        )

    def _expected(
        self,
        ts: int,
        side: Any,
        opened: float,
        rate: float,
        leverages: int,
        entry: dict[str, float],
        ends: dict[int, int],
    ) -> list[tuple]:
        cells = layout()
        return [
            (ts, side, leverage, ENTRIES[at_price], entry[ENTRIES[at_price]],
             pytest.approx(liquidation_price(side, entry[ENTRIES[at_price]], leverage, rate), rel=1e-15),
             pytest.approx(opened * share), ts + ends[cell] if cell in ends else None)
            for cell, (leverage, place, at_price, share) in enumerate(zip(*cells, strict=True))
            if place < leverages
        ]  # fmt: skip

    def test_the_living_hold_what_survived_of_them_until_the_newest_bar(self, filled: Tables) -> None:
        found = filled.sql(
            "SELECT opened_at, side, count(*), sum(contracts_opened), sum(contracts_open) FROM living_positions "
            "WHERE symbol = $symbol GROUP BY ALL ORDER BY ALL",
            symbol=SYMBOL,
        ).to_pylist()

        assert [tuple(map(short, row.values())) for row in found] == [
            (20, "long", CELLS - 2, pytest.approx(26 - 0.6), pytest.approx((26 - 0.6) * np.exp(-0.9))),
            (20, "short", 13, pytest.approx(39), pytest.approx(39 * np.exp(-0.3))),
            (30, "short", CELLS - 4, pytest.approx(24 - 2), pytest.approx((24 - 2) * np.exp(-0.2))),
        ]


def test_coverage_counts_what_was_observed_within_each_timeframe(tables: Tables) -> None:
    """Three bars of five minutes; the spread one does not count, nor one that is as old as the timeframe."""
    shares = rows_of(tables, "coverage", "covered_1d", "covered_7d", "covered_30d", "covered_90d")[0]
    assert shares == pytest.approx([900 / 86_400 / days for days in (1, 7, 30, 90)])

    for days in (1, 7, 30, 90):
        of_bar = {"days": days, "symbol": SYMBOL, "ts": at(35)}
        tables.connection.execute(
            "INSERT INTO klines BY NAME SELECT * REPLACE (ts - to_days($days) AS ts, open_time - to_days($days) AS "
            "open_time) FROM klines WHERE symbol = $symbol AND ts = $ts",
            of_bar,
        )
        tables.connection.execute(
            "INSERT INTO oi_delta BY NAME SELECT * REPLACE (ts - to_days($days) AS ts) FROM oi_delta "
            "WHERE symbol = $symbol AND ts = $ts",
            of_bar,
        )
    shares = rows_of(tables, "coverage", "covered_1d", "covered_7d", "covered_30d", "covered_90d")[0]
    assert shares == pytest.approx([300 * bars / 86_400 / days for bars, days in ((3, 1), (4, 7), (5, 30), (6, 90))])


class TestHeatmapColumns:
    def test_a_column_is_compared_with_the_bar_at_it_or_before(self, tables: Tables) -> None:
        cells = [(SYMBOL, 15, "short", 2), (SYMBOL, 32, "long", 5), (SYMBOL, 32, "long", 7), (SYMBOL, 35, "short", 11),
                 (SYMBOL, 35, "long", 13), (OTHER, 35, "long", 1000)]  # fmt: skip
        tables.connection.execute(
            "CREATE TEMP TABLE cells (symbol VARCHAR, ts TIMESTAMPTZ, side VARCHAR, contracts FLOAT)"
        )
        for symbol, ts, side, contracts in reversed(cells):
            tables.connection.execute("INSERT INTO cells VALUES (?, ?, ?, ?)", [symbol, at(ts), side, contracts])
        query = named_query("heatmap_columns").replace("{table}", "cells")

        found = tables.sql(query, symbol=SYMBOL).to_pylist()

        assert [tuple(map(short, row.values())) for row in found] == [
            (15, "short", 2, 3, 200),
            (32, "long", 12, 41, 241),
            (35, "long", 13, 37, 233),
            (35, "short", 11, 71, 233),
        ]

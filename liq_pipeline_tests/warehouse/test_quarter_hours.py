"""Bars of fifteen minutes are made of three of five."""

from __future__ import annotations

from datetime import timedelta

import duckdb
import pytest

from liq_pipeline_tests.once import once
from liq_pipeline_tests.warehouse.conftest import START


class TestQuarterHours:
    def test_three_bars_make_one(self, book) -> None:
        book.fill([100] * 6, volumes=[1, 2, 3, 4, 5, 6])

        rows = once(book.warehouse).sql("SELECT * FROM klines_15m ORDER BY ts").to_pylist()

        assert [f"{row['open_time']:%H:%M}-{row['ts']:%H:%M}" for row in rows] == ["00:00-00:15", "00:15-00:30"]
        assert [row["volume"] for row in rows] == [6, 15]
        assert {(row["open"], row["high"], row["low"], row["close"]) for row in rows} == {(100, 102, 99, 101)}

    def test_open_and_close_are_those_of_the_first_and_the_last_bar(self, book) -> None:
        book.fill([100] * 3)
        with book.warehouse.get_connection("BTCUSDT") as connection:
            connection.execute("UPDATE klines SET open = minute(open_time), close = minute(ts)")

        (row,) = once(book.warehouse).sql("SELECT open, close FROM klines_15m").to_pylist()

        assert row == {"open": 0, "close": 15}

    def test_of_a_bar_one_volume_stands_in_for_the_other_at_its_typical_price(self, book) -> None:
        book.fill([100] * 3, volumes=[1, 2, 4])  # high 102, low 99, close 101
        with book.warehouse.get_connection("BTCUSDT") as connection:
            connection.execute("UPDATE klines SET quote_volume = volume * 100")
            connection.execute("UPDATE klines SET quote_volume = NULL, bad_print = 'quote volume' WHERE volume = 2")
            connection.execute("UPDATE klines SET volume = NULL, bad_print = 'volume' WHERE volume = 4")

        (row,) = once(book.warehouse).sql("SELECT volume, quote_volume FROM klines_15m").to_pylist()

        typical = (102 + 99 + 101) / 3
        assert row["volume"] == pytest.approx(1 + 2 + 400 / typical)
        assert row["quote_volume"] == pytest.approx(100 + 2 * typical + 400)

    def test_a_quarter_hour_with_a_missing_bar_is_left_out(self, book) -> None:
        book.fill([100] * 6, missing_bars=[4])

        rows = once(book.warehouse).sql("SELECT ts FROM klines_15m").to_pylist()

        assert [f"{row['ts']:%H:%M}" for row in rows] == ["00:15"]

    def test_bars_of_fifteen_minutes_are_themselves(self, book) -> None:
        book.fill([100])
        with book.warehouse.get_connection("BTCUSDT") as connection:
            connection.execute("UPDATE klines SET ts = open_time + INTERVAL 15 MINUTE")

        assert once(book.warehouse).sql("SELECT close FROM klines_15m").to_pylist() == [{"close": 101}]

    def test_of_three_different_bars_every_column_is_what_it_says(self, book) -> None:
        book.fill([100] * 4)
        with book.warehouse.get_connection("BTCUSDT") as connection:
            connection.execute("DELETE FROM klines")
            for minute, *numbers in reversed([
                (5, 11, 17, 7, 13, 2, None), (10, 13, 19, 5, 12, None, 84), (15, 12, 14, 3, 10, 5, 41),
                (20, None, None, None, None, 1, 1),
            ]):  # fmt: skip
                connection.execute(
                    "INSERT INTO klines BY NAME SELECT 'BTCUSDT' AS symbol, $1 AS ts, $1 - INTERVAL 5 MINUTE AS "
                    "open_time, $2 AS open, $3 AS high, $4 AS low, $5 AS close, $6 AS volume, $7 AS quote_volume, "
                    "'test' AS source, 2 AS contract, 'bad' AS bad_print",
                    [START + timedelta(minutes=minute), *numbers],
                )

        (row,) = once(book.warehouse).sql("SELECT * FROM klines_15m").to_pylist()

        assert row == {
            "symbol": "BTCUSDT", "contract": 2, "open_time": START, "ts": START + timedelta(minutes=15), "open": 11,
            "high": 19, "low": 3, "close": 10, "volume": 2 + 84 / ((19 + 5 + 12) / 3) + 5,
            "quote_volume": pytest.approx(2 * (17 + 7 + 13) / 3 + 84 + 41),
        }  # fmt: skip


class TestWholeBars:
    """A bar has all prices and volumes, or says what is bad."""

    COLUMNS = ("open", "high", "low", "close", "volume", "quote_volume")

    def _update(self, book, change: str) -> None:
        with book.warehouse.get_connection("BTCUSDT") as connection:
            connection.execute(f"UPDATE klines SET {change}")

    @pytest.mark.parametrize("column", COLUMNS)
    def test_one_that_lacks_a_number_and_does_not_say_why_is_refused(self, column: str, book) -> None:
        book.fill([100])

        with pytest.raises(duckdb.ConstraintException):
            self._update(book, f"{column} = NULL")

    def test_one_that_lacks_all_of_them_and_says_why_is_kept(self, book) -> None:
        book.fill([100])
        self._update(book, ", ".join(f"{column} = NULL" for column in self.COLUMNS) + ", bad_print = 'leaps'")

        with pytest.raises(duckdb.ConstraintException):
            self._update(book, "bad_print = NULL")

"""Bars of fifteen minutes are made of three of five."""

from __future__ import annotations

import pytest

from liq_pipeline_tests.once import once


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

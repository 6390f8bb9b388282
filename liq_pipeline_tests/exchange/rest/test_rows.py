"""Rows of REST are what happened. Over real sockets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow.compute as pc
import pytest

from liq_pipeline.errors import RestUnreachable
from liq_pipeline.exchange.rest_rows import kline_rows, open_interest_rows
from liq_pipeline.simulator.market import Market
from liq_pipeline.simulator.rest import RestFault
from liq_pipeline_tests.exchange.rest.answers import NOW, SINCE, Open


def expected(market: Market, name: str) -> np.ndarray:
    ts = market.bars["ts"]
    kept = (ts > np.datetime64(SINCE.replace(tzinfo=None))) & (ts <= np.datetime64(NOW.replace(tzinfo=None)))
    return market.open_interest[kept] if name == "open_interest" else market.bars[name][kept]


class TestRows:
    def test_open_interest_is_what_happened_whatever_the_number_of_calls(self, opened: Open, market: Market) -> None:
        with opened() as (client, server):
            answer = client.open_interest("BTCUSDT", SINCE + timedelta(minutes=5), NOW)
            np.testing.assert_array_equal(answer.table["open_interest"].to_numpy(), expected(market, "open_interest"))
            whole = client.open_interest("BTCUSDT", datetime(2026, 6, 24, tzinfo=UTC), NOW).table
            assert len(server.requests) == 1 + 2  # 500 rows a call
        assert all("startTime" in request and "endTime" in request for request in server.requests)
        assert whole.num_rows == 3 * 288 + 72
        assert set(whole["source"].to_pylist()) == {"rest"}
        assert whole["file_date"].null_count == whole.num_rows
        assert answer.server_now == NOW.replace(microsecond=0)

    @pytest.mark.parametrize("interval", ["5m", "15m"])
    def test_klines_are_what_happened_and_the_open_bar_never_enters(
        self, opened: Open, market: Market, interval: str
    ) -> None:
        with opened() as (client, _):
            answer = client.klines("BTCUSDT", interval, SINCE, NOW, NOW)
        assert answer.notes["open_bars_dropped"] == 1
        table = answer.table
        assert pc.max(table["ts"]).as_py() == NOW.replace(minute=0)
        if interval == "5m":
            for name in ("open", "high", "low", "close", "volume"):
                np.testing.assert_allclose(table[name].to_numpy(), expected(market, name), rtol=1e-9)
        else:
            assert table.num_rows == 30 * 4
            assert pc.max(table["high"]).as_py() == expected(market, "high").max()

    @pytest.mark.parametrize(("count", "calls"), [(500, 1), (501, 2)])
    def test_both_ends_of_a_stretch_are_asked_for_and_no_row_is_lost_where_calls_meet(
        self, opened: Open, count: int, calls: int
    ) -> None:
        since = datetime(2026, 6, 24, 1, tzinfo=UTC)
        until = since + (count - 1) * timedelta(minutes=5)
        with opened(now=lambda: datetime(2026, 6, 28, 12, tzinfo=UTC)) as (client, server):
            found = client.open_interest("BTCUSDT", since, until).table["ts"].to_pylist()
            assert len(set(server.requests)) == calls
        assert (len(found), found[0], found[-1]) == (count, since, until)

    @pytest.mark.parametrize("minutes", [-7, 7])
    def test_with_a_wrong_clock_no_open_bar_enters_and_no_closed_one_is_made_up(
        self, opened: Open, minutes: int
    ) -> None:
        """Ours runs seven minutes late or early; the exchange knows what has closed."""
        ours = NOW + timedelta(minutes=minutes)
        with opened() as (client, _):
            table = client.klines("BTCUSDT", "5m", SINCE, ours + timedelta(minutes=10), ours).table
        assert pc.max(table["ts"]).as_py() <= min(ours, NOW)

    def test_missing_periods_stay_missing(self, opened: Open) -> None:
        gone = [SINCE + timedelta(minutes=5 * n) for n in (10, 11, 12)]
        with opened(missing=gone) as (client, _):
            table = client.open_interest("BTCUSDT", SINCE, NOW).table
        assert not set(gone) & set(table["ts"].to_pylist())
        assert table.num_rows == 288 + 72 + 1 - 3

    def test_doubled_and_unsorted_rows_are_put_in_order(self, opened: Open) -> None:
        def shuffle(rows: list) -> list:
            return [*rows[::-1], *rows[:5]]

        with opened(faults=lambda _: RestFault(change=shuffle)) as (client, _):
            table = client.open_interest("BTCUSDT", SINCE, NOW).table
        assert table["ts"].to_pylist() == sorted(set(table["ts"].to_pylist()))

    def test_prints_of_zero_are_null_not_zero(self, opened: Open) -> None:
        def zero(rows: list) -> list:
            return [rows[0] | {"sumOpenInterest": "0"}, *rows[1:]]

        with opened(faults=lambda _: RestFault(change=zero)) as (client, _):
            answer = client.open_interest("BTCUSDT", SINCE, NOW)
        assert answer.table["open_interest"][0].as_py() is None
        assert answer.notes["bad_prints"] == 1

    def test_stamps_may_be_numbers_or_text(self, opened: Open) -> None:
        def as_text(rows: list) -> list:
            return [row | {"timestamp": str(row["timestamp"])} for row in rows]

        with opened(faults=lambda _: RestFault(change=as_text)) as (client, _):
            assert client.open_interest("BTCUSDT", SINCE, NOW).table.num_rows == 361


def test_symbols_come_with_their_status_and_the_limit_of_weight(opened: Open) -> None:
    with opened() as (client, server):
        server.statuses["BTCUSDT"] = "SETTLING"
        client.weight_per_minute = 1
        facts = client.symbols()["BTCUSDT"]
    assert (facts.status, facts.contract_type, facts.onboarded.year) == ("SETTLING", "PERPETUAL", 2019)
    assert client.weight_per_minute == 2400


def test_symbols_of_another_shape_are_refused(opened: Open) -> None:
    for change in (lambda body: [], lambda body: body | {"symbols": [{}]}, lambda body: {"symbols": []}):
        with opened(faults=lambda _, c=change: RestFault(change=c)) as (client, _), pytest.raises(RestUnreachable):
            client.symbols()


def test_an_empty_body_is_no_rows() -> None:
    assert open_interest_rows([], "X")[0].num_rows == 0
    assert kline_rows([], "X", "5m", NOW)[0].num_rows == 0

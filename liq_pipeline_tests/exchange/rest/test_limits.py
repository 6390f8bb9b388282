"""REST at its limits: few requests, no endless wait, a clear message. Over real sockets."""

from __future__ import annotations

import time
from datetime import timedelta
from itertools import pairwise
from urllib.parse import urlsplit

import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3.exceptions import MaxRetryError
from urllib3.response import HTTPResponse

from liq_pipeline.errors import RestForbidden, RestUnreachable, UnknownSymbol
from liq_pipeline.exchange.rest import MOST_ATTEMPTS, RETRY, RestClient
from liq_pipeline.exchange.rest_rows import windows
from liq_pipeline.simulator.market import Market
from liq_pipeline.simulator.rest import RestFault, RestServer
from liq_pipeline_tests.exchange.rest.answers import NOW, QUICK, SINCE, Open


class TestLimits:
    def test_between_two_attempts_lies_a_second_at_least_and_there_are_few(self, opened: Open) -> None:
        for seconds in ("0", "-3", "0.001", "nan"):
            fault = RestFault(status=429, headers=(("Retry-After", seconds),))
            with (
                opened(faults=lambda _, fault=fault: fault, max_wait_seconds=1000) as (client, server),
                pytest.raises(RestUnreachable, match="asks for slower requests"),
            ):
                client.open_interest("BTCUSDT", SINCE, NOW)
            assert min(client.waits) >= 1
            assert len(server.requests) == MOST_ATTEMPTS

    def test_the_session_waits_a_second_before_it_tries_an_outage_again(self) -> None:
        tried = RETRY
        for _ in range(2):
            tried = tried.increment("GET", "/", response=HTTPResponse(status=503))
            assert tried.get_backoff_time() >= 1
        with pytest.raises(MaxRetryError):
            tried.increment("GET", "/", response=HTTPResponse(status=503))

    def test_one_deadline_ends_the_whole_call(self, market: Market) -> None:
        with RestServer({"BTCUSDT": market}, lambda: NOW, faults=lambda _: RestFault(delay_seconds=0.4)) as server:
            client = RestClient(server.url, retry=QUICK, call_seconds=0.2)
            begin = time.monotonic()
            with pytest.raises(RestUnreachable, match=r"not done within 0\.[12]"):
                client.open_interest("BTCUSDT", SINCE, NOW)
            assert time.monotonic() - begin < 0.4

    def test_a_burst_is_waited_for_as_long_as_the_exchange_says(self, opened: Open) -> None:
        answers = iter([RestFault(status=429, headers=(("Retry-After", "3"),))] * 2)
        with opened(faults=lambda _: next(answers, None)) as (client, _):
            assert client.open_interest("BTCUSDT", SINCE, NOW).table.num_rows == 361
            assert client.waits == [3, 3]

    def test_but_never_for_ever(self, opened: Open) -> None:
        for seconds, waits in (("6", [6]), ("10", [10]), ("11", []), ("21600", []), ("soon", [5, 5])):
            fault = RestFault(status=429, headers=(("Retry-After", seconds),))
            with (
                opened(faults=lambda _, fault=fault: fault) as (client, _),
                pytest.raises(RestUnreachable, match="asks for slower requests"),
            ):
                client.open_interest("BTCUSDT", SINCE, NOW)
            assert client.waits == waits, "ten seconds in all, five where nothing is said"

    def test_the_real_limit_of_the_simulated_exchange_ends_in_a_clear_message(self, opened: Open) -> None:
        with opened(limit_per_5_minutes=1) as (client, _):
            client.open_interest("BTCUSDT", SINCE, NOW)
            with pytest.raises(RestUnreachable, match="429"):
                client.open_interest("BTCUSDT", SINCE, NOW)

    @pytest.mark.parametrize(
        ("used", "most", "waits"),
        [("1921", 60, [10]), ("1920", 60, []), ("1921", 4, [4]), ("", 60, []), ("many", 60, []), ("9" * 10, 60, [])],
    )
    def test_it_rests_when_more_than_four_fifths_of_the_weight_is_used_up(
        self, opened: Open, used: str, most: float, waits: list[float]
    ) -> None:
        fault = RestFault(headers=(("X-MBX-USED-WEIGHT-1M", used),))
        with opened(faults=lambda _: fault, max_wait_seconds=most) as (client, server):
            client.open_interest("BTCUSDT", SINCE, NOW)
            assert len(server.requests) == 1
            assert client.waits == waits

    @pytest.mark.parametrize(("used", "waits"), [("801", [10]), ("800", [])])
    def test_the_weight_is_measured_by_the_limit_that_the_exchange_tells(self, opened: Open, used, waits) -> None:
        weight = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 1000}
        faults = {
            "exchangeInfo": RestFault(change=lambda body: body | {"rateLimits": [weight]}),
            "klines": RestFault(headers=(("X-MBX-USED-WEIGHT-1M", used),)),
        }
        with opened(faults=lambda path: faults[urlsplit(path).path.rsplit("/", 1)[-1]]) as (client, _):
            client.symbols()
            client.klines("BTCUSDT", "5m", SINCE, NOW, NOW)
            assert client.waits == waits

    @pytest.mark.parametrize(("headers", "seconds"), [((("Retry-After", "300"),), 300), ((), 120)])
    def test_a_ban_is_final(self, opened: Open, headers, seconds: int) -> None:
        fault = RestFault(status=418, headers=headers)
        with opened(faults=lambda _: fault) as (client, server):
            with pytest.raises(RestForbidden, match=rf"banned this address for {seconds} s \(HTTP 418\)"):
                client.open_interest("BTCUSDT", SINCE, NOW)
            assert len(server.requests) == 1
            assert not client.waits

    @pytest.mark.parametrize("status", [451, 403, 401])
    def test_a_fence_is_final(self, opened: Open, status: int) -> None:
        with opened(faults=lambda _: RestFault(status=status)) as (client, server):
            with pytest.raises(RestForbidden, match=f"refused with HTTP {status}"):
                client.klines("BTCUSDT", "5m", SINCE, NOW, NOW)
            assert len(server.requests) == 1

    def test_an_unknown_symbol_is_named(self, opened: Open) -> None:
        with opened() as (client, _), pytest.raises(UnknownSymbol, match="does not trade NOSUCH"):
            client.open_interest("NOSUCH", SINCE, NOW)

    def test_nobody_there(self) -> None:
        client = RestClient("http://127.0.0.1:9", retry=QUICK, timeout_seconds=(0.5, 0.5))
        with pytest.raises(RestUnreachable, match=r"127\.0\.0\.1:9 does not answer"):
            client.open_interest("BTCUSDT", SINCE, NOW)

    def test_an_answer_without_a_clock_is_not_believed(self, opened: Open, monkeypatch) -> None:
        with opened(skew=timedelta(hours=-1)) as (client, _):
            table = client.klines("BTCUSDT", "5m", SINCE, NOW, NOW).table
        assert pc.max(table["ts"]).as_py() == NOW.replace(minute=0) - timedelta(hours=1)

    @given(st.integers(0, 10_000), st.integers(1, 3_000))
    def test_windows_make_up_the_whole(self, minutes: int, width: int) -> None:
        found = windows(SINCE, SINCE + timedelta(minutes=minutes), timedelta(minutes=width))
        assert all(end - start <= timedelta(minutes=width) for start, end in found)
        assert sum((end - start for start, end in found), timedelta(0)) == timedelta(minutes=minutes)
        assert all(one[1] == other[0] for one, other in pairwise(found))

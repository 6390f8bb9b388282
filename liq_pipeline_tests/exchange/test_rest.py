"""REST at its limits: no wrong row, no endless wait, a clear message. Over real sockets."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from urllib3.exceptions import MaxRetryError
from urllib3.response import HTTPResponse
from urllib3.util import Retry

from liq_pipeline.errors import RestForbidden, RestUnreachable, UnknownSymbol
from liq_pipeline.exchange.rest import MOST_ATTEMPTS, RETRY, RestClient
from liq_pipeline.exchange.rest_rows import WrongShape, kline_rows, open_interest_rows, windows
from liq_pipeline.simulator.market import Market, MarketConfig, simulate
from liq_pipeline.simulator.rest import RestFault, RestServer

FIRST = date(2026, 6, 24)
NOW = datetime(2026, 6, 27, 6, 2, tzinfo=UTC)  # two minutes into a bar
SINCE = datetime(2026, 6, 26, tzinfo=UTC)
QUICK = Retry(total=2, backoff_factor=0.01, status_forcelist=(500, 502, 503, 504), raise_on_status=False)

Open = Callable[..., AbstractContextManager[tuple[RestClient, RestServer]]]


@pytest.fixture(scope="module")
def market() -> Market:
    return simulate(MarketConfig(seed=3, first_day=FIRST, days=5, traders=200))


@pytest.fixture
def opened(market: Market) -> Open:
    """Open a simulated exchange and a client that waits in moments only; keywords go to the exchange."""

    @contextmanager
    def open_(max_wait_seconds: float = 10, **options: Any) -> Iterator[tuple[RestClient, RestServer]]:
        with RestServer({"BTCUSDT": market}, options.pop("now", lambda: NOW), **options) as server:
            waits: list[float] = []
            client = RestClient(
                server.url, retry=QUICK, timeout_seconds=(1, 0.5), max_wait_seconds=max_wait_seconds, pause=waits.append
            )
            client.waits = waits  # type: ignore[attr-defined]
            yield client, server

    return open_


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


def first(**change: Any) -> Callable[[list], list]:
    return lambda rows: [{**rows[0], **change}, *rows[1:]]


BROKEN = {
    "truncated JSON": (RestFault(truncate=True), "does not answer|not JSON"),
    "a page of HTML": (RestFault(body="<html>busy</html>"), "which is not JSON"),
    "an object": (RestFault(body='{"rows": []}'), "not a list of rows"),
    "another symbol": (RestFault(change=first(symbol="ETHUSDT")), "is of 'ETHUSDT', not BTCUSDT"),
    "no number": (RestFault(change=first(sumOpenInterest="many")), "'many' as sumOpenInterest, not a number"),
    "a truth value": (RestFault(change=first(sumOpenInterest=True)), "True as sumOpenInterest"),
    "infinity": (RestFault(change=first(sumOpenInterest="inf")), "no finite sumOpenInterest"),
    "seconds": (
        RestFault(change=lambda rows: [row | {"timestamp": row["timestamp"] // 1000} for row in rows]),
        "stamp",
    ),
    "off the grid": (RestFault(change=first(timestamp=1782432130000)), "5-minute grid"),
    "contradiction": (RestFault(change=lambda rows: [*rows, rows[0] | {"sumOpenInterest": "1"}]), "different values"),
    "a lost field": (RestFault(change=lambda rows: [{"symbol": "BTCUSDT"}, *rows]), "not an object with"),
    "an outage": (RestFault(status=503), "HTTP 503"),
    "silence": (RestFault(delay_seconds=1.2), "does not answer"),
    "another error": (RestFault(status=400), r"HTTP 400 \(-1000"),
}


class TestBrokenAnswers:
    @pytest.mark.parametrize("what", BROKEN)
    def test_nothing_is_taken_from_them_and_the_message_says_what_was_read(self, opened: Open, what: str) -> None:
        fault, message = BROKEN[what]
        begin = time.monotonic()
        with (
            opened(faults=lambda _: fault) as (client, _),
            pytest.raises(RestUnreachable, match=message),
        ):
            client.open_interest("BTCUSDT", SINCE, NOW)
        assert time.monotonic() - begin < 10

    def test_klines_that_cannot_be_are_refused(self, opened: Open) -> None:
        def spoil(place: int, value: str) -> RestFault:
            return RestFault(change=lambda rows: [[*rows[0][:place], value, *rows[0][place + 1 :]], *rows[1:]])

        for place, value in ((2, "1"), (3, "9e9"), (4, "-5"), (5, "-1"), (4, "nan")):
            with opened(faults=lambda _, p=place, v=value: spoil(p, v)) as (client, _), pytest.raises(RestUnreachable):
                client.klines("BTCUSDT", "5m", SINCE, NOW, NOW)

    def test_a_passing_outage_is_got_over(self, opened: Open) -> None:
        answers = iter([RestFault(status=502), RestFault(status=500)])
        with opened(faults=lambda _: next(answers, None)) as (client, server):
            assert client.open_interest("BTCUSDT", SINCE, NOW).table.num_rows == 361
            assert len(server.requests) == 3

    @given(st.data())
    @settings(max_examples=60, deadline=None)
    def test_any_change_of_a_body_gives_the_right_rows_or_an_error(self, data: st.DataObject) -> None:
        stamp, step = 1782432000000, 300_000
        rows = [
            {
                "symbol": "X",
                "sumOpenInterest": f"{n + 1}.5",
                "sumOpenInterestValue": "9",
                "timestamp": stamp + n * 300_000,
            }
            for n in range(4)
        ]
        text = json.dumps(rows)
        at = data.draw(st.integers(0, len(text) - 1))
        text = text[:at] + data.draw(st.sampled_from(list('0123456789"{}[],:.eE-nulltruefalse X'))) + text[at + 1 :]
        try:
            table, _ = open_interest_rows(json.loads(text), "X")
        except (ValueError, WrongShape):
            return
        assert table.num_rows <= 4
        found = dict(zip(table["ts"].to_pylist(), table["open_interest"].to_pylist(), strict=True))
        right = {datetime.fromtimestamp((stamp + n * step) / 1000, UTC): n + 1.5 for n in range(4)}
        # One character may turn one value or one stamp into another that can be; never more, and never a missing row.
        assert sum(found.get(ts) != value for ts, value in right.items()) <= 1
        assert len(found) >= 3


class Raw:
    """Answers every request with the same bytes: status line, headers, body."""

    def __init__(self, body: bytes, *headers: str, status: str = "200 OK") -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
        self.answer = ("\r\n".join(lines) + "\r\n\r\n").encode() + body

    def __enter__(self) -> str:
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        self.listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self.listener.accept()
                with peer:
                    peer.recv(65536)
                    peer.sendall(self.answer)


DATE = "Date: Sat, 27 Jun 2026 06:02:00 GMT"
HOSTILE = {
    "deep JSON": Raw(b"[" * 200_000, DATE),
    "a number of 5,000 digits": Raw(b"[" + b"1" * 5000 + b"]", DATE),
    "a row whose stamp has 5,000 digits": Raw(
        b'[{"symbol":"BTCUSDT","sumOpenInterest":"1","sumOpenInterestValue":"1","timestamp":"%s"}]' % (b"1" * 5000),
        DATE,
    ),
    "a body that is no text": Raw(b"\xff\xfe\x00", DATE),
    "a bomb": Raw(gzip.compress(b" " * 50_000_000, 1), DATE, "Content-Encoding: gzip"),
    "a date in year 99999999999": Raw(b"[]", "Date: Sat, 27 Jun 99999999999 06:02:00 GMT"),
    "a date of long ago": Raw(b"[]", "Date: Sat, 27 Jun 0001 06:02:00 GMT"),
    "no date": Raw(b"[]"),
    "an error that is deep": Raw(b"[" * 200_000, DATE, status="400 Bad"),
    "an error that is no object": Raw(b"[]", DATE, status="400 Bad"),
}


class TestHostileAnswers:
    @pytest.mark.parametrize("what", HOSTILE)
    def test_they_are_errors_of_ours_in_no_time(self, what: str) -> None:
        begin = time.monotonic()
        with HOSTILE[what] as url, pytest.raises(RestUnreachable) as error:
            RestClient(url, retry=QUICK).open_interest("BTCUSDT", SINCE, NOW)
        assert time.monotonic() - begin < 2
        assert len(str(error.value)) < 800

    def test_a_weight_of_thousands_of_digits_is_not_read(self) -> None:
        with Raw(b"[]", DATE, f"X-MBX-USED-WEIGHT-1M: {'9' * 5000}") as url:
            assert RestClient(url, retry=QUICK).open_interest("BTCUSDT", SINCE, NOW).table.num_rows == 0

    @pytest.mark.parametrize("body", [b"{}", b"[1]", b'{"rateLimits": [], "symbols": [{"symbol": []}]}', b"null",
        b'{"rateLimits": [], "symbols": [{"symbol":"A","status":"T","contractType":"P","onboardDate":1e300}]}',
        b'{"rateLimits": [{"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","limit":-5,"intervalNum":1}],'
        b'"symbols": []}'])  # fmt: skip
    def test_symbols_that_cannot_be_are_refused(self, body: bytes) -> None:
        with Raw(body, DATE) as url, pytest.raises(RestUnreachable, match="answered something else"):
            RestClient(url, retry=QUICK).symbols()

    @pytest.mark.parametrize("place", [1, 2, 3, 4, 5, 7, 8, 9, 10])
    @pytest.mark.parametrize("value", ["", "nan", "inf", "-1", "1e308", str(2**63), None, [], True])
    def test_a_kline_with_a_cell_that_cannot_be_is_refused_whole(self, place: int, value: Any) -> None:
        row = [1782432000000, "100", "102", "99", "101", "10", 1782432299999, "1000", 7, "5", "500", "0"]
        assert kline_rows([row], "X", "5m", NOW)[0].num_rows == 1
        with pytest.raises(WrongShape):
            kline_rows([[*row[:place], value, *row[place + 1 :]]], "X", "5m", NOW)


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
        for seconds in ("6", "21600", "soon"):
            fault = RestFault(status=429, headers=(("Retry-After", seconds),))
            with (
                opened(faults=lambda _, fault=fault: fault) as (client, _),
                pytest.raises(RestUnreachable, match="asks for slower requests"),
            ):
                client.open_interest("BTCUSDT", SINCE, NOW)
            assert sum(client.waits) <= 10

    def test_the_real_limit_of_the_simulated_exchange_ends_in_a_clear_message(self, opened: Open) -> None:
        with opened(limit_per_5_minutes=1) as (client, _):
            client.open_interest("BTCUSDT", SINCE, NOW)
            with pytest.raises(RestUnreachable, match="429"):
                client.open_interest("BTCUSDT", SINCE, NOW)

    def test_a_ban_is_final(self, opened: Open) -> None:
        fault = RestFault(status=418, headers=(("Retry-After", "300"),))
        with opened(faults=lambda _: fault) as (client, server):
            with pytest.raises(RestForbidden, match=r"banned this address for 300 s \(HTTP 418\)"):
                client.open_interest("BTCUSDT", SINCE, NOW)
            assert len(server.requests) == 1
            assert not client.waits

    @pytest.mark.parametrize("status", [451, 403])
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

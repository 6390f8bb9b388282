"""REST that answers nonsense, too much or nothing: no wrong row, no endless wait, a clear message."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liq_pipeline.errors import RestUnreachable
from liq_pipeline.exchange.rest import RestClient
from liq_pipeline.exchange.rest_rows import WrongShape, kline_rows, open_interest_rows
from liq_pipeline.simulator.rest import RestFault
from liq_pipeline_tests.exchange.rest.answers import NOW, QUICK, SINCE, Open


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


BAR = 300_000
OPENED = 1782432000000  # 2026-06-26 00:00 UTC, in milliseconds


@pytest.mark.parametrize(
    ("opened", "width", "is_one"),
    [(0, BAR, True), (BAR, BAR, True), (60_000, BAR, False), (0, 3 * BAR, False), (60_000, 60_000, False)],
    ids=["on the grid", "the next one", "a minute late", "too wide", "neither"],
)
def test_bars_are_as_wide_as_asked_and_on_their_grid(opened: int, width: int, is_one: bool) -> None:
    begin = OPENED + opened
    row = [begin, "100", "101", "99", "100", "5", begin + width - 1, "500", 3, "2", "200", "0"]
    if is_one:
        assert kline_rows([row], "BTCUSDT", "5m", NOW)[0].num_rows == 1
    else:
        with pytest.raises(WrongShape, match="a bar is not one of 5m on its grid"):
            kline_rows([row], "BTCUSDT", "5m", NOW)

"""The exchange's REST interface: open interest and klines of the newest hours (exchange.md 3).

No call waits for ever: it takes at most 5 s to connect and 20 s between bytes, is tried again twice with growing
pauses of at least a second, waits at most `max_wait_seconds` when told to slow down, and ends after `call_seconds`
whatever happens.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic, sleep
from typing import Any, NoReturn
from urllib.parse import urlsplit

import pyarrow as pa
from requests_ratelimiter import LimiterSession
from urllib3.util import Retry

from liq_pipeline.errors import RestForbidden, RestUnreachable, UnknownSymbol
from liq_pipeline.exchange import web
from liq_pipeline.exchange.rest_rows import (
    SymbolFacts,
    WrongShape,
    kline_rows,
    open_interest_rows,
    symbol_facts,
    windows,
)
from liq_pipeline.system.network import open_session, through_proxy

OPEN_INTEREST_HISTORY = timedelta(days=28)  # "the latest 1 month"; older starts are refused with an error
SNAPSHOT = timedelta(minutes=5)
ROWS_PER_CALL = {"open_interest": 500, "klines": 1000}
INVALID_SYMBOL = -1121
BANNED_SECONDS = 120  # the shortest ban; where 418 does not say how long
MOST_BYTES_OF_ROWS = 2 << 20  # 1,000 klines are some 150 kB
MOST_BYTES_OF_SYMBOLS = 8 << 20
LEAST_PAUSE_SECONDS = 1.0
MOST_ATTEMPTS = 5  # when told to slow down


class _Unhurried(Retry):
    """Waits at least a second, also before the first further attempt."""

    def get_backoff_time(self) -> float:
        return max(LEAST_PAUSE_SECONDS, super().get_backoff_time())


# Connections and 5xx here; 429 is ours: a session that honours Retry-After by itself may sleep for hours.
RETRY = _Unhurried(
    total=2, backoff_factor=1.0, status_forcelist=(408, 500, 502, 503, 504), allowed_methods={"GET"},
    respect_retry_after_header=False, raise_on_status=False,
)  # fmt: skip


@dataclass(frozen=True)
class RestAnswer:
    """What a request for rows gave.

    Attributes:
        table: rows by `ts`, one per `ts`, in the schema of the archive's rows, `source` 'rest'.
        server_now: the exchange's own clock when it answered last.
        notes: how often each quirk was met.
    """

    table: pa.Table
    server_now: datetime
    notes: dict[str, int] = field(default_factory=dict)


class RestClient:
    """Asks the exchange. One client for one thread.

    Args:
        base: address without a path, such as `https://fapi.binance.com`.
        per_minute: requests a minute; the exchange allows 1,000 in five minutes on `/futures/data`.
        max_wait_seconds: how long one call may wait in all when it is told to slow down (429).
        call_seconds: for one call in all, from the name of the host to the last byte, waits included.
        timeout_seconds: to connect, and between bytes.
        retry: what is tried again.
        pause: how to wait.
    """

    def __init__(
        self,
        base: str,
        *,
        per_minute: int = 150,
        max_wait_seconds: float = 60,
        call_seconds: float = 120,
        timeout_seconds: tuple[float, float] = (5, 20),
        retry: Retry = RETRY,
        pause: Callable[[float], None] = sleep,
    ) -> None:
        self.base = base.rstrip("/")
        self.weight_per_minute = 2400  # until `symbols` has been asked
        self._max_wait, self._call_seconds = max_wait_seconds, call_seconds
        self._timeout, self._pause = timeout_seconds, pause
        limiter = LimiterSession(
            per_minute=per_minute,
            burst=per_minute,
            limit_statuses=(),  # it would wait a minute on its own at a 429, whatever `Retry-After` says
        )
        self._session = open_session(retry.new(respect_retry_after_header=False), limiter)  # see RETRY

    def open_interest(self, symbol: str, since: datetime, until: datetime) -> RestAnswer:
        """Return open interest every five minutes, by the stamps as they stand (`calibration` tells what they mean).

        Args:
            symbol: perpetual.
            since, until: both ends are always sent, at most 500 rows apart: with one end the exchange answers with the
                newest rows instead.

        Raises:
            RestForbidden: 451, 403, 418: final.
            RestUnreachable: no answer that can be used.
            UnknownSymbol: the exchange does not trade it.
        """
        parts: list[pa.Table] = []
        notes: Counter[str] = Counter()
        now = until
        for start, end in windows(since, until, ROWS_PER_CALL["open_interest"] * SNAPSHOT - SNAPSHOT):
            query = {"symbol": symbol, "period": "5m", "limit": ROWS_PER_CALL["open_interest"], **_span(start, end)}
            body, now = self._get("/futures/data/openInterestHist", query)
            with self._reading("/futures/data/openInterestHist"):
                rows, found = open_interest_rows(body, symbol)
            parts.append(rows)
            notes += Counter(found)
        return RestAnswer(_joined(parts, open_interest_rows([], symbol)[0]), now, notes)

    def klines(self, symbol: str, interval: str, since: datetime, until: datetime, now: datetime) -> RestAnswer:
        """Return bars that opened from `since` on and have closed, by our clock and by the exchange's.

        Args:
            symbol: perpetual.
            interval: width of a bar in minutes, such as `5m`.
            since, until: openings of the bars.
            now: our clock.

        Raises:
            RestForbidden, RestUnreachable, UnknownSymbol: as for `open_interest`.
        """
        parts: list[pa.Table] = []
        notes: Counter[str] = Counter()
        server_now = until
        width = timedelta(minutes=int(interval.removesuffix("m")))
        limit = ROWS_PER_CALL["klines"]
        for start, end in windows(since, until, limit * width - width):
            query = {"symbol": symbol, "interval": interval, "limit": limit, **_span(start, end)}
            body, server_now = self._get("/fapi/v1/klines", query)
            with self._reading("/fapi/v1/klines"):
                rows, found = kline_rows(body, symbol, interval, closed_before=min(now, server_now))
            parts.append(rows)
            notes += Counter(found)
        return RestAnswer(_joined(parts, kline_rows([], symbol, interval, now)[0]), server_now, notes)

    def symbols(self) -> dict[str, SymbolFacts]:
        """Return what is traded; the exchange's limit of request weight per minute comes along.

        Raises:
            RestForbidden, RestUnreachable: as for `open_interest`.
        """
        path = "/fapi/v1/exchangeInfo"
        body, _ = self._get(path, {}, MOST_BYTES_OF_SYMBOLS)
        with self._reading(path):
            found, weight = symbol_facts(body)
        self.weight_per_minute = weight or self.weight_per_minute
        return found

    @contextmanager
    def _reading(self, path: str) -> Iterator[None]:
        try:
            yield
        except WrongShape as error:
            raise RestUnreachable(
                f"{self.base}{path} answered something else: {error}",
                expected="the documented rows (docs/exchange.md)",
                remedy="nothing was taken from it; try again later, and tell us if it stays",
            ) from error

    def _get(self, path: str, query: dict[str, Any], most_bytes: int = MOST_BYTES_OF_ROWS) -> tuple[Any, datetime]:
        """Return the JSON of an answer, and when the exchange says that it was given."""
        url, waited, deadline = self.base + path, 0.0, monotonic() + self._call_seconds
        for _ in range(MOST_ATTEMPTS):
            answer = self._send(url, query, most_bytes, deadline)
            if answer.status != 429:
                break
            wait = max(LEAST_PAUSE_SECONDS, web.seconds_of(answer.headers.get("Retry-After"), 5.0))
            if waited + wait > min(self._max_wait, deadline - monotonic()):
                self._asked_too_often(f"{wait:g} s more, after {waited:g} s of waiting")
            self._pause(wait)
            waited += wait
        else:
            self._asked_too_often(f"{MOST_ATTEMPTS} times, {waited:g} s of waiting")
        self._refuse(answer, url, query)
        body = read_json(answer.content, url)
        self._slow_down(answer)
        try:
            return body, web.instant_of(answer.headers.get("Date"))
        except ValueError as error:
            raise RestUnreachable(
                f"{url} answered without a readable Date ({error})",
                expected="the exchange's clock: it decides which bar has closed",
                remedy="something between us and the exchange changes its answers",
            ) from error

    def _asked_too_often(self, how: str) -> NoReturn:
        raise RestUnreachable(
            f"{self._host} asks for slower requests (HTTP 429: {how})",
            remedy="wait some minutes; other programs on this address may be using up its limit",
        )

    def _send(self, url: str, query: dict[str, Any], most_bytes: int, deadline: float) -> web.Answer:
        left = deadline - monotonic()
        try:
            if left <= 0:
                raise web.NoAnswer(f"not done within {self._call_seconds:g} s")
            return web.get(self._session, url, most_bytes=most_bytes, seconds=left, params=query, timeout=self._timeout)
        except (web.NoAnswer, web.BrokenOff) as error:
            raise RestUnreachable(
                f"{self._host} does not answer{through_proxy(url)} ({error})"[:300],
                remedy="check the network and try again; the archive alone goes on",
            ) from error

    def _refuse(self, answer: web.Answer, url: str, query: dict[str, Any]) -> None:
        status = answer.status
        if status == 200:
            return
        code, message = _said(answer)
        if status in (401, 403, 451):
            raise RestForbidden(
                f"{self._host} refused with HTTP {status}: {message}",
                remedy="REST is fenced or blocked from here; the archive alone goes on (LIQ_REST=off silences this)",
            )
        if status == 418:
            seconds = web.seconds_of(answer.headers.get("Retry-After"), BANNED_SECONDS)
            raise RestForbidden(
                f"{self._host} has banned this address for {seconds:g} s (HTTP 418): {message}",
                remedy="ask nothing until then: bans grow",
            )
        if code == INVALID_SYMBOL:
            raise UnknownSymbol(
                f"{self._host} does not trade {query['symbol']} ({code}: {message})", remedy="the archive alone goes on"
            )
        raise RestUnreachable(
            f"{url} answered HTTP {status} ({code}: {message})", expected="HTTP 200", remedy="try again later"
        )

    def _slow_down(self, answer: web.Answer) -> None:
        """Leave a fifth of the limit to others on this address."""
        used = answer.headers.get("X-MBX-USED-WEIGHT-1M", "")
        if used.isdecimal() and len(used) < 10 and int(used) > 0.8 * self.weight_per_minute:
            self._pause(min(10.0, self._max_wait))

    @property
    def _host(self) -> str:
        return urlsplit(self.base).netloc


def _span(start: datetime, end: datetime) -> dict[str, int]:
    return {"startTime": int(start.timestamp() * 1000), "endTime": int(end.timestamp() * 1000)}


def _joined(parts: list[pa.Table], empty: pa.Table) -> pa.Table:
    """Return the rows of all calls by time; the last row of one call may be the first of the next."""
    rows = pa.concat_tables([empty, *parts]).sort_by("ts")
    stamps = rows["ts"].to_numpy()
    return rows.filter(pa.array([True, *(stamps[1:] != stamps[:-1])][: rows.num_rows], pa.bool_()))


def read_json(content: bytes, url: str) -> Any:
    """Return what a body says.

    Raises:
        RestUnreachable: it is not JSON.
    """
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:  # a ValueError also of a number with too many digits
        raise RestUnreachable(
            f"{url} answered {_shown(content)!r}, which is not JSON", remedy="try again later"
        ) from error


def _shown(content: bytes) -> str:
    return content[:240].decode("utf-8", "replace")[:60].strip()


def _said(answer: web.Answer) -> tuple[int | None, str]:
    """Return the error's code and message; the body may be HTML, and `code` may be absent."""
    try:
        body = json.loads(answer.content)
        return body.get("code"), str(body.get("msg", ""))[:200]
    except (ValueError, AttributeError, RecursionError):
        return None, _shown(answer.content)

"""The exchange's REST interface: open interest and klines of the newest hours (exchange.md 3).

No call waits for ever: a request takes at most 5 s to connect and 20 s between bytes, is tried again three times with
growing pauses, and waits at most `max_wait_seconds` when told to slow down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from time import sleep
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import requests
from requests_ratelimiter import LimiterSession
from urllib3.util import Retry

from liq_pipeline.errors import RestForbidden, RestUnreachable, UnknownSymbol
from liq_pipeline.exchange.rest_rows import WrongShape, kline_rows, open_interest_rows, windows
from liq_pipeline.network import open_session, through_proxy

OPEN_INTEREST_HISTORY = timedelta(days=28)  # "the latest 1 month"; older starts are refused with an error
SNAPSHOT = timedelta(minutes=5)
ROWS_PER_CALL = {"open_interest": 500, "klines": 1000}
INVALID_SYMBOL = -1121
BANNED_SECONDS = 120  # the shortest ban; where 418 does not say how long
# Connections and 5xx here; 429 is ours: a session that honours Retry-After by itself may sleep for hours.
RETRY = Retry(
    total=3, backoff_factor=0.4, status_forcelist=(408, 500, 502, 503, 504), allowed_methods={"GET"},
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


@dataclass(frozen=True)
class SymbolFacts:
    """What the exchange says of a symbol: status ('TRADING', 'SETTLING', …), contract type, when it was listed."""

    status: str
    contract_type: str
    onboarded: datetime


class RestClient:
    """Asks the exchange. One client for one thread.

    Args:
        base: address without a path, such as `https://fapi.binance.com`.
        per_minute: requests a minute; the exchange allows 1,000 in five minutes on `/futures/data`.
        max_wait_seconds: how long one call may wait in all when it is told to slow down (429).
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
        timeout_seconds: tuple[float, float] = (5, 20),
        retry: Retry = RETRY,
        pause: Callable[[float], None] = sleep,
    ) -> None:
        self.base = base.rstrip("/")
        self.weight_per_minute = 2400  # until `symbols` has been asked
        self._max_wait, self._timeout, self._pause = max_wait_seconds, timeout_seconds, pause
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
        notes: dict[str, int] = {}
        now = until
        for start, end in windows(since, until, ROWS_PER_CALL["open_interest"] * SNAPSHOT - SNAPSHOT):
            query = {"symbol": symbol, "period": "5m", "limit": ROWS_PER_CALL["open_interest"], **_span(start, end)}
            body, now = self._get("/futures/data/openInterestHist", query)
            with self._reading("/futures/data/openInterestHist"):
                rows, found = open_interest_rows(body, symbol)
            parts.append(rows)
            notes = _added(notes, found)
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
        notes: dict[str, int] = {}
        server_now = until
        width = timedelta(minutes=int(interval.removesuffix("m")))
        limit = ROWS_PER_CALL["klines"]
        for start, end in windows(since, until, limit * width - width):
            query = {"symbol": symbol, "interval": interval, "limit": limit, **_span(start, end)}
            body, server_now = self._get("/fapi/v1/klines", query)
            with self._reading("/fapi/v1/klines"):
                rows, found = kline_rows(body, symbol, interval, closed_before=min(now, server_now))
            parts.append(rows)
            notes = _added(notes, found)
        return RestAnswer(_joined(parts, kline_rows([], symbol, interval, now)[0]), server_now, notes)

    def symbols(self) -> dict[str, SymbolFacts]:
        """Return what is traded; the exchange's limit of request weight per minute comes along.

        Raises:
            RestForbidden, RestUnreachable: as for `open_interest`.
        """
        path = "/fapi/v1/exchangeInfo"
        body, _ = self._get(path, {})
        try:
            for limit in body["rateLimits"]:
                if limit["rateLimitType"] == "REQUEST_WEIGHT" and limit["interval"] == "MINUTE":
                    self.weight_per_minute = int(limit["limit"]) // int(limit["intervalNum"])
            return {
                item["symbol"]: SymbolFacts(
                    item["status"], item["contractType"], datetime.fromtimestamp(item["onboardDate"] / 1000, UTC)
                )
                for item in body["symbols"]
            }
        except (KeyError, TypeError, ValueError, ZeroDivisionError, OverflowError) as error:
            raise RestUnreachable(
                f"{self.base}{path} answered something else ({type(error).__name__}: {error})",
                expected="the documented symbols and limits (docs/exchange.md)",
                remedy="try again later, and tell us if it stays",
            ) from error

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

    def _get(self, path: str, query: dict[str, Any]) -> tuple[Any, datetime]:
        """Return the JSON of an answer, and when the exchange says that it was given."""
        url, waited = self.base + path, 0.0
        while True:
            response = self._send(url, query)
            if response.status_code != 429:
                break
            wait = _seconds(response.headers.get("Retry-After"), 5.0)
            if waited + wait > self._max_wait:
                raise RestUnreachable(
                    f"{self._host} asks for slower requests (HTTP 429: {wait:g} s more, after {waited:g} s of waiting)",
                    remedy="wait some minutes; other programs on this address may be using up its limit",
                )
            self._pause(wait)
            waited += wait
        self._refuse(response, url, query)
        try:
            body = response.json()
        except ValueError as error:
            raise RestUnreachable(
                f"{url} answered {response.text[:60]!r}, which is not JSON", remedy="try again later"
            ) from error
        self._slow_down(response)
        return body, _server_clock(response, url)

    def _send(self, url: str, query: dict[str, Any]) -> requests.Response:
        try:
            return self._session.get(url, params=query, timeout=self._timeout)
        except requests.RequestException as error:
            raise RestUnreachable(
                f"{self._host} does not answer{through_proxy(url)} ({type(error).__name__}: {error})"[:300],
                remedy="check the network and try again; the archive alone goes on",
            ) from error

    def _refuse(self, response: requests.Response, url: str, query: dict[str, Any]) -> None:
        status = response.status_code
        if status == 200:
            return
        code, message = _said(response)
        if status in (401, 403, 451):
            raise RestForbidden(
                f"{self._host} refused with HTTP {status}: {message}",
                remedy="REST is fenced or blocked from here; the archive alone goes on (LIQ_REST=off silences this)",
            )
        if status == 418:
            seconds = _seconds(response.headers.get("Retry-After"), BANNED_SECONDS)
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

    def _slow_down(self, response: requests.Response) -> None:
        """Leave a fifth of the limit to others on this address."""
        used = response.headers.get("X-MBX-USED-WEIGHT-1M", "")
        if used.isdecimal() and int(used) > 0.8 * self.weight_per_minute:
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


def _added(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in {**one, **other}}


def _seconds(text: str | None, default: float) -> float:
    try:
        return max(0.0, float(text or default))
    except ValueError:
        return default


def _said(response: requests.Response) -> tuple[int | None, str]:
    """Return the error's code and message; the body may be HTML, and `code` may be absent."""
    try:
        body = response.json()
        return body.get("code"), str(body.get("msg", ""))[:200]
    except (ValueError, AttributeError):
        return None, response.text[:80].strip()


def _server_clock(response: requests.Response, url: str) -> datetime:
    try:
        return parsedate_to_datetime(response.headers["Date"]).astimezone(UTC)
    except (KeyError, ValueError):
        raise RestUnreachable(
            f"{url} answered without a readable Date ({response.headers.get('Date')!r})",
            expected="the exchange's clock: it decides which bar has closed",
            remedy="something between us and the exchange changes its answers",
        ) from None

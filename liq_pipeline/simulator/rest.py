"""The simulated exchange's REST interface on loopback, with the real one's limits and errors (exchange.md 3).

It knows what has happened up to its own *now*, and no more; the bar that is open then is there, unfinished.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from threading import Lock
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import numpy as np

from liq_pipeline.simulator.loopback import Handler, Loopback
from liq_pipeline.simulator.market import Market

OPEN_INTEREST, KLINES = "/futures/data/openInterestHist", "/fapi/v1/klines"
PERIODS = {"5m": 5, "15m": 15, "30m": 30, "1h": 60}
FENCED = {
    "code": 0,
    "msg": "Service unavailable from a restricted location according to 'b. Eligibility' in the terms.",
}
HISTORY = timedelta(days=30)
BAN_AFTER = 20  # requests on top of a full bucket
_MS = np.timedelta64(1, "ms")


@dataclass(frozen=True)
class RestFault:
    """What goes wrong with one answer.

    Args:
        status: answer this instead of the truth.
        body: send this text instead of the truth.
        change: change the parsed body before it is sent.
        truncate: send half of the body, then hang up.
        delay_seconds: wait before the answer.
        headers: further headers.
    """

    status: int | None = None
    body: str | None = None
    change: Callable[[Any], Any] | None = None
    truncate: bool = False
    delay_seconds: float = 0.0
    headers: tuple[tuple[str, str], ...] = ()


class _Handler(Handler):
    def do_GET(self) -> None:
        exchange, url = self.server.owner, urlsplit(self.path)
        exchange.requests.append(self.path)
        fault = (exchange.faults(self.path) if exchange.faults else None) or RestFault()
        if fault.delay_seconds:
            time.sleep(fault.delay_seconds)
        status, content, headers = exchange.answer(url.path, dict(parse_qsl(url.query)))
        if fault.status:
            status, content = fault.status, {"code": -1000, "msg": "simulated fault"}
        if fault.change:
            content = fault.change(content)
        body = (json.dumps(content) if fault.body is None else fault.body).encode()
        self.send_response_only(status)
        sent_at = format_datetime(exchange.now().astimezone(UTC) + exchange.skew, usegmt=True)
        first = {"Date": sent_at, "Content-Type": "application/json"}
        self.send(body, {**first, **headers, **dict(fault.headers)}, fault.truncate)


class RestServer(Loopback):
    """REST on 127.0.0.1, as a context manager.

    Args:
        markets: what happened, by symbol.
        now: the exchange's clock.
        label_offset_minutes: what a stamp of open interest lacks to the instant of its snapshot.
        faults: asked with path and query of each request; a fault spoils the answer.
        limit_per_5_minutes: requests on `/futures/data`, by the exchange's clock.
        fenced: answer 451 to everything.
        skew: how far the `Date` header is ahead of `now`.
        missing: instants of snapshots that were never recorded.

    Attributes:
        url: the origin; valid inside the `with`.
        requests: path and query of each request so far.
        statuses: of symbols that are not 'TRADING'.
    """

    handler = _Handler

    def __init__(
        self,
        markets: Mapping[str, Market],
        now: Callable[[], datetime],
        *,
        label_offset_minutes: int = 0,
        faults: Callable[[str], RestFault | None] | None = None,
        limit_per_5_minutes: int = 1000,
        fenced: bool = False,
        skew: timedelta = timedelta(0),
        missing: Collection[datetime] = (),
    ) -> None:
        super().__init__()
        self.markets, self.now, self.faults = dict(markets), now, faults
        self.label_offset_minutes, self.limit, self.fenced, self.skew = (
            label_offset_minutes, limit_per_5_minutes, fenced, skew,
        )  # fmt: skip
        self.missing = {np.datetime64(at.astimezone(UTC).replace(tzinfo=None), "ms") for at in missing}
        self.statuses: dict[str, str] = {}
        self.requests: list[str] = []
        self._lock = Lock()
        self._bucket: list[datetime] = []
        self._too_many = 0

    def answer(self, path: str, query: dict[str, str]) -> tuple[int, Any, dict[str, str]]:
        """Return status, body and headers of a request."""
        now = self.now()
        if self.fenced:
            return 451, FENCED, {}
        if path == OPEN_INTEREST and (full := self._overflow(now)):
            return full
        if path == "/fapi/v1/time":
            return 200, {"serverTime": _milliseconds(now)}, {}
        if path == "/fapi/v1/exchangeInfo":
            return 200, self._exchange_info(), {"X-MBX-USED-WEIGHT-1M": "1"}
        known = {OPEN_INTEREST: self._open_interest, KLINES: self._klines}.get(path)
        if known is None:
            return 404, {"code": -5000, "msg": f"Path {path}, Method GET is invalid"}, {}
        if not query.get("symbol"):
            return 400, {"code": -1102, "msg": "Mandatory parameter 'symbol' was not sent."}, {}
        if query["symbol"] not in self.markets:
            return 400, {"code": -1121, "msg": "Invalid symbol."}, {}
        try:
            return 200, known(self.markets[query["symbol"]], query, now), {"X-MBX-USED-WEIGHT-1M": "5"}
        except _Invalid as error:
            return 400, {"code": error.code, "msg": error.message}, {}

    def _overflow(self, now: datetime) -> tuple[int, Any, dict[str, str]] | None:
        with self._lock:
            self._bucket = [at for at in self._bucket if now - at < timedelta(minutes=5)]
            if len(self._bucket) < self.limit:
                self._bucket.append(now)
                return None
            self._too_many += 1
            status, seconds = (418, 180) if self._too_many > BAN_AFTER else (429, 2)
        return status, {"code": -1003, "msg": "Too many requests."}, {"Retry-After": str(seconds)}

    def _exchange_info(self) -> dict[str, Any]:
        weight = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400}
        symbols = [
            {
                "symbol": symbol, "pair": symbol, "contractType": "PERPETUAL", "onboardDate": 1569398400000,
                "status": self.statuses.get(symbol, "TRADING"), "quoteAsset": "USDT", "marginAsset": "USDT",
            }
            for symbol in self.markets
        ]  # fmt: skip
        return {"timezone": "UTC", "rateLimits": [weight], "symbols": symbols}

    def _open_interest(self, market: Market, query: dict[str, str], now: datetime) -> list[dict[str, Any]]:
        minutes = _period(query, "period")
        limit = _limit(query, 30, 500)
        ts = market.bars["ts"]
        kept = (ts <= _instant(now)) & (_minute_of_day(ts) % minutes == 0)
        kept &= ~np.isin(ts, np.array(list(self.missing), dtype="datetime64[ms]"))
        labels = ts - self.label_offset_minutes * 60_000 * _MS
        start, end = _ends(query)
        if start is not None and _instant(now) - start > np.timedelta64(int(HISTORY.total_seconds()), "s"):
            raise _Invalid(-1130, "parameter 'startTime' is invalid.")
        if start is not None:
            kept &= labels >= start
        if end is not None:
            kept &= labels <= end
        places = np.flatnonzero(kept)
        # With one end alone the newest rows come; with both, the first ones after the start.
        places = places[:limit] if start is not None and end is not None else places[-limit:]
        return [
            {
                "symbol": query["symbol"],
                "sumOpenInterest": f"{market.open_interest[place]:.8f}",
                "sumOpenInterestValue": f"{market.open_interest[place] * market.bars['close'][place]:.8f}",
                "CMCCirculatingSupply": "19900000.00000000",
                "timestamp": int(labels[place].astype(np.int64)),
            }
            for place in places
        ]

    def _klines(self, market: Market, query: dict[str, str], now: datetime) -> list[list[Any]]:
        minutes = _period(query, "interval")
        limit = _limit(query, 500, 1500)
        start, end = _ends(query)
        base = market.config.bar_minutes
        if minutes % base:
            raise _Invalid(-1120, "Invalid interval.")
        opened = market.bars["open_time"]
        wide = opened - (_minute_of_day(opened) % minutes) * 60_000 * _MS
        begun = wide <= _instant(now)
        if start is not None:
            begun &= wide >= start
        if end is not None:
            begun &= wide <= end
        openings = np.unique(wide[begun])
        openings = openings[:limit] if start is not None else openings[-limit:]
        return [self._bar(market, opening, minutes, now) for opening in openings]

    @staticmethod
    def _bar(market: Market, opening: np.datetime64, minutes: int, now: datetime) -> list[Any]:
        bars = market.bars
        inside = (bars["open_time"] >= opening) & (bars["open_time"] < opening + minutes * 60_000 * _MS)
        inside &= bars["open_time"] <= _instant(now)
        part = {name: values[inside] for name, values in bars.items()}
        close = part["close"][-1]
        volume = 1.0
        if part["ts"][-1] > _instant(now):  # the open bar: not all of it has happened
            close, volume = (part["open"][-1] + close) / 2, 0.5
        closing = opening + minutes * 60_000 * _MS - _MS
        return [
            int(opening.astype(np.int64)), f"{part['open'][0]:.2f}", f"{part['high'].max():.2f}",
            f"{part['low'].min():.2f}", f"{close:.2f}", f"{volume * part['volume'].sum():.3f}",
            int(closing.astype(np.int64)), f"{volume * part['quote_volume'].sum():.5f}",
            int(part["trade_count"].sum()), f"{volume * part['taker_buy_volume'].sum():.3f}",
            f"{volume * part['taker_buy_quote_volume'].sum():.5f}", "0",
        ]  # fmt: skip


class _Invalid(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def _period(query: dict[str, str], name: str) -> int:
    if query.get(name) not in PERIODS:
        raise _Invalid(-1120, f"Invalid {name}.")
    return PERIODS[query[name]]


def _limit(query: dict[str, str], default: int, most: int) -> int:
    text = query.get("limit", str(default))
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise _Invalid(-1130, "parameter 'limit' is invalid.")
    return int(text)


def _ends(query: dict[str, str]) -> tuple[np.datetime64 | None, np.datetime64 | None]:
    ends: list[np.datetime64 | None] = []
    for name in ("startTime", "endTime"):
        text = query.get(name)
        if text is not None and not text.isdecimal():
            raise _Invalid(-1130, f"parameter '{name}' is invalid.")
        ends.append(None if text is None else np.datetime64(int(text), "ms"))
    return ends[0], ends[1]


def _minute_of_day(instants: np.ndarray) -> np.ndarray:
    return (instants.astype("datetime64[m]").astype(np.int64)) % 1440


def _instant(at: datetime) -> np.datetime64:
    return np.datetime64(at.astimezone(UTC).replace(tzinfo=None), "ms")


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)

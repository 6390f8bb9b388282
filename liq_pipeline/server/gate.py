"""What every request passes: size limits, rate limit, token, security headers, a stopwatch. Plain ASGI: it is fast."""

from __future__ import annotations

import hmac
import logging
import re
import time
from urllib.parse import parse_qs

from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from liq_pipeline.model.timeframes import TIMEFRAMES
from liq_pipeline.server.metrics import ServiceMetrics
from liq_pipeline.server.problems import problem

log = logging.getLogger("liq.serve")

MAX_QUERY_BYTES = 2_000
MAX_BODY_BYTES = 10_000
OPEN_PATHS = ("/", "/docs", "/health", "/openapi.json")
_CLOSE = {"Connection": "close"}
_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~%!$&'()*+,;=-]*)(:\d{0,5})?")
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"SAMEORIGIN"),
    (
        b"content-security-policy",
        b"default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; object-src 'none'; "
        b"base-uri 'none'",
    ),
)


class Gate:
    """Middleware around the app.

    Args:
        app: what answers.
        watch: who counts.
        token: if set, data is answered only to requests that bear it; the page itself holds no data and is open.
        rate: requests per client, such as '600/minute'; empty for no limit.
    """

    def __init__(self, app: ASGIApp, watch: ServiceMetrics, token: str = "", rate: str = "") -> None:
        self.app, self.watch, self.token = app, watch, token
        self.bearer = f"Bearer {token}".encode(errors="surrogateescape")  # a variable may hold any bytes
        self.rate = parse(rate) if rate else None
        self.limiter = FixedWindowRateLimiter(MemoryStorage())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter(), 0
        if scope["method"] == "HEAD":  # the same headers as GET; the server leaves out the body
            scope = {**scope, "method": "GET"}
        scope.setdefault("state", {})

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *_HEADERS]
            await send(message)

        try:
            refusal = self._refusal(scope)
            await (refusal or self.app)(scope, receive, sent)
        except Exception:
            log.exception("unexpected error")
            if status:
                raise  # an answer has begun: the server ends the connection
            await problem(500, "The service made a mistake; it is in its log.")(scope, receive, sent)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self.watch.count(
                route, _timeframe(scope), status, time.perf_counter() - began, bool(scope["state"].get("empty"))
            )

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        headers = dict(scope["headers"])
        if not _names_one_host(scope, headers):
            return problem(400, "A request names the host that it asks, once.", _CLOSE)
        if len(scope["query_string"]) > MAX_QUERY_BYTES:
            return problem(414, f"The query is longer than {MAX_QUERY_BYTES} bytes.")
        length = headers.get(b"content-length", b"0").lstrip(b"0")
        if len(length) > len(str(MAX_BODY_BYTES)) or b"transfer-encoding" in headers:
            return problem(413, "This service takes no request bodies.", _CLOSE)
        if length and not (length.isdigit() and int(length) <= MAX_BODY_BYTES):
            return problem(413, "This service takes no request bodies.", _CLOSE)
        client = scope["client"][0] if scope.get("client") else ""
        if self.rate and not self.limiter.hit(self.rate, client):
            wait = max(1, round(self.limiter.get_window_stats(self.rate, client).reset_time - time.time()))
            return problem(429, f"More than {self.rate}; try again in {wait} s.", {"Retry-After": str(wait)})
        open_ = scope["path"] in OPEN_PATHS or scope["path"].startswith(("/static/", "/frontend/"))
        if self.token and not open_ and scope["method"] != "OPTIONS":
            given = headers.get(b"authorization", b"")
            if not hmac.compare_digest(given, self.bearer):
                return problem(401, "A bearer token is needed.", {"WWW-Authenticate": "Bearer"})
        return None


def _names_one_host(scope: Scope, headers: dict[bytes, bytes]) -> bool:
    """Return whether there is one Host header and it can name a host (RFC 9112, 3.2); HTTP/1.0 may do without."""
    host = headers.get(b"host")
    if host is None:
        return bool(scope["http_version"] == "1.0")
    return _HOST.fullmatch(host) is not None and sum(name == b"host" for name, _ in scope["headers"]) == 1


def _timeframe(scope: Scope) -> str:
    """Return the timeframe asked for, if it is one: a label must not be whatever a client writes."""
    if not scope["query_string"]:
        return ""
    asked = parse_qs(scope["query_string"].decode("latin-1")).get("timeframe", [""])[0]
    name = asked if asked in TIMEFRAMES else f"{asked}d"
    return name if name in TIMEFRAMES else ""

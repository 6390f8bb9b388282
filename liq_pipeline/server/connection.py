"""One client's connection: how much it may send, how long it may take, and how many there may be.

uvicorn bounds neither the headers nor the time in which they arrive, nor how long a client may leave an answer unread.
A proxy in front would; but the service must stand without one.
"""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle


class Connection(HttpToolsProtocol):
    """uvicorn's own, with limits. Subclasses may set others.

    Attributes:
        most_bytes: of headers; and of anything else that arrives between the headers of two requests.
        head_seconds: in which a request's headers must be whole, from its first byte, or from the connection's begin.
        stall_seconds: in which a client must take at least `least_bytes` of an answer that waits for it.
        most_connections: when there are more, those go first that have waited longest without a whole request.
        look_seconds: between two looks at a connection's time.
    """

    most_bytes = 32_768
    head_seconds = 10.0
    stall_seconds = 10.0
    least_bytes = 10_000
    most_connections = 500
    look_seconds = 1.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a new client in; if there are too many, let the longest waiting go."""
        super().connection_made(transport)
        self._unread = 0  # bytes since the last whole headers
        self._since: float | None = self.loop.time()  # when the headers that are awaited began; None: nothing began
        self._left, self._left_at = 0, self._since  # bytes of the answer that the client has not taken, and when
        self._running: RequestResponseCycle | None = None
        self._timer = self.loop.call_later(self.look_seconds, self._look)
        if len(self.connections) > self.most_connections:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client."""
        self._timer.cancel()
        self._mark_gone()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes in, up to the limit."""
        if self._since is None:
            self._since = self.loop.time()
        self._unread += len(data)
        super().data_received(data)
        if self._unread > self.most_bytes and not self.transport.is_closing():
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"more than {self.most_bytes} bytes")

    def on_headers_complete(self) -> None:
        """Begin a request."""
        if self._unread > self.most_bytes:  # more than one request may have come at once
            head = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if head > self.most_bytes:
                raise ValueError("headers too large")  # the parser ends, and asks for a refusal
        self._unread, self._since = 0, None
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """End a request."""
        self._left = 0
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP."""
        if self._unread > self.most_bytes:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"more than {self.most_bytes} bytes")
        else:
            self._refuse(HTTPStatus.BAD_REQUEST, msg)

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: who asks for another protocol is answered in this one."""

    @property
    def is_busy(self) -> bool:
        """Whether a request is being answered."""
        return self._running is not None and not self._running.response_complete

    def _look(self) -> None:
        """Let a client go that sends too slowly, or takes too slowly."""
        self._timer = self.loop.call_later(self.look_seconds, self._look)
        now, left = self.loop.time(), self.transport.get_write_buffer_size()
        if not left or not self._left or left <= self._left - self.least_bytes:
            self._left, self._left_at = left, now
        elif now - self._left_at > self.stall_seconds:
            self._abort()
            return
        waited = self._since is not None and now - self._since > self.head_seconds
        if waited and not self.is_busy and not self.transport.is_closing():
            self._since = None
            if self._unread:
                self._refuse(HTTPStatus.REQUEST_TIMEOUT, f"no whole request within {self.head_seconds:.0f} s")
            else:
                self.transport.close()

    def _make_room(self) -> None:
        idle = [other for other in self.connections if other is not self and not getattr(other, "is_busy", True)]
        longest: Any = min(idle, key=_patience, default=self)
        self.connections.discard(longest)  # at once: more may come in before it is gone
        longest._abort()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _abort(self) -> None:
        self._mark_gone()
        self.transport.abort()

    def _mark_gone(self) -> None:
        """Tell the answer that is being written that nobody reads it: uvicorn tells only the newest of several."""
        if self._running is not None:
            self._running.disconnected = True

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        """Say why, and close. In the middle of an answer there is no way to say it."""
        if self.is_busy:
            self._abort()
            return
        content = {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail}
        body = json.dumps(content).encode()
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/problem+json\r\n"
            f"content-length: {len(body)}\r\ncache-control: no-store\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()


def _patience(connection: Any) -> tuple[bool, float]:
    """Return a key that sorts by who may go first: who never asked, then who has waited longest."""
    return connection.cycle is not None, connection._since or float("inf")

"""A web server on 127.0.0.1 in a thread of its own: what the simulated archive and REST have in common."""

from __future__ import annotations

from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, ClassVar, Self


class Handler(BaseHTTPRequestHandler):
    """Answers requests of one `Loopback`, which it knows as `self.server.owner`."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def send(self, body: bytes, headers: Mapping[str, Any], truncate: bool = False) -> None:
        """Send headers and body, or half of the body, and hang up."""
        for name, value in (*headers.items(), ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        if truncate:
            self.send_header("Connection", "close")
            self.close_connection = True
            body = body[: len(body) // 2]
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    owner: Any

    def handle_error(self, request: Any, client_address: Any) -> None:  # a client that hung up is no news
        pass


class Loopback:
    """A server as a context manager.

    Attributes:
        handler: what answers its requests.
        port: to listen on; 0 takes a free one.
        url: the origin, without a trailing slash; valid inside the `with`.
    """

    handler: ClassVar[type[Handler]]

    def __init__(self, port: int = 0) -> None:
        self.port, self.url = port, ""
        self._server: _Server | None = None

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", self.port), self.handler)
        self._server.owner = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

"""`liq serve`: the service in a uvicorn of its own."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

import uvicorn

from liq_pipeline.published.local import kept_up
from liq_pipeline.server.app import create_app
from liq_pipeline.server.connection import Connection
from liq_pipeline.settings import Settings
from liq_pipeline.symbols import refreshed

OPTIONS: dict[str, Any] = {
    "http": Connection,
    "ws": "none",
    "lifespan": "off",
    "access_log": False,
    "server_header": False,
    "log_level": "warning",
    "proxy_headers": False,  # a client must not choose the address that it is counted under
    "timeout_keep_alive": 30,
    "timeout_graceful_shutdown": 5,
}
"""How uvicorn runs the service, wherever it does: `liq serve`, tests, benchmarks."""


def run_app(app: Any, listeners: list[socket.socket], **options: Any) -> None:
    """Answer on these sockets until interrupted."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    uvicorn.Server(uvicorn.Config(app, **OPTIONS | options)).run(sockets=listeners)


def serve(settings: Settings, now: Callable[[], datetime], listeners: list[socket.socket]) -> None:
    """Serve the published folder on these sockets until interrupted."""
    with kept_up(settings) as folder:
        app = create_app(
            folder.absolute(),
            now,
            token=settings.serve_token,
            origins=settings.serve_origins,
            rate=settings.serve_rate_limit,
            refreshed=partial(refreshed, settings),
        )
        run_app(app, listeners)

"""The service on a real socket, over the good run's published files."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
import uvicorn

from liq_pipeline.server.app import create_app
from liq_pipeline.server.connection import Connection
from liq_pipeline.server.run import OPTIONS
from liq_pipeline.settings import Settings
from liq_pipeline_tests.page import QUIET


class Service:
    """A running service. `hours` moves its clock."""

    def __init__(self, folder: Path, now: datetime, http: type[Connection] = Connection, **options: Any) -> None:
        self.hours = 0.0
        app = create_app(folder, lambda: now + timedelta(hours=self.hours), **options)
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._server = uvicorn.Server(uvicorn.Config(app, **OPTIONS | {"log_level": "warning", "http": http}))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.005)

    def get(self, path: str, **options: Any) -> requests.Response:
        """Ask for a path below the service's address."""
        return requests.get(self.url + path, timeout=20, allow_redirects=False, **options)

    def stop(self) -> None:
        """Stop and wait."""
        self._server.should_exit = True
        self._thread.join(10)
        self._socket.close()


@pytest.fixture(scope="session")
def service(good_run: Settings) -> Iterator[Service]:
    """Over the good run. Only read it."""
    running = Service(good_run.published_dir, good_run.now)
    yield running
    running.stop()


@pytest.fixture
def own_service(good_run: Settings) -> Iterator[Callable[..., Service]]:
    """Return a factory of services with options of their own."""
    running: list[Service] = []

    def make(folder: Path = good_run.published_dir, **options: Any) -> Service:
        running.append(Service(folder, good_run.now, **options))
        return running[-1]

    yield make
    for one in running:
        one.stop()


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Any]:
    """A headless Chromium that asks nobody anything."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        running = play.chromium.launch(executable_path=str(chromium), args=QUIET)
        yield running
        running.close()


class Visits:
    """Opens pages, each as somebody who has never been there, and keeps what the browser complains of."""

    def __init__(self, browser: Any, url: str) -> None:
        self.browser, self.url = browser, url
        self.complaints: list[str] = []
        self.contexts: list[Any] = []

    def __call__(
        self, address: str = "/", width: int = 1280, height: int = 800, base: str = "", phone: bool = False, **more: Any
    ) -> Any:
        """Open an address of the service; return the page when it is drawn."""
        if phone:
            more |= {"has_touch": True, "is_mobile": True, "device_scale_factor": 2}
            width, height = 390, 844
        context = self.browser.new_context(viewport={"width": width, "height": height}, accept_downloads=True, **more)
        self.contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("requestfailed", lambda request: self.complaints.append(f"{request.url} failed"))
        page.goto((base or self.url) + address)
        page.wait_for_selector("#plot[data-drawn]")
        return page


@pytest.fixture
def visit(browser: Any, service: Service) -> Iterator[Visits]:
    """Open pages of the service; nothing may have been complained of."""
    visits = Visits(browser, service.url)
    yield visits
    assert visits.complaints == []
    for context in visits.contexts:
        context.close()

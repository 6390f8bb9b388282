"""Proxies: never for this machine, always for others, and a clear word where one cannot be used."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Event, Thread
from threading import enumerate as threads

import pytest
from pytest_httpserver import HTTPServer as Receiver
from urllib3.util import Retry

from liq_pipeline.alerts.alerts import open_addresses
from liq_pipeline.errors import ArchiveUnreachable, SettingsError
from liq_pipeline.exchange.connection import Timeouts, open_socket
from liq_pipeline.exchange.http_archive import HttpArchive
from liq_pipeline.exchange.keys import METRICS
from liq_pipeline.exchange.rest import RestClient
from liq_pipeline.simulator.rest import RestServer
from liq_pipeline.simulator.server import ArchiveServer
from liq_pipeline.simulator.stream import StreamServer
from liq_pipeline.system.network import socket_proxy, through_proxy, why_unreachable
from liq_pipeline.system.proxies import exempt_this_machine, is_this_machine

NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
ONCE = Retry(total=0)
DEAD = "http://127.0.0.1:1"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch) -> None:
    for name in (*NAMES, "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(
    params=[
        (NAMES, DEAD),
        ([n.lower() for n in NAMES], DEAD),
        (NAMES, "socks5://127.0.0.1:1"),
        (["ALL_PROXY"], "nonsense://x"),
    ],
    ids=["upper case", "lower case", "SOCKS", "nonsense"],
)
def useless_proxy(request, monkeypatch) -> None:
    """Variables of a proxy that answers nobody."""
    names, proxy = request.param
    for name in names:
        monkeypatch.setenv(name, proxy)


@pytest.mark.usefixtures("useless_proxy")
class TestThisMachineIsAskedWithoutAProxy:
    def test_by_the_archive(self, exchange) -> None:
        with ArchiveServer(exchange.folder) as server:
            assert "BTCUSDT" in HttpArchive(server.url, retry=ONCE).list_folders(METRICS.root)

    def test_by_rest(self) -> None:
        with RestServer({}, lambda: datetime(2026, 6, 27, tzinfo=UTC)) as server:
            assert RestClient(server.url, retry=ONCE).symbols() == {}

    def test_by_the_recorder(self) -> None:
        async def connect(url: str) -> None:
            opened = await open_socket(f"{url}/stream?streams=btcusdt@forceOrder", Timeouts(opening=5))
            await opened.close()

        with StreamServer([], lambda: datetime(2026, 6, 27, tzinfo=UTC)) as server:
            asyncio.run(connect(server.url))

    def test_by_alerts(self, httpserver: Receiver) -> None:
        httpserver.expect_request("/said", method="POST").respond_with_data("")

        (sender,) = open_addresses(f"json://127.0.0.1:{httpserver.port}/said")

        assert sender.notify(title="title", body="body")

    def test_by_the_question_whether_somebody_answers(self, httpserver: Receiver) -> None:
        assert why_unreachable(httpserver.url_for("/")) == ""


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://localhost:1/x", True), ("http://LOCALHOST.", True), ("http://a.localhost", True),
        ("http://127.9.9.9", True), ("ws://[::1]:3/market", True), ("http://[::ffff:127.0.0.1]", True),
        ("http://0.0.0.0:8", True), ("https://127.0.0.1.example.org", False), ("http://localhost.example.org", False),
        ("http://10.0.0.1", False), ("http://[2001:db8::1]", False), ("https://data.example.org", False),
    ],
)  # fmt: skip
def test_what_is_this_machine(url: str, here: bool) -> None:
    assert is_this_machine(url) is here


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_libraries_ask_this_machine_and_whom_the_user_named_without_the_proxy(name: str, monkeypatch) -> None:
    for one in ("no_proxy", "NO_PROXY"):  # both are set below: so that they are taken back
        monkeypatch.setenv(one, "")
    monkeypatch.setenv("https_proxy", DEAD)
    monkeypatch.setenv(name, " archive.example, ::1,")
    exempt_this_machine()

    assert os.environ["no_proxy"] == os.environ["NO_PROXY"] == "archive.example,::1,localhost,127.0.0.1,127.0.0.0/8"


def test_nothing_is_added_to_a_star_nor_where_there_is_no_proxy(monkeypatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    exempt_this_machine()
    assert "NO_PROXY" not in os.environ

    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("ALL_PROXY", DEAD)
    exempt_this_machine()
    assert os.environ["no_proxy"] == os.environ["NO_PROXY"] == "*"


@pytest.fixture
def proxy() -> Iterator[tuple[str, list[str]]]:
    """A proxy on this machine, and what it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(451)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()
    server.server_close()


class TestOthersAreAskedThroughIt:
    def test_every_request_goes_to_the_proxy(self, proxy, monkeypatch) -> None:
        url, asked = proxy
        monkeypatch.setenv("HTTP_PROXY", url)

        with pytest.raises(Exception, match=r"archive\.example refused with HTTP 451"):
            HttpArchive("http://archive.example", retry=ONCE).list_folders("data/")

        assert asked[0].startswith("http://archive.example/?")

    def test_not_where_no_proxy_names_the_host(self, proxy, monkeypatch) -> None:
        monkeypatch.setenv("HTTP_PROXY", proxy[0])
        monkeypatch.setenv("NO_PROXY", "archive.example")

        assert through_proxy("http://archive.example/x") == ""
        assert through_proxy("http://other.example/x") == f" through the proxy {proxy[0]}"

    def test_a_dead_proxy_is_named_without_its_password(self, monkeypatch) -> None:
        monkeypatch.setenv("HTTP_PROXY", "http://user:secret@127.0.0.1:1")

        with pytest.raises(ArchiveUnreachable) as failed:
            HttpArchive("http://archive.example", retry=ONCE).list_folders("data/")

        assert "archive.example does not answer through the proxy http://127.0.0.1:1" in str(failed.value)
        assert "secret" not in str(failed.value)

    @pytest.mark.parametrize("scheme", ["socks4", "socks5", "socks5h"])
    def test_socks_without_its_package_says_which_extra_to_install(self, scheme: str, monkeypatch) -> None:
        monkeypatch.setitem(sys.modules, "socks", None)
        monkeypatch.setitem(sys.modules, "python_socks", None)
        monkeypatch.setenv("ALL_PROXY", f"{scheme}://user:secret@proxy.example:1080")

        for ask in (
            lambda: HttpArchive("http://archive.example", retry=ONCE).list_folders("data/"),
            lambda: RestClient("https://rest.example", retry=ONCE).symbols(),
            lambda: socket_proxy("wss://stream.example/market"),
            lambda: why_unreachable("https://archive.example"),
        ):
            with pytest.raises(SettingsError, match=rf"{scheme}://proxy.example:1080 .*PySocks|python-socks") as failed:
                ask()
            assert ".[socks]" in failed.value.remedy
            assert "secret" not in str(failed.value)

    @pytest.mark.parametrize("value", ["ftp://x", "http://[", "http://h:99999", "socks5h://h:0", "http://"])
    def test_one_that_cannot_be_used_is_refused(self, value: str, monkeypatch) -> None:
        monkeypatch.setenv("HTTP_PROXY", value)

        with pytest.raises(SettingsError, match="cannot be used"):
            HttpArchive("http://archive.example", retry=ONCE).list_folders("data/")


def test_a_host_that_takes_no_connection_is_given_up_after_the_time_given() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]  # more than it queues: the next one gets no answer
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        began = time.monotonic()

        said = why_unreachable(f"http://127.0.0.1:{full.getsockname()[1]}", seconds=0.5)

        for one in waiting:
            one.close()
    assert said
    assert time.monotonic() - began < 1.5


def test_a_name_that_takes_longer_to_resolve_is_given_up_and_keeps_no_process_alive(monkeypatch) -> None:
    answered = Event()

    def slow(*_: object, **__: object) -> None:
        answered.wait(10)
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", slow)
    before = set(threads())

    said = why_unreachable("http://archive.example", seconds=0.05)

    (left,) = set(threads()) - before
    answered.set()
    left.join()
    assert said == "no answer within 0.05 s"
    assert left.daemon

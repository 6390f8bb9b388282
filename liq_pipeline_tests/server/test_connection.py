"""Clients that send too much, too slowly or never read are let go; the others notice nothing. On real sockets."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

import psutil
import pytest
import requests

from liq_pipeline.server.connection import Connection

LEVELS = "/liquidations/levels?symbol=BTCUSDT&timeframe=7d"
HEATMAP = "/liquidations/heatmap?symbol=BTCUSDT&timeframe=7d"
GET = f"GET {LEVELS} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


class Hasty(Connection):
    """The same limits of bytes; shorter ones of time."""

    head_seconds = 0.5
    stall_seconds = 0.5
    look_seconds = 0.1


@pytest.fixture
def hasty(own_service):
    return own_service(http=Hasty)


@contextlib.contextmanager
def connected(service, seconds: float = 10) -> Iterator[socket.socket]:
    port = int(service.url.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port), seconds) as connection:
        yield connection


def rest_of(connection: socket.socket) -> bytes:
    """Read until the service closes."""
    got = b""
    with contextlib.suppress(ConnectionError):
        while piece := connection.recv(1 << 20):
            got += piece
    return got


@pytest.mark.parametrize(
    "what",
    [b"x", b"X-Many: 1\r\n", b"GET", b"\r\n", b"a: " + b"y" * 5000 + b"\r\n"],
    ids=["one endless name", "many headers", "an endless address", "empty lines", "long values"],
)
def test_a_flood_of_headers_is_cut_off_within_two_seconds(service, what) -> None:
    began, sent = time.monotonic(), 0
    with connected(service) as connection:
        if what not in (b"GET", b"\r\n"):
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
        elif what == b"GET":
            connection.sendall(b"GET /")
        piece = what * (65_536 // len(what))
        with contextlib.suppress(ConnectionError):
            while sent < 77_000_000:
                connection.sendall(piece)
                sent += len(piece)

        assert sent < 20_000_000  # what the kernel took before it knew
        assert time.monotonic() - began < 2
    assert service.get("/symbols").status_code == 200


@pytest.mark.parametrize(("size", "status"), [(20_000, 200), (31_000, 200), (33_000, 431), (200_000, 431)])
def test_headers_up_to_the_limit_are_fine(service, size, status) -> None:
    """Whether they come at once or in pieces."""
    data = GET.replace(b"Host: x\r\n", b"Host: x\r\nX-Long: " + b"y" * size + b"\r\n")
    for step in (len(data), 9_000):
        with connected(service) as connection:
            answer = b""
            with contextlib.suppress(ConnectionError):
                for place in range(0, len(data), step):
                    connection.sendall(data[place : place + step])
                    time.sleep(0.01)
                answer = connection.recv(100)
        if answer or status == 200:  # a reset may overtake the refusal
            assert int(answer[9:12]) == status


@pytest.mark.parametrize(("count", "status"), [(5_000, 200), (6_000, 431)])
def test_short_headers_count_with_all_their_bytes(service, count, status) -> None:
    """At once: 30 and 36 kB, two thirds of which are colons, blanks and ends of lines."""
    with connected(service) as connection:
        connection.sendall(GET.replace(b"Host: x\r\n", b"Host: x\r\n" + b"a: b\r\n" * count))
        answer = b""
        with contextlib.suppress(ConnectionError):
            answer = connection.recv(100)
    if answer or status == 200:  # a reset may overtake the refusal
        assert int(answer[9:12]) == status


def test_many_small_requests_at_once_are_not_a_flood(service) -> None:
    with connected(service) as connection:
        connection.sendall(b"GET /static/none HTTP/1.1\r\nHost: x\r\n\r\n" * 1500)  # 60 kB
        got = b""
        while got.count(b"HTTP/1.1 404") < 1500:
            piece = connection.recv(1 << 20)
            assert piece
            got += piece


@pytest.mark.parametrize(
    ("first", "drip"),
    [
        (b"GET /symbols HTTP/1.1\r\nHost:", b""),
        (b"GET /symbols HTTP/1.1\r\n", b"a"),
        (b"\r\n", b"\r\n"),
        (GET + b"GET /symbols", b"s"),
        (b"POST /symbols HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n\r\n", b"b"),
    ],
    ids=["half a request", "a byte now and then", "empty lines", "a second one that is never whole", "a body in drops"],
)
def test_who_sends_too_slowly_is_let_go(hasty, first, drip) -> None:
    began = time.monotonic()
    with connected(hasty) as connection:
        connection.sendall(first)
        connection.settimeout(0.05)
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - began < 5:
                with contextlib.suppress(TimeoutError):
                    if not connection.recv(1 << 20):
                        break
                if drip:
                    connection.sendall(drip)
    assert 0.3 < time.monotonic() - began < 3


def test_who_is_late_is_told_so(hasty) -> None:
    with connected(hasty) as connection:
        connection.sendall(b"GET /symbols HTTP/1.1\r\n")
        answer = rest_of(connection)

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"application/problem+json" in answer


def test_who_says_nothing_is_let_go(hasty) -> None:
    with connected(hasty, 5) as connection:
        assert rest_of(connection) == b""


def test_who_never_reads_is_let_go(own_service) -> None:
    service = own_service(http=Hasty)
    process = psutil.Process()
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            connection = stack.enter_context(connected(service))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            with contextlib.suppress(ConnectionError):
                connection.sendall(GET.replace(LEVELS.encode(), HEATMAP.encode()) * 50)
        deadline = time.monotonic() + 8
        port = int(service.url.rsplit(":", 1)[1])
        while time.monotonic() < deadline:
            open_ = [
                one for one in process.net_connections("tcp") if one.laddr.port == port and one.status == "ESTABLISHED"
            ]
            if not open_:
                break
            time.sleep(0.1)
        assert not open_
    assert service.get("/symbols").status_code == 200


def test_who_reads_slowly_but_reads_gets_everything(own_service) -> None:
    class Strict(Hasty):
        least_bytes = 1000

    service = own_service(http=Strict)
    whole = service.get(HEATMAP, headers={"Accept-Encoding": "identity"}).content
    assert len(whole) > 100_000
    with connected(service) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32_768)
        connection.sendall(f"GET {HEATMAP} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        got = b""
        while piece := connection.recv(max(1000, len(whole) // 100)):
            got += piece
            time.sleep(0.02)  # two seconds and more in all: four times the limit for a client that stands still

    assert got.partition(b"\r\n\r\n")[2] == whole


def test_when_there_are_too_many_the_longest_waiting_go_and_newcomers_are_served(own_service) -> None:
    class Small(Connection):
        most_connections = 40

    service = own_service(http=Small)
    with contextlib.ExitStack() as stack:
        asked = stack.enter_context(requests.Session())
        assert asked.get(service.url + "/symbols", timeout=5).status_code == 200
        half = [stack.enter_context(connected(service)) for _ in range(300)]
        for connection in half[-20:]:
            connection.sendall(b"GET /symbols HTTP/1.1\r\n")
        for _ in range(20):
            assert service.get("/symbols").status_code == 200
        assert asked.get(service.url + "/symbols", timeout=5).status_code == 200
        assert half[0].recv(1) == b""


def test_a_refused_body_ends_the_connection(service) -> None:
    with connected(service) as connection:
        connection.sendall(b"POST /symbols HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        answer = rest_of(connection)

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in answer.lower()


@pytest.mark.slow
def test_clients_that_stand_still_starve_nobody_while_a_writer_publishes(good_run) -> None:
    """A minute of it is `python -m benchmarks.abuse`; here it is short, and the bar for a busy machine."""
    from benchmarks.abuse import HALF_OPEN, NEVER_READING, main

    found = main(str(good_run.data_dir), "BTCUSDT", "9")

    assert found["alone"]["errors"] == found["beside"]["errors"] == 0
    assert found["alone"]["requests"] > 50
    assert min(found["opened_in_last_round"].values()) >= min(HALF_OPEN, NEVER_READING)
    assert found["ratio_p99"][1] <= 3
    assert found["rss_growth_pct"] <= 5
    assert max(found["rss_mb"]) <= 300

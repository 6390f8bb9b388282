"""Every call ends: limits of bytes and of seconds, against servers that keep to nothing. Over real sockets."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
import requests

from liq_pipeline.exchange import web

Serve = Callable[[Callable[[socket.socket], None]], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serve on loopback: each connection is given to a function, after its request was read."""
    open_: list[socket.socket] = []

    def start(talk: Callable[[socket.socket], None]) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        open_.append(listener)

        def loop() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(peer,), daemon=True).start()

        def answer(peer: socket.socket) -> None:
            with peer:
                try:
                    peer.recv(65536)
                    talk(peer)
                except OSError:
                    pass

        threading.Thread(target=loop, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}/x"

    yield start
    for listener in open_:
        listener.close()


def ask(url: str, most_bytes: int = 1000, seconds: float = 5, **options: object) -> web.Answer:
    return web.get(requests.Session(), url, most_bytes=most_bytes, seconds=seconds, **options)


def head(length: int | None = None, *more: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", *([f"Content-Length: {length}"] if length is not None else []), *more]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def drip(piece: bytes) -> Callable[[socket.socket], None]:
    def talk(peer: socket.socket) -> None:
        while True:
            peer.sendall(piece)
            time.sleep(0.05)

    return talk


def test_a_whole_body_is_returned_inflated(serve: Serve) -> None:
    body = gzip.compress(b"rows" * 100)
    url = serve(lambda peer: peer.sendall(head(len(body), "Content-Encoding: gzip") + body))
    answer = ask(url)
    assert (answer.status, answer.content) == (200, b"rows" * 100)


def test_a_body_of_a_byte_now_and_then_ends_with_its_deadline(serve: Serve) -> None:
    def talk(peer: socket.socket) -> None:
        peer.sendall(head(10_000))
        drip(b"x")(peer)

    begin = time.monotonic()
    with pytest.raises(web.BrokenOff, match=r"too slow|not done within"):
        ask(serve(talk), most_bytes=100_000, seconds=0.6, timeout=(1, 1))
    assert time.monotonic() - begin < 2


@pytest.mark.parametrize("piece", [b"X-More: 1\r\n", b"x"])
def test_headers_that_never_end_end_with_the_deadline(serve: Serve, piece: bytes) -> None:
    def talk(peer: socket.socket) -> None:
        peer.sendall(b"HTTP/1.1 200 OK\r\n")
        drip(piece)(peer)

    begin = time.monotonic()
    with pytest.raises(web.NoAnswer):
        ask(serve(talk), seconds=0.6, timeout=(1, 1))
    assert time.monotonic() - begin < 2


def test_a_small_body_that_inflates_to_much_is_not_inflated_whole(serve: Serve) -> None:
    bomb = gzip.compress(b"\0" * 200_000_000, 1)
    url = serve(lambda peer: peer.sendall(head(len(bomb), "Content-Encoding: gzip") + bomb))
    begin = time.monotonic()
    with pytest.raises(web.BrokenOff, match="more than 100,000 bytes"):
        ask(url, most_bytes=100_000)
    assert time.monotonic() - begin < 2


def test_a_body_without_a_length_that_does_not_end_is_cut_off(serve: Serve) -> None:
    def talk(peer: socket.socket) -> None:
        peer.sendall(head())
        while True:
            peer.sendall(b"x" * 65536)

    with pytest.raises(web.BrokenOff, match="more than 1,000 bytes"):
        ask(serve(talk))


@pytest.mark.parametrize(
    "body",
    [
        head(100) + b"half",
        head(None, "Transfer-Encoding: chunked") + b"5\r\nabc",
        head(None, "Transfer-Encoding: chunked") + b"zz\r\nabc\r\n",
        head(4, "Content-Encoding: gzip") + b"abcd",
    ],
)
def test_a_body_that_is_not_what_its_header_says_broke_off(serve: Serve, body: bytes) -> None:
    with pytest.raises(web.BrokenOff):
        ask(serve(lambda peer: peer.sendall(body)))


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0\r\n", b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 70_000 + b"\r\n\r\n"])
def test_what_is_no_http_is_no_answer(serve: Serve, answer: bytes) -> None:
    with pytest.raises(web.NoAnswer):
        ask(serve(lambda peer: peer.sendall(answer)))


def test_nobody_there_and_no_address_are_no_answer() -> None:
    for url in ("http://127.0.0.1:1/", "http://[/", "http://127.0.0.1:99999/", "nonsense"):
        with pytest.raises(web.NoAnswer):
            ask(url)


def test_the_body_of_an_error_may_be_cut(serve: Serve) -> None:
    url = serve(lambda peer: peer.sendall(head(100, status="503 Slow down") + b"half"))
    assert ask(url).status == 503


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("3", 3), ("0", 0), ("-5", 0), (None, 7), ("", 7), ("soon", 7), ("nan", 7), ("inf", 7), ("1" * 5000, 7)],
)
def test_seconds_of_a_header(said: str | None, seconds: float) -> None:
    assert web.seconds_of(said, 7) == seconds


@pytest.mark.parametrize(
    "said", [None, "", "yesterday", "Sat, 27 Jun 99999999999 06:00:00 GMT", "Sat, 27 Jun 0001 06:00:00 GMT", "1" * 9999]
)
def test_a_date_that_is_none_is_an_error(said: str | None) -> None:
    with pytest.raises(ValueError):
        web.instant_of(said)


@pytest.mark.parametrize(
    ("said", "is_one"),
    [
        ("Wed, 31 Dec 2014 23:59:59 GMT", False), ("Thu, 01 Jan 2015 00:00:00 GMT", True),
        ("Tue, 31 Dec 2199 23:59:59 GMT", True), ("Wed, 01 Jan 2200 00:00:00 GMT", False),
    ],
)  # fmt: skip
def test_a_date_before_there_was_an_exchange_or_in_centuries_is_no_clocks(said: str, is_one: bool) -> None:
    if is_one:
        assert f"{web.instant_of(said):%d %b %Y %H:%M:%S}" in said
    else:
        with pytest.raises(ValueError, match=said):
            web.instant_of(said)


def test_a_date_is_in_utc() -> None:
    assert web.instant_of("Sat, 27 Jun 2026 06:02:00 GMT") == datetime(2026, 6, 27, 6, 2, tzinfo=UTC)

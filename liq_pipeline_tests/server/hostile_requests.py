"""Hostile input for the service: requests on its socket.

Each function tries one input and raises AssertionError (or whatever escaped) on an outcome that is not documented.
"""

from __future__ import annotations

import contextlib
import json
import socket
import tempfile
import time
from functools import cache
from pathlib import Path
from random import Random

from liq_pipeline_tests.server.small import GOOD, HURT, publish_small, serve

SECONDS = 2.0


@cache
def folder() -> Path:
    return publish_small(Path(tempfile.mkdtemp(prefix="liq-hostile-")))


@cache
def port() -> int:
    return serve(folder())[2]


_PATHS = (
    "/", "/symbols", "/health", "/metrics", "/candles", "/liquidations/levels", "/liquidations/heatmap",
    "/liquidations/summary", "/liquidations/if-reached?symbol=BTCUSDT", "/static/docs.js", "/static/..%2f..%2fetc",
    "/openapi.json", "/symbols/", "//", "/%00",
    "*", "/frontend/liquidation_map.html", "http://other.example/symbols", "/%ff%fe", "/é", "/a" * 50,
)  # fmt: skip
_QUERIES = (
    f"symbol={GOOD}", f"symbol={GOOD}&timeframe=90d", f"symbol={GOOD}&format=csv", "symbol=", "symbol=%FF",
    "symbol[]=1",
    f"symbol={GOOD}&min_usd=nan", f"symbol={GOOD}&min_usd=1e400", f"symbol={GOOD}&side=long&side=short", "&&&=&", "%",
    f"symbol={GOOD}&at=2026-06-28", f"symbol={GOOD}&at=2026-06-27T23:57Z&format=csv", f"symbol={GOOD}&at=1e9",
    f"symbol={GOOD}&format=coinglass", f"symbol={GOOD}&format=parquet&side=short&min_usd=1e15", "symbol[]=2",
    "timeframe=" + "9" * 5000,
    f"symbol={GOOD}%00", "symbol=" + "%F0%9F%92%A9" * 9, f"symbol={GOOD}&timeframe=٣d", "x=" + "y" * 1900,
    f"symbol={HURT}",
    "symbol=ﬁ", "symbol=%ED%A0%80", "symbol=ß" * 3,
)  # fmt: skip
_HEADERS = (
    "Accept-Encoding: gzip;q=0", "Accept-Encoding: *;q=0.5, gzip;q=x", "Accept-Encoding: gzip, deflate, br",
    "If-None-Match: *", 'If-None-Match: W/"abc", "', "If-None-Match: \xff", "Content-Length: 0", "Content-Length: 5",
    "Content-Length: " + "0" * 5000, "Content-Length: -1", "Content-Length: 99999999999999999999999",
    "Content-Length: ٣",
    "Transfer-Encoding: chunked", "Transfer-Encoding: gzip, chunked", "Authorization: Bearer \xff\xfe",
    "Authorization: ",
    "Host: other.example", "Host: a b", "Host: ", "Host: [::1]:99999", "Connection: close", "Connection: upgrade",
    "Upgrade: websocket", "Upgrade: h2c", "Expect: 100-continue", "Range: bytes=0-1", "Origin: null", "Cookie: a=b",
    "X: " + "y" * 9000, "X: " + "y" * 40_000, "\xff\xfe: 1", ": no name", "no colon", " folded", "X:\tt",
    "X-Null: \x00",
    "X-Forwarded-For: 1.2.3.4", "Content-Type: application/json", "Accept: */*;q=\xb2",
)  # fmt: skip


def one_request(random: Random) -> None:
    """Send one request to a running service; its answer is HTTP, in time, and no mistake of the service's own."""
    data, is_head = request_bytes(random)
    began = time.process_time()  # the service is a thread of this process; others may keep the machine busy
    answer, _ = ask(port(), data)
    assert (seconds := time.process_time() - began) < SECONDS, f"{seconds:.1f} s for {data[:300]!r}"
    judge(answer, data, is_head)


def request_bytes(random: Random) -> tuple[bytes, bool]:
    """Return one request, more or less, and whether it is HEAD."""
    method = random.choices(("GET", "HEAD", "POST", "OPTIONS", "TRACE", "get", "FOO", ""), (80, 8, 3, 3, 2, 1, 1, 1))[0]
    target = random.choice(_PATHS) + (f"?{random.choice(_QUERIES)}" if random.random() < 0.7 else "")
    version = random.choices(("HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/1.10", ""), (90, 5, 2, 2, 1))[0]
    lines = [f"{method} {target} {version}", *(["Host: x"] if random.random() < 0.9 else [])]
    lines += random.choices(_HEADERS, k=random.choice((0, 0, 1, 1, 2, 4)))
    text = "\r\n".join(lines) + "\r\n\r\n"
    data = text.encode("utf-8" if random.random() < 0.5 else "latin-1", "replace")
    if random.random() < 0.15:
        data = mutated(random, data)
    return data, method == "HEAD"


def mutated(random: Random, data: bytes) -> bytes:
    """Return bytes with a few faults."""
    changed = bytearray(data)
    for _ in range(random.randint(1, 4)):
        place = random.randrange(len(changed) + 1)
        match random.randrange(5):
            case 0 if changed:
                changed[min(place, len(changed) - 1)] ^= 1 << random.randrange(8)
            case 1:
                del changed[place : place + random.randrange(9)]
            case 2:
                changed[place:place] = random.randbytes(random.randrange(9))
            case 3 if random.random() < 0.1:
                del changed[place:]
            case _:
                changed[place:place] = changed[place : place + random.randrange(30)]
    return bytes(changed)


def ask(port: int, data: bytes) -> tuple[bytes, float]:
    """Send bytes; return all that is answered to the first request, and the seconds it took."""
    began = time.monotonic()
    answer = b""
    with (
        socket.create_connection(("127.0.0.1", port), 10 * SECONDS) as connection,
        contextlib.suppress(ConnectionError),
    ):
        connection.sendall(data)
        while piece := connection.recv(1 << 20):
            answer += piece
            head, found, body = answer.partition(b"\r\n\r\n")
            length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            if found and (data.startswith(b"HEAD ") or (length and len(body) >= int(length[0].split(b":")[1]))):
                break
            if found and b" 304 " in head[:13]:
                break
    return answer, time.monotonic() - began


def judge(answer: bytes, data: bytes, is_head: bool = False) -> int:
    """Raise unless this is an answer that the service documents; return its status (0: closed without one)."""
    if not answer:
        return 0  # cut off: what came was not HTTP, or ended too early
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 "), (answer[:200], data[:300])
    status = int(head[9:12])
    if status == 100:
        return judge(body, data, is_head)
    assert status in (200, 304, 308, 400, 404, 405, 408, 413, 414, 422, 431), (answer[:400], data[:300])
    if status >= 400 and not is_head and not data.startswith(b"HEAD"):
        assert b"content-type: application/problem+json" in head.lower(), (answer[:400], data[:300])
        assert json.loads(body)["status"] == status
    return status

"""The service speaks HTTP as it is written: methods, conditions, compression, tokens of any bytes."""

from __future__ import annotations

import json

import pytest

LEVELS = "/liquidations/levels?symbol=BTCUSDT"
ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"


def test_the_pages_form_tells_age_and_instant_as_the_json_does(own_service) -> None:
    service = own_service()
    for path in (LEVELS, f"{LEVELS}&at=2026-06-27T12:00Z", "/liquidations/heatmap?symbol=BTCUSDT&timeframe=7d"):
        old = service.get(f"{path}&format=packed").headers["etag"]
        service.hours += 1
        found, wanted = service.get(f"{path}&format=packed"), service.get(path).json()
        facts = json.loads(found.content[4 : 4 + int.from_bytes(found.content[:4], "little")])
        assert found.headers["content-type"] == "application/octet-stream"
        assert {name: facts[name] for name in ("as_of", "notice", "current_price")} == {
            name: wanted[name] for name in ("as_of", "notice", "current_price")
        }
        assert (found.headers["etag"] == old) is ("at=" in path)


def test_two_formats_have_two_etags(service) -> None:
    tags = {service.get(LEVELS, headers={"Accept": accept}).headers["etag"] for accept in ("text/csv", ARROW, PARQUET)}

    assert len(tags) == 3


def test_an_unchanged_answer_is_not_sent_again(own_service) -> None:
    service = own_service()
    for path in (LEVELS, "/liquidations/heatmap?symbol=BTCUSDT", "/candles?symbol=BTCUSDT", "/", "/static/docs.js"):
        first = service.get(path)
        again = service.get(path, headers={"If-None-Match": first.headers["etag"]})
        assert (first.status_code, again.status_code, again.content) == (200, 304, b"")
        assert again.headers["etag"] == first.headers["etag"]
    old = service.get(LEVELS).headers["etag"]
    service.hours = 1
    assert service.get(LEVELS, headers={"If-None-Match": old}).status_code == 200


def test_large_answers_are_compressed_if_the_client_can(service) -> None:
    plain = service.get(LEVELS, headers={"Accept-Encoding": "identity"})
    packed = service.get(LEVELS, headers={"Accept-Encoding": "gzip"})

    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(plain.content) / 2
    assert packed.content == plain.content


def test_the_old_address_leads_to_the_page(service) -> None:
    moved = service.get("/frontend/liquidation_map.html?timeframe=30")

    assert moved.status_code == 308
    assert moved.headers["location"] == "/?timeframe=30d&view=map"
    assert service.get("/frontend/liquidation_map.html?timeframe=%0d%0aX:1&symbol=%0d%0aY:2").status_code == 308


def test_bodies_and_other_methods_are_refused(service) -> None:
    import requests

    assert requests.post(service.url + "/symbols", data=b"x" * 20_000, timeout=5).status_code == 413
    assert requests.post(service.url + "/symbols", timeout=5).status_code == 405
    assert requests.delete(service.url + LEVELS, timeout=5).headers["content-type"] == "application/problem+json"


def test_other_origins_read_only_if_they_are_named(own_service, service) -> None:
    asked = {"Origin": "https://example.org"}
    allowed = own_service(origins=("https://example.org",))

    assert "access-control-allow-origin" not in service.get(LEVELS, headers=asked).headers
    assert allowed.get(LEVELS, headers=asked).headers["access-control-allow-origin"] == "https://example.org"
    other = allowed.get(LEVELS, headers={"Origin": "https://other.example"})
    assert "access-control-allow-origin" not in other.headers


def raw(service, request: bytes) -> bytes:
    """Return all that is answered to bytes on a connection of their own."""
    import socket

    got = b""
    with socket.create_connection(("127.0.0.1", int(service.url.rsplit(":", 1)[1])), 5) as connection:
        connection.sendall(request)
        while piece := connection.recv(1 << 20):
            got += piece
    return got


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["GET /symbols HTTP/1.1"], 400),
        (["GET /symbols HTTP/1.1", "Host: a", "Host: b"], 400),
        (["GET /symbols HTTP/1.1", "Host: a b"], 400),
        (["GET /symbols HTTP/1.1", "Host: http://a/"], 400),
        (["GET /symbols HTTP/1.1", "Host: user@a"], 400),
        (["GET /symbols HTTP/1.0"], 200),
        (["GET /symbols HTTP/1.1", "Host: [::1]:8000"], 200),
        (["GET /symbols HTTP/1.1", "Host: x", "Content-Length: " + "0" * 5000], 200),
        (["GET /symbols HTTP/1.1", "Host: x", "Content-Length: 20000"], 413),
        (["GET /symbols HTTP/1.1", "Host: x", "Content-Length: " + "9" * 18], 413),
        (["GET /symbols HTTP/1.1", "Host: x", "Content-Length: " + "9" * 5000], 400),
        (["GET /symbols HTTP/1.1", "Host: x", "Content-Length: -1"], 400),
        (["GET /symbols HTTP/1.1", "Host: x", "Content-Length: 1", "Content-Length: 2"], 400),
        (["GET /symbols HTTP/1.1", "Host: x", "Upgrade: websocket"], 200),
        (["TRACE /symbols HTTP/1.1", "Host: x"], 405),
        (["FOO /symbols HTTP/1.1", "Host: x"], 400),
        (["GET /symbols HTTP/9.9", "Host: x"], 400),
    ],
)
def test_requests_are_read_as_http_has_it(service, lines, status) -> None:
    answer = raw(service, "\r\n".join([*lines, "Connection: upgrade, close", "", ""]).encode())
    head = answer.partition(b"\r\n\r\n")[0]

    assert int(head[9:12]) == status
    if status >= 400:
        assert b"application/problem+json" in head


@pytest.mark.parametrize("path", ["/symbols/", "/health/", "/liquidations/levels/?symbol=BTCUSDT", "//other.example/"])
def test_no_answer_sends_anybody_elsewhere(service, path) -> None:
    answer = service.get(path, headers={"Host": "other.example"})

    assert answer.status_code == 404
    assert "location" not in answer.headers
    moved = service.get("/frontend/liquidation_map.html", headers={"Host": "other.example"})
    assert moved.headers["location"].startswith("/?")


@pytest.mark.parametrize(
    "path", ["/", "/symbols", "/health", "/metrics", LEVELS, "/static/docs.js", "/nothing", LEVELS + "&side=x"]
)
def test_head_answers_like_get_without_the_body(service, path) -> None:
    import requests

    whole = service.get(path)
    head = requests.head(service.url + path, timeout=5)

    assert head.status_code == whole.status_code
    assert head.content == b""
    for name in ("content-type", "etag", "cache-control"):
        assert head.headers.get(name) == whole.headers.get(name)
    if path not in ("/health", "/metrics"):  # they count requests
        assert head.headers["content-length"] == whole.headers["content-length"]


def test_a_method_that_is_not_there_names_those_that_are(service) -> None:
    import requests

    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "POST"):
        answer = requests.request(method, service.url + LEVELS, timeout=5)
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    ("accepts", "is_packed"),
    [
        ("gzip", True), ("GZIP", True), ("gzip;q=0.5", True), ("deflate, gzip;q=1.0, *;q=0.5", True), ("*", True),
        ("x-gzip", True), ("br, *;q=0.1", True), ("identity;q=0.5, gzip;q=0.8", True), ("identity;q=0, gzip", True),
        ("gzip;q=0", False), ("gzip; q=0.000", False), ("*;q=0", False), ("gzip;q=0, *", False), ("gzip;q=x", False),
        ("", False), ("br", False), ("gzipped", False), ("identity, gzip;q=0.5", False), ("gzip;q=-1", False),
    ],
)  # fmt: skip
def test_answers_are_compressed_only_for_who_wants_it(service, accepts, is_packed) -> None:
    answer = service.get(LEVELS, headers={"Accept-Encoding": accepts})

    assert ("content-encoding" in answer.headers) is is_packed
    assert answer.headers["vary"] == "Accept, Accept-Encoding"
    assert answer.json()["symbol"] == "BTCUSDT"


@pytest.mark.parametrize("token", ["secret", "gehe\u00efm", b"raw\xff\xfe".decode(errors="surrogateescape")])
def test_a_token_may_hold_any_bytes(own_service, token) -> None:
    service = own_service(token=token)
    bearer = b"Authorization: Bearer " + token.encode(errors="surrogateescape")
    ask = b"GET /symbols HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"

    assert raw(service, ask + bearer + b"\r\n\r\n").startswith(b"HTTP/1.1 200")
    for wrong in (b"", b"Authorization: Bearer \xff\r\n", bearer + b"x\r\n", b"Authorization: \xfe\r\n"):
        assert raw(service, ask + wrong + b"\r\n").startswith(b"HTTP/1.1 401")


def test_a_page_that_changed_has_another_tag_even_if_it_is_as_long(own_service, monkeypatch) -> None:
    from liq_pipeline.server import pages

    before = own_service().get("/").headers["etag"]
    plain = pages.service_html()
    monkeypatch.setattr(pages, "service_html", lambda: plain.replace(b"Loading", b"Leading"))

    assert own_service().get("/").headers["etag"] != before

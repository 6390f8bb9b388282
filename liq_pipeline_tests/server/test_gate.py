"""What passes the gate and what is refused at it; what goes wrong behind it is answered, logged and counted."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from liq_pipeline.server.gate import Gate
from liq_pipeline.server.metrics import ServiceMetrics
from liq_pipeline_tests.server.conftest import Service

SCOPE = {
    "type": "http", "method": "GET", "path": "/x", "query_string": b"", "http_version": "1.1",
    "headers": [(b"host", b"x")],
}  # fmt: skip


@pytest.mark.parametrize("origins", [(), ("https://example.org",)], ids=["plain", "with origins"])
def test_a_mistake_of_the_service_is_a_problem_that_names_the_log_which_has_it_once(
    origins: tuple[str, ...], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    service = Service(tmp_path, datetime(2026, 6, 28, tzinfo=UTC), origins=origins)
    service.hours = float("nan")  # no clock can be moved by that
    failed = service.get("/health")
    service.hours = 0.0
    counted = service.get("/metrics").text
    service.stop()

    assert failed.status_code == 500
    assert failed.headers["content-type"] == "application/problem+json"
    assert failed.headers["x-content-type-options"] == "nosniff"
    assert failed.json() == {
        "type": "about:blank", "title": "Internal Server Error", "status": 500,
        "detail": "The service made a mistake; it is in its log.",
    }  # fmt: skip
    assert [one.name for one in caplog.records if one.exc_info] == ["liq.serve"]
    assert 'liq_requests_total{endpoint="/health",status="500",timeframe=""} 1.0' in counted


async def nobody(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 299, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def passed(gate: Gate, *headers: tuple[bytes, bytes], **changes: Any) -> int:
    """Return the status of what comes back through the gate."""
    told: list[int] = []

    async def send(message: Any) -> None:
        told.append(message.get("status", 0))

    asyncio.run(gate({**SCOPE, **changes, "headers": [*SCOPE["headers"], *headers]}, None, send))  # type: ignore[arg-type]
    return told[0]


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ((b"content-length", b"10000"), 299),
        ((b"content-length", b"10001"), 413),
        ((b"content-length", b"0010000"), 299),
        ((b"content-length", b"100000"), 413),
        ((b"content-length", b"+1"), 413),
        ((b"transfer-encoding", b"chunked"), 413),
    ],
)
def test_a_body_may_have_ten_thousand_bytes_if_it_says_so_before(header: tuple[bytes, bytes], status: int) -> None:
    assert passed(Gate(nobody, ServiceMetrics()), header) == status


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/", "GET", 299), ("/docs", "GET", 299), ("/health", "GET", 299), ("/openapi.json", "GET", 299),
        ("/static/page.js", "GET", 299), ("/frontend/liquidation_map.html", "GET", 299), ("/symbols", "OPTIONS", 299),
        ("/symbols", "GET", 401), ("/symbols", "HEAD", 401), ("/static", "GET", 401), ("/docs/", "GET", 401),
        ("/files/static/x", "GET", 401),
    ],
)  # fmt: skip
def test_a_token_is_asked_for_all_but_the_page_its_parts_and_health(path: str, method: str, status: int) -> None:
    assert passed(Gate(nobody, ServiceMetrics(), token="secret"), path=path, method=method) == status


def test_each_client_has_its_own_number_of_requests() -> None:
    gate = Gate(nobody, ServiceMetrics(), rate="2/hour")
    first, second = ({"client": (address, 1)} for address in ("192.0.2.1", "192.0.2.2"))

    assert [passed(gate, **first) for _ in range(3)] == [299, 299, 429]
    assert passed(gate, **second) == 299


@pytest.mark.parametrize(
    ("query", "label"),
    [(b"timeframe=7d", "7d"), (b"x=1&timeframe=90", "90d"), (b"timeframe=8d", ""), (b"timeframe=", ""), (b"", "")],
)
def test_a_timeframe_is_counted_under_its_name_and_what_is_none_under_none(query: bytes, label: str) -> None:
    watch = ServiceMetrics()
    passed(Gate(nobody, watch), query_string=query)

    assert [row["timeframe"] for row in watch.report()] == [label or None]


def test_an_answer_that_has_begun_is_broken_off_and_counted_as_what_it_began_with(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 206, "headers": []})
        raise RuntimeError("in the middle")

    async def send(message: Any) -> None:
        said.append(message["type"])

    said: list[str] = []
    watch = ServiceMetrics()
    with caplog.at_level(logging.ERROR), pytest.raises(RuntimeError, match="in the middle"):
        asyncio.run(Gate(app, watch)(dict(SCOPE), None, send))  # type: ignore[arg-type]

    assert said == ["http.response.start"]
    assert "in the middle" in caplog.text
    assert b'liq_requests_total{endpoint="other",status="206",timeframe=""} 1.0' in watch.exposition({}, 0, {})

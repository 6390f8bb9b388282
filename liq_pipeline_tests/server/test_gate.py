"""What goes wrong in the app: an answer that says so, a line in the log, and the service goes on."""

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

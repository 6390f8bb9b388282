"""How the service tells how it is doing: shares, percentiles, and a line in the log where it is slow or wrong."""

from __future__ import annotations

import pytest

from liq_pipeline.server import metrics as module
from liq_pipeline.server.metrics import ServiceMetrics


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which a test can move."""
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_errors_are_logged_and_what_the_client_did_wrong_is_not(caplog: pytest.LogCaptureFixture) -> None:
    watch = ServiceMetrics()
    for status in (200, 404, 499, 500, 503):
        watch.count("/x", "1d", status, 0.1, False)

    assert caplog.messages == ["/x 1d answered 500", "/x 1d answered 503"]


def test_slowness_is_said_from_two_seconds_on_and_once_a_minute(
    clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    watch = ServiceMetrics()
    for later, seconds in ((0, 2.0), (1, 2.5), (1, 2.5), (59, 2.5), (1, 2.5)):
        clock[0] += later
        watch.count("/x", "1d", 200, seconds, False)

    assert caplog.messages == [
        "/x 1d is slow: p95 2.48 s over 2 requests", "/x 1d is slow: p95 2.50 s over 5 requests",
    ]  # fmt: skip


def test_rates_are_shares_of_the_requests_seen() -> None:
    watch = ServiceMetrics()
    for status, empty in ((200, False), (200, True), (200, False), (503, True), (404, False)):
        watch.count("/x", "1d", status, 0.01, empty)

    (seen,) = watch.report()
    assert (seen["requests"], seen["error_rate"], seen["empty_rate"]) == (5, 0.2, 0.4)


def test_percentiles_are_milliseconds_of_the_newest_thousand_by_endpoint_and_timeframe() -> None:
    watch = ServiceMetrics()
    for seconds in (9.0, *(number / 1e3 for number in range(1001))):  # the first two are forgotten
        watch.count("/x", "", 200, seconds, False)
    watch.count("/x", "1d", 200, 0.0123456, False)

    every, daily = watch.report()
    assert (every["endpoint"], every["timeframe"], every["requests"]) == ("/x", None, 1002)
    assert [every[name] for name in ("p50_ms", "p95_ms", "p99_ms")] == [500.5, 950.05, 990.01]
    assert [daily[name] for name in ("timeframe", "p50_ms", "p99_ms")] == ["1d", 12.346, 12.346]

"""What a recorder says: why there is no connection, how many orders it wrote, how long it heard of none."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from websockets.datastructures import Headers
from websockets.exceptions import InvalidStatus
from websockets.http11 import Response

from liq_pipeline.exchange.connection import reason_of
from liq_pipeline.simulator.stream import steady_orders
from liq_pipeline_tests.streaming import NOON, QUICK, tell_until, until


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (403, "HTTP 403, blocked"),
        (418, "HTTP 418, banned"),
        (429, "HTTP 429, asked too often"),
        (451, "HTTP 451, fenced in this country"),
        (503, "HTTP 503"),
    ],
)
def test_a_refusal_says_what_its_status_means(status: int, said: str) -> None:
    assert reason_of(InvalidStatus(Response(status, "", Headers()))) == said


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (TimeoutError("timed out"), "no answer in time"),
        (OSError("no route to host"), "no route to host"),
        (ConnectionResetError(), "ConnectionResetError"),
    ],
    ids=repr,
)
def test_an_error_says_its_own_words_or_else_its_name(error: Exception, said: str) -> None:
    assert reason_of(error) == said


def test_each_report_counts_the_orders_since_the_one_before(server, clock, start) -> None:
    def counted() -> int:
        counts = (re.search(r" (\d+) forced orders written", line) for line in list(running.lines))
        return sum(int(count[1]) for count in counts if count)

    with start() as running:
        for seconds in (2, 5):
            tell_until(server, running, clock, NOON + timedelta(seconds=seconds))
            until(lambda seconds=seconds: counted() == seconds)
        reports = running.has_said("forced orders written")
        until(lambda: running.has_said("forced orders written") > reports)
    assert counted() == 5
    assert running.has_said(" 0 forced orders written, 5 since the start")


def test_silence_is_counted_since_the_newest_order_or_since_it_was_last_said(server, clock, start) -> None:
    """Not since the older of both: a long silence would be told again and again."""
    with start(pace=replace(QUICK, quiet=0.3)) as running:
        server.mute()
        until(lambda: running.has_said("connected, but no forced order"))
        reports = running.has_said("forced orders written")
        until(lambda: running.has_said("forced orders written") >= reports + 2)
        assert running.has_said("connected, but no forced order") == 1
        until(lambda: running.has_said("connected, but no forced order") == 2)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(30.6, "our clock is +31 s beside"), (-30.6, "our clock is -31 s beside"), (30.0, ""), (-30.0, ""), (0.0, "")],
)
def test_a_clock_that_is_more_than_thirty_seconds_off_is_said_with_the_first_order(
    clock, start, seconds: float, said: str
) -> None:
    running, (first, second) = start(), steady_orders("BTCUSDT", NOON, 2)
    for order in (first, second):
        clock.instant = NOON + timedelta(milliseconds=order.event_ms - NOON.timestamp() * 1000, seconds=seconds)
        running.recorder.take(json.dumps(order.message()))

    assert running.recorder.rejected == 0
    assert running.has_said("our clock is") == running.has_said(said or "our clock is") == bool(said)

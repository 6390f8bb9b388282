"""The simulated REST interface has the limits and errors of the real one (exchange.md 3)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import requests

from liq_pipeline.simulator.market import Market, MarketConfig, simulate
from liq_pipeline.simulator.rest import BAN_AFTER, KLINES, OPEN_INTEREST, RestServer

NOW = datetime(2026, 6, 26, 12, 3, tzinfo=UTC)


@pytest.fixture(scope="module")
def market() -> Market:
    return simulate(MarketConfig(first_day=date(2026, 6, 24), days=4, traders=100))


@pytest.fixture
def server(market: Market) -> Iterator[RestServer]:
    with RestServer({"BTCUSDT": market}, lambda: NOW, limit_per_5_minutes=30) as server:
        yield server


def ask(server: RestServer, path: str, **query: Any) -> requests.Response:
    return requests.get(server.url + path, params={"symbol": "BTCUSDT", **query}, timeout=5)


def ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


@pytest.mark.parametrize(
    ("path", "query", "code"),
    [
        (OPEN_INTEREST, {"period": "5m", "limit": 501}, -1130),
        (OPEN_INTEREST, {"period": "7m"}, -1120),
        (OPEN_INTEREST, {"period": "5m", "startTime": ms(NOW - timedelta(days=31))}, -1130),
        (OPEN_INTEREST, {"period": "5m", "symbol": "NOSUCH"}, -1121),
        (OPEN_INTEREST, {"period": "5m", "symbol": ""}, -1102),
        (KLINES, {"interval": "5m", "limit": 1501}, -1130),
        (KLINES, {"interval": "1s"}, -1120),
    ],
)
def test_what_is_not_allowed_is_an_error_with_its_code(server: RestServer, path: str, query: dict, code: int) -> None:
    answer = ask(server, path, **query)
    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_with_a_start_alone_the_newest_rows_come(server: RestServer) -> None:
    start = NOW - timedelta(days=2)
    newest = ask(server, OPEN_INTEREST, period="5m", limit=3, startTime=ms(start)).json()
    assert newest[-1]["timestamp"] == ms(NOW.replace(minute=0))
    first = ask(server, OPEN_INTEREST, period="5m", limit=3, startTime=ms(start), endTime=ms(NOW)).json()
    assert first[0]["timestamp"] == ms(start + timedelta(minutes=2))


def test_nothing_is_known_before_it_has_happened_and_the_open_bar_is_there(server: RestServer) -> None:
    rows = ask(server, KLINES, interval="5m").json()
    assert rows[-1][0] <= ms(NOW) < rows[-1][6]
    assert rows[-2][6] < ms(NOW)


def test_the_bucket_overflows_into_429_and_then_a_ban(server: RestServer) -> None:
    statuses = [ask(server, OPEN_INTEREST, period="5m").status_code for _ in range(30 + BAN_AFTER + 1)]
    assert statuses == [200] * 30 + [429] * BAN_AFTER + [418]
    assert ask(server, OPEN_INTEREST, period="5m").headers["Retry-After"] == "180"


def test_a_fence_answers_451_in_the_words_of_the_exchange(market: Market) -> None:
    with RestServer({"BTCUSDT": market}, lambda: NOW, fenced=True) as server:
        answer = ask(server, KLINES, interval="5m")
    assert answer.status_code == 451
    assert answer.json()["msg"].startswith("Service unavailable from a restricted location")

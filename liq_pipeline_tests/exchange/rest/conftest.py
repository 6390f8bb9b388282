"""A simulated exchange over REST, and a client that waits in moments only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from liq_pipeline.exchange.rest import RestClient
from liq_pipeline.simulator.market import Market, MarketConfig, simulate
from liq_pipeline.simulator.rest import RestServer
from liq_pipeline_tests.exchange.rest.answers import FIRST, NOW, QUICK, Open


@pytest.fixture(scope="session")
def market() -> Market:
    return simulate(MarketConfig(seed=3, first_day=FIRST, days=5, traders=200))


@pytest.fixture
def opened(market: Market) -> Open:
    """Open a simulated exchange and a client that waits in moments only; keywords go to the exchange."""

    @contextmanager
    def open_(max_wait_seconds: float = 10, **options: Any) -> Iterator[tuple[RestClient, RestServer]]:
        with RestServer({"BTCUSDT": market}, options.pop("now", lambda: NOW), **options) as server:
            waits: list[float] = []
            client = RestClient(
                server.url, retry=QUICK, timeout_seconds=(1, 0.5), max_wait_seconds=max_wait_seconds, pause=waits.append
            )
            client.waits = waits  # type: ignore[attr-defined]
            yield client, server

    return open_

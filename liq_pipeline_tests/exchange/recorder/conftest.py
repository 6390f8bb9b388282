"""A server of streams, a clock moved by hand, and a recorder of one into a folder."""

import pytest

from liq_pipeline.simulator.stream import StreamServer, steady_orders
from liq_pipeline_tests.streaming import NOON, HandClock, Running


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
def server(clock):
    orders = steady_orders("BTCUSDT", NOON, 600) + steady_orders("ETHUSDT", NOON, 600, price=3_000.0, side="BUY")
    with StreamServer(orders, clock.now) as server:
        yield server


@pytest.fixture
def start(server, clock, tmp_path):
    """Return a recorder of the server's streams into `tmp_path / recorded`."""

    def make(**options):
        return Running(f"{server.url}/market", tmp_path / "recorded", clock, **options)

    return make

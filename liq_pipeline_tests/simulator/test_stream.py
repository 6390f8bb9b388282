"""The simulated streams behave as the real ones do, faults included, over real sockets."""

import json
from collections import Counter
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from liq_pipeline.simulator.market import MarketConfig, simulate
from liq_pipeline.simulator.stream import StreamServer, forced_orders_of, steady_orders
from liq_pipeline_tests.streaming import NOON, HandClock, until

COMBINED = "/market/stream?streams=btcusdt@forceOrder"


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
def server(clock):
    orders = steady_orders("BTCUSDT", NOON, 50) + steady_orders("ETHUSDT", NOON, 50, price=3_000.0, side="BUY")
    with StreamServer(orders, clock.now) as server:
        yield server


@pytest.fixture
def listen(server):
    """Open a connection that the server knows of."""

    def open_one(path=COMBINED):
        before = server.opened
        found = connect(server.url + path, ping_interval=None, close_timeout=0.2)
        until(lambda: server.opened > before)
        return found

    return open_one


def test_an_order_is_told_at_its_time_to_who_listens_then(server, clock, listen):
    clock.move(seconds=3)
    until(lambda: server.told == 6)
    with listen() as socket:
        clock.move(seconds=2)
        told = [json.loads(socket.recv(5)) for _ in range(2)]
        with pytest.raises(TimeoutError):
            socket.recv(0.05)
    assert [one["stream"] for one in told] == ["btcusdt@forceOrder"] * 2
    assert [one["data"]["o"]["q"] for one in told] == ["0.004", "0.005"]
    order = told[0]["data"]["o"]
    assert told[0]["data"]["e"] == "forceOrder"
    assert told[0]["data"]["E"] - order["T"] == 750
    assert (order["s"], order["S"], order["X"], order["p"]) == ("BTCUSDT", "SELL", "FILLED", "90000")


def test_a_single_stream_comes_without_a_wrapping(server, clock, listen):
    with listen("/market/ws/ethusdt@forceOrder") as socket:
        clock.move(seconds=1)
        assert json.loads(socket.recv(5))["o"]["s"] == "ETHUSDT"


@pytest.mark.parametrize(
    "path",
    ["/stream?streams=btcusdt@forceOrder", "/ws/btcusdt@forceOrder", "/public/stream?streams=btcusdt@forceOrder",
     "/market/stream?streams=BTCUSDT@forceOrder"],
)  # fmt: skip
def test_what_is_not_routed_or_not_in_lower_case_connects_and_stays_silent(path, server, clock, listen):
    with listen(path) as socket:
        clock.move(seconds=5)
        until(lambda: server.told == 10)
        with pytest.raises(TimeoutError):
            socket.recv(0.05)
        assert socket.ping().wait(5)


def test_refusals_drops_and_the_end_of_a_life(server, clock, listen):
    server.refuse(451)
    with pytest.raises(InvalidStatus) as refused:
        connect(server.url + COMBINED)
    assert refused.value.response.status_code == 451
    server.accept()
    with listen() as socket:
        server.drop()
        with pytest.raises(ConnectionClosed) as broken:
            socket.recv(5)
        assert broken.value.rcvd is None
    server.life_messages = 2
    with listen() as socket:
        clock.move(seconds=5)
        assert json.loads(socket.recv(5))
        assert json.loads(socket.recv(5))
        with pytest.raises(ConnectionClosed) as ended:
            socket.recv(5)
        assert ended.value.rcvd.reason == "24 hours"


def test_frozen_it_does_not_even_answer_a_ping_and_garbage_is_passed_on(server, listen):
    with listen() as socket:
        server.say("{]")
        assert socket.recv(5) == "{]"
        server.freeze()
        assert not socket.ping().wait(0.1)


def test_the_stream_tells_the_largest_order_of_each_second_and_so_less_than_happened():
    market = simulate(MarketConfig(first_day=date(2026, 6, 20), days=2, traders=2_000))
    orders = forced_orders_of(market)
    assert len(orders) > 100
    assert max(Counter(order.ts_ms // 1000 for order in orders).values()) == 1
    ends = market.bars["ts"].astype("datetime64[ms]").astype(np.int64)
    liquidations = market.liquidations
    told = {"SELL": np.zeros(ends.size), "BUY": np.zeros(ends.size)}
    for order in orders:
        assert order.ts_ms < order.event_ms <= order.ts_ms + 1000
        told[order.side][np.searchsorted(ends, order.ts_ms)] += order.usd
    for side, name in (("SELL", "long_usd"), ("BUY", "short_usd")):
        happened = liquidations[name]
        rounding = 0.003 * 100_000  # quantities have three decimals
        assert (told[side] <= happened + rounding).all()
        assert told[side].sum() > 0.5 * happened.sum()
    both = market.liquidations["long_usd"].sum() + market.liquidations["short_usd"].sum()
    assert sum(order.usd for order in orders) <= both * 1.001


def test_the_same_market_gives_the_same_stream():
    config = MarketConfig(first_day=date(2026, 6, 20), days=1, traders=500)
    assert forced_orders_of(simulate(config)) == forced_orders_of(simulate(config))


def test_what_lies_before_the_start_is_never_told():
    late = HandClock(NOON + timedelta(seconds=48))
    with StreamServer(steady_orders("BTCUSDT", NOON, 50), late.now) as server, connect(server.url + COMBINED) as socket:
        until(lambda: server.listeners == 1)
        late.instant = datetime(2026, 6, 21, tzinfo=UTC)
        assert [json.loads(socket.recv(5))["data"]["o"]["q"] for _ in range(2)] == ["0.049", "0.050"]
        with pytest.raises(TimeoutError):
            socket.recv(0.05)

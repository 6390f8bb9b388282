"""Connections that break, fall silent or end: what was not heard is a gap, and nothing else is. Over real sockets."""

import json
import threading
from dataclasses import replace

import pytest
from websockets.datastructures import Headers
from websockets.exceptions import InvalidStatus
from websockets.http11 import Response

from liq_pipeline.errors import SettingsError
from liq_pipeline.exchange.forced_orders import stream_url
from liq_pipeline.exchange.recorded import read_coverage
from liq_pipeline_tests.exchange.recorder.recordings import after, numbers
from liq_pipeline_tests.streaming import NOON, QUICK, settle, tell_until, until


def test_a_lost_connection_is_a_gap_that_ends_where_it_was_last_proven_alive(server, clock, start, tmp_path):
    with start() as running:
        tell_until(server, running, clock, after(3))
        server.refuse(503)
        server.drop()
        until(lambda: running.has_said("cannot connect: HTTP 503"))
        clock.instant = after(10)
        until(lambda: server.told == 20)
        server.accept()
        until(lambda: running.has_said("connected: ") == 2)
        tell_until(server, running, clock, after(12))
        assert running.has_said("connection lost") == 1
        assert running.has_said("GAP of 7.0 s")
    assert numbers(tmp_path / "recorded") == [1, 2, 3, 11, 12]
    assert read_coverage(tmp_path / "recorded", "BTCUSDT") == [(NOON, after(3)), (after(10), after(12))]


def test_a_connection_that_is_silently_dead_is_noticed_and_what_it_missed_is_a_gap(server, clock, start, tmp_path):
    with start() as running:
        tell_until(server, running, clock, after(3))
        server.freeze()
        clock.instant = after(8)  # nobody hears these, though nothing was closed
        until(lambda: running.has_said("connected: ") == 2)
        assert running.has_said("silent: no answer to a ping in 0.2 s") == 1
        tell_until(server, running, clock, after(10))
    assert numbers(tmp_path / "recorded") == [1, 2, 3, 9, 10]
    assert read_coverage(tmp_path / "recorded", "BTCUSDT") == [(NOON, after(3)), (after(8), after(10))]


def test_an_answer_that_comes_late_proves_the_time_until_it_was_asked_for_only(server, clock, start, tmp_path):
    with start(pace=replace(QUICK, ping=0.3, pong=5)) as running:
        tell_until(server, running, clock, after(3))
        (connection,) = running.recorder._connections
        server.freeze()
        waiting = connection.socket.pending_pings
        until(lambda: waiting)
        clock.instant = after(8)
        server.thaw()
        until(lambda: not waiting)
        server.drop()
        until(lambda: running.has_said("connected: ") == 2)
        clock.instant = after(9)
    assert read_coverage(tmp_path / "recorded", "BTCUSDT") == [(NOON, after(3)), (after(8), after(9))]


def test_a_new_connection_is_open_before_the_old_one_is_closed(server, clock, start, tmp_path):
    """Twenty hand-overs while orders keep coming: none is lost, none is doubled, and there is no gap."""
    overlapping = []
    stop = threading.Event()

    def watch():
        while not stop.wait(0.0005):
            overlapping.append(server.listeners)

    watcher = threading.Thread(target=watch)
    watcher.start()
    with start(pace=replace(QUICK, life=0.03)) as running:
        for second in range(1, 401):
            clock.instant = after(second)
            until(lambda second=second: server.told >= 2 * second)
        until(lambda: server.opened > 20)
        settle(running, clock)
    stop.set()
    watcher.join()
    assert max(overlapping) == 2
    assert running.error is None
    assert not running.has_said("GAP")
    assert not running.has_said("connection lost")
    assert numbers(tmp_path / "recorded") == list(range(1, 401))
    assert read_coverage(tmp_path / "recorded", "BTCUSDT") == [(NOON, after(400))]


def test_the_same_order_over_two_connections_is_one_row(server, clock, start, tmp_path):
    with start() as running:
        tell_until(server, running, clock, after(2))
        order = server.orders[0].message()
        order["E"] += 400  # another connection may be told a little later
        server.say(json.dumps({"stream": "btcusdt@forceOrder", "data": order}))
        settle(running, clock)
    assert running.recorder.rejected == 0
    assert sorted(numbers(tmp_path / "recorded")) == [1, 2]


def test_the_end_of_a_life_by_the_exchange_costs_a_moment(server, clock, start, tmp_path):
    with start() as running:
        tell_until(server, running, clock, after(2))
        server.farewell()
        until(lambda: running.has_said("connected: ") == 2)
        tell_until(server, running, clock, after(4))
        assert running.has_said("24 hours") == 1
    assert numbers(tmp_path / "recorded") == [1, 2, 3, 4]


@pytest.mark.parametrize("status", [403, 451])
def test_a_refusal_is_named_and_asked_again_late(status, server, start):
    server.refuse(status)
    with start(pace=replace(QUICK, first_pause=0.001, longest_pause=0.3)) as running:
        until(lambda: running.has_said(f"HTTP {status}") == 2)
        server.accept()
        until(lambda: running.has_said("connected: "))
    assert running.error is None
    assert server.opened == 1


def test_attempts_become_rarer_up_to_a_bound(start):
    running = start(pace=replace(QUICK, first_pause=1.0, longest_pause=60.0))
    pauses = []
    for failures in (1, 2, 3, 6, 7, 2000):
        running.recorder._failures = failures
        pauses.append(running.recorder._pause())
    wanted = [1, 2, 4, 32, 60, 60]
    assert all(most / 2 <= pause <= most for pause, most in zip(pauses, wanted, strict=True))
    assert pauses[-1] != running.recorder._pause(), "attempts of many recorders must not fall together"


@pytest.mark.parametrize(
    ("statuses", "retry_after", "least", "most"),
    [
        ((403, 418, 429, 451), None, 60, 60),
        ((403, 418, 429, 451), "120", 120, 120),
        ((403, 418, 429, 451), "20", 60, 60),
        ((403, 418, 429, 451), "86400", 3600, 3600),
        ((403, 418, 429, 451), "soon", 60, 60),
        ((404, 500, 503), "120", 0.5, 1),
    ],
)
def test_a_refusal_is_waited_out_for_an_hour_at_most_and_an_outage_is_not(start, statuses, retry_after, least, most):
    running = start(pace=replace(QUICK, first_pause=1.0, longest_pause=60.0))
    running.recorder._failures = 1
    headers = Headers({"Retry-After": retry_after} if retry_after else {})
    for status in statuses:
        assert least <= running.recorder._pause(InvalidStatus(Response(status, "", headers))) <= most


def test_a_stream_that_is_alive_but_says_nothing_is_called_strange(server, clock, start):
    with start(pace=replace(QUICK, quiet=0.1)) as running:
        server.mute()
        until(lambda: running.has_said("connected, but no forced order"))
    assert running.has_said("connection lost") == 0


@pytest.mark.parametrize(
    ("address", "symbols", "says"),
    [
        ("wss://fstream.binance.com", ("BTCUSDT",), "not routed"),
        ("wss://fstream.binance.com/ws", ("BTCUSDT",), "not routed"),
        ("https://fstream.binance.com/market", ("BTCUSDT",), "not the address of a stream"),
        ("wss://fstream.binance.com/market", tuple(f"COIN{n}USDT" for n in range(400)), "400 symbols"),
    ],
)
def test_addresses_that_would_stay_silent_are_refused(address, symbols, says):
    with pytest.raises(SettingsError, match=says):
        stream_url(address, symbols)


def test_the_address_is_routed_and_in_lower_case():
    assert stream_url("wss://fstream.binance.com/market/", ("BTCUSDT", "币安人生USDT")) == (
        "wss://fstream.binance.com/market/stream?streams=btcusdt@forceOrder/"
        "%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9Fusdt@forceOrder"
    )

"""The recorder keeps the stream: nothing lost, nothing twice, and what it did not hear is a gap. Over real sockets."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from liq_pipeline.clock import Clock
from liq_pipeline.errors import RecorderBusy, RecordingFailed, SettingsError
from liq_pipeline.exchange.forced_orders import Malformed, parse_message, stream_url
from liq_pipeline.exchange.recorded import RecordingFolder, orders_path, read_coverage, read_orders
from liq_pipeline.simulator.stream import StreamServer, steady_orders
from liq_pipeline_tests.streaming import NOON, QUICK, HandClock, Running, settle, tell_until, until

BOTH = ("BTCUSDT", "ETHUSDT")


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


def after(seconds):
    return NOON + timedelta(seconds=seconds)


def numbers(folder, symbol="BTCUSDT"):
    """The numbers of the steady orders that were recorded, 1 being the first."""
    return [round(quantity * 1000) for quantity in read_orders(folder, symbol)["quantity"].to_pylist()]


def rejects(folder):
    return [row for file in folder.glob("quarantine/*/*.parquet") for row in pq.read_table(file).to_pylist()]


# what is kept


def test_every_order_is_kept_once_by_symbol_and_day_with_its_units_and_the_caveat(server, clock, start, tmp_path):
    with start(symbols=BOTH) as running:
        tell_until(server, running, clock, after(5))
    folder = tmp_path / "recorded"
    assert numbers(folder) == [1, 2, 3, 4, 5]
    assert numbers(folder, "ETHUSDT") == [1, 2, 3, 4, 5]
    first = read_orders(folder, "BTCUSDT").to_pylist()[0]
    assert first == {
        "symbol": "BTCUSDT", "ts": after(0.25), "event_time": after(1), "side": "SELL", "order_type": "LIMIT",
        "time_in_force": "IOC", "price": 90_000.0, "average_price": 90_000.0, "quantity": 0.001,
        "last_filled_quantity": 0.001, "filled_quantity": 0.001, "status": "FILLED", "received_at": after(5),
    }  # fmt: skip
    schema = pq.read_schema(folder / "forced_orders/symbol=BTCUSDT/day=2026-06-20/forced_orders.parquet")
    assert schema.metadata[b"note"].startswith(b"LOWER BOUND")
    assert all(b"meaning" in field.metadata for field in schema)
    assert read_coverage(folder, "ETHUSDT") == [(NOON, after(5))]


def test_any_reader_reads_it_with_one_glob(server, clock, start, tmp_path):
    duckdb = pytest.importorskip("duckdb")
    with start(symbols=BOTH) as running:
        tell_until(server, running, clock, after(3))
    found = duckdb.sql(
        f"SELECT symbol, count(*) FROM '{tmp_path}/recorded/forced_orders/*/*/*.parquet' GROUP BY ALL ORDER BY ALL"
    )
    assert found.fetchall() == [("BTCUSDT", 3), ("ETHUSDT", 3)]


def test_a_day_ends_at_midnight_utc(clock, tmp_path):
    midnight = datetime(2026, 6, 21, tzinfo=UTC)
    clock.instant = midnight - timedelta(seconds=5)
    with (
        StreamServer(steady_orders("BTCUSDT", clock.instant, 10), clock.now) as server,
        Running(f"{server.url}/market", tmp_path, clock) as running,
    ):
        tell_until(server, running, clock, midnight - timedelta(seconds=1))
        tell_until(server, running, clock, midnight + timedelta(seconds=5))
    days = [pq.read_table(orders_path(tmp_path, "BTCUSDT", day.date()), partitioning=None)
            for day in (midnight - timedelta(1), midnight)]  # fmt: skip
    assert [day.num_rows for day in days] == [5, 5]
    assert max(days[0]["ts"].to_pylist()) < midnight <= min(days[1]["ts"].to_pylist())
    assert len(list(tmp_path.glob("coverage/day=*/coverage.parquet"))) == 2
    assert read_coverage(tmp_path, "BTCUSDT") == [(midnight - timedelta(seconds=5), midnight + timedelta(seconds=5))]


def test_it_writes_while_it_runs(server, clock, start, tmp_path):
    with start() as running:
        tell_until(server, running, clock, after(4))
        until(lambda: len(numbers(tmp_path / "recorded")) == 4)
        until(lambda: running.has_said("4 since the start"))
        assert running.has_said("BTCUSDT 4")


def test_a_restart_goes_on_with_the_day_and_the_time_between_is_a_gap(server, clock, start, tmp_path):
    with start() as running:
        tell_until(server, running, clock, after(3))
    clock.instant = after(6)
    until(lambda: server.told == 12)
    with start() as running:
        tell_until(server, running, clock, after(9))
        assert running.has_said("GAP of 3.0 s")
    assert numbers(tmp_path / "recorded") == [1, 2, 3, 7, 8, 9]
    assert read_coverage(tmp_path / "recorded", "BTCUSDT") == [(NOON, after(3)), (after(6), after(9))]


# connections


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


# what is not taken

GOOD = steady_orders("BTCUSDT", NOON, 1)[0].message()


def changed(**fields):
    return json.dumps({"stream": "s", "data": {**GOOD, "o": {**GOOD["o"], **fields}}})


GARBAGE = {
    "{]": "not JSON",
    "[" * 100_000: "not JSON",
    "9" * 10_000: "not JSON",
    "[1]": "not a forced order",
    "null": "not a forced order",
    '{"result":null,"id":1}': "not a forced order",
    '{"stream":"s","data":{"e":"markPriceUpdate","E":1}}': "not a forced order",
    '{"stream":"s","data":[]}': "data: not an object",
    '{"e":"forceOrder","E":1}': "o: not an object",
    changed(s="DOGEUSDT"): "not a symbol that we asked for",
    changed(s=["BTCUSDT"]): "not a symbol that we asked for",
    changed(S="SIDEWAYS"): "neither BUY nor SELL",
    changed(p=9910): "o.p: not a positive number",
    changed(p="NaN"): "o.p: not a positive number",
    changed(p="1_000"): "o.p: not a positive number",
    changed(p="0"): "o.p: not a positive number",
    changed(q="-1"): "o.q: not a positive number",
    changed(z=None): "o.z: not a number",
    changed(X={}): "o.X: not a word",
    changed(T="1782000000000"): "T: not milliseconds",
    changed(T=True): "T: not milliseconds",
    changed(T=10**30): "T: not milliseconds",
    changed(T=GOOD["o"]["T"] + 10**10): "days from our clock",
    changed(T=GOOD["o"]["T"] + 2 * 3600 * 1000): "more than an hour apart",
}


@pytest.mark.parametrize(("message", "reason"), GARBAGE.items(), ids=lambda text: text[:24])
def test_what_is_not_an_order_is_refused_with_its_reason(message, reason):
    with pytest.raises(Malformed, match=reason):
        parse_message(message, BOTH, NOON)


def test_garbage_never_enters_never_stops_and_is_kept_apart(server, clock, start, tmp_path):
    with start() as running:
        tell_until(server, running, clock, after(1))
        for message in (*GARBAGE, b"\xff\xfe\x00"):
            server.say(message)
        tell_until(server, running, clock, after(3))
        assert running.has_said("connected: ") == 1
    assert numbers(tmp_path / "recorded") == [1, 2, 3]
    kept = rejects(tmp_path / "recorded")
    assert running.recorder.rejected == len(GARBAGE) + 1
    assert len(kept) >= 20, "the first of each write are kept, all are counted"
    assert all(row["reason"] for row in kept)
    assert max(len(row["message"]) for row in kept) == 500


# folders and disks


def test_two_recorders_on_one_folder_are_refused(start):
    with start() as first:
        with start() as second:
            until(lambda: second.error)
        assert isinstance(second.error, RecorderBusy)
        assert "another recorder" in str(second.error)
        assert first.error is None


def test_while_the_disk_refuses_orders_wait_in_memory(server, clock, start, tmp_path):
    blocked = tmp_path / "recorded" / "forced_orders"
    blocked.parent.mkdir()
    blocked.write_text("a file where a folder should be")
    with start() as running:
        tell_until(server, running, clock, after(5))
        until(lambda: running.has_said("5 orders are kept in memory"))
        assert not list(tmp_path.glob("recorded/coverage/*/*")), "covered is only what is on the disk"
        blocked.unlink()
        until(lambda: len(numbers(tmp_path / "recorded")) == 5)
    assert running.error is None
    assert read_coverage(tmp_path / "recorded", "BTCUSDT") == [(NOON, after(5))]


def test_a_disk_that_goes_on_refusing_ends_it_with_a_clear_error(server, clock, start, tmp_path):
    (tmp_path / "recorded").mkdir()
    (tmp_path / "recorded" / "forced_orders").write_text("")
    with start(most_unsaved=10) as running:
        clock.instant = after(50)
        until(lambda: running.error)
    assert isinstance(running.error, RecordingFailed)
    assert "make room on the disk" in str(running.error)
    assert read_coverage(tmp_path / "recorded", "BTCUSDT") is None


def test_a_damaged_day_is_set_aside_and_no_longer_covered(server, clock, start, tmp_path):
    folder = tmp_path / "recorded"
    with start() as running:
        tell_until(server, running, clock, after(3))
    path = orders_path(folder, "BTCUSDT", NOON.date())
    path.write_bytes(b"not parquet")
    with start() as running:
        tell_until(server, running, clock, after(5))
        assert running.error is None
    assert running.has_said("damaged") == 1
    assert numbers(folder) == [4, 5]
    assert read_coverage(folder, "BTCUSDT") == [(after(3), after(5))]
    assert path.with_name("forced_orders.parquet.damaged").read_bytes() == b"not parquet"


# the command, as a process of its own

KILLS = 8
SPEED = 100  # seconds of the exchange per real second


@pytest.fixture
def fast():
    """A clock that every process shares: LIQ_NOW, at a hundred times the real speed."""
    started = datetime.now(UTC)
    return Clock(fixed=NOON.isoformat(), speed=SPEED, started=started.isoformat())


@pytest.fixture
def liq_record(fast, child_env, tmp_path):
    """Start `liq record`; the flush interval of a process is a fifth of a second."""
    code = (
        "import sys, liq_pipeline.cli.recording as r; from liq_pipeline.exchange.connection import Timeouts; "
        "from liq_pipeline.settings import load_settings; "
        "sys.exit(r.record(load_settings(), lambda line: print(line, flush=True), "
        "Timeouts(flush=0.2, ping=0.05, tell=0.2)))"
    )
    processes = []

    def run(url):
        env = child_env(
            LIQ_STREAM=f"{url}/market", LIQ_DATA_DIR=str(tmp_path), LIQ_SYMBOLS=",".join(BOTH), LIQ_NOW=fast.fixed,
            LIQ_REPLAY_SPEED=str(SPEED), LIQ_REPLAY_STARTED=fast.started, PYTHONPATH=str(Path.cwd()),
        )  # fmt: skip
        process = subprocess.Popen(
            [sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        processes.append(process)
        for line in process.stdout:
            if "connected: " in line:
                return process
        raise AssertionError("it did not connect")

    yield run
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


def steady_server(fast, seconds=20_000):
    return StreamServer([o for symbol in BOTH for o in steady_orders(symbol, NOON, seconds)], fast.now)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_asked_to_stop_it_writes_what_it_has_and_says_so(number, code, fast, liq_record, tmp_path):
    with steady_server(fast) as server:
        process = liq_record(server.url)
        began = server.told
        until(lambda: server.told > began + 60)
        os.kill(process.pid, number)
        output, _ = process.communicate(timeout=20)
    assert process.returncode == code, output
    assert f"(exit code {code})" in output
    (stretch,) = read_coverage(tmp_path / "recorded", "BTCUSDT")
    complete(tmp_path / "recorded", [stretch])


@pytest.mark.slow
def test_killed_at_any_moment_it_leaves_whole_files_and_the_truth_about_its_gaps(fast, liq_record, tmp_path):
    folder, chance = tmp_path / "recorded", random.Random(2026)
    with steady_server(fast) as server:
        for kill in range(KILLS):
            process = liq_record(server.url)
            wanted = server.told + int(chance.uniform(0, 150))
            until(lambda wanted=wanted: server.told >= wanted)
            if not kill:
                until(lambda: read_coverage(folder, "BTCUSDT"))
            process.kill()
            process.wait()
            for file in folder.rglob("*.parquet"):
                pq.read_table(file, partitioning=None)  # raises on half a file
        process = liq_record(server.url)
        until(lambda begun=server.told: server.told > begun + 60)
        process.terminate()
        output, _ = process.communicate(timeout=20)
    assert process.returncode == 0, output
    stretches = read_coverage(folder, "BTCUSDT")
    assert len(stretches) >= 2, "every restart leaves a gap"
    complete(folder, stretches)
    assert not list(folder.rglob("*.tmp"))


def complete(folder, stretches):
    """No row stands twice, and within the stretches that count as covered not one order is missing."""
    for symbol in BOTH:
        found = numbers(folder, symbol)
        assert max(Counter(found).values()) == 1
        # Order n has traded at n - 0.75 s and is told at n s: the last seconds of a stretch may not have been told yet.
        covered = {
            number
            for since, until_ in stretches
            for number in range(20_000)
            if since <= after(number) and after(number) < until_ - timedelta(seconds=2)
        }
        assert len(covered) > 10
        assert covered <= set(found)


def test_the_verb_says_what_is_wrong_with_its_settings(liq, tmp_path):
    found = liq("record", "--data", tmp_path, "--stream", "wss://fstream.binance.com")
    assert found.code == 2
    assert "not routed" in found.err
    with RecordingFolder(tmp_path / "recorded"):
        found = liq("record", "--data", tmp_path)
    assert found.code == 1
    assert "another recorder" in found.err

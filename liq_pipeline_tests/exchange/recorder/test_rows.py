"""The recorder keeps every order once, refuses what is none, and outlives a disk that refuses. Over real sockets."""

import json
from datetime import UTC, datetime, timedelta

import pyarrow.parquet as pq
import pytest

from liq_pipeline.errors import RecorderBusy, RecordingFailed
from liq_pipeline.exchange.forced_orders import Malformed, parse_message
from liq_pipeline.exchange.recorded import orders_path, read_coverage, read_orders
from liq_pipeline.simulator.stream import StreamServer, steady_orders
from liq_pipeline_tests.exchange.recorder.recordings import BOTH, after, numbers, rejects
from liq_pipeline_tests.streaming import NOON, Running, tell_until, until

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


@pytest.mark.parametrize("sign", [1, -1], ids=["past", "future"])
@pytest.mark.parametrize(("milliseconds", "is_taken"), [(0, True), (1, False)])
def test_an_order_a_week_from_our_clock_is_taken_and_one_farther_away_is_not(sign, milliseconds, is_taken):
    message = json.dumps({**GOOD, "E": GOOD["o"]["T"], "o": GOOD["o"]})
    ours = after(0.25) + sign * timedelta(days=7, milliseconds=milliseconds)
    if is_taken:
        assert parse_message(message, BOTH, ours).ts == after(0.25)
    else:
        with pytest.raises(Malformed, match="more than 7 days from our clock"):
            parse_message(message, BOTH, ours)


@pytest.mark.parametrize("sign", [1, -1], ids=["event later", "event earlier"])
@pytest.mark.parametrize(("milliseconds", "is_taken"), [(0, True), (1, False)])
def test_an_order_that_was_told_an_hour_away_is_taken_and_one_farther_away_is_not(sign, milliseconds, is_taken):
    message = json.dumps({**GOOD, "E": GOOD["o"]["T"] + sign * (3_600_000 + milliseconds)})
    if is_taken:
        assert parse_message(message, BOTH, NOON).event_time == after(0.25 + sign * 3600)
    else:
        with pytest.raises(Malformed, match="more than an hour apart"):
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


def test_as_many_orders_wait_in_memory_as_were_allowed_and_none_beyond(start):
    running = start(most_unsaved=3)
    first, second, third, fourth = (json.dumps(order.message()) for order in steady_orders("BTCUSDT", NOON, 4))
    for message in (first, second, second, third):
        assert running.recorder.take(message)
    with pytest.raises(RecordingFailed, match="3 orders could not be written"):
        running.recorder.take(fourth)


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

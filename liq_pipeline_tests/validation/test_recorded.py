"""A recorded stream as truth: what was not covered is unknown, not zero, and all of it is a lower bound."""

import shutil
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest

from liq_pipeline.errors import NoData
from liq_pipeline.exchange.forced_orders import parse_message
from liq_pipeline.exchange.recorded import Batch, Connected, RecordingFolder, Reject, read_coverage, read_orders
from liq_pipeline.model.alignment import match_steps
from liq_pipeline.orchestration.refresh import refresh
from liq_pipeline.settings import Settings
from liq_pipeline.simulator.mirror import publish
from liq_pipeline.simulator.stream import StreamServer, forced_orders_of
from liq_pipeline.validation.command import run_validation
from liq_pipeline.validation.inputs import read_inputs
from liq_pipeline.validation.recorded import recording_at
from liq_pipeline.validation.report import report_folder
from liq_pipeline_tests.streaming import HandClock, Running, tell_until, until
from liq_pipeline_tests.validation.conftest import frames, write

pytestmark = pytest.mark.whole_run

OFF = ((3.30, 3.52), (9.0, 10.25))  # days in which nobody listens; not on the grid of the bars


@pytest.fixture(scope="module")
def begun(scene):
    return datetime.combine(scene.market.config.first_day, datetime.min.time(), UTC)


@pytest.fixture(scope="module")
def orders(scene):
    return forced_orders_of(scene.market)


@pytest.fixture(scope="module")
def recording(scene, begun, orders, tmp_path_factory):
    """24 days of a market, streamed to the real recorder, with two stretches in which it is cut off."""
    folder = tmp_path_factory.mktemp("record") / "recorded"
    clock = HandClock(begun)
    with StreamServer(orders, clock.now) as server, Running(f"{server.url}/market", folder, clock) as running:
        for number, (off, on) in enumerate(OFF):
            tell_by_days(server, running, clock, begun + timedelta(days=off))
            server.refuse(503)
            server.drop()
            until(lambda: server.listeners == 0)
            clock.instant = begun + timedelta(days=on)
            due = sum(order.event_ms <= clock.instant.timestamp() * 1000 for order in orders)
            until(lambda due=due: server.told == due)
            server.accept()
            until(lambda number=number: running.has_said("connected: ") == number + 2)
        tell_by_days(server, running, clock, begun + timedelta(days=scene.market.config.days, seconds=10))
    assert running.error is None
    assert not running.recorder.rejected
    return folder


def tell_by_days(server, running, clock, end):
    """An order that is days away from the recorder's clock would not be believed."""
    while clock.instant < end:
        tell_until(server, running, clock, min(end, clock.instant + timedelta(days=1)))


@pytest.fixture(scope="module")
def files(tmp_path_factory, scene):
    return write(tmp_path_factory.mktemp("files"), frames(scene))


def inputs_of(files, folder, symbol="BTCUSDT"):
    return read_inputs(files.klines, files.open_interest, folder, bar_minutes=15, symbol=symbol)


def is_off(instants, begun):
    days = (instants - np.datetime64(begun.replace(tzinfo=None))) / np.timedelta64(1, "D")
    return [np.asarray((days >= off) & (days < on)) for off, on in OFF]


def test_the_recorder_kept_what_was_told_while_it_listened(recording, begun, orders):
    off = [(begun + timedelta(days=a), begun + timedelta(days=b)) for a, b in OFF]
    told = {(o.ts_ms, round(o.quantity, 3)) for o in orders
            if not any(a.timestamp() * 1000 < o.event_ms <= b.timestamp() * 1000 for a, b in off)}  # fmt: skip
    found = read_orders(recording, "BTCUSDT").to_pylist()
    assert {(round(row["ts"].timestamp() * 1000), row["quantity"]) for row in found} == told
    assert len(found) == len(told) > 1000
    covered = read_coverage(recording, "BTCUSDT")
    assert len(covered) == 3
    assert [(a[1], b[0]) for a, b in pairwise(covered)] == off


def test_bars_that_were_not_covered_whole_are_left_out_and_quiet_ones_count_as_zero(recording, files, scene, begun):
    found = inputs_of(files, recording)
    ends = found.truth.end
    touching = is_off(ends, begun)[0] | is_off(ends - np.timedelta64(15, "m"), begun)[0]
    assert not touching.any()
    missing = np.setdiff1d(scene.market.bars["ts"].astype("datetime64[us]"), ends)
    # The second pause begins with a bar: the end of the bar before is not known either, since orders are told late.
    uncovered = sum(np.ceil(round(96 * on, 6)) - np.floor(96 * (off - 2 / 86_400)) for off, on in OFF)
    assert missing.size == uncovered
    quiet = (found.truth.long_usd == 0) & (found.truth.short_usd == 0)
    assert quiet.any()
    steps = match_steps(found.data, found.truth)
    assert not np.isin(missing, steps.end).any()


def test_within_what_was_covered_the_sums_are_those_of_the_market_or_less(recording, files, scene):
    truth = inputs_of(files, recording).truth
    rows = np.isin(scene.market.bars["ts"].astype("datetime64[us]"), truth.end)
    happened = scene.market.liquidations["long_usd"][rows]
    assert (truth.long_usd <= happened + 300).all()  # quantities have three decimals
    assert truth.long_usd.sum() > 0.5 * happened.sum()


def test_the_notes_say_lower_bound_and_what_is_unknown(recording, files):
    notes = " ".join(inputs_of(files, recording).notes)
    assert "LOWER BOUND" in notes
    assert "in 3 stretches" in notes
    assert "unknown and left out" in notes


def test_without_coverage_it_says_that_nobody_knows(recording, files, tmp_path, begun):
    folder = shutil.copytree(recording, tmp_path / "recorded")
    shutil.rmtree(folder / "coverage")
    found = inputs_of(files, folder)
    assert "WITHOUT COVERAGE" in " ".join(found.notes)
    assert found.facts["coverage_is_unknown"]
    off = is_off(found.truth.end - np.timedelta64(15, "m"), begun)[1]
    assert off.sum() > 100
    # The first bar of the gap was covered in part: all that is known after it is zero.
    assert not found.truth.long_usd[off][1:].any()


def test_gates_judge_a_recording_and_the_report_says_what_it_is(recording, files, tmp_path):
    found = run_validation(
        files.klines, files.open_interest, recording, "15m", "BTCUSDT", churn_per_turnover=0.05, out=tmp_path / "report"
    )
    gates = {gate.number: gate for gate in found.gates}
    assert gates[1].passed, gates[1].found
    assert gates[2].passed, gates[2].found
    assert found.flows.rows["walk"].alone.value > found.shuffled_truth.rows["walk"].alone.value + 0.1
    assert "LOWER BOUND" in (tmp_path / "report" / "validation.md").read_text()
    assert found.source == "recorded"


def test_orders_that_have_nothing_to_do_with_the_market_fail_the_gates(files, scene, begun, tmp_path):
    rng = np.random.default_rng(4)
    mixed = []
    for order in forced_orders_of(scene.market):
        message = order.message()
        message["o"]["T"] = int(begun.timestamp() * 1000) + int(rng.integers(0, 24 * 86_400_000))
        message["E"] = message["o"]["T"] + 500
        at = datetime.fromtimestamp(message["E"] / 1000, UTC)
        mixed.append(parse_message(str(message).replace("'", '"'), ("BTCUSDT",), at))
    with RecordingFolder(tmp_path / "recorded") as folder:
        folder.write(Batch(mixed, [Connected(begun, begun + timedelta(days=24), ("BTCUSDT",))]))
    found = run_validation(files.klines, files.open_interest, tmp_path / "recorded", "15m", "BTCUSDT")
    assert not found.passed
    assert {gate.number for gate in found.gates if not gate.passed} >= {1, 2, 3}


def test_another_symbol_or_another_time_is_said(recording, files, tmp_path, begun):
    with pytest.raises(NoData, match=r"no forced order of ETHUSDT.*BTCUSDT"):
        inputs_of(files, recording, "ETHUSDT")
    folder = shutil.copytree(recording, tmp_path / "recorded")
    shutil.rmtree(folder / "coverage")
    with RecordingFolder(folder) as other:
        late = begun + timedelta(days=100)
        other.write(Batch(connected=[Connected(late, late + timedelta(days=1), ("BTCUSDT",))]))
    with pytest.raises(NoData, match=r"24\.0 hours were covered, none of them"):
        inputs_of(files, folder)


@pytest.mark.parametrize("inside", [".", "..", "forced_orders", "forced_orders/symbol=BTCUSDT"])
def test_a_recording_is_found_from_near_by(inside, recording):
    found = recording_at((recording / inside).resolve())
    assert found == recording


def test_a_bar_in_which_a_message_was_not_understood_is_unknown(recording, files, tmp_path, begun):
    folder = shutil.copytree(recording, tmp_path / "recorded")
    at = begun + timedelta(days=5, minutes=20)
    with RecordingFolder(folder) as other:
        other.write(Batch(rejects=[Reject(at, "not JSON", "{]"), Reject(begun - timedelta(days=1), "not JSON", "")]))
    before, found = (inputs_of(files, one).truth for one in (recording, folder))
    assert np.setdiff1d(before.end, found.end).tolist() == [datetime(2026, 6, 6, 0, 30)]  # noqa: DTZ001
    assert found.long_usd.sum() > 0.99 * before.long_usd.sum()


@pytest.mark.slow
def test_the_asset_scores_a_recording_that_a_setting_names(scene, recording, tmp_path):
    publish(scene.market, tmp_path / "exchange", intervals=("15m",), defects=())
    config = scene.market.config
    settings = Settings(
        symbols=config.symbol, bar="15m", archive=str(tmp_path / "exchange"), data_dir=tmp_path / "data",
        since=config.first_day, now=datetime(2026, 6, 25, 6, tzinfo=UTC), truth=f"BTCUSDT={recording}",
        pictures=False,
    )  # fmt: skip
    result = next(iter(refresh(settings)))
    assert result.published, result.errors
    report = report_folder(settings.published_dir, "BTCUSDT", "recorded") / "validation.md"
    assert "LOWER BOUND" in report.read_text()

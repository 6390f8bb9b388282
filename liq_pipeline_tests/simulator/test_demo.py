"""The demo's mirror is built once, completely, and only in a folder of its own."""

import shutil
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from liq_pipeline.errors import LiqError
from liq_pipeline.exchange.recorded import read_coverage, read_orders
from liq_pipeline.simulator.demo import RECORDED_DAYS, build_demo_mirror, demo_markets

TINY = [replace(config, days=2, traders=50) for config in demo_markets()]


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_demo_covers_120_days_with_the_label_change_inside():
    configs = demo_markets()
    assert [config.symbol for config in configs] == ["BTCUSDT", "ETHUSDT", "SOLUSDT"]
    assert {(config.first_day, config.days) for config in configs} == {(date(2026, 4, 3), 120)}


def test_it_tells_where_what_and_when(tmp_path):
    told = []
    demo = build_demo_mirror(tmp_path / "demo", told.append, TINY)
    assert demo.symbols == ("BTCUSDT", "ETHUSDT", "SOLUSDT")
    assert demo.since == date(2026, 4, 3)
    assert demo.now == datetime(2026, 4, 5, 6, tzinfo=UTC)
    assert len(told) == 6
    assert len(list(demo.folder.rglob("*-20??-??-??.zip"))) == 3 * 2 * 2


def test_the_second_time_nothing_is_written(tmp_path):
    first = build_demo_mirror(tmp_path, markets=TINY)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    told = []
    assert build_demo_mirror(tmp_path, told.append, TINY) == first
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    assert len(told) == 1


def test_another_configuration_replaces_all_of_it(tmp_path):
    build_demo_mirror(tmp_path / "a", markets=TINY)
    build_demo_mirror(tmp_path / "a", markets=TINY[:1])
    build_demo_mirror(tmp_path / "b", markets=TINY[:1])
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_an_interrupted_build_starts_again(tmp_path):
    def interrupt(line):
        if line.startswith("ETHUSDT: publishing"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_demo_mirror(tmp_path / "a", interrupt, TINY)
    build_demo_mirror(tmp_path / "a", markets=TINY)
    build_demo_mirror(tmp_path / "b", markets=TINY)
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_a_folder_of_somebody_else_is_left_alone(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine.txt").write_text("mine")
    with pytest.raises(LiqError, match="did not write"):
        build_demo_mirror(tmp_path, markets=TINY)
    assert (tmp_path / "data" / "mine.txt").read_text() == "mine"


def test_it_leaves_a_recording_once_as_if_somebody_had_listened_for_weeks(tmp_path):
    assert RECORDED_DAYS >= 15  # a day of warm-up, and the 14 from which on ranges are shown
    place = tmp_path / "recorded"
    build_demo_mirror(tmp_path / "exchange", markets=TINY, recorded=place)
    for config in TINY:
        orders = read_orders(place, config.symbol)
        assert orders.num_rows
        assert read_coverage(place, config.symbol)
    before = files(place)
    build_demo_mirror(tmp_path / "exchange", markets=TINY, recorded=place)
    assert files(place) == before
    shutil.rmtree(place)
    build_demo_mirror(tmp_path / "exchange", markets=TINY, recorded=place)
    assert files(place) == before

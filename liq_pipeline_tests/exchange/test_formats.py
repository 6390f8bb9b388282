"""The archive's files as they are, and the defects that are mended."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from liq_pipeline.exchange.formats import KLINES_SCHEMA, OPEN_INTEREST_SCHEMA, read_klines, read_open_interest
from liq_pipeline.exchange.label_check import label_shift_disagreements, observed_label_shift

DAY = date(2026, 1, 11)
MIDNIGHT = datetime(2026, 1, 11, tzinfo=UTC)
SHARED = Path(__file__).parents[3] / "shared" / "archive"
shared = pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/archive is not here")


# Golden rows: exchange.md, section 8


def test_golden_open_interest_rows(files: Any) -> None:
    one = files.metrics(
        date(2024, 4, 5),
        [
            "2024-04-05 00:05:00,BTCUSDT,78432.716,5360432578.13101,1.42340146,1.20394800,1.47815614,0.37383300",
            "2024-04-06 00:00:02,BTCUSDT,75172.170,5098412003.9472,1.77730106,1.22438300,1.62792057,0.30651700",
        ],
    )
    parsed = read_open_interest([one], "BTCUSDT")
    assert parsed.bad == []
    assert parsed.table.schema == OPEN_INTEREST_SCHEMA
    assert parsed.notes == {"jitter_snapped": 1}
    first, last = parsed.table.to_pylist()
    assert first == {
        "symbol": "BTCUSDT",
        "ts": datetime(2024, 4, 5, 0, 5, tzinfo=UTC),
        "open_interest": 78432.716,
        "open_interest_value_usd": 5360432578.13101,
        "count_toptrader_long_short_ratio": 1.42340146,
        "sum_toptrader_long_short_ratio": 1.203948,
        "count_long_short_ratio": 1.47815614,
        "sum_taker_long_short_vol_ratio": 0.373833,
        "create_time": datetime(2024, 4, 5, 0, 5, tzinfo=UTC),
        "file_date": date(2024, 4, 5),
        "source": "archive",
    }
    assert last["ts"] == datetime(2024, 4, 6, tzinfo=UTC)
    assert last["create_time"] == datetime(2024, 4, 6, 0, 0, 2, tzinfo=UTC)
    assert parsed.facts[0].rows == 2
    assert (parsed.facts[0].first_ts, parsed.facts[0].last_ts) == (first["ts"], last["ts"])


def test_golden_doubled_rows(files: Any) -> None:
    row = "2020-09-01 00:00:00,BTCUSDT,39080.23100000,456144339.23360443,1.17547937,1.23012681,1.35731217,0.78373373"
    parsed = read_open_interest([files.metrics(date(2020, 9, 1), [row, row])], "BTCUSDT")
    assert parsed.table.num_rows == 1
    assert parsed.notes == {"duplicate_rows": 1}


def test_golden_quoted_empty_cells(files: Any) -> None:
    row = '2021-12-30 00:05:00,BTCUSDT,72516.054,3437120278.45,"","","",""'
    parsed = read_open_interest([files.metrics(date(2021, 12, 30), [row])], "BTCUSDT")
    only = parsed.table.to_pylist()[0]
    assert only["open_interest"] == 72516.054
    assert only["count_long_short_ratio"] is None


def test_golden_kline_without_header(files: Any) -> None:
    path = files.zip(
        "BTCUSDT-1m-2020-01-01.zip",
        ["1577836860000,7182.43,7182.44,7178.75,7179.01,70.909,1577836919999,509145.78482,140,32.597,234063.27884,0"],
    )
    parsed = read_klines([path], "BTCUSDT", "1m")
    assert parsed.bad == []
    assert parsed.table.schema == KLINES_SCHEMA
    assert parsed.notes == {"headerless_files": 1}
    only = parsed.table.to_pylist()[0]
    assert only["open_time"] == datetime(2020, 1, 1, 0, 1, tzinfo=UTC)
    assert only["ts"] == datetime(2020, 1, 1, 0, 2, tzinfo=UTC)
    assert (only["close"], only["quote_volume"], only["trade_count"]) == (7179.01, 509145.78482, 140)


# Defects that are mended


def test_the_label_change_keeps_both_midnight_rows(files: Any, rows_of_day: Callable[..., list[str]]) -> None:
    """Label 2026-06-25 00:00 stands in both files and means 00:00 in the first, 00:05 in the second."""
    old = files.metrics(date(2026, 6, 24), ["2026-06-25 00:00:00,BTCUSDT,100,1,1,1,1,1"])
    new = files.metrics(
        date(2026, 6, 25), ["2026-06-25 00:00:00,BTCUSDT,200,1,1,1,1,1", "2026-06-25 23:55:00,BTCUSDT,300,1,1,1,1,1"]
    )
    parsed = read_open_interest([new, old], "BTCUSDT")
    assert [(f"{row['ts']:%d %H:%M}", row["open_interest"]) for row in parsed.table.to_pylist()] == [
        ("25 00:00", 100),
        ("25 00:05", 200),
        ("26 00:00", 300),
    ]
    assert parsed.notes == {}


def test_a_midnight_row_in_two_files_is_taken_from_the_later(files: Any) -> None:
    earlier = files.metrics(DAY, ["2026-01-12 00:00:02,BTCUSDT,100,1,1,1,1,1"])
    later = files.metrics(date(2026, 1, 12), ["2026-01-12 00:00:00,BTCUSDT,200,1,1,1,1,1"])
    for order in ([earlier, later], [later, earlier]):
        parsed = read_open_interest(order, "BTCUSDT")
        assert parsed.table["open_interest"].to_pylist() == [200]
        assert parsed.notes == {"conflicting_duplicates": 1, "jitter_snapped": 1}


def test_bad_prints_become_null_and_stay(files: Any) -> None:
    rows = [f"2026-01-11 00:{m:02}:00,BTCUSDT,{oi},5,1,1,1,0" for m, oi in ((5, "0"), (10, "-1"), (15, "7"))]
    parsed = read_open_interest([files.metrics(DAY, rows)], "BTCUSDT")
    assert parsed.table["open_interest"].to_pylist() == [None, None, 7]
    assert parsed.table["sum_taker_long_short_vol_ratio"].null_count == 3
    assert parsed.notes == {"bad_prints": 2}


def test_microseconds_are_milliseconds_times_a_thousand(files: Any, kline: Callable[..., str]) -> None:
    in_ms = read_klines([files.klines(DAY, [kline(MIDNIGHT)])], "BTCUSDT", "5m")
    in_us = read_klines([files.klines(DAY, [kline(MIDNIGHT, unit=1_000_000)])], "BTCUSDT", "5m")
    assert in_us.table == in_ms.table
    assert in_us.notes == {"microsecond_files": 1}


def test_klines_with_and_without_header_mix(files: Any, kline: Callable[..., str]) -> None:
    with_header = files.klines(DAY, [kline(MIDNIGHT)])
    without = files.klines(date(2026, 1, 12), [kline(MIDNIGHT + timedelta(days=1))], header=False)
    parsed = read_klines([without, with_header], "BTCUSDT", "5m")
    assert parsed.bad == []
    assert parsed.table.num_rows == 2
    assert parsed.notes == {"headerless_files": 1}


def test_non_ascii_symbol(files: Any, rows_of_day: Callable[..., list[str]]) -> None:
    symbol = "币安人生USDT"
    parsed = read_open_interest([files.metrics(DAY, rows_of_day(DAY, symbol=symbol), symbol)], symbol)
    assert parsed.bad == []
    assert set(parsed.table["symbol"].to_pylist()) == {symbol}


def test_windows_line_ends(files: Any, rows_of_day: Callable[..., list[str]]) -> None:
    header_and_rows = ["create_time,symbol,sum_open_interest,sum_open_interest_value,count_toptrader_long_short_ratio,"]
    header_and_rows[0] += "sum_toptrader_long_short_ratio,count_long_short_ratio,sum_taker_long_short_vol_ratio"
    path = files.zip(f"BTCUSDT-metrics-{DAY}.zip", [line + "\r" for line in header_and_rows + rows_of_day(DAY)])
    assert read_open_interest([path], "BTCUSDT").table.num_rows == 4


def test_no_files_make_an_empty_table() -> None:
    assert read_open_interest([], "BTCUSDT").table.schema == OPEN_INTEREST_SCHEMA
    assert read_klines([], "BTCUSDT", "5m").table.num_rows == 0


# Properties


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_order_and_repetition_of_rows_change_nothing(
    files: Any, rows_of_day: Callable[..., list[str]], data: st.DataObject
) -> None:
    rows = rows_of_day(DAY, count=12)
    plain = read_open_interest([files.metrics(DAY, rows)], "BTCUSDT").table
    repeated = rows + data.draw(st.lists(st.sampled_from(rows)))
    shuffled = data.draw(st.permutations(repeated))
    assert read_open_interest([files.metrics(DAY, shuffled)], "BTCUSDT").table == plain


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(owners=st.lists(st.integers(0, 1), min_size=2, max_size=12), bad=st.sets(st.integers(0, 300), max_size=3))
def test_splitting_over_files_and_bad_neighbours_change_nothing(
    files: Any, kline: Callable[..., str], owners: list[int], bad: set[int]
) -> None:
    """Rows near midnight may stand in either day's file; files that are bad cost only themselves."""
    noon = MIDNIGHT + timedelta(days=1)
    rows = {0: [kline(noon - timedelta(minutes=60))], 1: [kline(noon + timedelta(minutes=60))]}
    for owner in owners:
        rows[owner].append(kline(noon))
    days = [DAY, date(2026, 1, 12)]
    paths = [files.klines(day, rows[i]) for i, day in enumerate(days)]
    broken = [files.klines(date(2025, 1, 1) + timedelta(days=i), ["rubbish"], header=False) for i in bad]
    parsed = read_klines(paths + broken, "BTCUSDT", "5m")
    assert {path for path, _ in parsed.bad} == set(broken)
    assert len(parsed.table) == 3


def test_many_files_are_the_sum_of_single_ones(files: Any, rows_of_day: Callable[..., list[str]]) -> None:
    days = [DAY + timedelta(days=i) for i in range(130)]  # more than one read
    paths = [files.metrics(day, rows_of_day(day)) for day in days]
    parsed = read_open_interest(paths[::-1], "BTCUSDT")
    singles = [read_open_interest([path], "BTCUSDT") for path in paths]
    assert parsed.facts == [single.facts[0] for single in singles]
    assert parsed.table.to_pylist() == [row for single in singles for row in single.table.to_pylist()]


# Do the labels mean what we think?


def test_observed_label_shift() -> None:
    rng = np.random.default_rng(7)
    kline_ts = np.datetime64("2026-01-11T00:00", "us") + np.arange(1, 300) * np.timedelta64(5, "m")
    close = 50_000 * np.exp(rng.normal(0, 0.001, len(kline_ts)).cumsum())
    for width in (1, 3):  # 5m and 15m klines
        ends = slice(width - 1, None, width)
        assert observed_label_shift(kline_ts, close, kline_ts[ends], close[ends]).minutes == 0
        late = kline_ts - np.timedelta64(5, "m")
        assert observed_label_shift(late, close, kline_ts[ends], close[ends]).minutes == 5
    few = slice(0, 5)
    assert observed_label_shift(kline_ts[few], close[few], kline_ts, close).minutes is None
    nonsense = rng.uniform(1, 2, len(close))
    assert observed_label_shift(kline_ts, nonsense, kline_ts, close).minutes is None
    assert observed_label_shift(kline_ts, close, kline_ts[:0], close[:0]).minutes is None


@pytest.mark.parametrize(("file_day", "expected"), [(date(2026, 6, 24), []), (date(2026, 6, 25), [(5, 0)])])
def test_label_shift_disagreements(
    files: Any, kline: Callable[..., str], file_day: date, expected: list[tuple[int, int]]
) -> None:
    """Snapshots taken at their label are right until 2026-06-24 and contradict the table afterwards."""
    start = datetime(file_day.year, file_day.month, file_day.day, tzinfo=UTC)
    opens = [start + timedelta(minutes=5 * i) for i in range(40)]
    prices = [100 + 3 * (i % 7) for i in range(40)]
    bars = [kline(opened, price) for opened, price in zip(opens, prices, strict=True)]  # they close at price + 1
    snapshots = [
        f"{opened + timedelta(minutes=5):%Y-%m-%d %H:%M:%S},BTCUSDT,10,{10 * (price + 1)},1,1,1,1"
        for opened, price in zip(opens, prices, strict=True)
    ]
    open_interest = read_open_interest([files.metrics(file_day, snapshots)], "BTCUSDT").table
    candles = read_klines([files.klines(file_day, bars)], "BTCUSDT", "5m").table
    found = label_shift_disagreements(open_interest, candles)
    assert [(minutes, observed) for _, minutes, observed, _ in found] == expected


# Real files


@shared
@pytest.mark.shared
@pytest.mark.parametrize(
    ("mirror", "symbol", "interval", "rows"),
    [
        ("btc-15m-2026-03", "BTCUSDT", "15m", 8640),
        ("multi-5m-2026-01", "BTCUSDT", "5m", 543),
        ("multi-5m-2026-01", "SOLUSDT", "15m", 547),
    ],
)
def test_real_files_are_good_and_their_labels_agree_with_prices(
    mirror: str, symbol: str, interval: str, rows: int
) -> None:
    daily = SHARED / mirror / "data/futures/um/daily"
    open_interest = read_open_interest(list(daily.glob(f"metrics/{symbol}/*.zip")), symbol)
    klines = read_klines(list(daily.glob(f"klines/{symbol}/{interval}/*.zip")), symbol, interval)
    assert open_interest.bad == klines.bad == []
    assert open_interest.table.num_rows == rows
    assert label_shift_disagreements(open_interest.table, klines.table) == []

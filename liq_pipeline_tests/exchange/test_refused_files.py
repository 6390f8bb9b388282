"""Defects of the archive's files that are refused, each with the file, the line and its text."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from liq_pipeline.exchange.formats import read_klines, read_open_interest
from liq_pipeline.exchange.quirks import OffGrid

DAY = date(2026, 1, 11)
MIDNIGHT = datetime(2026, 1, 11, tzinfo=UTC)


def message(parsed: Any) -> str:
    assert len(parsed.bad) == 1
    return str(parsed.bad[0][1])


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("2026-01-11 00:15:00,BTCUSDT,garbage,5,1,1,1,1", "8 cells"),
        ("2026-01-11 00:15:00,BTCUSDT,7", "8 cells"),
        ("not a time,BTCUSDT,7,5,1,1,1,1", "8 cells"),
        ("", "a time in every row"),
        (",BTCUSDT,7,5,1,1,1,1", "a time in every row"),
        ("2026-01-11 00:15:00,ETHUSDT,7,5,1,1,1,1", "rows of BTCUSDT only"),
        ("2026-01-11 00:15:00,BTCUSDT,nan,5,1,1,1,1", "a finite number as sum_open_interest"),
        ("2026-01-11 00:15:00,BTCUSDT,7,5,1,inf,1,1", "a finite number as sum_toptrader_long_short_ratio"),
        ("2026-01-11 00:17:00,BTCUSDT,7,5,1,1,1,1", "within 60 s of the 5-minute grid"),
        ("2026-01-14 00:15:00,BTCUSDT,7,5,1,1,1,1", "rows of the file's own day"),
        ('2026-01-11 00:15:00,"BTCUSDT,7,5,1,1,1,1', "8 cells"),
    ],
)
def test_a_garbage_row_is_named_and_the_other_files_are_kept(
    files: Any, rows_of_day: Callable[..., list[str]], line: str, expected: str
) -> None:
    paths = [files.metrics(DAY + timedelta(days=i), rows_of_day(DAY + timedelta(days=i))) for i in range(5)]
    rows = rows_of_day(DAY)
    paths[0] = files.metrics(DAY, [*rows[:2], line, *rows[2:]])
    parsed = read_open_interest(paths, "BTCUSDT")
    assert parsed.bad[0][0] == paths[0]
    assert f"BTCUSDT-metrics-2026-01-11.zip, line 4: {line!r}" in message(parsed)
    assert expected in message(parsed)
    assert parsed.table.num_rows == 4 * 4
    assert [fact.path for fact in parsed.facts] == paths[1:]


def test_off_grid_is_its_own_error(files: Any) -> None:
    parsed = read_open_interest([files.metrics(DAY, ["2026-01-11 00:07:00,BTCUSDT,7,5,1,1,1,1"])], "BTCUSDT")
    assert isinstance(parsed.bad[0][1], OffGrid)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda row: row.replace("102.0", "90.0"), "positive prices"),  # high < low
        (lambda row: row.replace("99.0", "0"), "positive prices"),
        (lambda row: row.replace("99.0", "nan"), "a finite number as low"),
        (lambda row: row.replace("99.0", ""), "positive prices"),
        (lambda row: row.replace("10.5", "-10.5"), "volume of zero or more"),
        (lambda row: row.replace("17680", "17681", 1), "on the 5m grid"),
        (lambda row: "1768091100000000" + row[13:], "one unit of time"),
        (lambda row: row[13:], "a time in every row"),
        (lambda row: "x" + row, "12 cells"),
    ],
)
def test_kline_nonsense_is_refused(
    files: Any, kline: Callable[..., str], change: Callable[[str], str], expected: str
) -> None:
    good = kline(MIDNIGHT)
    path = files.klines(DAY, [good, change(kline(MIDNIGHT + timedelta(minutes=5)))])
    parsed = read_klines([path], "BTCUSDT", "5m")
    assert expected in message(parsed)
    assert f"{path.name}, line 3:" in message(parsed)


@pytest.mark.parametrize("column", [1, 2, 3, 4, 5, 7, 8, 9, 10])
@pytest.mark.parametrize("cell", ["", '""', "nan", "inf", "-inf", "-1", "1e308", "1e400", str(2**63), "1e16", "x", " "])
def test_a_kline_with_a_cell_that_cannot_be_costs_its_file_and_no_other(
    files: Any, kline: Callable[..., str], column: int, cell: str
) -> None:
    cells = kline(MIDNIGHT + timedelta(minutes=5)).split(",")
    cells[column] = cell
    spoilt = files.klines(DAY, [kline(MIDNIGHT), ",".join(cells)])
    good = files.klines(DAY + timedelta(days=1), [kline(MIDNIGHT + timedelta(days=1))])
    parsed = read_klines([spoilt, good], "BTCUSDT", "5m")
    assert [path for path, _ in parsed.bad] == [spoilt]
    assert f"{spoilt.name}, line 3: {','.join(cells)!r}" in message(parsed)
    assert parsed.table.num_rows == 1


@pytest.mark.parametrize("cell", ["0", "-1", "1e308", "1e16", "5e-324", ""])
def test_open_interest_that_cannot_be_is_a_bad_print_and_costs_no_file(
    files: Any, rows_of_day: Callable[..., list[str]], cell: str
) -> None:
    first, *others = rows_of_day(DAY)
    cells = first.split(",")
    cells[2] = cell
    parsed = read_open_interest([files.metrics(DAY, [",".join(cells), *others])], "BTCUSDT")
    assert parsed.bad == []
    assert [value is None for value in parsed.table["open_interest"].to_pylist()] == [True, False, False, False]


@pytest.mark.parametrize("stamp", [-1, -(2**63), 2**63 - 1, 10**15 - 1, (1768089600000 * 1000 - 2**64) // 1000])
def test_a_kline_of_another_age_is_refused_and_never_wraps_around(
    files: Any, kline: Callable[..., str], stamp: int
) -> None:
    row = str(stamp) + kline(MIDNIGHT)[13:]
    parsed = read_klines([files.klines(DAY, [row])], "BTCUSDT", "5m")
    assert parsed.table.num_rows == 0
    assert len(parsed.bad) == 1


def test_klines_of_another_interval_are_refused(files: Any, kline: Callable[..., str]) -> None:
    path = files.klines(DAY, [kline(MIDNIGHT, minutes=15)])
    assert "bars of 5m" in message(read_klines([path], "BTCUSDT", "5m"))


def test_wrong_headers_are_refused(files: Any, rows_of_day: Callable[..., list[str]]) -> None:
    swapped = files.zip(f"BTCUSDT-metrics-{DAY}.zip", ["create_time,symbol,other", *rows_of_day(DAY)])
    assert "line 1: 'create_time,symbol,other'" in message(read_open_interest([swapped], "BTCUSDT"))
    none = files.zip(f"BTCUSDT-metrics-{DAY}.zip", rows_of_day(DAY))
    assert "the header 'create_time" in message(read_open_interest([none], "BTCUSDT"))


def test_a_file_without_rows_is_refused(files: Any) -> None:
    assert "holds no rows" in message(read_open_interest([files.metrics(DAY, [])], "BTCUSDT"))


def test_zips_that_are_not_one_csv_of_the_same_name(files: Any) -> None:
    path = files.zip(f"BTCUSDT-metrics-{DAY}.zip", ["x"], member="other.csv")
    assert "exactly one file, BTCUSDT-metrics-2026-01-11.csv" in message(read_open_interest([path], "BTCUSDT"))
    path.write_bytes(b"<html>")
    assert "cannot be unzipped" in message(read_open_interest([path], "BTCUSDT"))
    path.unlink()
    assert "is gone" in message(read_open_interest([path], "BTCUSDT"))


def test_a_damaged_byte_is_noticed(files: Any, rows_of_day: Callable[..., list[str]]) -> None:
    path = files.metrics(DAY, rows_of_day(DAY))
    content = bytearray(path.read_bytes())
    content[120] ^= 0xFF
    path.write_bytes(content)
    assert "cannot be unzipped" in message(read_open_interest([path], "BTCUSDT"))


def test_files_of_others_are_refused(files: Any, rows_of_day: Callable[..., list[str]]) -> None:
    path = files.metrics(DAY, rows_of_day(DAY))
    assert "is not a daily file" in message(read_open_interest([path], "ETHUSDT"))

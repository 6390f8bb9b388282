"""Zips that are damaged, unusual or too large: an error of ours for that file, and the others go on."""

from __future__ import annotations

import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from liq_pipeline.errors import FormatError
from liq_pipeline.exchange.bulk import MOST_BYTES, read_member, refuse_wide
from liq_pipeline.exchange.formats import read_open_interest
from liq_pipeline_tests.exchange.conftest import METRICS_HEADER, metrics_rows

DAY = date(2026, 1, 11)
NAME = f"BTCUSDT-metrics-{DAY}"


def packed(folder: Path, content: bytes, method: int = zipfile.ZIP_DEFLATED) -> Path:
    path = folder / f"{NAME}.zip"
    with zipfile.ZipFile(path, "w", method) as out:
        out.writestr(zipfile.ZipInfo(f"{NAME}.csv"), content, method)
    return path


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return packed(tmp_path, "\n".join([METRICS_HEADER, *metrics_rows(DAY)]).encode())


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_the_two_methods_of_the_exchange_are_read(tmp_path: Path, method: int) -> None:
    assert read_member(packed(tmp_path, b"rows", method)) == b"rows"


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_methods_are_refused_by_number(tmp_path: Path, method: int) -> None:
    with pytest.raises(FormatError, match=f"packed by method {method}"):
        read_member(packed(tmp_path, b"rows", method))


@pytest.mark.parametrize("method", [1, 6, 9, 12, 14, 93, 97, 98, 99, 65535])
def test_a_method_that_only_the_header_claims_is_refused_too(good: Path, method: int) -> None:
    data = bytearray(good.read_bytes())
    central = data.rindex(b"PK\x01\x02")
    struct.pack_into("<H", data, 8, method)
    struct.pack_into("<H", data, central + 10, method)
    good.write_bytes(data)
    with pytest.raises(FormatError, match="method"):
        read_member(good)


def test_every_single_bit_that_flips_gives_the_right_rows_or_an_error_of_ours(good: Path) -> None:
    whole = good.read_bytes()
    right = read_member(good)
    errors = 0
    for place in range(8 * len(whole)):
        data = bytearray(whole)
        data[place // 8] ^= 1 << place % 8
        good.write_bytes(data)
        try:
            assert read_member(good) == right
        except FormatError:
            errors += 1
    assert errors > len(whole)


def test_every_length_that_a_file_can_be_cut_to_is_an_error_of_ours(good: Path) -> None:
    whole = good.read_bytes()
    for length in range(len(whole)):
        good.write_bytes(whole[:length])
        with pytest.raises(FormatError):
            read_member(good)


@pytest.mark.parametrize("fill", [b"\0", b"2026-01-11 00:05:00,BTCUSDT,1,1,1,1,1,1\n"])
def test_a_file_that_inflates_to_much_is_refused_before_it_does(tmp_path: Path, fill: bytes) -> None:
    path = packed(tmp_path, fill * (100_000_000 // len(fill)))
    tracemalloc.start()
    with pytest.raises(FormatError, match=f"inflates to more than {MOST_BYTES:,} bytes"):
        read_member(path)
    assert tracemalloc.get_traced_memory()[1] < 10 * MOST_BYTES
    tracemalloc.stop()


def test_a_size_that_the_header_makes_small_is_not_believed(tmp_path: Path) -> None:
    path = packed(tmp_path, b"x" * 10_000)
    data = bytearray(path.read_bytes())
    struct.pack_into("<L", data, data.rindex(b"PK\x01\x02") + 24, 5)
    path.write_bytes(data)
    with pytest.raises(FormatError, match="cannot be unzipped"):
        read_member(path)


def test_many_members_are_told_shortly(tmp_path: Path) -> None:
    path = tmp_path / f"{NAME}.zip"
    with zipfile.ZipFile(path, "w") as out:
        for number in range(5000):
            out.writestr(f"{number}.csv", b"")
    with pytest.raises(FormatError, match="holds 5000 files") as error:
        read_member(path)
    assert len(str(error.value)) < 400


def test_one_damaged_zip_of_thirty_costs_its_day_only(files: Any, rows_of_day: Callable[..., list[str]]) -> None:
    days = [DAY + timedelta(days=i) for i in range(30)]
    paths = [files.metrics(day, rows_of_day(day)) for day in days]
    whole = paths[7].read_bytes()
    for place in range(len(whole) - 100, len(whole)):  # the tail: where sizes and offsets stand
        data = bytearray(whole)
        data[place] ^= 0x40
        paths[7].write_bytes(data)
        parsed = read_open_interest(paths, "BTCUSDT")
        assert {path for path, _ in parsed.bad} <= {paths[7]}
        assert len(parsed.facts) >= 29


def test_a_carriage_return_inside_a_line_is_refused(files: Any, rows_of_day: Callable[..., list[str]]) -> None:
    first, *others = rows_of_day(DAY)
    path = files.metrics(DAY, [first.replace("BTCUSDT", "BTC\rUSDT"), *others])
    (bad,) = read_open_interest([path], "BTCUSDT").bad
    assert "carriage return inside a line" in str(bad[1])


def test_as_many_columns_as_may_be_are_read_and_one_more_is_refused() -> None:
    refuse_wide(["", "a,b,c"], 3)
    with pytest.raises(ValueError, match="its first row has 4 cells, more than 3"):
        refuse_wide(["", "a,b,c,d"], 3)

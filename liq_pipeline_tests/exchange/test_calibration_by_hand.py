"""How many rows must agree, how closely, and under how few offsets, before REST's stamps are believed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from liq_pipeline.errors import CalibrationUnclear
from liq_pipeline.exchange.calibration import Calibration, calibrate, load_calibration, save_calibration, shifted

START = datetime(2026, 6, 26, tzinfo=UTC)
NOW = datetime(2026, 6, 27, 6, tzinfo=UTC)


def table(minutes: list[int], values: list[float]) -> pa.Table:
    ts = pa.array([START + timedelta(minutes=n) for n in minutes], pa.timestamp("us", "UTC"))
    return pa.table({"ts": ts, "open_interest": np.array(values, dtype=float)})


def rising(count: int, begin: int = 0) -> pa.Table:
    return table([5 * n for n in range(begin, begin + count)], [100.0 + n for n in range(begin, begin + count)])


def found_or_none(rest: pa.Table, archive: pa.Table) -> tuple[int, int, int] | None:
    try:
        found = calibrate(rest, archive, NOW)
    except CalibrationUnclear:
        return None
    return found.offset_minutes, found.matches, found.compared


@pytest.mark.parametrize(("count", "found"), [(5, None), (6, (0, 6, 6)), (72, (0, 72, 72)), (73, (0, 72, 72))])
def test_six_rows_are_enough_and_the_last_seventy_two_are_asked(count: int, found: tuple | None) -> None:
    assert found_or_none(rising(count), rising(count)) == found


@pytest.mark.parametrize(("wrong", "found"), [(2, (0, 18, 20)), (3, None)])
def test_nine_tenths_must_agree(wrong: int, found: tuple | None) -> None:
    rest = table([5 * n for n in range(20)], [0.0] * wrong + [100.0 + n for n in range(wrong, 20)])
    assert found_or_none(rest, rising(20)) == found


@pytest.mark.parametrize(("off", "found"), [(4e-5, (0, 6, 6)), (6e-5, None), (-4e-5, (0, 6, 6)), (-6e-5, None)])
def test_values_agree_to_the_decimals_that_rest_prints(off: float, found: tuple | None) -> None:
    rest = table([5 * n for n in range(6)], [100.0 + n + off for n in range(6)])
    assert found_or_none(rest, rising(6)) == found


@pytest.mark.parametrize(("step", "found"), [(1.1e-4, (0, 6, 6)), (0.9e-4, None)])
def test_rows_tell_that_differ_by_twice_as_much_from_the_next(step: float, found: tuple | None) -> None:
    values = [1 + step * n for n in range(6)]
    minutes = [5 * n for n in range(6)]
    assert found_or_none(table(minutes, values), table(minutes, values)) == found


@pytest.mark.parametrize(("others", "found"), [(4, (0, 10, 10)), (5, None)])
@pytest.mark.parametrize("offset", [5, -5])
def test_no_other_offset_may_have_half_as_many(others: int, found: tuple | None, offset: int) -> None:
    """Further rows, ten minutes apart: they stand beside one offset only."""
    later = [100 + 10 * n for n in range(others)]
    values = [500.0 + n for n in range(others)]
    archive = pa.concat_tables([rising(10), table(later, values)])
    rest = pa.concat_tables([rising(10), table([minutes - offset for minutes in later], values)])
    assert found_or_none(rest, archive) == found


def test_the_message_counts_what_agreed_under_each_offset() -> None:
    with pytest.raises(CalibrationUnclear) as unclear:
        calibrate(rising(3), rising(4), NOW)
    assert "(values as in the archive: +0 min: 3 of 3, -5 min: 0 of 2, +5 min: 0 of 3)" in str(unclear.value)


@pytest.mark.parametrize(("of_rest", "of_archive", "newest"), [(10, 8, 35), (8, 10, 35), (9, 9, 40)])
@pytest.mark.parametrize("offset", [0, 5, -5])
def test_the_newest_instant_is_the_last_that_both_have(of_rest, of_archive, newest: int, offset: int) -> None:
    rest = rising(of_rest)
    stamps = table([5 * n - offset for n in range(of_rest)], rest["open_interest"].to_pylist())
    found = calibrate(stamps, rising(of_archive), NOW)
    assert found == Calibration(offset, min(of_rest, of_archive), min(of_rest, of_archive), NOW, _at(newest))
    assert shifted(stamps, found).equals(rest)


def _at(minutes: int) -> datetime:
    return START + timedelta(minutes=minutes)


def test_a_measurement_is_stored_as_text(tmp_path: Path) -> None:
    save_calibration(tmp_path / "stamps.json", Calibration(-5, 71, 72, NOW, START))
    assert (tmp_path / "stamps.json").read_text() == (
        '{\n  "offset_minutes": -5,\n  "matches": 71,\n  "compared": 72,\n'
        '  "measured_at": "2026-06-27T06:00:00+00:00",\n  "newest_compared": "2026-06-26T00:00:00+00:00"\n}\n'
    )


@pytest.mark.parametrize(
    "change",
    [
        {"offset_minutes": 5.0}, {"offset_minutes": False}, {"offset_minutes": 7}, {"offset_minutes": "5"},
        {"measured_at": "2026-06-27T06:00:00"}, {"newest_compared": "2026-06-26T00:00:00"}, {"measured_at": 5},
        {"another": 1},
    ],
    ids=str,
)  # fmt: skip
def test_one_that_cannot_be_is_measured_anew(change: dict, tmp_path: Path) -> None:
    path = tmp_path / "stamps.json"
    save_calibration(path, Calibration(5, 71, 72, NOW, START))
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert load_calibration(path) is None

"""What REST's stamps mean: measured, stored, and doubted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from liq_pipeline.errors import CalibrationUnclear
from liq_pipeline.exchange.calibration import Calibration, calibrate, load_calibration, save_calibration, shifted

START = datetime(2026, 6, 26, tzinfo=UTC)
NOW = datetime(2026, 6, 27, 6, tzinfo=UTC)


def rows(values: np.ndarray, shift_minutes: int = 0, decimals: int = 8) -> pa.Table:
    ts = [START + timedelta(minutes=5 * n - shift_minutes) for n in range(len(values))]
    return pa.table(
        {"ts": pa.array(ts, pa.timestamp("us", "UTC")), "open_interest": np.round(values, decimals)},
    )


@pytest.fixture
def values() -> np.ndarray:
    return 80_000 + np.cumsum(np.random.default_rng(1).normal(0, 20, 288))


@pytest.mark.parametrize("offset", [-5, 0, 5])
def test_the_offset_with_the_exact_matches_is_found(values: np.ndarray, offset: int) -> None:
    found = calibrate(rows(values, offset, decimals=4), rows(values), NOW)
    assert found.offset_minutes == offset
    assert found.matches == found.compared == 72
    assert shifted(rows(values, offset), found)["ts"].to_pylist() == rows(values)["ts"].to_pylist()


def test_a_change_inside_the_overlap_is_judged_by_what_came_after_it(values: np.ndarray) -> None:
    before, after = rows(values, 0).slice(0, 200), rows(values, 5).slice(201)
    assert calibrate(pa.concat_tables([before, after]), rows(values), NOW).offset_minutes == 5


def test_a_change_that_is_too_new_to_tell_is_unclear(values: np.ndarray) -> None:
    before, after = rows(values, 0).slice(0, 260), rows(values, 5).slice(261)
    with pytest.raises(CalibrationUnclear, match="cannot be measured"):
        calibrate(pa.concat_tables([before, after]), rows(values), NOW)


def test_of_a_series_that_stands_still_for_hours_only_what_moves_is_compared(values: np.ndarray) -> None:
    partly = values.copy()
    partly[:250] = values[0]
    partly[260:270] = values[260]

    found = calibrate(rows(partly, 5, decimals=4), rows(partly), NOW)

    # Of those that move, not the first, and none beside one that stands still.
    telling = [n for n in range(1, 287) if len({partly[n - 1], partly[n], partly[n + 1]}) == 3]
    assert (found.matches, found.compared) == (len(telling) + 1, len(telling) + 1)  # the newest has one neighbour only


@pytest.mark.parametrize("case", ["still", "few", "other", "empty"])
def test_what_proves_nothing_is_not_believed(values: np.ndarray, case: str) -> None:
    theirs = {
        "still": np.full(288, 80_000.0),
        "few": values[:5],
        "other": values + 7,
        "empty": values[:0],
    }[case]
    ours = theirs if case == "still" else values
    with pytest.raises(CalibrationUnclear):
        calibrate(rows(theirs), rows(ours), NOW)


def test_it_is_stored_whole_and_what_cannot_be_read_is_measured_anew(tmp_path: Path) -> None:
    path = tmp_path / "rest" / "stamps.json"
    assert load_calibration(path) is None
    found = Calibration(5, 71, 72, NOW, START)
    save_calibration(path, found)
    assert load_calibration(path) == found
    path.write_text('{"offset_minutes": 5')
    assert load_calibration(path) is None

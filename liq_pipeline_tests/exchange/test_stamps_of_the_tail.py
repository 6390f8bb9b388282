"""What the stamps of REST mean is measured on the archive, and measured anew when that has grown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from liq_pipeline.exchange.calibration import Calibration, load_calibration, save_calibration
from liq_pipeline.exchange.keys import METRICS
from liq_pipeline.exchange.tail import read_tail, tail_path
from liq_pipeline_tests.exchange.conftest import Files
from liq_pipeline_tests.exchange.tails import (
    DAY,
    MIDNIGHT,
    MINUTE,
    NOW,
    SYMBOL,
    Answers,
    archived,
    at,
    kept,
    snapshots,
    update,
)


class TestStampsOfOpenInterest:
    @pytest.fixture
    def raw_dir(self, files: Files) -> Path:
        """The archive's day: each five minutes of its last two hours, 5,000 contracts and one for each minute."""
        minutes = np.arange(-120, 5, 5)
        rows = [f"{at(int(n)):%Y-%m-%d %H:%M:%S},{SYMBOL},{5000 + n},1,1,1,1,1" for n in minutes]
        files.put(DAY, rows, METRICS, SYMBOL)
        archived(files.root, METRICS)
        return files.root

    def stamps(self, raw_dir: Path) -> Path:
        return tail_path(raw_dir, METRICS, SYMBOL).with_name("stamps.json")

    def shifted(self, offset: int) -> pa.Table:
        rows = snapshots(*range(-60, 30, 5))
        minutes = [5000 + n for n in range(-60, 30, 5)]
        moved = snapshots(*(n - offset for n in range(-60, 30, 5)))
        return moved.set_column(2, "open_interest", pa.array(minutes, pa.float64())) if offset else rows

    @pytest.mark.parametrize("offset", [0, 5, -5])
    def test_are_measured_on_a_day_that_the_archive_has(self, raw_dir: Path, offset: int) -> None:
        client = Answers(self.shifted(offset))
        report = update(client, raw_dir, METRICS)
        assert client.asked == [("open_interest", SYMBOL, at(-1440), NOW + 5 * MINUTE)]
        assert kept(raw_dir, METRICS) == [5, 10, 15, 20, 25]
        assert read_tail(raw_dir, METRICS, SYMBOL)["open_interest"].to_pylist() == [5005, 5010, 5015, 5020, 5025]
        assert report.calibration == load_calibration(self.stamps(raw_dir))
        assert report.calibration is not None
        assert (report.calibration.offset_minutes, report.calibration.newest_compared) == (offset, MIDNIGHT)
        assert report.calibrated_before is None

    @pytest.mark.parametrize(("behind", "is_known"), [(0, True), (5, True), (6, False)])
    def test_are_measured_anew_when_the_archive_has_grown(self, raw_dir: Path, behind: int, is_known: bool) -> None:
        """By more than the five minutes by which a stamp may differ."""
        known = Calibration(5, 7, 9, NOW, at(-behind))
        save_calibration(self.stamps(raw_dir), known)
        client = Answers(self.shifted(0))
        report = update(client, raw_dir, METRICS)
        begin = -5 if is_known else -1440
        assert client.asked == [("open_interest", SYMBOL, at(begin), NOW + 5 * MINUTE)]
        assert (report.calibration == known) is is_known
        assert report.calibrated_before == (None if is_known else 5)

    def test_that_mean_what_they_meant_have_not_changed(self, raw_dir: Path) -> None:
        save_calibration(self.stamps(raw_dir), Calibration(0, 7, 9, NOW, at(-60)))
        assert update(Answers(self.shifted(0)), raw_dir, METRICS).calibrated_before is None

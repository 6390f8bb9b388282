"""The comparison with others: it runs the pinned program only, and its figures mean what the table says."""

from __future__ import annotations

import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.peer_steps import swept_pct
from benchmarks.peers import COMMIT, INFLATING, PEER_FILES, STATIC, Cost, digest, floor, main, print_table


def test_another_commit_of_the_peer_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in PEER_FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("raise SystemExit('this must not run')\n", "utf-8")

    with pytest.raises(SystemExit, match="2"):
        main(["--peer", str(tmp_path)])

    said = capsys.readouterr().err
    assert COMMIT in said
    assert digest(tmp_path) in said


def test_a_level_is_swept_only_by_bars_after_its_entry() -> None:
    candles = SimpleNamespace(
        ts=np.datetime64("2026-01-01T00:05", "us") + np.arange(3) * np.timedelta64(5, "m"),
        low=np.array([90.0, 98.0, 97.0]),
        high=np.array([110.0, 102.0, 103.0]),
    )
    entered = candles.ts[[0, 0, 0, 2]]
    is_long = np.array([True, True, False, False])
    price = np.array([97.0, 96.9, 103.0, 103.0])  # reached by the last low; not reached; by the last high; no bar after

    assert swept_pct(entered, is_long, price, np.array([1.0, 2.0, 3.0, 4.0]), candles) == pytest.approx(40.0)


def test_the_floor_inflates_zips_or_copies_files(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "day.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("day.csv", "1,2,3\n" * 1000)

    assert floor(tmp_path).peak_mb is None
    floor(tmp_path, tmp_path.with_suffix(".copy"))

    assert tmp_path.with_suffix(".copy").read_bytes() == (tmp_path / "day.zip").read_bytes()


def test_the_table_is_sorted_by_cpu_time_and_states_the_ratio(capsys: pytest.CaptureFixture[str]) -> None:
    print_table({STATIC: [Cost(2.0, 3.0, 400.0)], INFLATING: [Cost(0.5, 0.2)]}, {STATIC: "levels", INFLATING: "zips"})

    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")][1:]
    assert rows == [
        f"| {INFLATING} | 0.50 (0.50 .. 0.50) | 0.20 (0.20 .. 0.20) |  | 1.0 | zips |",
        f"| {STATIC} | 2.00 (2.00 .. 2.00) | 3.00 (3.00 .. 3.00) | 400 | 15.0 | levels |",
    ]

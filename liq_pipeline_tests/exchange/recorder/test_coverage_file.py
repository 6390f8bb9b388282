"""When we listened, as the folder of a recording keeps it: stretches of the same symbols that meet are one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from liq_pipeline.exchange.recorded import Batch, Connected, RecordingFolder

DAY = datetime(2026, 6, 1, tzinfo=UTC)
BTC, BOTH = ("BTCUSDT",), ("BTCUSDT", "ETHUSDT")


def kept(folder: Path, *stretches: tuple[float, float, str]) -> list[tuple[float, float, str]]:
    """Write stretches one after the other (hours of a day, why each ended); return what the day's file holds."""
    with RecordingFolder(folder) as recording:
        for since, until, ended_by in stretches:
            begin, end = (DAY + timedelta(hours=hours) for hours in (since, until))
            recording.write(Batch(connected=[Connected(begin, end, BTC, ended_by)]))
    rows = pq.ParquetFile(folder / "coverage" / "day=2026-06-01" / "coverage.parquet").read().to_pylist()
    hours = [[(row[name] - DAY) / timedelta(hours=1) for name in ("connected_from", "connected_until")] for row in rows]
    return [(since, until, row["ended_by"]) for (since, until), row in zip(hours, rows, strict=True)]


@pytest.mark.parametrize(
    ("stretches", "expected"),
    [
        pytest.param([(1, 2, ""), (2, 3, "closed")], [(1, 3, "closed")], id="they touch"),
        pytest.param([(1, 2, ""), (1, 3, "")], [(1, 3, "")], id="it went on"),
        pytest.param([(1, 3, "closed"), (1.5, 2, "")], [(1, 3, "closed")], id="one lies inside the other"),
        pytest.param([(1, 3, ""), (2, 3, "closed")], [(1, 3, "closed")], id="they end together: the later word counts"),
        pytest.param([(1, 2, "closed"), (2.1, 3, "")], [(1, 2, "closed"), (2.1, 3, "")], id="a pause parts them"),
        pytest.param([(5, 6, ""), (1, 2, "closed")], [(1, 2, "closed"), (5, 6, "")], id="they come by time"),
        pytest.param([(1, 2, "a"), (3, 4, "b"), (2, 3, "c")], [(1, 4, "b")], id="one fills the gap"),
    ],
)
def test_stretches_that_meet_are_one(tmp_path: Path, stretches, expected) -> None:
    assert kept(tmp_path, *stretches) == expected


def test_stretches_of_other_symbols_stay_apart(tmp_path: Path) -> None:
    with RecordingFolder(tmp_path) as recording:
        noon = DAY + timedelta(hours=12)
        recording.write(Batch(connected=[Connected(DAY, noon, BTC)]))
        recording.write(Batch(connected=[Connected(noon, noon + timedelta(hours=1), BOTH)]))
    rows = pq.ParquetFile(tmp_path / "coverage" / "day=2026-06-01" / "coverage.parquet").read().to_pylist()
    assert [row["symbols"] for row in rows] == [list(BTC), list(BOTH)]

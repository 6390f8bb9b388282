"""Which rows of REST count: those that no good file of the archive covers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from liq_pipeline.exchange.keys import METRICS
from liq_pipeline.exchange.manifest import Entry, manifest_path, save_manifest
from liq_pipeline.exchange.tail import unarchived

DAY = datetime(2026, 6, 27, tzinfo=UTC)
KEY = METRICS.key("BTCUSDT", DAY.date())


@pytest.mark.parametrize(
    ("entry", "left"),
    [
        ({"status": "ok", "sha256": "1", "last_ts": DAY + timedelta(hours=18)}, [-1, 0, 19, 24, 25]),
        ({"status": "mismatch", "sha256": "2", "kept_sha256": "1"}, [-1, 0, 25]),
        ({"status": "bad", "sha256": "2"}, [-1, 0, 1, 18, 19, 24, 25]),
        ({"status": "missing"}, [-1, 0, 1, 18, 19, 24, 25]),
    ],
    ids=["a good file: to its last row", "an older one stays in use: the whole day", "a bad file", "none"],
)
def test_a_days_file_covers_the_hours_after_its_first_midnight(
    entry: dict[str, Any], left: list[int], tmp_path: Path
) -> None:
    save_manifest(manifest_path(tmp_path, METRICS, "BTCUSDT"), {KEY: Entry(KEY, "", fetched_at=DAY, **entry)})
    stamps = [DAY + timedelta(hours=hours) for hours in (-1, 0, 1, 18, 19, 24, 25)]

    found = unarchived(tmp_path, METRICS, "BTCUSDT", pa.table({"ts": pa.array(stamps, pa.timestamp("us", "UTC"))}))

    assert [(ts - DAY) / timedelta(hours=1) for ts in found["ts"].to_pylist()] == left

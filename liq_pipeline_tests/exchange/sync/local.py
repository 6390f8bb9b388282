"""A local copy of the archive."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

from liq_pipeline.exchange.keys import METRICS
from liq_pipeline.exchange.manifest import load_manifest, manifest_path
from liq_pipeline.exchange.report import SyncReport
from liq_pipeline.exchange.sync import plan, sync

SINCE = date(2026, 1, 10)
DAYS = [date(2026, 1, day) for day in range(10, 20)]  # up to yesterday
WRONG = "0" * 64


class Local:
    """One local copy, synced again and again."""

    def __init__(self, raw: Path, now: datetime) -> None:
        self.raw, self.now, self.since = raw, now, SINCE

    def sync(self, archive: Any, **more: Any) -> SyncReport:
        arguments: dict[str, Any] = {"since": self.since, "now": self.now, "raw_dir": self.raw} | more
        return sync(archive, METRICS, "BTCUSDT", **arguments)

    def planned(self, archive: Any) -> list[str]:
        found = plan(archive, METRICS, "BTCUSDT", since=self.since, now=self.now, raw_dir=self.raw)
        return [file.key for file in found]

    @property
    def manifest(self) -> Path:
        return manifest_path(self.raw, METRICS, "BTCUSDT")

    def status(self, key: str) -> str:
        return load_manifest(self.manifest)[key].status

    def leftovers(self) -> list[Path]:
        return [*self.raw.rglob("*.part"), *self.raw.rglob("*.tmp")]

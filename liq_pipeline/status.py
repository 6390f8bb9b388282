"""What is published, read from the published files alone."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from liq_pipeline.model.levels import TIMEFRAMES
from liq_pipeline.staleness import STALE, notice
from liq_pipeline.warehouse.layout import dataset_path, read_manifest


def read_status(published: Path, now: datetime) -> dict[str, dict[str, Any]]:
    """Return, per published symbol: as_of, age_hours, is_stale, a notice in words, and each timeframe's manifest."""
    found: dict[str, dict[str, Any]] = {}
    for folder in sorted((published / "liquidation_levels").glob("symbol=*")):
        symbol = folder.name.removeprefix("symbol=")
        manifests = {
            timeframe: manifest
            for timeframe in TIMEFRAMES
            if (manifest := read_manifest(dataset_path(published, "liquidation_levels", symbol, timeframe)))
        }
        if not manifests:
            continue
        newest = next(iter(manifests.values()))
        as_of = datetime.fromisoformat(newest["as_of"])
        age = now - as_of
        found[symbol] = {
            "as_of": as_of.isoformat().replace("+00:00", "Z"),
            "age_hours": age / timedelta(hours=1),
            "is_stale": not timedelta(0) <= age < STALE,
            "notice": notice(as_of, now),
            "margin_brackets": newest.get("margin_brackets"),
            "timeframes": manifests,
        }
    return found

"""What is published, read from the published files alone."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from liq_pipeline.checks.freshness import AGEING, STALE, age_in_words
from liq_pipeline.model.levels import TIMEFRAMES
from liq_pipeline.warehouse.publish import dataset_path, read_manifest


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
        as_of = datetime.fromisoformat(next(iter(manifests.values()))["as_of"])
        age = now - as_of
        found[symbol] = {
            "as_of": as_of.isoformat().replace("+00:00", "Z"),
            "age_hours": age / timedelta(hours=1),
            "is_stale": age >= STALE,
            "notice": _notice(as_of, age),
            "timeframes": manifests,
        }
    return found


def _notice(as_of: datetime, age: timedelta) -> str:
    text = f"data up to {as_of:%Y-%m-%d %H:%M} UTC, {age_in_words(age)} old"
    if age >= STALE:
        return f"{text}; stale (the limit is 48 h)"
    return f"{text}; 1d leans on old data" if age >= AGEING else text

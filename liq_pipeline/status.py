"""What is published, read from the published files alone."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from liq_pipeline.model.levels import TIMEFRAMES
from liq_pipeline.staleness import STALE, notice, retired, retired_notice
from liq_pipeline.warehouse.layout import dataset_path, published_symbols, read_manifest


def read_status(published: Path, now: datetime, refreshed: Iterable[str] | None = None) -> dict[str, dict[str, Any]]:
    """Return, per published symbol: as_of, age_hours, is_stale, a notice in words, and each timeframe's manifest.

    Args:
        published: folder.
        now: the current instant.
        refreshed: symbols that runs refresh; of another, `is_refreshed` is false. None: nobody knows, all are.
    """
    found: dict[str, dict[str, Any]] = {}
    symbols = published_symbols(published)
    left = retired(symbols, refreshed)
    for symbol in symbols:
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
            "is_refreshed": symbol not in left,
            "notice": "; ".join([notice(as_of, now), *([retired_notice(symbol)] if symbol in left else [])]),
            "margin_brackets": newest.get("margin_brackets"),
            "timeframes": manifests,
        }
    return found

"""What is published, read from the published files alone."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from liq_pipeline.clock import iso
from liq_pipeline.published.damage import published_files
from liq_pipeline.published.journal import finish_interrupted
from liq_pipeline.published.layout import published_symbols
from liq_pipeline.published.staleness import is_stale, notice, retired, retired_notice

_SHOWN = ("current_price", "open_interest_contracts", "row_count", "long_notional_usd", "short_notional_usd",
          "long_contracts", "short_contracts", "coverage_pct")  # fmt: skip


def read_status(published: Path, now: datetime, refreshed: Iterable[str] | None = None) -> dict[str, dict[str, Any]]:
    """Return, per published symbol: as_of, age_hours, is_stale, a notice in words, and each timeframe's manifest.

    What is damaged is said in `damaged` and in the notice, and counts as stale; as_of and age_hours are None where no
    sound manifest is left.

    Args:
        published: folder.
        now: the current instant.
        refreshed: symbols that runs refresh; of another, `is_refreshed` is false. None: nobody knows, all are.
    """
    finish_interrupted(published)
    found: dict[str, dict[str, Any]] = {}
    symbols = published_symbols(published)
    left = retired(symbols, refreshed)
    for symbol in symbols:
        manifests, damage = published_files(published, symbol).levels(_SHOWN)
        damaged = [str(error) for error in damage.values()]
        if manifests or damaged:
            entry = _entry(manifests, damaged, now)
            if symbol in left:
                entry["notice"] += f"; {retired_notice(symbol)}"
            found[symbol] = {**entry, "is_refreshed": symbol not in left}
    return found


def _entry(manifests: dict[str, dict[str, Any]], damaged: list[str], now: datetime) -> dict[str, Any]:
    if not manifests:
        gone: dict[str, Any] = {"as_of": None, "age_hours": None, "is_stale": True, "timeframes": {}}
        return {**gone, "notice": " ".join(damaged), "damaged": damaged}
    newest = next(iter(manifests.values()))
    as_of = datetime.fromisoformat(newest["as_of"])
    age = now - as_of
    return {
        "as_of": iso(as_of),
        "age_hours": age / timedelta(hours=1),
        "is_stale": bool(damaged) or is_stale(age),
        "notice": "; ".join([notice(as_of, now), *damaged]),
        "margin_brackets": newest.get("margin_brackets"),
        "timeframes": manifests,
        "damaged": damaged,
    }

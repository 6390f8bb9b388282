"""What is told of each published symbol, from manifests and damage alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from liq_pipeline.errors import PublishedDamaged
from liq_pipeline.published import status
from liq_pipeline.published.damage import Files
from liq_pipeline.published.status import read_status

NOW = datetime(2026, 6, 28, 12, tzinfo=UTC)
GIVEN = dict.fromkeys(status._SHOWN, 1.0)


@pytest.fixture
def told(tmp_path: Path, monkeypatch):
    """Return what is told of symbols with these files."""

    def tell(files: dict[str, Files], refreshed: Any = None) -> dict[str, dict[str, Any]]:
        for symbol in files:
            (tmp_path / "liquidation_levels" / symbol).mkdir(parents=True)
        monkeypatch.setattr(status, "published_files", lambda folder, symbol: files[symbol])
        return read_status(tmp_path, NOW, refreshed)

    return tell


def manifest(hours: float, **more: object) -> dict[str, Any]:
    return GIVEN | {"as_of": (NOW - timedelta(hours=hours)).isoformat(), "margin_brackets": "own"} | more


def levels(hours: float, *timeframes: str) -> dict[Any, Any]:
    return {("liquidation_levels", timeframe): manifest(hours) for timeframe in timeframes}


def test_a_symbol_is_as_old_as_its_levels_and_the_newest_are_told(told) -> None:
    found = told({"B": Files(levels(1.5, "7d", "90d")), "OLD": Files(levels(48, "7d")), "NONE": Files()})

    assert list(found) == ["B", "OLD"]
    assert found["B"] == {
        "as_of": "2026-06-28T10:30:00Z", "age_hours": 1.5, "is_stale": False,
        "notice": "data up to 2026-06-28 10:30 UTC, 1.5 h old", "margin_brackets": "own",
        "timeframes": {"7d": manifest(1.5), "90d": manifest(1.5)}, "damaged": [], "is_refreshed": True,
    }  # fmt: skip
    assert found["OLD"]["is_stale"]


def test_damage_is_said_and_counts_as_stale(told) -> None:
    wrong = PublishedDamaged("broken", remedy="mend")
    found = told({"SOME": Files(levels(1, "7d"), {("candles", "7d"): wrong}),
                  "ALL": Files({}, {("liquidation_levels", "7d"): wrong})})  # fmt: skip

    assert found["SOME"]["is_stale"]
    assert found["SOME"]["notice"] == f"data up to 2026-06-28 11:00 UTC, 1.0 h old; {wrong}"
    assert found["ALL"] == {
        "as_of": None, "age_hours": None, "is_stale": True, "timeframes": {}, "notice": str(wrong),
        "damaged": [str(wrong)], "is_refreshed": True,
    }  # fmt: skip


def test_a_symbol_that_nobody_refreshes_is_said_and_no_other(told) -> None:
    found = told({"B": Files(levels(1, "7d")), "GONE": Files(levels(1, "7d"))}, ["B"])

    assert [one["is_refreshed"] for one in found.values()] == [True, False]
    assert "no longer refreshed" not in found["B"]["notice"]
    assert found["GONE"]["notice"].startswith("data up to 2026-06-28 11:00 UTC, 1.0 h old; no longer refreshed: ")

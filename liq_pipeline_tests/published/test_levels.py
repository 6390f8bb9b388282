"""Levels as rows: what is added to what the model found."""

from datetime import UTC, datetime

import numpy as np
import pytest

from liq_pipeline.model.levels import Levels
from liq_pipeline.published.levels import level_rows


def test_a_level_is_as_far_away_as_the_middle_of_its_bin_below_the_price_or_above() -> None:
    found = Levels(
        np.array([True, False]), np.array([25.0, 50.0]), np.array([97.0, 101.0]), np.array([98.0, 104.0]),
        np.array([2.0, 3.0]), np.array([195.0, 306.0]),
    )  # fmt: skip

    rows = level_rows(found, "BTCUSDT", "7d", datetime(2026, 6, 28, tzinfo=UTC), 100.0).to_pylist()

    assert [(row["side"], row["leverage"], row["notional_usd"]) for row in rows] == [
        ("long", 25.0, 195.0),
        ("short", 50.0, 306.0),
    ]
    assert [row["distance_pct"] for row in rows] == pytest.approx([-2.5, 2.5])
    assert {row["current_price"] for row in rows} == {100.0}

"""Open interest between snapshots, and whether the data tell which end of a step a stamp names."""

from __future__ import annotations

import numpy as np
import pytest

from liq_pipeline.model.alignment import StampVerdict, spread_open_interest

FIVE = np.timedelta64(5, "m")


@pytest.mark.parametrize(
    ("volume", "between"),
    [
        pytest.param([9, 9, 1, 3, 4], [110, 140], id="by volume"),
        pytest.param([9, 9, 0, 0, 0], [100 + 80 / 3, 100 + 160 / 3], id="equally where nothing was traded"),
        pytest.param([9, 9, 0, 0, 5], [100, 100], id="all of it in the bar that traded"),
    ],
)
def test_the_change_between_two_snapshots_is_spread(volume: list[float], between: list[float]) -> None:
    ts = np.datetime64("2026-03-01T01:05", "us") + np.arange(5) * FIVE
    found, known = spread_open_interest(ts, FIVE, np.array(volume, dtype=float), ts[[1, 4]], np.array([100.0, 180.0]))
    assert known.tolist() == [False, True, False, False, True]
    assert np.isnan(found[0])
    assert found[1:].tolist() == pytest.approx([100, *between, 180])


@pytest.mark.parametrize(
    ("start", "end", "is_clear"),
    [
        pytest.param(0.6, 0.1, True, id="the start fits better"),
        pytest.param(0.1, 0.6, True, id="the end fits better"),
        pytest.param(0.1, -0.1, True, id="one fits, the other is against it"),
        pytest.param(0.6, 0.6, False, id="both fit"),
        pytest.param(0.0, 0.0, False, id="neither fits"),
        pytest.param(0.3, 0.34, False, id="one is hardly better"),
        pytest.param(0.05, 0.0, False, id="as much better as it takes, and no more"),
    ],
)
def test_the_data_tell_where_one_reading_fits_clearly_better(start: float, end: float, is_clear: bool) -> None:
    assert StampVerdict(start >= end, start, end).is_clear is is_clear

"""What was traded between two snapshots: a bar of unknown volume may have had much, a silent one had none."""

from __future__ import annotations

import numpy as np
import pytest

from liq_pipeline.exchange.feeds import UNKNOWN_VOLUME, Bars, Traded

WIDTH = np.timedelta64(5, "m")
COUNT, USUAL, PLACE = 24, 100.0, 12


def between(**of_one_bar: float) -> float:
    """Contracts between the bars around one bar of a row of equal ones, which differs."""
    ts = np.datetime64("2026-06-20T00:05", "us") + np.arange(COUNT) * WIDTH
    of = {name: np.full(COUNT, price) for name, price in (("open", 50.0), ("high", 51.0), ("low", 49.0))}
    of |= {"close": np.full(COUNT, 50.0), "volume": np.full(COUNT, USUAL)}
    for name, value in of_one_bar.items():
        of[name][PLACE] = value
    traded = Traded(Bars(ts, WIDTH, of, np.full(COUNT, None)))
    return float(traded.between(ts[PLACE - 1 : PLACE], ts[PLACE : PLACE + 1])[0])


@pytest.mark.parametrize(
    ("of_one_bar", "bars"),
    [
        pytest.param({}, 1, id="it is known"),
        pytest.param({"volume": 3 * USUAL}, 3, id="it is large"),
        pytest.param({"volume": np.nan}, UNKNOWN_VOLUME, id="it is missing"),
        pytest.param({"volume": np.inf}, UNKNOWN_VOLUME, id="it is no number"),
        pytest.param({"volume": 0.0}, UNKNOWN_VOLUME, id="it is zero, and the price moved"),
        pytest.param({"volume": 0.0, "high": 50.0, "low": 50.0}, 0, id="it is zero, and the price stayed"),
    ],
)
def test_a_bar_counts_with_its_volume_and_with_much_where_that_is_not_known(of_one_bar, bars: float) -> None:
    spare = 2  # a bar on either side: snapshots are seconds late
    assert between(**of_one_bar) == pytest.approx((bars + spare) * USUAL)


@pytest.mark.parametrize(("bars", "usual"), [(144, USUAL), (145, 10.0)], ids=["twelve hours", "more"])
def test_the_usual_volume_is_that_of_the_newest_days_once_more_than_twelve_hours_traded(
    bars: int, usual: float
) -> None:
    days = [np.datetime64(day, "us") + np.arange(288) * WIDTH for day in ("2026-06-20", "2026-06-21", "2026-06-24")]
    volume = np.repeat([USUAL, USUAL, 0.0], 288)
    volume[2 * 288 : 2 * 288 + bars] = 10.0
    found = Bars(np.concatenate(days), WIDTH, {"volume": volume}, np.full(volume.size, None)).usual_volume
    assert found.tolist() == [USUAL] * 2 * 288 + [usual] * 288

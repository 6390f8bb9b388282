"""What prices say about labels, by hand: how many rows must tell, and how much nearer one meaning must be."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from liq_pipeline.exchange.label_check import ShiftVerdict, label_shift_disagreements, observed_label_shift

START = np.datetime64("2026-06-24T12:00")
FIVE = np.timedelta64(5, "m")


def verdict(near: float, far: float, rows: int = 7, *, last_bar: int = 0) -> ShiftVerdict:
    """Of labels whose price lies so far from the close at their instant, and from the one five minutes later."""
    at = START + 2 * FIVE * np.arange(rows)
    kline_ts = START + FIVE * np.arange(2 * rows - last_bar)
    closes = np.where(np.arange(kline_ts.size) % 2, 100 / (1 + far), 100 / (1 + near))
    return observed_label_shift(at, np.full(rows, 100.0), kline_ts, closes)


@pytest.mark.parametrize(
    ("near", "far", "minutes"),
    [(0.01, 0.021, 0), (0.01, 0.019, None), (0.021, 0.01, 5), (0.019, 0.01, None), (0.01, -0.03, 0),
     (0.01, 0.01, None)],
)  # fmt: skip
def test_one_meaning_must_be_twice_as_near(near: float, far: float, minutes: int | None) -> None:
    found = verdict(near, far)
    assert found.minutes == minutes
    assert found.median_errors == pytest.approx((near, abs(far)))


@pytest.mark.parametrize(("rows", "last_bar", "is_decided"), [(6, 0, True), (5, 0, False), (7, 1, True), (6, 1, False)])
def test_of_each_meaning_six_rows_must_tell(rows: int, last_bar: int, is_decided: bool) -> None:
    assert (verdict(0, 0.1, rows, last_bar=last_bar).minutes == 0) is is_decided


def test_without_bars_or_numbers_nothing_is_decided() -> None:
    labels, nothing = START + FIVE * np.arange(7), np.array([])
    for prices, ts, closes in (
        (np.ones(7), nothing.astype("datetime64[m]"), nothing),
        (np.full(7, np.nan), labels, np.ones(7)),
    ):
        found = observed_label_shift(labels, prices, ts, closes)
        assert found.minutes is None
        assert np.isnan(found.median_errors).all()


@pytest.mark.parametrize(
    ("day", "truly", "said"),
    [(24, 0, []), (24, 5, [(0, 5)]), (25, 5, []), (25, 0, [(5, 0)])],
    ids=["right before", "wrong before", "right after", "wrong after"],
)  # fmt: skip
def test_a_file_that_means_something_else_is_said(day: int, truly: int, said: list[tuple[int, int]]) -> None:
    """Labels are instants until the 24th of June, and five minutes early after that."""
    rows, taken = 12, 0 if day == 24 else 5
    labels = [datetime(2026, 6, day, 12, 10 * n % 60, tzinfo=UTC) + timedelta(hours=10 * n // 60) for n in range(rows)]
    bars = [labels[0] + timedelta(minutes=5 * n) for n in range(2 * rows)]
    closes = {ts: 100.0 + 7 * (n % 2) for n, ts in enumerate(bars)}
    prices = [closes[label + timedelta(minutes=truly)] for label in labels]
    other_day, count = date(2026, 6, 1), 3
    open_interest = pa.table(
        {
            "ts": [*labels[:count], *(label + timedelta(minutes=taken) for label in labels)],
            "open_interest": [5.0] * (count + rows),
            "open_interest_value_usd": [1.0] * count + [5 * price for price in prices],
            "file_date": [other_day] * count + [date(2026, 6, day)] * rows,
        }
    )
    klines = pa.table({"ts": bars[::-1], "close": [closes[ts] for ts in bars[::-1]]})
    found = label_shift_disagreements(open_interest, klines)
    assert [(one, expected, seen) for one, expected, seen, _ in found] == [(date(2026, 6, day), *pair) for pair in said]
    assert all(min(errors) == 0 and max(errors) > 0.06 for *_, errors in found)

"""Do the time labels of open interest mean what we think? Prices tell (exchange.md 1.7).

`implied = sum_open_interest_value / sum_open_interest` is the price at the instant of the snapshot. It lies near the
close of the kline that ends at that instant, and further from the one that ends five minutes before or after. This
needs no documentation, and catches the next silent change of meaning.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pyarrow as pa

from liq_pipeline.exchange.quirks import label_shift

HYPOTHESES = (0, 5)  # minutes to add to a label
LEAST_ROWS = 6
DECISIVE = 0.5


@dataclass(frozen=True)
class ShiftVerdict:
    """What prices say about the labels of a file.

    Args:
        minutes: what must be added to a label to get the instant of its snapshot, 0 or 5; None if undecided.
        median_errors: median of |implied price / close - 1| if 0, and if 5 minutes are added; NaN without usable rows.
    """

    minutes: int | None
    median_errors: tuple[float, float]


def observed_label_shift(
    labels: np.ndarray, implied_price: np.ndarray, kline_ts: np.ndarray, kline_close: np.ndarray
) -> ShiftVerdict:
    """Find the label shift under which implied prices fit the klines.

    Only labels whose shifted instant is the end of a kline are used, so 15-minute klines serve too.

    Args:
        labels: labels on the 5-minute grid, datetime64.
        implied_price: value over contracts of each row; NaN is left out.
        kline_ts: closing instants of klines, datetime64, ascending.
        kline_close: close of each kline.

    Returns:
        The shift whose median error is less than half of the other's, with at least 6 usable rows for each; else
        undecided.
    """
    if not len(kline_ts):
        return ShiftVerdict(None, (np.nan, np.nan))
    medians, usable = [], []
    for minutes in HYPOTHESES:
        at = labels + np.timedelta64(minutes, "m")
        nearest = np.minimum(np.searchsorted(kline_ts, at), len(kline_ts) - 1)
        errors = np.abs(implied_price / kline_close[nearest] - 1)[kline_ts[nearest] == at]
        errors = errors[np.isfinite(errors)]
        usable.append(len(errors))
        medians.append(float(np.median(errors)) if len(errors) else np.nan)
    best = int(medians[1] < medians[0])
    decided = min(usable) >= LEAST_ROWS and medians[best] < DECISIVE * medians[1 - best]
    return ShiftVerdict(HYPOTHESES[best] if decided else None, (medians[0], medians[1]))


def label_shift_disagreements(
    open_interest: pa.Table, klines: pa.Table
) -> list[tuple[date, int, int, tuple[float, float]]]:
    """Compare `label_shift` with what prices say, file by file.

    Args:
        open_interest: a table of `OPEN_INTEREST_SCHEMA`.
        klines: a table of `KLINES_SCHEMA` of the same symbol, 5m or 15m.

    Returns:
        For each file whose prices decide and disagree: its day, the minutes expected, the minutes observed, and the
        median errors of both hypotheses. Empty when all is well.
    """
    order = np.argsort(klines["ts"].to_numpy())
    kline_ts, kline_close = klines["ts"].to_numpy()[order], klines["close"].to_numpy()[order]
    contracts = open_interest["open_interest"].to_numpy()
    implied = open_interest["open_interest_value_usd"].to_numpy() / contracts
    ts, file_dates = open_interest["ts"].to_numpy(), open_interest["file_date"].to_numpy()

    found = []
    for file_date in np.unique(file_dates):
        rows = file_dates == file_date
        day: date = file_date.item()
        expected = label_shift(day)
        verdict = observed_label_shift(ts[rows] - np.timedelta64(expected), implied[rows], kline_ts, kline_close)
        minutes = expected // timedelta(minutes=1)
        if verdict.minutes is not None and verdict.minutes != minutes:
            found.append((day, minutes, verdict.minutes, verdict.median_errors))
    return found

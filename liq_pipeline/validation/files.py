"""Reads tables with stamps: CSV or Parquet in, pandas out. Knows no meaning beside time."""

from __future__ import annotations

import re
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from liq_pipeline.errors import LiqError, NoData

OPENING = ("open_time", "opentime", "start", "start_time", "timestamp", "time", "date", "datetime")
CLOSING = ("ts", "close_time", "closetime", "end", "end_time")
STAMPS = (*CLOSING, *OPENING)


def read_frame(path: Path) -> pd.DataFrame:
    """Read a CSV (also packed) or a Parquet file; column names in lower case.

    Raises:
        LiqError: no such file, or not one of the two formats.
    """
    try:
        if not path.exists():
            raise LiqError(f"{path} does not exist", remedy="name a CSV or Parquet file")
        if path.suffix.lower() in (".parquet", ".pq"):
            frame = pd.read_parquet(path)
            if not isinstance(frame.index, pd.RangeIndex):
                frame = frame.reset_index()
        else:
            frame = pd.read_csv(path)
    except (ValueError, OSError, BadZipFile) as error:
        raise LiqError(f"{path} cannot be read: {error}", expected="a CSV or Parquet file") from error
    frame = frame.rename(columns=lambda name: str(name).strip().lower())
    if not frame.columns.is_unique:
        twice = sorted(set(frame.columns[frame.columns.duplicated()]))
        raise LiqError(f"{path} has columns twice: {', '.join(twice)}", expected="one column of each name")
    return frame


def instants_of(frame: pd.DataFrame, path: Path) -> tuple[pd.Series, str]:
    """Return the stamps (UTC) and the name of their column."""
    name = next((name for name in STAMPS if name in frame), None)
    if name is None:
        raise LiqError(
            f"{path} has no column of stamps, only {', '.join(map(str, frame.columns))}",
            expected=f"one of {', '.join(STAMPS)}",
        )
    try:
        return _as_instants(frame[name]).dt.tz_localize(None).astype("datetime64[us]"), name
    except (ValueError, OverflowError) as error:
        raise LiqError(
            f"{path}: the stamps in {name} are no instants: {error}", expected="ISO 8601, or seconds, ms, µs, ns"
        ) from error


def _as_instants(column: pd.Series) -> pd.Series:
    if pd.api.types.is_numeric_dtype(column):
        size = float(column.abs().median())
        scale = 10**6 if size < 1e11 else 10**3 if size < 1e14 else 1 if size < 1e17 else 1e-3  # s, ms, µs, ns
        return pd.to_datetime(column * scale, unit="us", utc=True)
    if pd.api.types.is_datetime64_any_dtype(column):
        return pd.to_datetime(column, utc=True)
    return pd.to_datetime(column, utc=True, errors="coerce", format="ISO8601")


def positive_series(stamps: pd.Series, values: pd.Series) -> pd.Series:
    """Return positive finite values by stamp, the last of equal stamps.

    Raises:
        NoData: fewer than three.
    """
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(float)
    series = pd.Series(numbers, index=pd.DatetimeIndex(stamps))
    series = series[np.isfinite(series.to_numpy()) & (series.to_numpy() > 0) & series.index.notna()]
    series = series[~series.index.duplicated(keep="last")].sort_index()
    if len(series) < 3:
        raise NoData(f"{len(series)} usable values of open interest", expected="positive numbers with stamps")
    return series


def bar_width(text: str) -> int:
    """Return the minutes of a width such as '5m' or '1h'.

    Raises:
        LiqError: not a width.
    """
    found = re.fullmatch(r"(\d+)(m|h)", text.strip().lower())
    if not found or not int(found[1]):
        raise LiqError(f"{text!r} is not the width of a bar", expected="for example 5m, 15m or 1h")
    return int(found[1]) * (60 if found[2] == "h" else 1)

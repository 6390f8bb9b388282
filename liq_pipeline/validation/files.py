"""Reads tables with stamps: CSV or Parquet in, pandas out. Knows no meaning beside time."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from liq_pipeline.errors import FormatError, LiqError, NoData
from liq_pipeline.exchange.bulk import MOST_COLUMNS, refuse_wide
from liq_pipeline.exchange.quirks import blank_bad_prints
from liq_pipeline.validation.packed import inflate, is_packed

OPENING = ("open_time", "opentime", "start", "start_time", "timestamp", "time", "date", "datetime")
CLOSING = ("ts", "close_time", "closetime", "end", "end_time")
STAMPS = (*CLOSING, *OPENING)
MOST_CELLS = 50_000_000  # 400 MB of numbers
FIRST_STAMP, LAST_STAMP = pd.Timestamp("2009-01-01"), pd.Timestamp("2200-01-01")  # of anything that was ever traded
_STAMP = "ISO text, or seconds, ms, µs or ns since 1970"


def read_frame(path: Path) -> pd.DataFrame:
    """Read a CSV (also packed) or a Parquet file; column names in lower case.

    Raises:
        LiqError: no such file, not one of the two formats, damaged, too large when inflated, or two columns of a name.
    """
    try:
        if not path.is_file():
            missing = "is no file" if path.exists() else "does not exist"
            raise LiqError(f"{path} {missing}", remedy="name a CSV or Parquet file")
        if path.suffix.lower() in (".parquet", ".pq"):
            frame = _read_parquet(path)
        else:
            frame = _read_csv(io.BytesIO(inflate(path)) if is_packed(path) else path)
        if not isinstance(frame.index, pd.RangeIndex) or frame.index.name is not None:  # stamps at even distances
            frame = frame.reset_index()
    except LiqError:
        raise
    except Exception as error:  # the readers' own errors are many, and no list of them is complete
        raise FormatError(
            f"{path} cannot be read: {str(error)[:300] or type(error).__name__}", expected="a CSV or Parquet file"
        ) from error
    frame = frame.rename(columns=lambda name: str(name).strip().lower())
    if doubled := sorted(set(frame.columns[frame.columns.duplicated()])):
        raise FormatError(
            f"{path} has several columns named {', '.join(map(repr, doubled))[:200]}",
            expected="names that differ by more than blanks and capitals",
        )
    return frame


def _read_csv(source: io.BytesIO | Path) -> pd.DataFrame:
    first = source.open("rb") if isinstance(source, Path) else io.BytesIO(source.getbuffer())
    with first, io.TextIOWrapper(first, encoding="latin-1", newline="") as lines:
        refuse_wide(lines)
    return pd.read_csv(source, compression=None)


def _read_parquet(path: Path) -> pd.DataFrame:
    with pq.ParquetFile(path) as file:
        cells = file.metadata.num_rows * file.metadata.num_columns
        if cells > MOST_CELLS:
            raise FormatError(f"{path} holds {cells:,} cells", expected=f"at most {MOST_CELLS:,}")
        if file.metadata.num_columns > MOST_COLUMNS:
            raise ValueError(f"it has {file.metadata.num_columns:,} columns, more than {MOST_COLUMNS:,}")
    return pd.read_parquet(path)


def instants_of(frame: pd.DataFrame, path: Path) -> tuple[pd.Series, str]:
    """Return the stamps (UTC) and the name of their column."""
    name = next((name for name in STAMPS if name in frame), None)
    if name is None:
        raise LiqError(
            f"{path} has no column of stamps, only {', '.join(map(str, frame.columns))}",
            expected=f"one of {', '.join(STAMPS)}",
        )
    try:
        stamps = _stamps(frame[name])
    except (ValueError, TypeError, OverflowError, ArithmeticError) as error:
        raise FormatError(f"{path}: column {name!r} holds no stamps ({str(error)[:200]})", expected=_STAMP) from error
    return stamps.where((stamps >= FIRST_STAMP) & (stamps < LAST_STAMP)), name


def _stamps(column: pd.Series) -> pd.Series:
    """Return stamps in UTC without a zone; NaT where a cell is none."""
    if pd.api.types.is_numeric_dtype(column):
        numbers = column.astype(float)
        size = float(numbers.abs().median())
        scale = 10**6 if size < 1e11 else 10**3 if size < 1e14 else 1 if size < 1e17 else 1e-3  # s, ms, µs, ns
        known = numbers * scale
        stamps = pd.to_datetime(known.where(known.abs() < 1e17), unit="us", utc=True)
    elif pd.api.types.is_datetime64_any_dtype(column):
        stamps = pd.to_datetime(column, utc=True)
    else:
        stamps = pd.to_datetime(column.astype(str), utc=True, errors="coerce", format="ISO8601")
    return stamps.dt.tz_localize(None).astype("datetime64[us]")


def positive_series(stamps: pd.Series, values: pd.Series) -> pd.Series:
    """Return values that can be open interest (`blank_bad_prints`) by stamp, the last of equal stamps.

    Raises:
        NoData: fewer than three.
    """
    numbers = blank_bad_prints(pd.to_numeric(values, errors="coerce").to_numpy(float))
    series = pd.Series(numbers, index=pd.DatetimeIndex(stamps))
    series = series[np.isfinite(series.to_numpy()) & series.index.notna()]
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

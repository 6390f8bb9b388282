"""Reported liquidations: from a table of any source to steps with a closing instant."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from liq_pipeline.errors import LiqError, NoData
from liq_pipeline.exchange.quirks import LARGEST
from liq_pipeline.model.alignment import (
    SPARSE,
    MarketData,
    ObservedLiquidations,
    truth_from_events,
    usual_step,
    which_end,
)
from liq_pipeline.validation.files import instants_of, read_frame
from liq_pipeline.validation.recorded import Stretches, read_recording, recording_at, truth_of_recording

Stamp = Literal["auto", "start", "end"]


@dataclass(frozen=True)
class TruthRows:
    """Rows of a truth file by time: the name of the column of stamps, the usual step, whether rows are events.

    Of a recording also the stretches in which somebody listened, if the folder says so.
    """

    at: np.ndarray
    usd: np.ndarray
    column: str
    step: np.timedelta64
    is_events: bool
    is_recorded: bool
    covered: Stretches | None


def _truth_frame(path: Path) -> pd.DataFrame:
    """Return the rows of a file, or of every Parquet file in a folder."""
    if not path.is_dir():
        return read_frame(path)
    files = sorted(path.rglob("*.parquet"))
    if not files:
        raise LiqError(f"{path} holds no Parquet file", expected="a recording of `liq record`, or Parquet files")
    return pd.concat([read_frame(file) for file in files], ignore_index=True)


def _of_symbol(frame: pd.DataFrame, path: Path, symbol: str) -> pd.DataFrame:
    """Return the rows of the symbol, where the rows say of which one they are."""
    if "symbol" not in frame or frame["symbol"].isna().all():
        return frame
    names = frame["symbol"].astype(str).str.strip().str.upper()  # pandas leaves missing ones missing
    if not (names == symbol).any():
        others = ", ".join(sorted(set(names.dropna()))[:5])
        raise NoData(f"{path} holds rows of {others}", expected=f"liquidations of {symbol}")
    return frame[names == symbol]


def with_sides(frame: pd.DataFrame) -> pd.DataFrame:
    """Return single forced orders as long_usd and short_usd: SELL closes a long, USD = average price × filled."""
    price = next((name for name in ("average_price", "price") if name in frame), None)
    filled = next(
        (name for name in ("filled_quantity", "accumulated_fill_quantity", "quantity") if name in frame), None
    )
    if "long_usd" in frame or "side" not in frame or price is None or filled is None:
        return frame
    usd = pd.to_numeric(frame[price], errors="coerce") * pd.to_numeric(frame[filled], errors="coerce")
    is_long = frame["side"].astype(str).str.upper() == "SELL"
    return frame.assign(long_usd=usd.where(is_long, 0.0), short_usd=usd.where(~is_long, 0.0))


def truth_rows(path: Path, symbol: str) -> TruthRows:
    """Read a file in the shared format (ts, long_usd, short_usd), or the symbol's orders of a recording."""
    try:
        recording = recording_at(path)
    except OSError as error:  # not even whether it is a folder can be told
        raise LiqError(f"{path} cannot be read: {error}", expected="a CSV or Parquet file, or a recording") from error
    covered: Stretches | None = None
    if recording:
        frame, covered = read_recording(recording, symbol)
        frame = with_sides(frame)
    else:
        frame = with_sides(_of_symbol(_truth_frame(path), path, symbol))
    stamps, name = instants_of(frame, path)
    if not {"long_usd", "short_usd"} <= set(frame):
        raise LiqError(f"{path} lacks long_usd or short_usd", expected="ts, long_usd, short_usd")
    frame = frame[["long_usd", "short_usd"]].apply(pd.to_numeric, errors="coerce").assign(ts=stamps)
    usd = frame[["long_usd", "short_usd"]]
    frame[["long_usd", "short_usd"]] = usd.where((usd >= 0) & (usd <= LARGEST))  # what cannot be is not known
    frame = frame[frame["ts"].notna() & frame[["long_usd", "short_usd"]].notna().any(axis=1)]
    frame = frame.sort_values("ts", kind="stable")
    if len(frame) < 3:
        raise NoData(f"{path} has {len(frame)} usable rows", expected="at least 3 rows with an instant and USD")
    step, share = usual_step(frame["ts"].to_numpy().astype("datetime64[us]"))
    is_events = bool(recording or share < SPARSE or step <= np.timedelta64(0, "us"))
    frame = frame.fillna(0.0) if is_events else frame.drop_duplicates("ts", keep="last")
    at = frame["ts"].to_numpy().astype("datetime64[us]")
    return TruthRows(
        at, frame[["long_usd", "short_usd"]].to_numpy(float), name, step, is_events, bool(recording), covered
    )


def names_opening(data: MarketData, rows: TruthRows) -> bool:
    """Tell whether liquidations fit the bars clearly better a bar later: then the stamps are opening instants.

    Where the truth is as fine as the bars nothing can be told, and nothing is lost: both move together.
    """
    if rows.is_events or rows.step <= data.width:
        return False
    truth = ObservedLiquidations(rows.at, rows.usd[:, 0], rows.usd[:, 1], rows.step)
    later = replace(data, walk_input=replace(data.walk_input, ts=data.walk_input.ts + data.width))
    now, then = which_end(data, truth), which_end(later, truth)
    best = max(now.fit_of_start, now.fit_of_end)
    return max(then.fit_of_start, then.fit_of_end) > best + 0.05


def truth_of(rows: TruthRows, data: MarketData, stamp: Stamp, notes: list[str]) -> ObservedLiquidations:
    """Return the truth by the end of its steps; tell in `notes` which end its stamps name."""
    if rows.is_recorded:
        return truth_of_recording(rows.at, rows.usd, rows.covered, data, notes)
    if rows.is_events:
        notes.append(f"truth: {rows.at.size} single events, summed per bar; a bar without events counts as zero")
        return truth_from_events(rows.at, rows.usd[:, 0], rows.usd[:, 1], data.width)
    truth = ObservedLiquidations(rows.at, rows.usd[:, 0], rows.usd[:, 1], rows.step)
    verdict = which_end(data, truth)
    if stamp == "auto":
        by_name: Stamp = "auto"
        if rows.column in ("close_time", "end", "end_time"):
            by_name = "end"
        elif rows.column in ("open_time", "start", "start_time"):
            by_name = "start"
        stamp = by_name if by_name != "auto" else "start" if verdict.names_start else "end"
    notes.append(
        f"truth stamps name the {stamp} of their {rows.step / np.timedelta64(1, 'm'):g} minutes (rank correlation of "
        f"adverse move and liquidations: {verdict.fit_of_start:.3f} read as start, {verdict.fit_of_end:.3f} as end)"
        + ("" if verdict.is_clear else "; THE DATA DO NOT TELL CLEARLY")
    )
    return replace(truth, end=truth.end + truth.step) if stamp == "start" else truth

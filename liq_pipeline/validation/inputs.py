"""Reads what is to be scored: bars, open interest, reported liquidations. CSV, Parquet, or folders of archive files.

Formats (columns may be more; stamps without a time zone are UTC; numbers are seconds, ms, µs or ns since 1970):

    klines          open_time (start of the bar) or ts / close_time (its closing instant); open, high, low, close;
                    volume, quote_volume (may be absent)
    open interest   ts (instant of the snapshot); open_interest (contracts) or open_interest_value (USD), or
                    open_interest_value_open + open_interest_value_close (USD at the start and the end of the step)
    liquidations    ts; long_usd, short_usd: liquidated longs and shorts. Steps, or single events at any instant
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from liq_pipeline.errors import LiqError, NoData
from liq_pipeline.exchange.formats import read_klines, read_open_interest
from liq_pipeline.exchange.keys import METRICS
from liq_pipeline.model.alignment import (
    SPARSE,
    MarketData,
    Truth,
    coarsen,
    spread_open_interest,
    truth_from_events,
    usual_step,
    which_end,
)
from liq_pipeline.model.walk import WalkInput

Stamp = Literal["auto", "start", "end"]

ASSUMED_DAILY_TURNOVER = 1.5
"""Volume of a day in multiples of open interest, where bars come without volume."""
COARSE_OPEN_INTEREST = np.timedelta64(30, "m")

_OPENING = ("open_time", "opentime", "start", "start_time", "timestamp", "time", "date", "datetime")
_CLOSING = ("ts", "close_time", "closetime", "end", "end_time")
_STAMPS = (*_CLOSING, *_OPENING)
_VALUE_PAIR = ("open_interest_value_open", "open_interest_value_close")
_ALIASES = {
    "open_interest": ("open_interest", "sum_open_interest", "sumopeninterest"),
    "open_interest_value": (
        "open_interest_value", "open_interest_value_usd", "sum_open_interest_value", "sumopeninterestvalue",
    ),
    "long_usd": ("long_usd",),
    "short_usd": ("short_usd",),
}  # fmt: skip


@dataclass
class Inputs:
    """What is scored, and what was noticed while reading it.

    Attributes:
        data: the bars with open interest.
        truth: reported liquidations.
        open_interest_step: usual distance of the snapshots.
        notes: in words: which stamps, what was dropped, what was assumed.
        facts: the same in numbers.
    """

    data: MarketData
    truth: Truth
    open_interest_step: np.timedelta64
    notes: list[str] = field(default_factory=list)
    facts: dict[str, float | str] = field(default_factory=dict)


def read_inputs(
    klines: Path,
    open_interest: Path,
    liquidations: Path,
    *,
    bar_minutes: int,
    symbol: str,
    truth_stamp: Stamp = "auto",
    open_interest_stamp: Stamp = "auto",
) -> Inputs:
    """Read the three files and put them on one clock.

    Args:
        klines, open_interest, liquidations: files (or, for the first two, folders of the exchange's daily zips).
        bar_minutes: width of a bar; finer klines are merged.
        symbol: whose files a folder holds.
        truth_stamp: which end of its step a truth stamp names; 'auto' asks the data.
        open_interest_stamp: which end of its step a snapshot names; 'end' is the instant of the snapshot.

    Raises:
        LiqError: a file that cannot be read, or files that have no time in common.
    """
    notes: list[str] = []
    bars, width = _bars(klines, bar_minutes, symbol, notes)
    wanted = np.timedelta64(bar_minutes, "m")
    data, step = _with_open_interest(bars, width, wanted, open_interest, symbol, open_interest_stamp, notes)
    found = Inputs(data, _read_truth(liquidations, data, truth_stamp, notes), step, notes)
    ts = data.walk_input.ts
    found.facts = {
        "bars": int(ts.size),
        "bar_minutes": float(data.width / np.timedelta64(1, "m")),
        "first_bar": f"{ts[0]}Z",
        "last_bar": f"{ts[-1]}Z",
        "holes_in_bars": int((np.diff(ts) > data.width).sum()),
        "open_interest_step_minutes": float(step / np.timedelta64(1, "m")),
        "bars_with_own_open_interest": int(data.known.sum()),
        "truth_step_minutes": float(found.truth.step / np.timedelta64(1, "m")),
    }
    return found


def read_frame(path: Path) -> pd.DataFrame:
    """Read a CSV (also packed) or a Parquet file; column names in lower case.

    Raises:
        LiqError: no such file, or not one of the two formats.
    """
    if not path.exists():
        raise LiqError(f"{path} does not exist", remedy="name a CSV or Parquet file")
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            frame = pd.read_parquet(path)
            if not isinstance(frame.index, pd.RangeIndex):
                frame = frame.reset_index()
        else:
            frame = pd.read_csv(path)
    except (ValueError, OSError) as error:
        raise LiqError(f"{path} cannot be read: {error}", expected="a CSV or Parquet file") from error
    return frame.rename(columns=lambda name: str(name).strip().lower())


def _instants(frame: pd.DataFrame, path: Path) -> tuple[pd.Series, str]:
    """Return the stamps (UTC) and the name of their column."""
    name = next((name for name in _STAMPS if name in frame), None)
    if name is None:
        raise LiqError(
            f"{path} has no column of stamps, only {', '.join(map(str, frame.columns))}",
            expected=f"one of {', '.join(_STAMPS)}",
        )
    column = frame[name]
    if pd.api.types.is_numeric_dtype(column):
        size = float(column.abs().median())
        unit = "s" if size < 1e11 else "ms" if size < 1e14 else "us" if size < 1e17 else "ns"
        stamps = pd.to_datetime(column, unit=unit, utc=True, errors="coerce")
    else:
        stamps = pd.to_datetime(column, utc=True, errors="coerce", format=None if _is_time(column) else "ISO8601")
    return stamps.dt.tz_localize(None).astype("datetime64[us]"), name


def _is_time(column: pd.Series) -> bool:
    return pd.api.types.is_datetime64_any_dtype(column)


def _bars(path: Path, bar_minutes: int, symbol: str, notes: list[str]) -> tuple[pd.DataFrame, np.timedelta64]:
    if path.is_dir():
        files = sorted(path.rglob(f"{symbol}-{bar_minutes}m-*.zip"))
        if not files:
            raise LiqError(f"{path} holds no {symbol} klines of {bar_minutes} minutes")
        frame = read_klines(files, symbol, f"{bar_minutes}m").table.to_pandas()
        notes.append(f"{len(files)} kline files of the archive; open_time + {bar_minutes} minutes is the closing instant")
    else:
        frame = read_frame(path)
    stamps, name = _instants(frame, path)
    lacking = [column for column in ("open", "high", "low", "close") if column not in frame]
    if lacking and lacking != ["open"]:
        raise LiqError(f"{path} lacks the columns {', '.join(lacking)}", expected="ts, open, high, low, close, volume")
    wanted = [c for c in ("open", "high", "low", "close", "volume", "quote_volume") if c in frame]
    frame = frame[wanted].apply(pd.to_numeric, errors="coerce").assign(ts=stamps)
    frame = frame[frame["ts"].notna()].sort_values("ts", kind="stable").drop_duplicates("ts", keep="last")
    if "open" not in frame:
        frame["open"] = frame["close"].shift(1).fillna(frame["close"])
        notes.append("klines without an open: the close before stands in")
    prices = frame[["open", "high", "low", "close"]]
    good = np.isfinite(prices).all(axis=1) & (prices > 0).all(axis=1)
    good &= (frame["low"] <= prices.min(axis=1) * (1 + 1e-9)) & (frame["high"] >= prices.max(axis=1) * (1 - 1e-9))
    if not good.all():
        notes.append(f"{int((~good).sum())} bars without usable prices were left out")
    frame = frame[good]
    if len(frame) < 2:
        raise NoData(f"{path} has {len(frame)} usable bars", expected="at least some days of bars")
    width, _ = usual_step(frame["ts"].to_numpy())
    if name in _OPENING:
        frame["ts"] = frame["ts"] + width
    elif name in ("close_time", "closetime"):
        frame["ts"] = frame["ts"].dt.ceil("min")  # the exchange's close_time is a millisecond before the instant
    off_grid = (frame["ts"].to_numpy().astype("datetime64[us]") - np.datetime64(0, "us")) % width != np.timedelta64(0, "us")
    if off_grid.any():
        notes.append(f"{int(off_grid.sum())} bars off the grid of {width / np.timedelta64(1, 'm'):g} minutes were left out")
        frame = frame[~off_grid]
    notes.append(f"kline stamps: column {name!r}, the {'start' if name in _OPENING else 'closing instant'} of a bar")
    return frame, width


def _with_open_interest(
    frame: pd.DataFrame,
    width: np.timedelta64,
    wanted: np.timedelta64,
    path: Path,
    symbol: str,
    stamp: Stamp,
    notes: list[str],
) -> tuple[MarketData, np.timedelta64]:
    volume = frame["volume"].clip(lower=0).fillna(0.0).to_numpy(float) if "volume" in frame else np.zeros(len(frame))
    low, high, close = (frame[name].to_numpy(float) for name in ("low", "high", "close"))
    typical = (low + high + close) / 3
    entry = typical
    if "quote_volume" in frame and "volume" in frame:
        quote = frame["quote_volume"].to_numpy(float)
        entry = np.where((volume > 0) & (quote > 0), quote / np.where(volume > 0, volume, 1.0), typical)
    bars = WalkInput(
        frame["ts"].to_numpy().astype("datetime64[us]"), np.full(len(frame), np.nan), np.clip(entry, low, high), low,
        high, close, volume,
    )  # fmt: skip
    fine = MarketData(bars, frame["open"].to_numpy(float), np.zeros(len(frame), dtype=bool), width)
    instants, contracts, step = _snapshots(path, symbol, fine, stamp, notes)
    if width > wanted or wanted % width:
        notes.append(f"klines are {width / np.timedelta64(1, 'm'):g} minutes wide and cannot be cut to {wanted}: used as is")
        return _joined(fine, instants, contracts, notes), step
    return _joined(coarsen(fine, wanted), instants, contracts, notes), step


def _joined(data: MarketData, instants: np.ndarray, contracts: np.ndarray, notes: list[str]) -> MarketData:
    bars = data.walk_input
    interest, known = spread_open_interest(bars.ts, data.width, bars.volume, instants, contracts)
    covered = np.flatnonzero(np.isfinite(interest))
    if covered.size < 2:
        raise NoData(
            f"open interest ({instants[0]} .. {instants[-1]}) and klines ({bars.ts[0]} .. {bars.ts[-1]}) have no time "
            "in common"
        )
    rows = slice(covered[0], covered[-1] + 1)
    cut = {name: values[rows] for name, values in vars(bars).items()}
    cut["open_interest"] = interest[rows]
    if not cut["volume"].any():
        per_bar = ASSUMED_DAILY_TURNOVER * float(data.width / np.timedelta64(1, "D"))
        cut["volume"] = per_bar * np.full(cut["ts"].size, cut["open_interest"][0])
        notes.append(f"klines without volume: a constant turnover of {ASSUMED_DAILY_TURNOVER} × open interest a day")
    return MarketData(WalkInput(**cut), data.open[rows], known[rows], data.width)


def _snapshots(
    path: Path, symbol: str, data: MarketData, stamp: Stamp, notes: list[str]
) -> tuple[np.ndarray, np.ndarray, np.timedelta64]:
    """Return instants, contracts, and the usual step of the snapshots."""
    if path.is_dir():
        files = sorted(path.rglob(f"{symbol}-{METRICS.name}-*.zip"))
        if not files:
            raise LiqError(f"{path} holds no {symbol} metrics")
        frame = read_open_interest(files, symbol).table.to_pandas()[["ts", "open_interest"]]
    else:
        frame = read_frame(path)
    stamps, _ = _instants(frame, path)
    names = {kind: next((n for n in found if n in frame), None) for kind, found in _ALIASES.items()}
    bars = data.walk_input
    if names["open_interest"]:
        series = _series(stamps, frame[names["open_interest"]])
        step, _ = usual_step(series.index.to_numpy())
        if stamp == "start":
            series.index = series.index + step
        notes.append(f"open interest in contracts, stamped with the {'start' if stamp == 'start' else 'instant'}")
        return series.index.to_numpy().astype("datetime64[us]"), series.to_numpy(), step
    if all(name in frame for name in _VALUE_PAIR):
        opening, closing = (_series(stamps, frame[name]) for name in _VALUE_PAIR)
        step, _ = usual_step(opening.index.to_numpy())
        closing.index = closing.index + step
        series = opening.combine_first(closing)
        stamp = "end"
    elif names["open_interest_value"]:
        series = _series(stamps, frame[names["open_interest_value"]])
        step, _ = usual_step(series.index.to_numpy())
    else:
        raise LiqError(
            f"{path} has no open interest, only {', '.join(map(str, frame.columns))}",
            expected="open_interest (contracts) or open_interest_value (USD)",
        )
    # Value moves with the price of its own instant: under the right reading, value / price moves least.
    readings = {"end": np.timedelta64(0, "us"), "start": step}
    contracts = {}
    for reading, shift in readings.items():
        at = series.index.to_numpy().astype("datetime64[us]") + shift
        newest = np.searchsorted(bars.ts, at, side="right") - 1
        usable = (newest >= 0) & (at - bars.ts[np.maximum(newest, 0)] < data.width)
        contracts[reading] = (at[usable], series.to_numpy()[usable] / bars.close[newest[usable]])
    unrest = {
        reading: float(np.median(np.abs(np.diff(np.log(values))))) if values.size > 2 else np.inf
        for reading, (_, values) in contracts.items()
    }
    if stamp == "auto":
        stamp = "start" if unrest["start"] < 0.9 * unrest["end"] else "end"
    notes.append(
        f"open interest in USD, stamped with the {'start of its step' if stamp == 'start' else 'instant'} (value / price "
        f"moves {1e4 * unrest['end']:.1f} bp a step read so, {1e4 * unrest['start']:.1f} bp if stamped with the start)"
    )
    at, values = contracts[stamp]
    if not at.size:
        raise NoData(f"{path} has no time in common with the klines")
    return at, values, step


def _series(stamps: pd.Series, values: pd.Series) -> pd.Series:
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(float)
    series = pd.Series(numbers, index=pd.DatetimeIndex(stamps))
    series = series[np.isfinite(series.to_numpy()) & (series.to_numpy() > 0) & series.index.notna()]
    series = series[~series.index.duplicated(keep="last")].sort_index()
    if len(series) < 3:
        raise NoData(f"{len(series)} usable values of open interest", expected="positive numbers with stamps")
    return series


def _read_truth(path: Path, data: MarketData, stamp: Stamp, notes: list[str]) -> Truth:
    frame = read_frame(path)
    stamps, name = _instants(frame, path)
    if not {"long_usd", "short_usd"} <= set(frame):
        raise LiqError(f"{path} lacks long_usd or short_usd", expected="ts, long_usd, short_usd")
    frame = frame[["long_usd", "short_usd"]].apply(pd.to_numeric, errors="coerce").assign(ts=stamps)
    frame = frame[frame["ts"].notna()].sort_values("ts", kind="stable")
    if len(frame) < 3:
        raise NoData(f"{path} has {len(frame)} usable rows")
    at = frame["ts"].to_numpy().astype("datetime64[us]")
    step, share = usual_step(at)
    if share < SPARSE or step <= np.timedelta64(0, "us"):
        usd = frame.fillna(0.0)
        notes.append(f"truth: {len(frame)} single events, summed per bar; a bar without events counts as zero")
        return truth_from_events(at, usd["long_usd"].to_numpy(), usd["short_usd"].to_numpy(), data.width)
    frame = frame.drop_duplicates("ts", keep="last")
    at = frame["ts"].to_numpy().astype("datetime64[us]")
    truth = Truth(at, frame["long_usd"].to_numpy(float), frame["short_usd"].to_numpy(float), step)
    if name in ("close_time", "end", "end_time"):
        stamp = "end" if stamp == "auto" else stamp
    elif name in ("open_time", "start", "start_time"):
        stamp = "start" if stamp == "auto" else stamp
    verdict = which_end(data, truth)
    if stamp == "auto":
        stamp = "start" if verdict.names_start else "end"
    notes.append(
        f"truth stamps name the {stamp} of their {step / np.timedelta64(1, 'm'):g} minutes (rank correlation of adverse "
        f"move and liquidations: {verdict.fit_of_start:.3f} read as start, {verdict.fit_of_end:.3f} as end)"
        + ("" if verdict.is_clear else "; THE DATA DO NOT TELL CLEARLY")
    )
    return Truth(at + step if stamp == "start" else at, truth.long_usd, truth.short_usd, step)


def bar_width(text: str) -> int:
    """Return the minutes of a width such as '5m' or '1h'.

    Raises:
        LiqError: not a width.
    """
    found = re.fullmatch(r"(\d+)(m|h)", text.strip().lower())
    if not found or not int(found[1]):
        raise LiqError(f"{text!r} is not the width of a bar", expected="for example 5m, 15m or 1h")
    return int(found[1]) * (60 if found[2] == "h" else 1)


__all__ = ["Inputs", "Stamp", "bar_width", "coarsen", "read_frame", "read_inputs"]

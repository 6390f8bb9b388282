"""Reads what is to be scored: bars, open interest, reported liquidations. CSV, Parquet, or folders of archive files.

Formats (columns may be more; stamps without a time zone are UTC; numbers are seconds, ms, µs or ns since 1970):

    klines          open_time (start of the bar) or ts / close_time (its closing instant); open, high, low, close;
                    volume, quote_volume (may be absent)
    open interest   ts (instant of the snapshot); open_interest (contracts) or open_interest_value (USD), or
                    open_interest_value_open + open_interest_value_close (USD at the start and the end of the step)
    liquidations    ts; long_usd, short_usd: liquidated longs and shorts. Steps, or single events at any instant; or
                    the folder of a recording (`liq record`), which also says when somebody listened
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from liq_pipeline.errors import LiqError, NoData
from liq_pipeline.exchange.formats import read_klines, read_open_interest
from liq_pipeline.exchange.keys import METRICS
from liq_pipeline.exchange.quirks import LARGEST, SMALLEST
from liq_pipeline.model.alignment import (
    Instants,
    MarketData,
    ObservedLiquidations,
    coarsen,
    spread_open_interest,
    usual_step,
)
from liq_pipeline.model.walk import WalkInput
from liq_pipeline.validation.files import OPENING, instants_of, positive_series, read_frame
from liq_pipeline.validation.truth import Stamp, names_opening, truth_of, truth_rows

ASSUMED_DAILY_TURNOVER = 1.5
"""Volume of a day in multiples of open interest, where bars come without volume."""
COARSE_OPEN_INTEREST = np.timedelta64(30, "m")

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
    truth: ObservedLiquidations
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
    kline_stamp: Stamp = "auto",
    truth_stamp: Stamp = "auto",
    open_interest_stamp: Stamp = "auto",
) -> Inputs:
    """Read the three files and put them on one clock.

    Args:
        klines, open_interest, liquidations: files (or, for the first two, folders of the exchange's daily zips).
        bar_minutes: width of a bar; finer klines are merged.
        symbol: whose files a folder holds.
        kline_stamp: which end of its bar a kline stamp names; 'auto' goes by the column's name, and asks the data
            whether the name is wrong.
        truth_stamp: which end of its step a truth stamp names; 'auto' asks the data.
        open_interest_stamp: which end of its step a snapshot names; 'end' is the instant of the snapshot.

    Raises:
        LiqError: a file that cannot be read, or files that have no time in common.
    """
    notes: list[str] = []
    wanted = np.timedelta64(bar_minutes, "m")

    def joined(stamp: Stamp) -> tuple[MarketData, np.timedelta64]:
        notes.clear()
        bars, width = _bars(klines, bar_minutes, symbol, stamp, notes)
        return _with_open_interest(bars, width, wanted, open_interest, symbol, open_interest_stamp, notes)

    data, step = joined(kline_stamp)
    table = truth_rows(liquidations, symbol)
    if kline_stamp == "auto" and names_opening(data, table):
        data, step = joined("start")
        notes.append("the klines' stamps fit the liquidations only as the START of a bar: read so, against their name")
    found = Inputs(data, truth_of(table, data, truth_stamp, notes), step, notes)
    ts = data.walk_input.ts
    found.facts = {
        "bars": int(ts.size),
        "bar_minutes": float(data.width / np.timedelta64(1, "m")),
        "first_bar": f"{ts[0]}Z",
        "last_bar": f"{ts[-1]}Z",
        "holes_in_bars": int((np.diff(ts) > data.width).sum()),
        "open_interest_step_minutes": float(step / np.timedelta64(1, "m")),
        "bars_with_own_open_interest": int(data.known.sum()),
        "coverage_is_unknown": table.is_recorded and table.covered is None,
        "truth_step_minutes": float(found.truth.step / np.timedelta64(1, "m")),
    }
    return found


def _bars(
    path: Path, bar_minutes: int, symbol: str, stamp: Stamp, notes: list[str]
) -> tuple[pd.DataFrame, np.timedelta64]:
    if path.is_dir():
        files = sorted(path.rglob(f"{symbol}-{bar_minutes}m-*.zip"))
        if not files:
            raise LiqError(f"{path} holds no {symbol} klines of {bar_minutes} minutes")
        frame = read_klines(files, symbol, f"{bar_minutes}m").table.to_pandas()
        notes.append(
            f"{len(files)} kline files of the archive; open_time + {bar_minutes} minutes is the closing instant"
        )
    else:
        frame = read_frame(path)
    stamps, name = instants_of(frame, path)
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
    good = (prices >= SMALLEST).all(axis=1) & (prices <= LARGEST).all(axis=1)
    good &= (frame["low"] <= prices.min(axis=1) * (1 + 1e-9)) & (frame["high"] >= prices.max(axis=1) * (1 - 1e-9))
    if not good.all():
        notes.append(f"{int((~good).sum())} bars without usable prices were left out")
    frame = frame[good]
    if "volume" in frame:
        absurd = ~frame["volume"].between(0, LARGEST)
        if absurd.any():
            notes.append(f"{int(absurd.sum())} bars without a usable volume: counted as if nothing traded in them")
        frame = frame.assign(volume=frame["volume"].mask(absurd, 0.0))
    if len(frame) < 2:
        raise NoData(f"{path} has {len(frame)} usable bars", expected="at least some days of bars")
    width, _ = usual_step(frame["ts"].to_numpy())
    is_opening = stamp == "start" or (stamp == "auto" and name in OPENING)
    if is_opening:
        frame["ts"] = frame["ts"] + width
    elif name in ("close_time", "closetime"):
        frame["ts"] = frame["ts"].dt.ceil("min")  # the exchange's close_time is a millisecond before the instant
    off_grid = (frame["ts"].to_numpy().astype("datetime64[us]") - np.datetime64(0, "us")) % width != np.timedelta64(
        0, "us"
    )
    if off_grid.any():
        notes.append(
            f"{int(off_grid.sum())} bars off the grid of {width / np.timedelta64(1, 'm'):g} minutes were left out"
        )
        frame = frame[~off_grid]
    notes.append(f"kline stamps: column {name!r}, the {'start' if is_opening else 'closing instant'} of a bar")
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
    volume = frame["volume"].to_numpy(float) if "volume" in frame else np.zeros(len(frame))
    low, high, close = (frame[name].to_numpy(float) for name in ("low", "high", "close"))
    typical = (low + high + close) / 3
    entry = typical
    if "quote_volume" in frame and "volume" in frame:
        quote = frame["quote_volume"].to_numpy(float)
        entry = np.where(
            (volume > 0) & (quote > 0) & (quote <= LARGEST), quote / np.where(volume > 0, volume, 1.0), typical
        )
    bars = WalkInput(
        frame["ts"].to_numpy().astype("datetime64[us]"), np.full(len(frame), np.nan), np.clip(entry, low, high), low,
        high, close, volume,
    )  # fmt: skip
    fine = MarketData(bars, frame["open"].to_numpy(float), np.zeros(len(frame), dtype=bool), width)
    instants, contracts, step = _snapshots(path, symbol, fine, stamp, notes)
    if width > wanted or wanted % width:
        notes.append(
            f"klines are {width / np.timedelta64(1, 'm'):g} minutes wide and cannot be cut to {wanted}: used as is"
        )
        return _joined(fine, instants, contracts, notes), step
    return _joined(coarsen(fine, wanted), instants, contracts, notes), step


def _joined(data: MarketData, instants: np.ndarray, contracts: np.ndarray, notes: list[str]) -> MarketData:
    bars = data.walk_input
    open_interest, known = spread_open_interest(bars.ts, data.width, bars.volume, instants, contracts)
    covered = np.flatnonzero(np.isfinite(open_interest))
    if covered.size < 2:
        raise NoData(
            f"open interest ({instants[0]} .. {instants[-1]}) and klines ({bars.ts[0]} .. {bars.ts[-1]}) have no time "
            "in common"
        )
    rows = slice(covered[0], covered[-1] + 1)
    cut = {name: values[rows] for name, values in vars(bars).items()}
    cut["open_interest"] = open_interest[rows]
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
    stamps, _ = instants_of(frame, path)
    names = {kind: next((n for n in found if n in frame), None) for kind, found in _ALIASES.items()}
    bars = data.walk_input
    if names["open_interest"]:
        series = positive_series(stamps, frame[names["open_interest"]])
        step, _ = usual_step(series.index.to_numpy())
        if stamp == "start":
            series.index = series.index + step
        notes.append(f"open interest in contracts, stamped with the {'start' if stamp == 'start' else 'instant'}")
        return series.index.to_numpy().astype("datetime64[us]"), series.to_numpy(), step
    if all(name in frame for name in _VALUE_PAIR):
        opening, closing = (positive_series(stamps, frame[name]) for name in _VALUE_PAIR)
        step, _ = usual_step(opening.index.to_numpy())
        closing.index = closing.index + step
        series = opening.combine_first(closing)
        stamp = "end"
    elif names["open_interest_value"]:
        series = positive_series(stamps, frame[names["open_interest_value"]])
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
        at: Instants = np.add(series.index.to_numpy().astype("datetime64[us]"), shift)
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
        f"open interest in USD, stamped with the {'start of its step' if stamp == 'start' else 'instant'} (value / "
        f"price moves {1e4 * unrest['end']:.1f} bp a step read as instants, {1e4 * unrest['start']:.1f} bp as starts)"
    )
    at, values = contracts[stamp]
    if not at.size:
        raise NoData(f"{path} has no time in common with the klines")
    return at, values, step

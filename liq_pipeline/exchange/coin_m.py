"""COIN-M files of the archive: the only free history of single liquidations (BTCUSD_PERP, 2023-06-25 .. 2024-10-14).

Quirks, each handled by a named function (exchange.md 2):

- every row of `liquidationSnapshot` stands twice; SELL is a liquidated long; what was filled is
  `accumulated_fill_quantity` contracts at `average_price`; a contract is 100 USD (BTC; 10 USD elsewhere)
- the snapshot feed shows at most one order a second: sums are a lower bound
- labels of COIN-M metrics name the start of their five minutes; there is a hole from 2024-03-04 to 2024-06-08
- open interest is `sum_open_interest` contracts; `sum_open_interest_value` is in coin, not USD
- in COIN-M klines `volume` is in contracts and `quote_volume` in coin
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from liq_pipeline.errors import FormatError, UnknownSymbol
from liq_pipeline.exchange import quirks
from liq_pipeline.exchange.archive import Archive
from liq_pipeline.exchange.bulk import read_member, refuse_wide
from liq_pipeline.exchange.fetch import fetch_files
from liq_pipeline.exchange.keys import COIN_M_DAILY, SIDECAR, ArchiveDataset, RemoteFile, inside
from liq_pipeline.exchange.listing import ask_for_sidecars, list_days
from liq_pipeline.exchange.quarantine import set_aside
from liq_pipeline.exchange.quirks import LARGEST, SMALLEST
from liq_pipeline.exchange.row_rules import KLINE_NUMBERS, kline_faults
from liq_pipeline.system.storage import sync

MOST_BYTES = 32 << 20  # of a day of liquidations: at most one order a second, each twice
SNAPSHOT_COLUMNS = (
    "time", "side", "order_type", "time_in_force", "original_quantity", "price", "average_price", "order_status",
    "last_fill_quantity", "accumulated_fill_quantity",
)  # fmt: skip
KLINE_COLUMNS = (
    "open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume", "count", "taker_buy_volume",
    "taker_buy_quote_volume", "ignore",
)  # fmt: skip
METRICS_COLUMNS = ("create_time", "symbol", "sum_open_interest", "sum_open_interest_value")
METRICS_STEP = pd.Timedelta("5min")
RowsOf = Callable[[pd.DataFrame, date], tuple[pd.DataFrame, dict[str, int]]]


@dataclass
class Read:
    """What a kind of files held.

    Attributes:
        rows: of the good files.
        days: that have a good file.
        notes: how often each quirk was met.
        bad: files that were left out, each with what is wrong with it.
    """

    rows: pd.DataFrame
    days: list[date]
    notes: dict[str, int] = field(default_factory=dict)
    bad: list[tuple[Path, FormatError]] = field(default_factory=list)


def datasets(interval: str) -> list[ArchiveDataset]:
    """Return what is read of a symbol: liquidations, open interest, bars."""
    kinds = {"liquidationSnapshot": "", "metrics": "", "klines": interval}
    return [ArchiveDataset(name, width, COIN_M_DAILY) for name, width in kinds.items()]


def key_of(kind: str, symbol: str, day: date, interval: str = "") -> str:
    """Return the key of one day's zip."""
    return ArchiveDataset(kind, interval, COIN_M_DAILY).key(symbol, day)


def contract_usd(symbol: str) -> float:
    """Return the face value of a contract, USD."""
    return 100.0 if symbol.startswith("BTC") else 10.0


def fetch_coin_m(
    archive: Archive,
    symbol: str,
    interval: str,
    since: date,
    until: date,
    folder: Path,
    workers: int,
    report: Callable[[str], None] = lambda _: None,
) -> dict[str, list[Path]]:
    """Bring the symbol's files of `since .. until` to `folder`, checked against their sidecars. What is there stays.

    Raises:
        UnknownSymbol: the archive lists no liquidations of the symbol in that time.
        ChecksumsMissing: it has no sidecars at all, and may not do without.
        LiqError: the archive as a whole cannot be used.
    """  # fmt: skip
    local: dict[str, list[Path]] = {}
    for dataset in datasets(interval):
        listing = list_days(archive, dataset, symbol)
        wanted = [file for day, file in listing.days.items() if since <= day <= until]
        if not wanted:
            raise UnknownSymbol(
                f"the archive lists no {dataset.name} of {symbol} between {since} and {until}",
                expected=f"files below {dataset.prefix(symbol)}",
            )
        ask_for_sidecars(archive, len(wanted), listing.signed, f"{symbol} {dataset.name}")
        report(f"{dataset.name}: {len(wanted)} files, {sum(file.size for file in wanted) / 1e6:.1f} MB")
        local[dataset.name] = _fetched(archive, wanted, folder, workers, report)
    return local


def _fetched(
    archive: Archive, wanted: Sequence[RemoteFile], folder: Path, workers: int, report: Callable[[str], None]
) -> list[Path]:
    with ThreadPoolExecutor(workers) as pool:
        found, fatal = fetch_files(pool, archive, wanted, folder, lambda _: None)
    if fatal:
        raise fatal
    good = []
    for one in sorted(found, key=lambda item: item.remote.key):
        if one.status != "ok" or one.path is None:
            report(f"left out: {one.message}")
            continue
        final = inside(folder, one.remote.key)
        if one.path != final:
            one.path.replace(final)
            sync(final)
        good.append(final)
    if unverified := sum(one.status == "ok" and one.expected_sha256 is None for one in found):
        report(f"checksums NOT verified: {unverified} files without a {SIDECAR}")
    return good


def set_bad_aside(folder: Path, bad: Sequence[tuple[Path, FormatError]]) -> None:
    """Move bad files to the quarantine of a folder."""
    for path, error in bad:
        if path.is_relative_to(folder) and path.exists():
            set_aside(folder, path, str(path.relative_to(folder)), f"{error}\n", ".txt")


def read_liquidation_snapshots(files: Sequence[Path], symbol: str) -> Read:
    """Read liquidations: ts, long_usd, short_usd, one row an order."""

    def rows_of(frame: pd.DataFrame, day: date) -> tuple[pd.DataFrame, dict[str, int]]:
        rows, doubled = drop_doubled_rows(frame)
        stamps = _instants(rows, "time", day, pd.Timedelta("1h"))
        filled, price = (_numbers(rows[name]) for name in ("accumulated_fill_quantity", "average_price"))
        good = (filled > 0) & (filled <= LARGEST) & (price >= SMALLEST) & (price <= LARGEST)
        good &= rows["side"].isin(["BUY", "SELL"])
        usd = (filled * contract_usd(symbol)).where(good, 0.0)
        is_long = is_liquidated_long(rows["side"])
        table = pd.DataFrame(
            {"ts": stamps, "long_usd": np.where(is_long, usd, 0.0), "short_usd": np.where(is_long, 0.0, usd)}
        )
        return table[good], {"doubled_rows_dropped": doubled, "rows_without_a_fill": int((~good).sum())}

    found = _read(files, SNAPSHOT_COLUMNS, rows_of)
    found.rows = found.rows.sort_values("ts", kind="stable", ignore_index=True)
    return found


def drop_doubled_rows(rows: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Return each row once, and how many were dropped: the files hold every row twice."""
    once = rows.drop_duplicates()
    return once, len(rows) - len(once)


def is_liquidated_long(side: pd.Series) -> pd.Series:
    """Tell whose position ended: the order that closes a long sells."""
    return side == "SELL"


def read_coin_metrics(files: Sequence[Path], symbol: str) -> Read:
    """Read open interest: ts (instant), open_interest (contracts of fixed USD: what is conserved)."""

    def rows_of(frame: pd.DataFrame, day: date) -> tuple[pd.DataFrame, dict[str, int]]:
        rows = frame[frame["symbol"] == symbol]
        labels = _instants(rows, "create_time", day, METRICS_STEP).dt.round("min")
        contracts = quirks.blank_bad_prints(_numbers(rows["sum_open_interest"]).to_numpy())
        table = pd.DataFrame({"ts": labels + METRICS_STEP, "open_interest": contracts})  # labels name the start
        good = table["open_interest"].notna()
        return table[good], {"bad_prints": int((~good).sum())}

    found = _read(files, METRICS_COLUMNS, rows_of)
    table = found.rows.sort_values("ts", kind="stable")
    found.rows = table.drop_duplicates("ts", keep="last").reset_index(drop=True)
    steps = found.rows["ts"].diff()
    found.notes["holes_longer_than_a_day"] = int((steps > pd.Timedelta("1D")).sum())
    return found


def read_coin_klines(files: Sequence[Path], symbol: str) -> Read:
    """Read bars: open_time, prices, volume in contracts, quote_volume such that quote / volume is the VWAP."""

    def rows_of(frame: pd.DataFrame, day: date) -> tuple[pd.DataFrame, dict[str, int]]:
        numbers = {n: _numbers(frame["count" if n == "trade_count" else n]).to_numpy() for n in KLINE_NUMBERS}
        for mask, expected in kline_faults(numbers):
            _refuse(frame, mask, expected)
        volume, coin = numbers["volume"], numbers["quote_volume"]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            vwap = np.where(coin > 0, volume * contract_usd(symbol) / coin, numbers["close"])
        vwap = np.clip(vwap, numbers["low"], numbers["high"])  # contracts over a dust of coin are no price
        prices = {name: numbers[name] for name in ("open", "high", "low", "close", "volume")}
        stamps = _instants(frame, "open_time", day, METRICS_STEP)
        return pd.DataFrame({"open_time": stamps, **prices, "quote_volume": volume * vwap}), {}

    return _read(files, KLINE_COLUMNS, rows_of)


def _read(files: Sequence[Path], columns: Sequence[str], rows_of: RowsOf) -> Read:
    """Read files one by one; a bad one costs its day only.

    Raises:
        FormatError: none can be read.
    """
    frames, days, bad = [], [], []
    notes: Counter[str] = Counter()
    for path in files:
        try:
            day = date.fromisoformat(path.stem[-10:])
            rows, found = rows_of(_frame(path, columns), day)
        except FormatError as error:
            bad.append((path, FormatError(f"{path.name}: {error.problem}", expected=error.expected)))
        except (ValueError, OSError) as error:
            bad.append((path, FormatError(f"{path.name}: {str(error)[:200]}", expected=f"a day of {columns[0]} …")))
        else:
            frames.append(rows)
            days.append(day)
            notes.update(found)
    if not frames:
        raise FormatError(f"none of {len(files)} files could be read: {'; '.join(str(error) for _, error in bad[:3])}")
    return Read(pd.concat(frames, ignore_index=True), days, dict(notes), bad)


def _frame(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Read one zip with one CSV, with or without its header. Cells are text; the index counts lines of data from 1."""
    text = read_member(path, MOST_BYTES).decode("utf-8", "replace")
    has_header = text.startswith(columns[0])
    try:
        refuse_wide(io.StringIO(text))
        frame = pd.read_csv(
            io.StringIO(text), header=0 if has_header else None, dtype=str, keep_default_na=False, engine="c"
        )
    except Exception as error:  # whatever the reader makes of it
        raise FormatError(f"no CSV: {str(error)[:200]}", expected=",".join(columns)) from error
    if not has_header:
        frame = frame.iloc[:, : len(columns)]
        frame.columns = pd.Index(columns[: frame.shape[1]])
    missing = [name for name in columns if list(frame.columns).count(name) != 1]
    if missing or frame.empty or not isinstance(frame.index, pd.RangeIndex):
        raise FormatError(
            f"{len(frame)} rows, without {', '.join(missing) or 'a fault in columns'}", expected=",".join(columns)
        )
    frame.index = pd.RangeIndex(1 + int(has_header), 1 + int(has_header) + len(frame))
    return frame[list(columns)]


def _numbers(column: pd.Series) -> pd.Series:
    """Return cells as numbers; NaN where they are none."""
    return pd.to_numeric(column, errors="coerce").astype(float)


def _instants(rows: pd.DataFrame, name: str, day: date, slack: pd.Timedelta) -> pd.Series:
    """Return the stamps of a file, ms or µs since 1970 or as text (UTC), which must be of the file's own day.

    Raises:
        FormatError: one is none, or of another day.
    """
    numbers = _numbers(rows[name])
    if numbers.notna().any():
        numbers = numbers.where(numbers < 1e15, numbers / 1000)  # microseconds in later files
        stamps = pd.to_datetime(numbers.where(numbers.between(0, 1e14)), unit="ms", utc=True)
    else:
        stamps = pd.to_datetime(rows[name], utc=True, errors="coerce", format="ISO8601")
    midnight = pd.Timestamp(day, tz="UTC")
    own_day = (stamps >= midnight - slack) & (stamps <= midnight + pd.Timedelta("1D") + slack)
    _refuse(rows, ~own_day.to_numpy(), f"{name} of the file's own day")
    return stamps


def _refuse(rows: pd.DataFrame, mask: np.ndarray, expected: str) -> None:
    if mask.any():
        first = int(np.argmax(mask))
        raise FormatError(
            f"line {rows.index[first]}: {','.join(map(str, rows.iloc[first]))[:200]!r}", expected=expected
        )

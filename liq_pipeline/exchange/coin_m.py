"""COIN-M files of the archive: the only free history of single liquidations (BTCUSD_PERP, 2023-06-25 .. 2024-10-14).

Quirks, each handled by a named function (exchange.md 2, issue 5):

- every row of `liquidationSnapshot` stands twice; SELL is a liquidated long; what was filled is
  `accumulated_fill_quantity` contracts at `average_price`; a contract is 100 USD (BTC; 10 USD elsewhere)
- the snapshot feed shows at most one order a second: sums are a lower bound
- labels of COIN-M metrics name the start of their five minutes; there is a hole from 2024-03-04 to 2024-06-08
- open interest is `sum_open_interest` contracts; `sum_open_interest_value` is in coin, not USD
- in COIN-M klines `volume` is in contracts and `quote_volume` in coin
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from liq_pipeline.errors import FormatError, UnknownSymbol
from liq_pipeline.exchange.archive import Archive, RemoteFile
from liq_pipeline.exchange.fetch import fetch_files
from liq_pipeline.exchange.keys import SIDECAR
from liq_pipeline.exchange.listing import ask_for_sidecars, signed_keys
from liq_pipeline.exchange.manifest import fsync

ROOT = "data/futures/cm/daily"
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


@dataclass
class Read:
    """What a kind of files held: its rows, the days that have a good file, and how often each quirk was met."""

    rows: pd.DataFrame
    days: list[date]
    notes: dict[str, int] = field(default_factory=dict)
    bad: list[str] = field(default_factory=list)


def kinds(interval: str) -> dict[str, str]:
    """Return the folder of each kind below the symbol's: liquidations, open interest, bars."""
    return {"liquidationSnapshot": "", "metrics": "", "klines": interval}


def key_of(kind: str, symbol: str, day: date, interval: str = "") -> str:
    """Return the key of one day's zip."""
    folder = f"{ROOT}/{kind}/{symbol}/{interval}/" if interval else f"{ROOT}/{kind}/{symbol}/"
    return f"{folder}{symbol}-{interval or kind}-{day.isoformat()}.zip"


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
    for kind, sub in kinds(interval).items():
        prefix = key_of(kind, symbol, since, sub).rsplit("/", 1)[0] + "/"
        first, last = key_of(kind, symbol, since, sub), key_of(kind, symbol, until, sub)
        files = archive.list_files(prefix)
        wanted = [file for file in files if file.key.endswith(".zip") and first <= file.key <= last]
        if not wanted:
            raise UnknownSymbol(f"the archive lists no {kind} of {symbol} between {since} and {until} ({prefix})")
        ask_for_sidecars(archive, len(wanted), signed_keys(files), f"{symbol} {kind}")
        report(f"{kind}: {len(wanted)} files, {sum(file.size for file in wanted) / 1e6:.1f} MB")
        local[kind] = _fetched(archive, wanted, folder, workers, report)
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
        final = folder / one.remote.key
        if one.path != final:
            one.path.replace(final)
            fsync(final)
        good.append(final)
    if unverified := sum(one.status == "ok" and one.expected_sha256 is None for one in found):
        report(f"checksums NOT verified: {unverified} files without a {SIDECAR}")
    return good


def read_liquidation_snapshots(files: Sequence[Path], symbol: str) -> Read:
    """Read liquidations: ts, long_usd, short_usd, one row an order."""
    found = _frames(files, SNAPSHOT_COLUMNS)
    rows, doubled = drop_doubled_rows(found.rows)
    filled = pd.to_numeric(rows["accumulated_fill_quantity"], errors="coerce")
    price = pd.to_numeric(rows["average_price"], errors="coerce")
    good = (filled > 0) & (price > 0) & rows["side"].isin(["BUY", "SELL"])
    usd = (filled * contract_usd(symbol)).where(good, 0.0)
    is_long = is_liquidated_long(rows["side"])
    found.notes = {"doubled_rows_dropped": doubled, "rows_without_a_fill": int((~good).sum())}
    found.rows = pd.DataFrame(
        {
            "ts": _from_ms(rows["time"]),
            "long_usd": np.where(is_long, usd, 0.0),
            "short_usd": np.where(is_long, 0.0, usd),
        }
    )[good.to_numpy()].sort_values("ts", kind="stable", ignore_index=True)
    return found


def drop_doubled_rows(rows: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Return each row once, and how many were dropped: the files hold every row twice."""
    once = rows.drop_duplicates(ignore_index=True)
    return once, len(rows) - len(once)


def is_liquidated_long(side: pd.Series) -> pd.Series:
    """Tell whose position ended: the order that closes a long sells."""
    return side == "SELL"


def read_coin_metrics(files: Sequence[Path], symbol: str) -> Read:
    """Read open interest: ts (instant), open_interest (contracts of fixed USD: what is conserved)."""
    found = _frames(files, METRICS_COLUMNS)
    rows = found.rows[found.rows["symbol"] == symbol]
    labels = pd.to_datetime(rows["create_time"], utc=True, errors="coerce").dt.round("min")
    contracts = pd.to_numeric(rows["sum_open_interest"], errors="coerce")
    table = pd.DataFrame({"ts": labels + METRICS_STEP, "open_interest": contracts})  # labels name the start
    table = table[(table["open_interest"] > 0) & table["ts"].notna()].sort_values("ts", kind="stable")
    found.notes = {"bad_prints": len(rows) - len(table)}
    found.rows = table.drop_duplicates("ts", keep="last").reset_index(drop=True)
    steps = found.rows["ts"].diff()
    found.notes["holes_longer_than_a_day"] = int((steps > pd.Timedelta("1D")).sum())
    return found


def read_coin_klines(files: Sequence[Path], symbol: str) -> Read:
    """Read bars: open_time, prices, volume in contracts, quote_volume such that quote / volume is the VWAP."""
    found = _frames(files, KLINE_COLUMNS)
    rows = found.rows
    numbers = {name: pd.to_numeric(rows[name], errors="coerce") for name in KLINE_COLUMNS[1:6]}
    coin = pd.to_numeric(rows["quote_volume"], errors="coerce")
    vwap = (numbers["volume"] * contract_usd(symbol) / coin.where(coin > 0)).fillna(numbers["close"])
    found.rows = pd.DataFrame(
        {"open_time": _from_ms(rows["open_time"]), **numbers, "quote_volume": numbers["volume"] * vwap}
    )
    return found


def _from_ms(column: pd.Series) -> pd.Series:
    numbers = pd.to_numeric(column, errors="coerce")
    numbers = numbers.where(numbers < 1e15, numbers / 1000)  # microseconds in later files
    return pd.to_datetime(numbers, unit="ms", utc=True)


def _frames(files: Sequence[Path], columns: Sequence[str]) -> Read:
    frames, days, bad = [], [], []
    for path in files:
        try:
            frames.append(_frame(path, columns))
            days.append(date.fromisoformat(path.stem[-10:]))
        except (FormatError, OSError, zipfile.BadZipFile, zlib.error, ValueError, pd.errors.ParserError) as error:
            bad.append(f"{path.name}: {error}")
    if not frames:
        raise FormatError(f"none of {len(files)} files could be read: {'; '.join(bad[:3])}")
    return Read(pd.concat(frames, ignore_index=True), days, bad=bad)


def _frame(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Read one zip with one CSV, with or without its header."""
    with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as file:
        lines = file.read().decode()
    has_header = lines.startswith(columns[0])
    frame = pd.read_csv(io.StringIO(lines), header=0 if has_header else None, dtype=str)
    if not has_header:
        frame = frame.iloc[:, : len(columns)]
        frame.columns = pd.Index(columns[: frame.shape[1]])
    if missing := [name for name in columns if name not in frame]:
        raise FormatError(f"{path.name} lacks {', '.join(missing)}", expected=",".join(columns))
    return frame[list(columns)]

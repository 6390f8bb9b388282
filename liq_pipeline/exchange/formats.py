"""The exchange's metrics and kline files as Arrow tables with one schema each.

What belongs here: schemas and the two readers. The defects that the readers mend or refuse are in `quirks`, bulk
reading is in `bulk`, the check of time labels against prices in `label_check`. Sources: exchange.md 1.6, 1.7 and 2.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from liq_pipeline.errors import FormatError
from liq_pipeline.exchange import quirks
from liq_pipeline.exchange.bulk import Bad, Layout, RowFault, Rows, read_rows
from liq_pipeline.exchange.keys import METRICS, ArchiveDataset, klines
from liq_pipeline.exchange.label_check import ShiftVerdict, label_shift_disagreements, observed_label_shift
from liq_pipeline.exchange.quirks import OffGrid, label_shift
from liq_pipeline.exchange.row_rules import KLINE_NUMBERS, kline_faults

__all__ = [
    "KLINES_SCHEMA",
    "OPEN_INTEREST_SCHEMA",
    "FileFacts",
    "OffGrid",
    "Parsed",
    "ShiftVerdict",
    "label_shift",
    "label_shift_disagreements",
    "observed_label_shift",
    "read_dataset",
    "read_klines",
    "read_open_interest",
]

INSTANT = pa.timestamp("us", tz="UTC")
_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
RATIOS = (
    "count_toptrader_long_short_ratio",
    "sum_toptrader_long_short_ratio",
    "count_long_short_ratio",
    "sum_taker_long_short_vol_ratio",
)
OPEN_INTEREST_SCHEMA = pa.schema(
    {
        "symbol": pa.string(),
        "ts": INSTANT,  # instant of the snapshot, whatever the label meant
        "open_interest": pa.float64(),  # contracts, i.e. units of the base asset; null = a bad print
        "open_interest_value_usd": pa.float64(),
        **dict.fromkeys(RATIOS, pa.float64()),
        "create_time": INSTANT,  # the label as it stands in the file
        "file_date": pa.date32(),
        "source": pa.string(),
    }
)
KLINES_SCHEMA = pa.schema(
    {
        "symbol": pa.string(),
        "ts": INSTANT,  # closing instant: open_time + interval
        "open_time": INSTANT,
        **dict.fromkeys(("open", "high", "low", "close", "volume", "quote_volume"), pa.float64()),
        "trade_count": pa.int64(),
        "taker_buy_volume": pa.float64(),  # base asset
        "taker_buy_quote_volume": pa.float64(),
        "source": pa.string(),
    }
)
METRICS_LAYOUT = Layout(
    {
        "create_time": pa.timestamp("s"),
        "symbol": pa.string(),
        "sum_open_interest": pa.float64(),
        "sum_open_interest_value": pa.float64(),
        **dict.fromkeys(RATIOS, pa.float64()),
    },
    header_always=True,
)
KLINES_LAYOUT = Layout(
    {
        "open_time": pa.int64(),
        **dict.fromkeys(("open", "high", "low", "close", "volume"), pa.float64()),
        "close_time": pa.int64(),
        "quote_volume": pa.float64(),
        "count": pa.int64(),
        "taker_buy_volume": pa.float64(),
        "taker_buy_quote_volume": pa.float64(),
        "ignore": pa.string(),
    },
    header_always=False,
)


@dataclass(frozen=True)
class FileFacts:
    """What one good file holds: rows as they stand in it, and its first and last canonical instant."""

    path: Path
    rows: int
    first_ts: datetime
    last_ts: datetime


@dataclass
class Parsed:
    """What was read.

    Args:
        table: canonical rows, by `ts`, one per `ts`.
        facts: one entry per good file, by day.
        bad: files that were left out, each with what is wrong with it.
        notes: how often each quirk was met.
    """

    table: pa.Table
    facts: list[FileFacts]
    bad: Bad
    notes: dict[str, int] = field(default_factory=dict)


def read_dataset(dataset: ArchiveDataset, files: Sequence[Path], symbol: str) -> Parsed:
    """Read daily zips of one symbol with the reader of their dataset."""
    return read_klines(files, symbol, dataset.interval) if dataset.interval else read_open_interest(files, symbol)


def read_open_interest(files: Sequence[Path], symbol: str) -> Parsed:
    """Read daily metrics zips of one symbol.

    `ts = snap(create_time) + label_shift(file_date)` is formed before rows are compared: on 2026-06-25 one label
    stands for two instants (exchange.md 1.7). Where two rows have one `ts`, the file of the later date wins.

    Args:
        files: zips named `<symbol>-metrics-<day>.zip`, in any order.
        symbol: whose they are.

    Returns:
        A table of `OPEN_INTEREST_SCHEMA`. Bad files never raise: they are in `bad`.
    """
    dated, bad = _by_day(files, symbol, METRICS)
    rows, unreadable = read_rows(dated, METRICS_LAYOUT)
    bad += unreadable

    midnights = rows.per_row(_midnights(rows.days))
    labels = rows.table["create_time"].to_numpy().astype("datetime64[us]").astype(np.int64)
    off_grid = quirks.snap_jitter(labels)[1]
    numbers = {name: rows.column(name) for name in METRICS_LAYOUT.types if name not in ("create_time", "symbol")}
    rows = rows.without_offenders(
        [
            RowFault(rows.table["create_time"].is_null().to_numpy(), "a time in every row"),
            RowFault(pc.not_equal(rows.table["symbol"], symbol).to_numpy(), f"rows of {symbol} only"),
            *_not_numbers(rows, numbers),
            RowFault(off_grid, "labels within 60 s of the 5-minute grid", OffGrid),
            RowFault(
                quirks.outside_own_day(labels, midnights, quirks.SNAPSHOT + quirks.JITTER), "rows of the file's own day"
            ),
        ],
        bad,
    )

    labels = rows.table["create_time"].to_numpy().astype("datetime64[us]").astype(np.int64)
    snapped, _ = quirks.snap_jitter(labels)
    shifts = np.array([label_shift(day) // _MICROSECOND for day in rows.days], dtype=np.int64)
    ts = snapped + rows.per_row(shifts)
    values = {name: quirks.blank_bad_prints(rows.column(name)) for name in numbers}
    values["sum_open_interest_value"] = quirks.worth_of_nothing(
        rows.column("sum_open_interest"), values["sum_open_interest_value"]
    )
    keep, notes = quirks.keep_last_of_equal(ts, list(values.values()))
    kept = {name: column[keep] for name, column in values.items()}
    notes |= _counted(
        jitter_snapped=np.count_nonzero(labels != snapped),
        bad_prints=np.count_nonzero(np.isnan(kept["sum_open_interest"])),
    )
    days = rows.per_row(np.array(rows.days, dtype="datetime64[D]"))
    columns = {
        "symbol": pa.repeat(symbol, len(keep)),
        "ts": _instants(ts[keep]),
        "open_interest": _nullable(kept["sum_open_interest"]),
        "open_interest_value_usd": _nullable(kept["sum_open_interest_value"]),
        **{name: _nullable(kept[name]) for name in RATIOS},
        "create_time": _instants(labels[keep]),
        "file_date": pa.array(days[keep]),
        "source": pa.repeat("archive", len(keep)),
    }
    return Parsed(pa.table(columns, schema=OPEN_INTEREST_SCHEMA), _facts(rows, ts), bad, notes)


def read_klines(files: Sequence[Path], symbol: str, interval: str) -> Parsed:
    """Read daily kline zips of one symbol and interval.

    Args:
        files: zips named `<symbol>-<interval>-<day>.zip`, in any order.
        symbol: whose they are.
        interval: width of a bar in minutes, e.g. `5m`.

    Returns:
        A table of `KLINES_SCHEMA`. Bad files never raise: they are in `bad`.
    """
    bar = int(interval.removesuffix("m")) * quirks.MINUTE
    dated, bad = _by_day(files, symbol, klines(interval))
    rows, unreadable = read_rows(dated, KLINES_LAYOUT)
    bad += unreadable

    blank = rows.table["open_time"].is_null().to_numpy()
    opened, is_micro = quirks.to_microseconds(_stamps(rows, "open_time"))
    closed, _ = quirks.to_microseconds(_stamps(rows, "close_time"))
    numbers = _kline_numbers(rows)
    rows = rows.without_offenders(
        [
            RowFault(blank, "a time in every row"),
            RowFault(quirks.mixed_units(is_micro, rows.starts), "one unit of time in a file"),
            *(RowFault(*fault) for fault in kline_faults(numbers)),
            RowFault(opened % bar != 0, f"opening times on the {interval} grid", OffGrid),
            RowFault(
                quirks.outside_own_day(opened, rows.per_row(_midnights(rows.days)), bar), "rows of the file's own day"
            ),
            RowFault(quirks.other_interval(opened, closed, bar, rows.starts), f"bars of {interval}"),
        ],
        bad,
    )

    opened, is_micro = quirks.to_microseconds(_stamps(rows, "open_time"))
    ts = opened + bar
    numbers = _kline_numbers(rows)
    keep, notes = quirks.keep_last_of_equal(ts, list(numbers.values()))
    notes |= _counted(
        headerless_files=np.count_nonzero(~rows.has_header),
        microsecond_files=np.count_nonzero(is_micro[rows.starts[:-1]]),
    )
    columns = {
        "symbol": pa.repeat(symbol, len(keep)),
        "ts": _instants(ts[keep]),
        "open_time": _instants(opened[keep]),
        **{name: pa.array(column[keep]) for name, column in numbers.items()},
        "source": pa.repeat("archive", len(keep)),
    }
    table = pa.table({name: columns[name] for name in KLINES_SCHEMA.names}, schema=KLINES_SCHEMA)
    return Parsed(table, _facts(rows, ts), bad, notes)


def _by_day(files: Sequence[Path], symbol: str, dataset: ArchiveDataset) -> tuple[list[tuple[date, Path]], Bad]:
    """Order files by the day in their name (a download in progress ends in `.part`); other names are bad files."""
    dated: list[tuple[date, Path]] = []
    bad: Bad = []
    for path in files:
        day = dataset.day_of_name(symbol, path.name.removesuffix(".part"))
        if day is None:
            example = dataset.key(symbol, date(2026, 1, 11)).rsplit("/", 1)[-1]
            bad.append((path, FormatError(f"{path.name} is not a daily file", expected=f"a name like {example}")))
        else:
            dated.append((day, path))
    return sorted(dated), bad


def _kline_numbers(rows: Rows) -> dict[str, np.ndarray]:
    return {name: rows.column("count" if name == "trade_count" else name) for name in KLINE_NUMBERS}


def _not_numbers(rows: Rows, numbers: dict[str, np.ndarray]) -> Iterator[RowFault]:
    for name, values in numbers.items():
        mask = quirks.not_a_number(values, rows.table[name].null_count)
        if mask is not None:  # null cells are NaN here, too, and right
            yield RowFault(mask & rows.table[name].is_valid().to_numpy(), f"a finite number as {name}")


def _stamps(rows: Rows, name: str) -> np.ndarray:
    return rows.table[name].fill_null(0).to_numpy()


def _midnights(days: Sequence[date]) -> np.ndarray:
    return np.array(days, dtype="datetime64[D]").astype("datetime64[us]").astype(np.int64)


def _instants(microseconds: np.ndarray) -> pa.Array:
    return pa.array(microseconds, pa.int64()).cast(INSTANT)


def _nullable(values: np.ndarray) -> pa.Array:
    return pa.array(values, from_pandas=True)  # NaN becomes null


def _counted(**counts: int | np.integer) -> dict[str, int]:
    return {name: int(count) for name, count in counts.items() if count}


def _facts(rows: Rows, ts: np.ndarray) -> list[FileFacts]:
    if not rows.paths:
        return []
    first = np.minimum.reduceat(ts, rows.starts[:-1]).tolist()
    last = np.maximum.reduceat(ts, rows.starts[:-1]).tolist()
    counts = np.diff(rows.starts).tolist()
    return [
        FileFacts(path, count, _EPOCH + a * _MICROSECOND, _EPOCH + b * _MICROSECOND)
        for path, count, a, b in zip(rows.paths, counts, first, last, strict=True)
    ]

"""Tables of open interest and klines, judged by each other: what is implausible becomes null, the reason beside it.

What belongs here: from Arrow tables to arrays and back. What is implausible is decided in `plausibility`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from liq_pipeline.exchange.feeds import Bars, Snapshots
from liq_pipeline.exchange.plausibility import judge_contract

BAD_PRINT = "bad_print"
_COLUMNS = (
    "open", "high", "low", "close", "volume", "quote_volume", "taker_buy_volume", "taker_buy_quote_volume",
)  # fmt: skip


@dataclass(frozen=True)
class Judged:
    """Both tables with what is implausible null, and a column `bad_print` that says why; null where nothing is."""

    open_interest: pa.Table
    klines: pa.Table


def judge(
    open_interest: pa.Table,
    klines: pa.Table,
    open_interest_segments: NDArray[np.int64] | None = None,
    kline_segments: NDArray[np.int64] | None = None,
) -> Judged:
    """Find the rows that contradict each other, and blank in them what is wrong.

    Args:
        open_interest, klines: tables of `OPEN_INTEREST_SCHEMA` and `KLINES_SCHEMA`, by `ts`.
        open_interest_segments, kline_segments: of which contract each row is, where one ticker was used by several:
            rows of one are not measured against another's. None: all rows are of one contract.

    Returns:
        Both tables with a column `bad_print`, and null in a bad row: contracts and value (USD); all four prices of a
        bar (USD); or its volume, quote volume, or takers' volumes. Nothing is repaired.
    """
    snapshots = Snapshots(
        _instants(open_interest),
        _numbers(open_interest, "open_interest"),
        _numbers(open_interest, "open_interest_value_usd"),
        np.full(open_interest.num_rows, None),
    )
    bars = Bars(
        _instants(klines), _width(klines), {name: _numbers(klines, name) for name in _COLUMNS},
        np.full(klines.num_rows, None),
    )  # fmt: skip
    of_snapshots = _segments(open_interest_segments, snapshots.ts.size)
    of_bars = _segments(kline_segments, bars.ts.size)
    for segment in np.union1d(of_snapshots, of_bars):
        own, own_bars = of_snapshots == segment, of_bars == segment
        part, bar_part = snapshots.cut(own), bars.cut(own_bars)
        judge_contract(part, bar_part)
        snapshots.put(own, part)
        bars.put(own_bars, bar_part)
    return Judged(_interest_table(open_interest, snapshots), _kline_table(klines, bars))


def _interest_table(reported: pa.Table, snapshots: Snapshots) -> pa.Table:
    values = {"open_interest": snapshots.contracts, "open_interest_value_usd": snapshots.value}

    def said(row: dict[str, Any]) -> str:
        return f"{_shown(row['open_interest'])} contracts, {_shown(row['open_interest_value_usd'])} USD"

    return _with(reported, values, _reasons(reported.select(list(values)), snapshots.reason, said))


def _kline_table(reported: pa.Table, bars: Bars) -> pa.Table:
    def said(row: dict[str, Any]) -> str:
        prices = " / ".join(_shown(row[name]) for name in ("open", "high", "low", "close"))
        return f"{prices}, volume {_shown(row['volume'])}, quote volume {_shown(row['quote_volume'])}"

    return _with(reported, bars.of, _reasons(reported.select(list(_COLUMNS)), bars.reason, said))


def _reasons(reported: pa.Table, reasons: NDArray[np.object_], said: Callable[[dict[str, Any]], str]) -> pa.Array:
    """Return each reason with what was reported: the table keeps no other trace of it."""
    bad = np.flatnonzero(reasons.astype(bool))
    if not bad.size:
        return pa.nulls(reasons.size, pa.string())
    texts = reasons.copy()
    for at, row in zip(bad, reported.take(pa.array(bad)).to_pylist(), strict=True):
        texts[at] = f"{reasons[at]}: {said(row)}"
    return pa.array(texts, pa.string())


def _with(table: pa.Table, values: dict[str, NDArray[np.float64]], reasons: pa.Array) -> pa.Table:
    """Return the table with what was blanked null, and the reasons. A column in which nothing was stays as it is."""
    for name, column in values.items():
        if np.count_nonzero(np.isnan(column)) != table[name].null_count:
            table = table.set_column(table.column_names.index(name), name, pa.array(column, from_pandas=True))
    return table.append_column(BAD_PRINT, reasons)


def _shown(value: float | None) -> str:
    return "none" if value is None else f"{value:,.10g}"


def _instants(table: pa.Table) -> NDArray[np.datetime64]:
    return np.asarray(table["ts"].to_numpy()).astype("datetime64[us]")


def _numbers(table: pa.Table, name: str) -> NDArray[np.float64]:
    return np.array(table[name].to_numpy(), dtype=np.float64)


def _width(klines: pa.Table) -> np.timedelta64:
    if not klines.num_rows:
        return np.timedelta64(5, "m")
    return np.timedelta64(klines["ts"][0].as_py() - klines["open_time"][0].as_py())


def _segments(given: NDArray[np.int64] | None, rows: int) -> NDArray[np.int64]:
    return np.zeros(rows, dtype=np.int64) if given is None else np.asarray(given)

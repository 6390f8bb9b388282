"""Rows of a published file, read with care: those that the layout promises, or a typed error."""

from __future__ import annotations

import ctypes
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from liq_pipeline.errors import PublishedDamaged
from liq_pipeline.model.entries import layout
from liq_pipeline.model.margin import LADDER
from liq_pipeline.published.layout import WHOLE
from liq_pipeline.published.schemas import SCHEMAS

_MOST_ROWS = 5_000_000
_MOST_BYTES = 500_000_000  # inflated
_MOST_COLUMNS = 3_000  # of a heatmap: 360 are published
_LIMIT = 1e18

_trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
_COLUMNS = {name: schema.names for name, schema in SCHEMAS.items()}
_COLUMNS["liquidation_heatmap"] = [
    name for name in SCHEMAS["liquidation_heatmap"].names if name not in ("contracts", "notional_usd")
]
"""What the service reads of a file. Half a million rows count: what no answer needs is left out."""
_REPEATED = {"liquidation_heatmap": ["symbol", "timeframe", "side"]}
"""Columns that hold a few words again and again."""


def sound_rows(content: bytes, dataset: str, manifest: dict[str, Any]) -> pa.Table:
    """Return the rows of a published file.

    Args:
        content: Parquet.
        dataset: its name, as in `SCHEMAS`.
        manifest: its manifest; row count, symbol and timeframe are compared.

    Raises:
        PublishedDamaged: it is not Parquet, too large, of other columns, or rows cannot be true (an unknown side,
            NaN, a negative amount, low above high).
    """
    try:
        repeated = _REPEATED.get(dataset)
        with pq.ParquetFile(pa.BufferReader(content), read_dictionary=repeated) as file:
            if wrong := _wrong_file(file, dataset, manifest):
                raise damaged(dataset, wrong)
            # Threads of Arrow's own would each keep memory; this runs in a thread already.
            rows = file.read(columns=_COLUMNS[dataset], use_threads=False)
        rows.validate(full=True)
        wrong = _wrong_columns(rows.schema, dataset, _COLUMNS[dataset]) or _wrong_rows(rows, dataset, manifest)
    except (pa.ArrowException, OSError, ValueError, KeyError, OverflowError, MemoryError) as error:
        raise damaged(dataset, f"it is not Parquet that can be read ({str(error)[:200]})") from None
    if wrong:
        raise damaged(dataset, wrong)
    return rows


def give_back_memory() -> None:
    """Give memory that nobody uses back to the system: Arrow and the C library would keep what a heatmap took."""
    pa.default_memory_pool().release_unused()
    if _trim is not None:
        _trim(0)


def _wrong_file(file: pq.ParquetFile, dataset: str, manifest: dict[str, Any]) -> str:
    """Say what is wrong with a file before its rows are read; empty where nothing is."""
    about, schema = file.metadata, file.schema_arrow
    inflated = sum(about.row_group(number).total_byte_size for number in range(about.num_row_groups))
    if about.num_rows > _MOST_ROWS or inflated > _MOST_BYTES:
        return f"{about.num_rows} rows, {inflated} bytes when read"
    if manifest.get("row_count") not in (None, about.num_rows):
        return f"{about.num_rows} rows, {manifest['row_count']} in its manifest"
    return _wrong_columns(schema, dataset, SCHEMAS[dataset].names)


def _wrong_columns(schema: pa.Schema, dataset: str, names: list[str]) -> str:
    """Say which column is not what the layout promises: of the file, and of what was read, which may differ."""
    for column in map(SCHEMAS[dataset].field, names):
        found = schema.get_all_field_indices(column.name)
        kind = schema.field(found[0]).type if len(found) == 1 else None
        if kind != column.type and not (kind == pa.dictionary(pa.int32(), pa.string()) and column.type == pa.string()):
            return f"column {column.name} is not {column.type}"
    return ""


def _wrong_rows(rows: pa.Table, dataset: str, manifest: dict[str, Any]) -> str:
    """Say what cannot be true; empty where nothing is."""
    for column in SCHEMAS[dataset]:
        if column.name not in rows.column_names:
            continue
        values = rows[column.name]
        if values.null_count and column.name not in _MAY_BE_EMPTY.get(dataset, ()):
            return f"{column.name} has {values.null_count} empty cells"
        if pa.types.is_floating(column.type):
            numbers = values.drop_null().to_numpy()
            least = 1e-12 if column.name.startswith("price_") or column.name in _PRICES else -_LIMIT
            least = 0.0 if column.name in _AMOUNTS or column.name == "price_low" else least
            if numbers.size and not (numbers.min() >= least and numbers.max() <= _LIMIT):  # NaN compares false
                return f"{column.name} is not between {least:g} and {_LIMIT:g} throughout"
    for name in ("symbol", "timeframe"):
        if name in rows.column_names and set(pc.unique(rows[name]).to_pylist()) - {manifest[name]}:
            return f"rows are of another {name}"
    if "side" in rows.column_names and not set(pc.unique(rows["side"]).to_pylist()) <= {"long", "short"}:
        return "a side is neither long nor short"
    for low, high in (("price_low", "price_high"), ("low", "high")):
        if low in rows.column_names and not bool(np.all(rows[low].to_numpy() <= rows[high].to_numpy())):
            return f"{low} is above {high}"
    return _wrong_positions(rows) if dataset == "positions" else _wrong_instants(rows, dataset)


def _wrong_positions(rows: pa.Table) -> str:
    """Say what is wrong with positions: not both sides of every bar, or an opening without what belongs to it."""
    if not rows.num_rows or rows.num_rows % 2:
        return "not both sides of every bar"
    ts, is_long = rows["ts"].to_numpy().astype("datetime64[us]"), pc.equal(rows["side"], "long").to_numpy()
    if not (is_long[::2].all() and not is_long[1::2].any() and (ts[::2] == ts[1::2]).all()):
        return "not both sides of every bar, long first"
    if (np.diff(ts[::2]) <= np.timedelta64(0)).any():
        return "bars are not in order"
    if rows["log_survival"].to_numpy().max() > 0:
        return "more survives than was opened"
    opened = rows.filter(pc.greater(rows["contracts_opened"], 0))
    if any(opened[name].null_count for name in _MAY_BE_EMPTY["positions"]):
        return "something opened without a price, leverages or an end"
    rate, leverages = opened["maintenance_margin_rate"].to_numpy(), opened["leverages"].to_numpy()
    if ((rate <= 0) | (rate >= 1) | (leverages < 1) | (leverages > len(LADDER))).any():
        return "margin brackets that cannot be"
    ends = opened["liquidated_at"].combine_chunks()
    instants = ends.flatten().to_numpy(zero_copy_only=False).astype("datetime64[us]")
    opened_at = opened["ts"].to_numpy().astype("datetime64[us]")[pc.list_parent_indices(ends).to_numpy()]
    if (instants < opened_at).any():  # NaT is no end
        return "positions that end before they opened"
    lengths = pc.unique(pc.list_value_length(ends)).to_pylist()
    known = [layout().place.size, layout(extremes_share=0.0).place.size]
    if len(lengths) > 1 or not set(lengths) <= set(known):
        return f"not {' or '.join(map(str, known))} ends per opening"
    return _wrong_instants(rows, "positions")


_MAY_BE_EMPTY = {
    "positions": ("entry_price", "maintenance_margin_rate", "leverages", "liquidated_at"),
    "liquidation_features": tuple(
        name for name in SCHEMAS["liquidation_features"].names if "_zone_" in name or name.endswith("_change")
    ),
    "if_reached": ("crps_gain_over_distance",),
}
"""Where nothing opened; where there is no large zone, or no bar before."""
_PRICES = frozenset(("open", "high", "low", "close", "current_price", "leverage", "entry_price", "target_price"))
_AMOUNTS = frozenset(
    ("contracts", "contracts_opened", "notional_usd", "volume", "mapped_usd", "p10_usd", "p50_usd", "p90_usd")
)


def _wrong_instants(rows: pa.Table, dataset: str) -> str:
    """Say what is wrong with columns of time: more than a picture can have, or not of this time."""
    for name in ("ts", "open_time", "as_of"):
        if name not in rows.column_names or not rows.num_rows:
            continue
        instants = rows[name].to_numpy().astype("datetime64[us]")
        if instants.min() < np.datetime64("2000-01-01") or instants.max() >= np.datetime64("2200-01-01"):
            return f"{name} is not of this time"
        if name == "ts" and dataset not in WHOLE and np.unique(instants).size > _MOST_COLUMNS:
            return f"more than {_MOST_COLUMNS} columns"
    if dataset == "candles" and rows.num_rows and np.unique(rows["ts"].to_numpy()).size != rows.num_rows:
        return "two candles of one instant"
    if dataset == "liquidation_heatmap" and rows.num_rows:
        heights = rows["price_high"].to_numpy() - rows["price_low"].to_numpy()
        if not heights.min() > 0 or heights.max() > 1.001 * heights.min():
            return "rows of different heights"
    return ""


def damaged(dataset: str, wrong: str) -> PublishedDamaged:
    """Return an error that says what is wrong with a published file."""
    return PublishedDamaged(
        f"{dataset}.parquet is damaged: {wrong}",
        expected="the file that was published",
        remedy="publish again: liq run",
    )

"""Features per bar: what lies near the price, as a file that grows by a row with every bar."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from liq_pipeline.model.features import DISTANCES_PCT, features
from liq_pipeline.model.margin import SIDES, Side
from liq_pipeline.published.layout import EXCHANGE
from liq_pipeline.published.positions import Positions
from liq_pipeline.published.publish import parquet_bytes, rounded
from liq_pipeline.published.schemas import FEATURES_SCHEMA
from liq_pipeline.transform.described import described
from liq_pipeline.transform.positions import stored_positions
from liq_pipeline.warehouse.schema import FEATURES
from liq_pipeline.warehouse.tables import Tables

_CHANGES = ("long_usd_within_2_pct", "short_usd_within_2_pct", "imbalance")


def within_column(side: Side, pct: float) -> str:
    """Return the column that holds a side's exposure within some percent of the price."""
    return f"{side}_usd_within_{f'{pct:g}'.replace('.', '_')}_pct"


def write_features(tables: Tables, symbol: str, since: np.datetime64 | None = None) -> pa.Table:
    """Replace the symbol's features, or add those of later bars; return all of them.

    Args:
        tables: inside a transaction.
        symbol: whose.
        since: the bar up to which the file is known to be right; None: it is made anew.
    """
    older = _older(tables, since) if since is not None else None
    bars = tables.read("feature_bars", symbol=symbol)
    ts = bars["ts"].to_numpy().astype("datetime64[us]")
    first = older.num_rows if older and older.num_rows and ts.size >= older.num_rows else 0
    rows = feature_rows(stored_positions(tables, symbol), bars, symbol, max(first - 1, 0))
    if first:  # the row before is made again: changes are told from it
        rows = pa.concat_tables([older, rows.slice(1)])
    tables.store_file(FEATURES, parquet_bytes(rows))
    return rows


def _older(tables: Tables, since: np.datetime64) -> pa.Table | None:
    """Return the rows up to a bar, if the file ends there or later; None where it cannot be gone on with."""
    try:
        rows = pq.read_table(tables.file_of(FEATURES), partitioning=None)
    except FileNotFoundError:
        return None
    if not rows.schema.equals(FEATURES_SCHEMA):
        return None
    rows = rows.filter(pc.less_equal(rows["ts"], pa.scalar(since.item(), pa.timestamp("us", "UTC"))))
    last = rows["ts"].to_numpy().astype("datetime64[us]")[-1:]
    return rows if last.size and last[0] == since else None


def feature_rows(positions: Positions, bars: pa.Table, symbol: str, first: int = 0) -> pa.Table:
    """Return the rows of `liquidation_features` from a bar on; changes of the first of them are null.

    Args:
        positions: all positions.
        bars: rows of `queries/feature_bars.sql`.
        symbol: whose.
        first: index of the first bar that is wanted.
    """
    ts, close = bars["ts"].to_numpy().astype("datetime64[us]"), bars["close"].to_numpy()
    log_survival = {side: bars[side].to_numpy() for side in SIDES}
    found = features(positions.alive_since(ts[first] - np.timedelta64(1, "us"), ts), close, log_survival, first)
    columns: dict[str, np.ndarray] = {}
    for side in SIDES:
        for place, pct in enumerate(DISTANCES_PCT):
            columns[within_column(side, pct)] = found[side].within_usd[:, place]
        columns[f"{side}_notional_usd"] = found[side].total_usd
        columns[f"{side}_zone_distance_pct"] = found[side].zone_distance_pct
        columns[f"{side}_zone_usd"] = found[side].zone_usd
    long, short = (columns[f"{side}_usd_within_5_pct"] for side in SIDES)
    both = long + short
    columns["imbalance"] = np.divide(long - short, both, out=np.zeros_like(both), where=both > 0)
    for name in _CHANGES:
        columns[f"{name}_change"] = np.diff(columns[name], prepend=np.nan)
    some = slice(first, None)
    count = ts.size - first
    rest = {
        "exchange": pa.repeat(EXCHANGE, count),
        "symbol": pa.repeat(symbol, count),
        "ts": bars["ts"][some],
        "close": close[some],
        "open_interest_age_minutes": bars["age"][some],
        "is_interpolated": bars["is_interpolated"][some],
        **{name: pa.array(rounded(values), from_pandas=True) for name, values in columns.items()},
    }
    return pa.table({name: rest[name] for name in FEATURES_SCHEMA.names}).cast(described(FEATURES))

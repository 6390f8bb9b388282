"""The two tables of positions: who is still in, from when, at which leverage. Both come from one walk."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from liq_pipeline.model.entries import stored_layout
from liq_pipeline.model.margin import LADDER, bracket_epochs
from liq_pipeline.model.walk import SideWalk, Walk, WalkInput, walk
from liq_pipeline.published.positions import Positions, positions_of
from liq_pipeline.transform.described import described
from liq_pipeline.warehouse.schema import BEGINNING
from liq_pipeline.warehouse.tables import Tables


def read_walk_input(tables: Tables, symbol: str, since: datetime | str = BEGINNING) -> WalkInput:
    """Read what the walk needs of a symbol, from an instant on."""
    return walk_input_of(tables.read("walk_input", symbol=symbol, since=since))


def stored_positions(tables: Tables, symbol: str) -> Positions:
    """Return what the tables of positions hold, read once."""
    return tables.once(
        ("positions", symbol),
        ("position_cohorts", "position_survival", "oi_delta", "klines"),
        lambda: positions_of(tables.read("cohorts", symbol=symbol)),
    )


def walk_input_of(rows: pa.Table) -> WalkInput:
    """Turn rows of `queries/walk_input.sql` into arrays."""
    columns = {name: rows[name].to_numpy() for name in rows.column_names}
    columns["ts"] = columns["ts"].astype("datetime64[us]")
    return WalkInput(**columns)


def walk_whole(tables: Tables, symbol: str) -> tuple[Walk, dict[str, pa.Table]]:
    """Walk over all bars, replace the tables of positions, and return the walk and what was written."""
    result = walk(read_walk_input(tables, symbol), symbol)
    rows = {"position_cohorts": cohort_rows(result, symbol), "position_survival": survival_rows(result, symbol)}
    for table, content in rows.items():
        tables.replace(table, symbol, content)
    return result, rows


def cohort_rows(result: Walk, symbol: str) -> pa.Table:
    """Return the rows of `position_cohorts`: bars in which something was opened, by side, bar.

    Raises:
        ValueError: the shares of the cells are not those that the table takes for granted.
    """
    cells, known = result.parameters.layout, stored_layout(result.parameters.layout.place.size)
    if result.parameters.weights is not None or not all(map(np.array_equal, cells, known)):
        raise ValueError("the table of positions holds equal shares of the default ladder only")
    epoch, history = bracket_epochs(symbol, result.bars.ts)
    rate = np.array([brackets.mmr[0] for brackets in history])[epoch]
    allowed = np.array([np.count_nonzero(brackets.allows(LADDER)) for brackets in history], np.int32)[epoch]
    return pa.concat_tables([_cohorts_of(result, walked, symbol, rate, allowed) for walked in result.sides.values()])


def _cohorts_of(result: Walk, walked: SideWalk, symbol: str, rate: np.ndarray, allowed: np.ndarray) -> pa.Table:
    ts, bar = result.bars.ts, np.flatnonzero(walked.opened)
    end = walked.liquidated_at[bar]
    ended = np.where(end < ts.size, ts[np.minimum(end, ts.size - 1)], np.datetime64("NaT", "us"))
    return pa.table(
        {
            "symbol": pa.repeat(symbol, bar.size),
            "opened_at": _utc(ts[bar]),
            "side": pa.repeat(walked.side, bar.size),
            "entry_price": result.bars.entry_price[bar],
            "contracts_opened": walked.opened[bar],
            "maintenance_margin_rate": rate[bar],
            "leverages": allowed[bar],
            "liquidated_after_minutes": minutes_after(ts[bar], ended),
        }
    )


def minutes_after(opened_at: np.ndarray, ended: np.ndarray) -> pa.Array:
    """Return how long each cell lived, as `liquidated_after_minutes` holds it.

    Args:
        opened_at: datetime64[us], shape (rows,).
        ended: the same, NaT while alive; shape (rows, cells).
    """
    lived = (ended - opened_at[:, None]) / np.timedelta64(1, "m")
    minutes = np.where(np.isnat(ended), 0, lived).astype(np.int32)
    values = pa.array(minutes.ravel(), mask=np.isnat(ended).ravel())
    return pa.ListArray.from_arrays(np.arange(0, len(values) + 1, ended.shape[1], dtype=np.int32), values)


def published_positions(rows: pa.Table) -> pa.Table:
    """Return rows of `queries/positions.sql` as they are published.

    With the instants of liquidation instead of how long it took: bars that end together hold the same, and take half
    the bytes.
    """
    place = rows.schema.get_field_index("liquidated_after_minutes")
    lived = rows.column(place).combine_chunks()
    minutes = lived.flatten()
    opened_at = rows["ts"].to_numpy().astype("datetime64[us]")[pc.list_parent_indices(lived).to_numpy()]
    ended = opened_at + minutes.fill_null(0).to_numpy().astype("timedelta64[m]")
    instants = pa.array(ended, mask=minutes.is_null().to_numpy(zero_copy_only=False)).cast(pa.timestamp("us", "UTC"))
    lists = pa.ListArray.from_arrays(lived.offsets, instants, mask=lived.is_null())
    return rows.set_column(place, "liquidated_at", lists).cast(described("positions"))


def survival_rows(result: Walk, symbol: str) -> pa.Table:
    """Return the rows of `position_survival`, by side, bar."""
    ts = _utc(result.bars.ts)
    names = ("log_survival", "tracked", "untracked", "liquidated")
    return pa.concat_tables(
        [
            pa.table(
                {
                    "symbol": pa.repeat(symbol, len(ts)),
                    "ts": ts,
                    "side": pa.repeat(walked.side, len(ts)),
                    **{name: getattr(walked, name) for name in names},
                }
            )
            for walked in result.sides.values()
        ]
    )


def _utc(instants: np.ndarray) -> pa.Array:
    return pa.array(instants.astype("datetime64[us]")).cast(pa.timestamp("us", "UTC"))

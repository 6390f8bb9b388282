"""New bars without beginning anew: the walk goes on from where its tables stand. The same result as a full replay.

Two tables are the checkpoint: `position_survival` tells where each side stands, `position_cohorts` who is alive.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from liq_pipeline.model.margin import SIDES, Side
from liq_pipeline.model.walk import Walk, parameters_in_use, walk
from liq_pipeline.published.positions import Positions
from liq_pipeline.transform.features import write_features
from liq_pipeline.transform.feeds import add_to_feeds
from liq_pipeline.transform.levels import write_levels
from liq_pipeline.transform.positions import (
    cohort_rows,
    minutes_after,
    read_walk_input,
    stored_positions,
    survival_rows,
    walk_whole,
)
from liq_pipeline.warehouse.schema import FEATURES
from liq_pipeline.warehouse.tables import Tables


@dataclass(frozen=True)
class Extended:
    """What new rows did to a symbol's tables.

    Attributes:
        new_bars: bars by which the map moved on; 0: nothing new.
        replayed: whether the walk began anew, because a row changed the past.
        newest: the newest bar now, as `Tables.newest_bar` gives it.
    """

    new_bars: int
    replayed: bool
    newest: dict[str, Any]


def extend(tables: Tables, symbol: str, open_interest: pa.Table, klines: pa.Table) -> Extended:
    """Add rows of open interest and klines, and bring everything up to the levels up to date.

    Args:
        tables: inside a transaction: either all of it is kept or nothing.
        symbol: whose.
        open_interest, klines: rows in the schemas of `exchange.formats`; those that are here already do nothing.

    Raises:
        NoData: the symbol has no bar yet; a full run comes first.
    """
    before = tables.newest_bar(symbol)
    added = add_to_feeds(tables, symbol, open_interest, klines)
    standing = tables.read("walked_to", symbol=symbol).to_pylist()
    walked_to = standing[0]["ts"] if standing else None
    # A row that lies before the newest bar changes the past; so does a table that another run left half done.
    replay = walked_to is None or walked_to != before["as_of"] or any(ts <= walked_to for ts in added)
    if replay:
        tables.rebuild("oi_delta", symbol)
    else:
        assert walked_to
        tables.extend("oi_delta", symbol, walked_to)
    newest = tables.newest_bar(symbol)
    if not replay and newest["as_of"] == walked_to:
        if not tables.file_of(FEATURES).exists():  # of an older version, or damaged
            write_features(tables, symbol)
        return Extended(0, False, newest)
    # Another contract under the same name begins with a walk of its own.
    # So does another version of the model.
    if replay := replay or newest["first_ts"] != before["first_ts"] or not _is_of_this_model(tables, symbol):
        walk_whole(tables, symbol)
    else:
        assert walked_to
        _extend_walk(tables, symbol, standing, walked_to)
    write_levels(tables, symbol, newest)
    write_features(tables, symbol, since=None if replay else _utc(walked_to))
    bars = tables.sql(
        "SELECT count(*) AS n FROM oi_delta WHERE symbol = $symbol AND ts > $since",
        symbol=symbol,
        since=before["as_of"],
    )
    return Extended(bars["n"][0].as_py(), replay, newest)


def _utc(instant: datetime | None) -> np.datetime64:
    assert instant
    return np.datetime64(instant.replace(tzinfo=None), "us")


def _is_of_this_model(tables: Tables, symbol: str) -> bool:
    """Tell whether the stored cohorts have the cells of the version in use; where there is none, they do."""
    found = tables.sql("SELECT DISTINCT cells FROM cohorts WHERE symbol = $symbol", symbol=symbol)
    return set(found["cells"].to_pylist()) <= {parameters_in_use().layout.place.size}


def _extend_walk(tables: Tables, symbol: str, standing: list[dict[str, Any]], walked_to: datetime) -> None:
    """Walk over the bars after `walked_to`, and add what became of them to the tables."""
    bars = read_walk_input(tables, symbol, since=walked_to)
    older = stored_positions(tables, symbol)
    where = {row["side"]: row for row in standing}
    low, high = float(bars.low[1:].min()), float(bars.high[1:].max())
    cells = {side: older.touched(side, low, high) for side in SIDES}
    after = {
        side: older.state(cells[side], *(where[side][name] for name in ("tracked", "untracked", "log_survival")))
        for side in SIDES
    }
    result = walk(bars, symbol, after=after)
    _mark_liquidated(tables, symbol, result, older, cells)
    tables.append("position_cohorts", symbol, cohort_rows(result, symbol))
    survival = survival_rows(result, symbol)
    tables.append(
        "position_survival",
        symbol,
        survival.filter(pc.greater(survival["ts"], pa.scalar(walked_to, survival["ts"].type))),
    )


def _mark_liquidated(
    tables: Tables, symbol: str, result: Walk, older: Positions, cells: dict[Side, NDArray[np.bool_]]
) -> None:
    ended = older.liquidated_at.copy()
    for side, walked in result.sides.items():
        row, place = np.nonzero(cells[side])
        is_gone = walked.older_liquidated_at < result.bars.ts.size
        ended[row[is_gone], place[is_gone]] = result.bars.ts[walked.older_liquidated_at[is_gone]]
    changed = np.flatnonzero((np.isnat(ended) != np.isnat(older.liquidated_at)).any(axis=1))
    opened_at = older.opened_at[changed]
    rows = {
        "opened_at": pa.array(opened_at).cast(pa.timestamp("us", "UTC")),
        "side": np.where(older.is_long[changed], "long", "short"),
        "liquidated_after_minutes": minutes_after(opened_at, ended[changed]),
    }
    tables.end_positions(symbol, pa.table(rows))

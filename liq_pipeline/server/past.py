"""What was published, as it stood at an instant of the past: what came later is left out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from liq_pipeline.clock import iso
from liq_pipeline.errors import NoData
from liq_pipeline.server.store import Edition


def candles_until(edition: Edition, at: datetime | None) -> tuple[pa.Table, dict[str, Any]]:
    """Return the candles that had closed by an instant (None: all), and their manifest as of the last of them.

    Raises:
        NoData: the first one closed later.
    """
    found = edition[-1]  # of a heatmap, too, candles stand last
    rows, facts = found.rows, found.manifest
    if at is None:
        return rows, facts
    some = _until(rows, at)
    if not some.num_rows:
        symbol, timeframe = facts["symbol"], facts["timeframe"]
        begins = f" from {iso(rows['ts'][0].as_py())} on" if rows.num_rows else ""
        raise NoData(
            f"{symbol} {timeframe} has no column that closed by {iso(at.astimezone(UTC))}",
            expected=f"an instant{begins}: the columns of a timeframe are those of its newest heatmap",
            remedy="ask for a later one or a longer timeframe; /liquidations/levels?at= goes back to the first bar",
        )
    newest = some["ts"][-1].as_py()
    return some, {**facts, "as_of": iso(newest), "current_price": some["close"][-1].as_py()}


def heatmap_until(edition: Edition, at: datetime | None) -> tuple[pa.Table, pa.Table, dict[str, Any]]:
    """Return cells and candles of an instant (None: all), and their manifest as of then.

    A column holds what was alive when it closed, from the bars up to then: later ones change nothing in it.

    Raises:
        NoData: the first column closed later.
    """
    cells, _ = edition
    candles, facts = candles_until(edition, at)
    if at is None:
        return cells.rows, candles, cells.manifest
    own = {name: facts[name] for name in ("as_of", "current_price")}
    return _until(cells.rows, at), candles, {**cells.manifest, **own}


def _until(rows: pa.Table, at: datetime) -> pa.Table:
    return rows.filter(pc.less_equal(rows["ts"], pa.scalar(at.astimezone(UTC), rows.schema.field("ts").type)))

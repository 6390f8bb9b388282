"""A recording as truth: what was covered, and when somebody listened. What lies outside is unknown, and not zero."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from liq_pipeline.errors import NoData
from liq_pipeline.exchange.forced_orders import LOWER_BOUND
from liq_pipeline.exchange.recorded import ORDERS, read_coverage, read_orders, read_set_aside
from liq_pipeline.model.alignment import (
    Instants,
    MarketData,
    ObservedLiquidations,
    truth_from_events,
    truth_where_covered,
)

PUSH_DELAY = np.timedelta64(2, "s")
"""An order is pushed up to a second after it traded: the end of a stretch does not yet know its last moments."""

Stretches = tuple[Instants, Instants]


def recording_at(path: Path) -> Path | None:
    """Return the recording that a path names: `data/recorded`, `data`, or a folder inside the orders; None if none."""
    inside = [parent for parent in path.parents if (parent / ORDERS) in (path, *path.parents)]
    return next((one for one in (path, path / "recorded", *inside) if (one / ORDERS).is_dir()), None)


def read_recording(folder: Path, symbol: str) -> tuple[pd.DataFrame, Stretches | None]:
    """Return the orders of a symbol (ts, side, average_price ...) and the stretches [from, until) that were covered.

    A message that was not understood ends a stretch, since nobody knows what it told; the next begins at once. The
    stretches are None where the folder has no coverage at all.

    Raises:
        NoData: nothing of this symbol was recorded.
    """
    orders = read_orders(folder, symbol)
    if not orders.num_rows:
        known = sorted(path.name.removeprefix("symbol=") for path in (folder / ORDERS).glob("symbol=*"))
        raise NoData(f"{folder} holds no forced order of {symbol}", expected=f"one of {', '.join(known) or 'none'}")
    covered = read_coverage(folder, symbol)
    if covered is None:
        return orders.to_pandas(), None
    since, until = (np.array([one[end].replace(tzinfo=None) for one in covered], "datetime64[us]") for end in range(2))
    cuts = np.unique(np.array([at.replace(tzinfo=None) for at in read_set_aside(folder)], "datetime64[us]"))
    stretch = np.searchsorted(since, cuts, side="right") - 1
    cuts = cuts[(stretch >= 0) & (cuts > since[stretch]) & (cuts < until[stretch])] if since.size else cuts[:0]
    return orders.to_pandas(), (np.sort(np.append(since, cuts)), np.sort(np.append(until, cuts)))


def truth_of_recording(
    at: Instants, usd: np.ndarray, covered: Stretches | None, data: MarketData, notes: list[str]
) -> ObservedLiquidations:
    """Return the recorded liquidations per bar, for the bars that were covered whole; say in `notes` what was left out.

    Raises:
        NoData: no bar was covered whole.
    """
    notes.append(f"truth: {LOWER_BOUND}; sums and the scale below are too small by an unknown factor")
    if covered is None:
        notes.append(
            f"truth: {at.size} recorded orders WITHOUT COVERAGE: nobody knows when the recorder listened; bars without "
            "an order count as zero, also where it may have been off"
        )
        return truth_from_events(at, usd[:, 0], usd[:, 1], data.width)
    since, until = covered
    truth = truth_where_covered(at, usd[:, 0], usd[:, 1], data.width, since, until - PUSH_DELAY)
    ts = data.walk_input.ts
    known = int(np.isin(ts, truth.end).sum())
    hours = float((until - since).sum() / np.timedelta64(1, "h"))
    if not known:
        raise NoData(
            f"{hours:.1f} hours were covered, none of them a whole bar of the klines ({ts[0]} .. {ts[-1]})",
            expected="a recording of the same time as the klines, of this symbol",
        )
    notes.append(
        f"truth: {at.size} recorded orders; covered for {hours:.1f} hours in {since.size} stretches (a pause ends one, "
        "as does a message that was not understood); a bar covered whole and without an order counts as zero, the "
        f"{ts.size - known} of {ts.size} bars not covered whole are unknown and left out"
    )
    return truth

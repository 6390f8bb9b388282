"""Margin brackets tested by forced orders: a symbol's orders and bars in, a verdict out; kept beside the reports."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from liq_pipeline.errors import LiqError
from liq_pipeline.exchange.recorded import read_orders
from liq_pipeline.model.alignment import Instants
from liq_pipeline.model.bracket_evidence import FEWEST_ORDERS, BracketTest, judge_brackets
from liq_pipeline.model.margin import bracket_epochs
from liq_pipeline.model.price_levels import PriceLevelScore, score_price_levels
from liq_pipeline.model.walk import WalkParameters, walk
from liq_pipeline.system.storage import write_whole
from liq_pipeline.validation.files import instants_of, read_frame
from liq_pipeline.validation.inputs import Inputs
from liq_pipeline.validation.recorded import recording_at

NEWEST = np.timedelta64(30, "D")  # older orders may tell of older brackets
FILE = "brackets.json"
_NEEDED = {"side", "price", "average_price", "quantity"}  # with one price alone nobody knows which it is


def forced_orders_in(path: Path, symbol: str) -> pd.DataFrame | None:
    """Return ts, side, price (of bankruptcy), quantity of a symbol's orders; None where the path holds none of these.

    Raises:
        LiqError: a file that cannot be read.
    """
    if recording := recording_at(path):
        frame = read_orders(recording, symbol).to_pandas()
    elif path.is_dir():
        return None
    else:
        frame = read_frame(path)
        if not set(frame) >= _NEEDED:
            return None
        if "symbol" in frame:
            frame = frame[frame["symbol"].astype(str).str.upper() == symbol]
    stamps, _ = instants_of(frame, path)
    numbers = frame[["price", "quantity"]].apply(pd.to_numeric, errors="coerce")
    found = pd.DataFrame({"ts": stamps, "side": frame["side"].astype(str).str.upper(), **numbers})
    return found[found["ts"].notna() & (numbers > 0).all(axis=1)].sort_values("ts", kind="stable")


def evidence_of(
    orders: pd.DataFrame, symbol: str, ts: Instants, low: np.ndarray, high: np.ndarray, width: np.timedelta64
) -> BracketTest | None:
    """Judge the rate of the symbol's first bracket, by the newest orders; None where there are too few.

    Args:
        orders: as `forced_orders_in` gives them.
        symbol: whose brackets.
        ts: closing instants of the bars, ascending.
        low, high: of the bars, USD.
        width: of a bar.
    """
    at = orders["ts"].to_numpy().astype("datetime64[us]")
    bar = np.searchsorted(ts, at, side="right")
    inside = (bar < ts.size) & (at >= ts[np.minimum(bar, ts.size - 1)] - width)
    if not inside.any():
        return None
    newest = at[inside].max()
    epoch, history = bracket_epochs(symbol, np.array([newest]))
    table = history[epoch[0]]
    first_cap = table.notional_floor[1] if table.notional_floor.size > 1 else np.inf
    since = newest - NEWEST
    if epoch[0]:  # the oldest table also serves the time before it
        since = max(since, table.valid_from.astype("datetime64[us]"))
    price, quantity = orders["price"].to_numpy(float), orders["quantity"].to_numpy(float)
    chosen = inside & (at >= since) & (price * quantity <= first_cap)
    bar, at = bar[chosen], at[chosen]
    if not at.size:
        return None
    is_long = (orders["side"] == "SELL").to_numpy()[chosen]
    days = (at - at[0]) / np.timedelta64(1, "D")
    return judge_brackets(is_long, price[chosen], low[bar], high[bar], days, float(table.mmr[0]))


def price_levels_of(
    orders: pd.DataFrame, inputs: Inputs, symbol: str, parameters: WalkParameters
) -> PriceLevelScore | None:  # fmt: skip
    """Score the map at the triggers of a symbol's forced orders; None where there are too few."""
    bars = inputs.data.walk_input
    at = orders["ts"].to_numpy().astype("datetime64[us]")
    bar = np.searchsorted(bars.ts, at, side="right")
    inside = bar < bars.ts.size
    inside[inside] &= at[inside] >= bars.ts[bar[inside]] - inputs.data.width
    if not inside.any():
        return None
    bar, is_long = bar[inside], (orders["side"] == "SELL").to_numpy()[inside]
    epoch, history = bracket_epochs(symbol, at[inside])
    rate = np.array([table.mmr[0] for table in history])[epoch]
    trigger = orders["price"].to_numpy(float)[inside] / np.where(is_long, 1 - rate, 1 + rate)
    return score_price_levels(walk(bars, symbol, parameters), inputs.data, is_long, trigger, bar)


def said_of(test: BracketTest | None) -> str:
    """Return the verdict in a line."""
    if test is None:
        return f"fewer than {FEWEST_ORDERS} forced orders within the first bracket: not tested"
    best = test.best_pct
    return (
        f"maintenance margin {test.table_pct:g} %: the trigger of {test.table_share:.1%} of {test.orders} forced "
        f"orders lies in its own bar; the best is {best.value:.2f} % [{best.low:.2f}, {best.high:.2f}] with "
        f"{test.best_share:.1%}"
    )


def write_tests(published: Path, symbol: str, tests: Mapping[str, BracketTest | None]) -> None:
    """Write what was found, by source, in place of what was; nothing: remove it."""
    place = published / "validation" / symbol / FILE
    if not tests:
        place.unlink(missing_ok=True)
        return
    content = {
        source: {"said": said_of(test), "agrees": test is None or test.table_is_within,
                 "figures": asdict(test) if test else None}
        for source, test in tests.items()
    }  # fmt: skip
    write_whole(place, (json.dumps(content, indent=2) + "\n").encode())


def read_tests(published: Path, symbol: str) -> dict[str, dict[str, Any]]:
    """Return what `write_tests` wrote, by source; empty where nothing was tested.

    Raises:
        LiqError: the file was altered.
    """
    place = published / "validation" / symbol / FILE
    try:
        found: dict[str, dict[str, Any]] = json.loads(place.read_text(encoding="utf-8"))
        if not all({"said", "agrees"} <= set(one) for one in found.values()):
            raise ValueError("it lacks what was said")
    except FileNotFoundError:
        return {}
    except (ValueError, AttributeError, TypeError) as error:
        raise LiqError(f"{place} cannot be read ({str(error)[:100]})", remedy="publish again: liq run") from None
    return found

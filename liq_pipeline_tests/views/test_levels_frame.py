"""What a picture of a map shows: four fifths of the notional around the price, and what lies beyond as a sum."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from liq_pipeline.published.schemas import LEVELS_SCHEMA
from liq_pipeline.views.levels_frame import LevelsView, levels_frame_of

NOON = datetime(2026, 6, 20, 12, tzinfo=UTC)
PRICE, STEP = 100.0, 0.1


def view(*levels: tuple[str, float, float], leverage: float = 10.0) -> LevelsView:
    """A map of (side, distance in percent, USD), each in the bin of a tenth of a dollar that begins there."""
    rows = [
        {
            "symbol": "BTCUSDT", "timeframe": "7d", "side": side, "leverage": leverage, "notional_usd": usd,
            "price_low": PRICE + distance, "price_high": PRICE + distance + STEP,
        }
        for side, distance, usd in levels
    ]  # fmt: skip
    facts = {"as_of": NOON.isoformat(), "current_price": PRICE}
    return levels_frame_of(pa.Table.from_pylist(rows, schema=LEVELS_SCHEMA), facts, "BTCUSDT", "7d", NOON)


def test_as_much_price_is_shown_as_holds_four_fifths_of_the_notional() -> None:
    shown = view(*((side, sign * away, 1.0) for away in range(2, 22, 2) for side, sign in (("long", -1), ("short", 1))))
    assert (shown.edges[0], shown.edges[-1]) == pytest.approx((PRICE - 16, PRICE + 16), abs=0.3)
    assert shown.beyond == (2.0, 2.0)
    assert shown.usd.sum() == 16


@pytest.mark.parametrize(("away", "pad"), [(0.5, 3), (5, 5), (40, 20)])
def test_never_less_than_three_percent_nor_more_than_twenty(away: float, pad: float) -> None:
    shown = view(("long", -away, 1.0), ("short", away, 1.0))
    assert (shown.edges[0], shown.edges[-1]) == pytest.approx((PRICE - pad, PRICE + pad), abs=0.3)


def test_each_level_lies_at_its_side_and_bar_and_beyond_is_what_lies_on_neither() -> None:
    shown = view(("long", -1.0, 500.0), ("short", 2.0, 300.0), ("long", -30.0, 7.0), ("short", 60.0, 5.0))
    ((long_bar,), (short_bar,)) = (np.flatnonzero(side.sum(axis=0)) for side in shown.usd)
    assert shown.edges[long_bar] <= PRICE - 1.0 + STEP / 2 < shown.edges[long_bar + 1]
    assert shown.edges[short_bar] <= PRICE + 2.0 + STEP / 2 < shown.edges[short_bar + 1]
    assert (shown.usd[0].sum(), shown.usd[1].sum()) == (500.0, 300.0)
    assert shown.beyond == (7.0, 5.0)

"""Walking on from a state: the same as one walk over all bars."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from liq_pipeline.model.margin import SIDES, Side
from liq_pipeline.model.positions import SideState
from liq_pipeline.model.walk import Walk, walk
from liq_pipeline_tests.model.markets import every_market, markets


def state_after(result: Walk, bar: int) -> dict[Side, SideState]:
    """Return where a walk stood after a bar, as the tables tell it."""
    states: dict[Side, SideState] = {}
    for name, side in result.sides.items():
        opened, tier = np.nonzero((side.contracts_opened > 0) & (side.liquidated_at > bar))
        kept = opened <= bar
        opened, tier = opened[kept], tier[kept]
        states[name] = SideState(
            float(side.tracked[bar]),
            float(side.untracked[bar]),
            float(side.log_survival[bar]),
            side.liquidation_price[opened, tier],
            side.contracts_opened[opened, tier],
            side.log_survival[opened],
        )
    return states


@given(markets, st.data())
@every_market
def test_walking_on_from_a_state_gives_what_one_walk_gives_bit_for_bit(bars, data):
    bar = data.draw(st.integers(0, bars.ts.size - 1))
    whole = walk(bars, "BTCUSDT")
    rest = replace(bars, **{name: getattr(bars, name)[bar:] for name in bars.__dataclass_fields__})
    after = state_after(whole, bar)
    part = walk(rest, "BTCUSDT", after=after)
    for name, side in whole.sides.items():
        other = part.sides[name]
        for column in ("log_survival", "tracked", "untracked"):
            np.testing.assert_array_equal(getattr(side, column)[bar:], getattr(other, column), column)
        for column in ("liquidated", "opened", "closed", "contracts_opened", "liquidation_price"):
            np.testing.assert_array_equal(getattr(side, column)[bar + 1 :], getattr(other, column)[1:], column)
        opened = side.contracts_opened[bar + 1 :] > 0
        np.testing.assert_array_equal(
            side.liquidated_at[bar + 1 :][opened] - bar, other.liquidated_at[1:][opened], "own cells"
        )
        was, tier = np.nonzero((side.contracts_opened[: bar + 1] > 0) & (side.liquidated_at[: bar + 1] > bar))
        np.testing.assert_array_equal(side.liquidated_at[was, tier] - bar, other.older_liquidated_at, "older cells")


@given(markets, st.data())
@every_market
def test_older_cells_that_nothing_touches_may_be_left_out_of_the_state(bars, data):
    bar = data.draw(st.integers(0, bars.ts.size - 1))
    whole = walk(bars, "BTCUSDT")
    rest = replace(bars, **{name: getattr(bars, name)[bar:] for name in bars.__dataclass_fields__})
    after = state_after(whole, bar)
    full = walk(rest, "BTCUSDT", after=after)
    fewer: dict[Side, SideState] = {}
    for name, state in after.items():
        touched = full.sides[name].older_liquidated_at < rest.ts.size
        cells = {
            column: getattr(state, column)[touched]
            for column in ("liquidation_price", "contracts_opened", "opening_log_survival")
        }
        fewer[name] = replace(state, **cells)
    part = walk(rest, "BTCUSDT", after=fewer)
    for name in SIDES:
        np.testing.assert_array_equal(full.sides[name].tracked, part.sides[name].tracked)
        np.testing.assert_array_equal(full.sides[name].liquidated, part.sides[name].liquidated)

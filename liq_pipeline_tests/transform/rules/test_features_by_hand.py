"""Where the rules about features draw their lines: sums over a few living cells around a price of 110."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from liq_pipeline.model.features import DISTANCES_PCT
from liq_pipeline.model.margin import SIDES
from liq_pipeline.transform.features import within_column
from liq_pipeline.transform.rules.features import feature_rules, features_are_the_living_positions, wider_holds_more
from liq_pipeline.transform.rules.rule import Subject
from liq_pipeline_tests.transform.rules.living import living
from liq_pipeline_tests.warehouse.by_hand import OTHER, SYMBOL, at

ALIVE = {
    "long": [(20, 109.5, 2), (20, 109, 3), (30, 108, 5), (30, 105, 7), (30, 60, 11)],
    "short": [(20, 110.5, 13), (20, 111, 17), (30, 112, 19), (30, 115, 23), (30, 200, 29)],
}
NAMES = [[*(within_column(side, pct) for pct in DISTANCES_PCT), f"{side}_notional_usd"] for side in SIDES]
SUMS = {
    "long_usd_within_0_5_pct": 219, "long_usd_within_1_pct": 219 + 327, "long_usd_within_2_pct": 546 + 540,
    "long_usd_within_5_pct": 1086 + 735, "long_notional_usd": 1821 + 660,
    "short_usd_within_0_5_pct": 1436.5, "short_usd_within_1_pct": 1436.5 + 1887,
    "short_usd_within_2_pct": 3323.5 + 2128,
    "short_usd_within_5_pct": 5451.5 + 2645, "short_notional_usd": 8096.5 + 5800,
}  # fmt: skip


def put(subject: Subject, minutes: int, symbol: str = SYMBOL, **sums: float) -> None:
    values = {"open_interest_age_minutes": 0, "imbalance": 0} | SUMS | sums
    subject.tables.connection.execute(
        "INSERT INTO liquidation_features BY NAME SELECT 'binance' AS exchange, $symbol AS symbol, $ts AS ts, "
        f"110 AS close, false AS is_interpolated, {', '.join(f'{value} AS {name}' for name, value in values.items())}",
        {"symbol": symbol, "ts": at(minutes)},
    )


class TestNewestRow:
    @pytest.fixture
    def alive(self, small: Subject) -> Subject:
        small.living = living(**ALIVE)
        put(small, 30, long_notional_usd=7)  # an older row is none of its business
        put(small, 45, OTHER, long_notional_usd=7)
        return small

    def test_it_holds_what_the_living_cells_sum_up_to(self, alive: Subject) -> None:
        put(alive, 35)

        outcome = features_are_the_living_positions(alive)

        assert outcome.passed
        assert outcome.found == "2026-06-01 00:35 UTC: both sides agree"

    @pytest.mark.parametrize("name", SUMS)
    @pytest.mark.parametrize("sign", [-1, 1])
    def test_a_sum_may_be_off_by_its_rounding_and_a_millionth_of_its_side(
        self, name: str, sign: int, alive: Subject
    ) -> None:
        whole = SUMS[f"{name.partition('_')[0]}_notional_usd"]
        off = SUMS[name] / 16_000 + 1e-6 * whole
        put(alive, 35, **{name: SUMS[name] + sign * 0.98 * off})
        assert features_are_the_living_positions(alive).passed

        alive.tables.connection.execute(
            f"UPDATE liquidation_features SET {name} = $value WHERE ts = $ts",
            {"value": SUMS[name] + sign * (1.02 * off), "ts": at(35)},
        )
        outcome = features_are_the_living_positions(alive)
        assert not outcome.passed
        shown = np.float32(SUMS[name] + sign * (1.02 * off))
        assert outcome.found == f"{name} {shown:,.0f}, summed {SUMS[name]:,.0f}"

    def test_a_cell_at_the_edge_lies_within(self, small: Subject) -> None:
        edges = (
            [(30, 110 * (1 - pct / 100), 1) for pct in DISTANCES_PCT],
            [(30, 110 * (1 + pct / 100), 1) for pct in DISTANCES_PCT],
        )
        small.living = living(long=edges[0], short=edges[1])
        sums = {}
        for names, cells in zip(NAMES, edges, strict=True):
            so_far = np.cumsum([price for _, price, _ in cells])
            sums |= dict(zip(names, [*so_far, so_far[-1]], strict=True))
        put(small, 35, **sums)

        assert features_are_the_living_positions(small).passed

    @pytest.mark.parametrize(("left", "passes"), [(0.9e-6, True), (1.1e-6, False)])
    def test_of_an_empty_side_a_millionth_of_a_dollar_may_be_left(
        self, left: float, passes: bool, small: Subject
    ) -> None:
        small.living = living()
        put(small, 35, **dict.fromkeys(SUMS, 0) | {"short_notional_usd": left})

        assert features_are_the_living_positions(small).passed is passes

    def test_a_row_of_another_bar_or_none_is_not_the_newest(self, alive: Subject) -> None:
        outcome = features_are_the_living_positions(alive)
        assert not outcome.passed
        assert outcome.found == "the newest row is of 2026-06-01 00:30:00+00:00, not 2026-06-01 00:35:00+00:00"

        alive.tables.connection.execute("DELETE FROM liquidation_features WHERE symbol = $symbol", {"symbol": SYMBOL})
        assert (
            features_are_the_living_positions(alive).found
            == "the newest row is of no bar, not 2026-06-01 00:35:00+00:00"
        )


class TestWider:
    def test_each_distance_holds_at_least_what_the_narrower_one_holds(self, small: Subject) -> None:
        put(small, 30)
        put(small, 35, **dict.fromkeys(SUMS, 0))
        put(small, 35, OTHER, long_usd_within_1_pct=1e9)

        outcome = wider_holds_more(small)

        assert outcome.passed
        assert outcome.found == "0 of 2 bars hold more near the price than further away"

    @pytest.mark.parametrize(("lower", "upper"), [pair for names in NAMES for pair in pairwise(names)])
    def test_where_one_holds_more_the_first_bar_is_told(self, lower: str, upper: str, small: Subject) -> None:
        put(small, 15)
        put(small, 35, **{lower: SUMS[upper] * 1.001})
        put(small, 20, **{lower: SUMS[upper] * 1.001})

        outcome = wider_holds_more(small)

        assert not outcome.passed
        assert outcome.found == (
            "2 of 3 bars hold more near the price than further away, the first 2026-06-01 00:20:00+00:00"
        )

    @pytest.mark.parametrize("side", SIDES)
    def test_nothing_is_negative(self, side: str, small: Subject) -> None:
        put(small, 35, **{f"{side}_usd_within_0_5_pct": -1})

        assert not wider_holds_more(small).passed


def test_both_block_and_look_at_every_bar() -> None:
    assert [(rule.name, rule.blocking, rule.every_bar) for rule in feature_rules()] == [
        ("features_are_the_living_positions", True, True),
        ("wider_holds_more", True, True),
    ]

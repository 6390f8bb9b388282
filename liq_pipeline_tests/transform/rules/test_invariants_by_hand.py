"""Where the invariants draw their lines, on a few rows that were written by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from liq_pipeline.model.walk import WalkInput
from liq_pipeline.transform.positions import walk_whole
from liq_pipeline.transform.rules import invariants
from liq_pipeline.transform.rules.invariants import (
    contracts_stay_within_open_interest,
    invariant_rules,
    long_levels_lie_below_price,
    mirrored_prices_exchange_the_sides,
    no_living_cell_was_touched,
    positions_add_up_to_open_interest,
    short_levels_lie_above_price,
    shorter_timeframes_are_contained,
    stored_positions_follow_from_the_bars,
    the_map_scales_with_the_price,
    the_past_does_not_change,
)
from liq_pipeline.transform.rules.rule import Subject
from liq_pipeline_tests.transform.rules.living import living
from liq_pipeline_tests.warehouse.by_hand import OTHER, SYMBOL, at


def put(subject: Subject, timeframe: str, *levels: tuple[str, float, float, float], symbol: str = SYMBOL) -> None:
    """Put levels in: side, price from, price to, contracts; the current price is 110."""
    for side, low, high, contracts in levels:
        subject.tables.connection.execute(
            f"INSERT INTO liquidation_levels_{timeframe} VALUES ('binance', $1, $2, $3, $4, 10, $5, $6, $7, 1, 110, 1)",
            [symbol, timeframe, at(35), side, low, high, contracts],
        )


class TestSides:
    LEVELS = (
        ("long", 90, 91, 1), ("long", 109, 110, 1), ("long", 109, 110.5, 1), ("short", 110, 111, 1),
        ("short", 120, 121, 1), ("short", 109.5, 111, 1), ("short", 10, 11, 1), ("short", 130, 131, 1),
    )  # fmt: skip

    def test_of_three_longs_one_ends_above_the_price(self, small: Subject) -> None:
        put(small, "7d", *self.LEVELS)
        put(small, "7d", ("long", 200, 201, 1), symbol=OTHER)

        outcome = long_levels_lie_below_price("liquidation_levels_7d")(small)

        assert not outcome.passed
        assert outcome.found == "66.7 % of 3 long levels lie on their side of the price"
        assert outcome.facts == {"levels": 3, "wrong": 1}

    def test_of_five_shorts_two_begin_below_the_price(self, small: Subject) -> None:
        put(small, "7d", *self.LEVELS)

        outcome = short_levels_lie_above_price("liquidation_levels_7d")(small)

        assert not outcome.passed
        assert outcome.found == "60.0 % of 5 short levels lie on their side of the price"
        assert outcome.facts == {"levels": 5, "wrong": 2}

    def test_of_no_levels_all_lie_where_they_should(self, small: Subject) -> None:
        outcome = long_levels_lie_below_price("liquidation_levels_7d")(small)

        assert outcome.passed
        assert outcome.found == "100.0 % of 0 long levels lie on their side of the price"


def test_a_bin_holds_at_least_what_it_holds_in_each_shorter_timeframe(small: Subject) -> None:
    for timeframe, contracts in (("1d", 3), ("7d", 3), ("30d", 5), ("90d", 7)):
        put(small, timeframe, ("long", 90, 91, contracts))
        put(small, timeframe, ("long", 90, 91, 10 - contracts), symbol=OTHER)
    assert shorter_timeframes_are_contained(small).found == "1d <= 7d <= 30d <= 90d in every bin"

    put(small, "1d", ("short", 120, 121, 1))
    put(small, "30d", ("long", 80, 81, 9), ("short", 120, 121, 8))
    put(small, "90d", ("short", 120, 121, 7.9))

    outcome = shorter_timeframes_are_contained(small)

    assert not outcome.passed
    assert outcome.found == (
        "1 bins of liquidation_levels_1d hold more than in liquidation_levels_7d; "
        "2 bins of liquidation_levels_30d hold more than in liquidation_levels_90d"
    )


@pytest.mark.parametrize(("long", "short", "passes"), [
    (233, 116.5, True), (116.5, 233, True), (233 * (1 + 0.9e-9), 1, True), (1, 233 * (1 + 1.1e-9), False),
    (233 * (1 + 1.1e-9), 1, False),
])  # fmt: skip
def test_neither_side_holds_more_than_open_interest(long: float, short: float, passes: bool, small: Subject) -> None:
    put(small, "90d", ("long", 90, 91, long - 0.5), ("long", 91, 92, 0.5), ("short", 120, 121, short))
    put(small, "90d", ("long", 90, 91, 1e9), symbol=OTHER)

    outcome = contracts_stay_within_open_interest(small)

    assert outcome.passed is passes
    percents = (f"{side}: {100 * of / 233:.2f} % of open interest" for side, of in (("long", long), ("short", short)))
    assert outcome.found == ", ".join(percents)
    assert outcome.facts == {
        "long_share_of_open_interest": pytest.approx(long / 233, rel=1e-15),
        "short_share_of_open_interest": pytest.approx(short / 233, rel=1e-15),
    }


class TestPositionsAddUp:
    @pytest.fixture
    def whole(self, small: Subject) -> Subject:
        small.living = living(long=[(20, 80, 30), (30, 70, 7)], short=[(30, 150, 71)])
        return small

    def test_tracked_and_untracked_are_open_interest_and_living_cells_are_what_is_tracked(self, whole: Subject) -> None:
        outcome = positions_add_up_to_open_interest(whole)

        assert outcome.passed
        assert outcome.found == (
            "largest relative error of tracked + untracked against open interest 0.0e+00, "
            "of the living cells against tracked 0.0e+00"
        )
        assert outcome.facts == {"worst_relative_error": 0, "cells_relative_error": 0}

    @pytest.mark.parametrize("side", ["long", "short"])
    @pytest.mark.parametrize("column", ["tracked", "untracked"])
    @pytest.mark.parametrize(("share", "passes"), [(0.9e-9, True), (1.1e-9, False), (-1.1e-9, False), (0.5, False)])
    def test_a_bar_that_is_off_by_more_than_a_billionth_is_found(
        self, side: str, column: str, share: float, passes: bool, whole: Subject
    ) -> None:
        whole.tables.connection.execute(
            f"UPDATE position_survival SET {column} = {column} + $off WHERE side = $side AND ts = $ts",
            {"off": share * 241, "side": side, "ts": at(30)},
        )

        outcome = positions_add_up_to_open_interest(whole)

        assert outcome.passed is passes
        assert outcome.facts == {
            "worst_relative_error": pytest.approx(abs(share), rel=1e-3), "cells_relative_error": 0
        }  # fmt: skip

    @pytest.mark.parametrize("side", ["long", "short"])
    @pytest.mark.parametrize(("share", "passes"), [(0.9e-9, True), (1.1e-9, False), (-1.1e-9, False), (0.5, False)])
    def test_living_cells_that_are_off_by_more_than_a_billionth_are_found(
        self, side: str, share: float, passes: bool, whole: Subject
    ) -> None:
        cells = whole.living[side]
        more = np.append(np.zeros(cells.contracts.size - 1), share * 233)
        whole.living = whole.living | {side: replace(cells, contracts=cells.contracts + more)}

        outcome = positions_add_up_to_open_interest(whole)

        assert outcome.passed is passes
        assert outcome.facts == {
            "worst_relative_error": 0, "cells_relative_error": pytest.approx(abs(share), rel=1e-3)
        }  # fmt: skip

    @pytest.mark.parametrize("lost", ["side = 'long' AND ts = $ts", "side = 'short' AND ts <= $ts", "side = 'short'"])
    def test_bars_that_are_missing_on_either_side_are_found(self, lost: str, whole: Subject) -> None:
        whole.tables.connection.execute(
            f"DELETE FROM position_survival WHERE symbol = $symbol AND {lost}",
            {"symbol": SYMBOL} | ({"ts": at(20)} if "$ts" in lost else {}),
        )

        outcome = positions_add_up_to_open_interest(whole)

        assert not outcome.passed
        assert outcome.found.endswith("against tracked 0.0e+00; bars are missing")


def bars(**columns: list[float]) -> WalkInput:
    """Return bars five minutes apart; what is not given is 100."""
    count = len(next(iter(columns.values())))
    names = ("open_interest", "entry_price", "low", "high", "close", "volume")
    ts = np.array([at(5 * number).replace(tzinfo=None) for number in range(count)], "datetime64[us]")
    return WalkInput(ts, **{name: np.array(columns.get(name, [100.0] * count), float) for name in names})


def test_living_cells_lie_beyond_the_close_of_their_bar_and_every_later_extreme(small: Subject) -> None:
    small.bars = bars(low=[1, 80, 95, 90, 97], high=[999, 130, 105, 110, 103], close=[100, 100, 100, 99, 101])
    beyond = {"long": [(0, 79.9, 1), (5, 89.9, 1), (10, 89.9, 1), (15, 96.9, 1), (20, 100.9, 1), (25, 100.9, 1)],
              "short": [(0, 130.1, 1), (5, 110.1, 1), (10, 110.1, 1), (15, 103.1, 1), (20, 101.1, 1)]}  # fmt: skip
    small.living = living(**beyond)
    assert no_living_cell_was_touched(small).found == "0 of 11 living cells were touched"
    assert no_living_cell_was_touched(small).passed

    reached = {"long": [(0, 80, 1), (5, 90, 1), (10, 90, 1), (15, 97, 1), (20, 101, 1), (25, 101, 1), (20, 100.9, 1)],
               "short": [(0, 130, 1), (5, 110, 1), (15, 103, 1), (20, 101, 1), (20, 101.1, 1)]}  # fmt: skip
    small.living = living(**reached)
    assert no_living_cell_was_touched(small).found == "10 of 12 living cells were touched"

    small.living = living(long=[(5, 89.9, 1), (5, 90, 1)])
    assert not no_living_cell_was_touched(small).passed


class TestReplay:
    def test_the_walk_is_cut_off_at_two_thirds(self, small: Subject) -> None:
        small.bars = bars(close=[100] * 5)

        assert the_past_does_not_change(small).found == "replayed to 2026-06-01T00:10: the same"  # 3 of 5 bars

    def test_of_one_bar_that_bar_is_all(self, small: Subject) -> None:
        small.bars = bars(close=[100])

        assert the_past_does_not_change(small).found == "replayed to 2026-06-01T00:00: the same"

    @pytest.mark.parametrize("side", ["long", "short"])
    @pytest.mark.parametrize("rule", [the_map_scales_with_the_price, mirrored_prices_exchange_the_sides])
    def test_a_side_that_another_walk_treats_otherwise_is_found(
        self, side: str, rule, small: Subject, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        small.walked  # noqa: B018 - honestly
        assert rule(small).passed
        honest = invariants.walk

        def cheat(*given, **more):
            result = honest(*given, **more)
            result.sides[side].contracts_opened[:] *= 2
            return result

        monkeypatch.setattr(invariants, "walk", cheat)
        assert not rule(small).passed

    @pytest.mark.parametrize("side", ["long", "short"])
    def test_liquidation_prices_that_do_not_scale_are_found(
        self, side: str, small: Subject, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        small.walked  # noqa: B018 - honestly
        honest = invariants.walk

        def cheat(*given, **more):
            result = honest(*given, **more)
            result.sides[side].liquidation_price[:] += 1e-9
            return result

        monkeypatch.setattr(invariants, "walk", cheat)
        assert not the_map_scales_with_the_price(small).passed

    def test_a_leverage_that_no_bracket_allows_has_no_price_and_scales_all_the_same(self, small: Subject) -> None:
        small.symbol = "NEWUSDT"
        small.bars = bars(open_interest=[100, 120, 110], low=[99, 98, 97])
        assert np.isnan(small.walked.sides["long"].liquidation_price).any()

        assert the_map_scales_with_the_price(small).passed


class TestStoredPositions:
    @pytest.fixture
    def walked(self, small: Subject) -> Subject:
        walk_whole(small.tables, SYMBOL)
        return small

    def test_they_are_what_the_bars_give(self, walked: Subject) -> None:
        outcome = stored_positions_follow_from_the_bars(walked)

        assert outcome.passed
        assert outcome.found == "the table is what the bars give"

    @pytest.mark.parametrize("side", ["long", "short"])
    @pytest.mark.parametrize(("share", "passes"), [(0.5e-9, True), (2e-9, False), (-2e-9, False)])
    def test_a_billionth_of_open_interest_is_let_pass(
        self, side: str, share: float, passes: bool, walked: Subject
    ) -> None:
        cells = walked.living[side]
        more = np.append(np.zeros(cells.contracts.size - 1), share * 233)
        walked.living = walked.living | {side: replace(cells, contracts=cells.contracts + more)}

        outcome = stored_positions_follow_from_the_bars(walked)

        assert outcome.passed is passes
        assert passes or outcome.found == f"stale or altered: ['{side}']"

    @pytest.mark.parametrize("side", ["long", "short"])
    def test_a_row_that_is_lost_is_found_though_nothing_lives_of_it(self, side: str, walked: Subject) -> None:
        walked.living  # noqa: B018 - as it was
        walked.tables.connection.execute(
            "DELETE FROM cohorts WHERE side = $side AND symbol = $symbol AND opened_at = $ts",
            {"side": side, "symbol": SYMBOL, "ts": at(20)},
        )
        walked.tables._changes("position_cohorts")

        assert stored_positions_follow_from_the_bars(walked).found == f"stale or altered: ['{side}']"


def test_all_of_them_block_and_those_that_walk_again_are_for_full_runs() -> None:
    assert all(rule.blocking for rule in invariant_rules())
    assert {rule.name for rule in invariant_rules() if not rule.every_bar} == {
        "no_living_cell_was_touched", "the_past_does_not_change", "the_map_scales_with_the_price",
        "mirrored_prices_exchange_the_sides", "stored_positions_follow_from_the_bars",
    }  # fmt: skip

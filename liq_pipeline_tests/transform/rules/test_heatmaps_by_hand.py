"""Where the rules about heatmaps draw their lines, on a picture of a few rows. Amounts are rounded to 1 in 2,048."""

from __future__ import annotations

import pytest

from liq_pipeline.transform.rules.heatmaps import (
    columns_stay_within_open_interest,
    last_candle_touches_no_older_cell,
    last_column_is_the_living_cells,
)
from liq_pipeline.transform.rules.rule import Subject
from liq_pipeline_tests.transform.rules.living import living
from liq_pipeline_tests.warehouse.by_hand import OTHER, SYMBOL, at

TABLE = "liquidation_heatmap_7d"
ALIVE = {"long": [(20, 90, 48), (30, 90.5, 16), (30, 95, 128)], "short": [(30, 120, 32), (35, 131, 0)]}
PICTURE = [
    (20, "long", 1, 2, 500, 5),  # of an older column
    (35, "long", 94, 96, 128, 12_160),
    (35, "short", 120, 122, 32, 3840),
    (35, "long", 90, 92, 64, 5768),
]  # ts, side, price from, price below, contracts, USD


def draw(subject: Subject, rows: list[tuple], symbol: str = SYMBOL) -> None:
    for ts, *row in rows:
        subject.tables.connection.execute(
            f"INSERT INTO {TABLE} VALUES ('binance', $1, '7d', $2, $4, $5, $3, $7, $6, 0, 0, 0, 0)",
            [symbol, at(ts), *row],
        )


def change(subject: Subject, what: str) -> None:
    subject.tables.connection.execute(
        f"UPDATE {TABLE} SET {what} AND ts = $ts AND symbol = $symbol", {"ts": at(35), "symbol": SYMBOL}
    )


class TestLastColumn:
    rule = staticmethod(last_column_is_the_living_cells(TABLE))

    @pytest.fixture
    def drawn(self, small: Subject) -> Subject:
        small.living = living(**ALIVE)
        draw(small, PICTURE)
        draw(small, [(45, "long", 7, 8, 1, 7)], OTHER)
        return small

    def test_each_row_of_it_holds_the_living_cells_between_its_prices(self, drawn: Subject) -> None:
        outcome = self.rule(drawn)

        assert outcome.passed
        assert outcome.found == "3 rows, largest difference beyond rounding 0.0e+00 of open interest"
        assert outcome.facts == {"worst_difference": 0}

    @pytest.mark.parametrize(
        ("change_of", "worst"),
        [
            ("contracts = 66 WHERE price_low = 90", (2 - 64 / 2048) / 233),
            ("contracts = 126 WHERE price_low = 94", (2 - 128 / 2048) / 233),
            ("contracts = 35 WHERE price_low = 120", (3 - 32 / 2048) / 233),
            ("notional_usd = 6000 WHERE price_low = 90", (232 - 5768 / 2048) / 233 / 110),
            ("notional_usd = 3800 WHERE price_low = 120", (40 - 3840 / 2048) / 233 / 110),
        ],
    )
    def test_one_amount_that_is_off_by_more_than_its_rounding_is_measured(
        self, change_of: str, worst: float, drawn: Subject
    ) -> None:
        change(drawn, change_of)

        outcome = self.rule(drawn)

        assert not outcome.passed
        assert outcome.found == f"3 rows, largest difference beyond rounding {worst:.1e} of open interest"
        assert outcome.facts["worst_difference"] == pytest.approx(worst)

    @pytest.mark.parametrize(
        ("column", "value", "rounding", "tolerance"),
        [("contracts", 64, 64 / 2048, 233e-6), ("notional_usd", 5768, 5768 / 2048, 233e-6 * 110)],
    )
    def test_a_millionth_of_open_interest_beyond_the_rounding_is_let_pass(
        self, column: str, value: float, rounding: float, tolerance: float, drawn: Subject
    ) -> None:
        for sign in (-1, 1):
            change(drawn, f"{column} = {value + sign * (rounding + 0.9 * tolerance)} WHERE price_low = 90")
            assert self.rule(drawn).passed
            change(drawn, f"{column} = {value + sign * (rounding + 1.1 * tolerance)} WHERE price_low = 90")
            assert not self.rule(drawn).passed

    @pytest.mark.parametrize("price", [89.99, 92, 93, 96, 200])
    @pytest.mark.parametrize("contracts", [1e-9, 0])
    def test_a_cell_outside_all_rows_is_found_if_anything_is_left_of_it(
        self, price: float, contracts: float, drawn: Subject
    ) -> None:
        drawn.living = living(long=[*ALIVE["long"], (30, price, contracts)], short=ALIVE["short"])

        outcome = self.rule(drawn)

        assert outcome.passed is (contracts == 0)
        assert outcome.found.endswith("of open interest" + ("; living cells lie outside the rows" if contracts else ""))

    def test_a_row_without_a_cell_is_found(self, drawn: Subject) -> None:
        draw(drawn, [(35, "long", 97, 98, 0, 0)])

        assert self.rule(drawn).found == (
            "4 rows, largest difference beyond rounding 0.0e+00 of open interest; living cells lie outside the rows"
        )


class TestLastCandle:
    """From 00:20 to 00:35 prices went from 89 to 131."""

    rule = staticmethod(last_candle_touches_no_older_cell(TABLE))

    def test_what_opened_before_the_candle_inside_its_range_is_counted(self, small: Subject) -> None:
        small.living = living(
            long=[(30, 89, 60), (30, 88.9, 500), (20, 90, 700)], short=[(25, 131, 30), (25, 131.1, 9)]
        )
        draw(small, [
            (15, "long", 89, 90, 900, 0), (20, "long", 89, 90, 800, 0), (35, "long", 89, 90, 64, 0),
            (35, "long", 88.9, 89.9, 300, 0), (35, "short", 130, 131, 32, 0), (35, "short", 130.5, 131.5, 400, 0),
        ])  # fmt: skip
        draw(small, [(35, "long", 89, 90, 5000, 0), (45, "short", 89, 90, 5000, 0)], OTHER)

        outcome = self.rule(small)

        assert not outcome.passed
        assert (
            outcome.found == "3.96875 contracts inside the last candle's range were opened before it"
        )  # 64 - 1/32 - 60
        assert outcome.facts == {"contracts_inside": 96}

    @pytest.mark.parametrize("side", ["long", "short"])
    def test_a_millionth_of_open_interest_beyond_the_rounding_is_let_pass(self, side: str, small: Subject) -> None:
        draw(small, [(20, side, 1, 2, 9, 0), (35, "long", 100, 101, 64, 0), (35, "short", 100, 101, 64, 0)])
        for off, passes in ((0.0002, True), (0.0003, False)):
            small.living = living(
                **{"long": [(30, 100, 80)], "short": [(30, 100, 80)]} | {side: [(30, 100, 63.96875 - off)]}
            )

            outcome = self.rule(small)

            assert outcome.passed is passes
            assert ("nothing older lies inside" in outcome.found) is passes

    def test_a_picture_of_one_column_has_a_candle_of_all_bars(self, small: Subject) -> None:
        small.living = living(long=[(15, 17, 64)])
        draw(small, [(35, "long", 16, 18, 64, 0)])

        assert self.rule(small).passed

    def test_where_nothing_lies_inside_nothing_is_too_old(self, small: Subject) -> None:
        small.living = living()
        draw(small, [(20, "long", 1, 2, 9, 0), (35, "long", 1, 2, 9, 0)])

        outcome = self.rule(small)

        assert outcome.passed
        assert outcome.facts == {"contracts_inside": 0}


class TestColumns:
    rule = staticmethod(columns_stay_within_open_interest(TABLE))

    def test_their_sums_are_compared_with_what_was_tracked_and_with_open_interest(self, small: Subject) -> None:
        draw(small, [(30, "long", 1, 2, 20, 0), (30, "long", 2, 3, 21, 0), (35, "short", 1, 2, 71, 0)])

        outcome = self.rule(small)

        assert outcome.passed
        assert outcome.found == "2 column sums, at most 30.47 % of open interest, within 0.0e+00 of what is tracked"
        assert outcome.facts == {"largest_share_of_open_interest": 71 / 233, "drift_from_tracked": 0}

    @pytest.mark.parametrize(("off", "passes"), [(0.1137, True), (0.1139, False)])  # 233 / 2048 = 0.11377
    def test_one_in_2048_of_open_interest_is_rounding(self, off: float, passes: bool, small: Subject) -> None:
        draw(small, [(35, "long", 1, 2, 37 - off, 0), (35, "short", 1, 2, 71, 0)])

        assert self.rule(small).passed is passes

    @pytest.mark.parametrize(("beyond", "passes"), [(0.1137, True), (0.1139, False)])
    def test_no_column_holds_more_than_there_was_but_for_rounding(
        self, beyond: float, passes: bool, small: Subject
    ) -> None:
        small.tables.connection.execute(
            "UPDATE position_survival SET tracked = 233 + $beyond, untracked = -$beyond WHERE ts = $ts",
            {"beyond": beyond, "ts": at(35)},
        )
        draw(small, [(35, "long", 1, 2, 233 + beyond, 0)])

        assert self.rule(small).passed is passes

    def test_of_an_empty_picture_there_is_nothing_to_compare(self, small: Subject) -> None:
        outcome = self.rule(small)

        assert outcome.passed
        assert outcome.facts == {"largest_share_of_open_interest": 0, "drift_from_tracked": 0}

"""Which snapshots of zero end a contract, and which are bad prints."""

from __future__ import annotations

import pytest

from liq_pipeline.warehouse.tables import Tables
from liq_pipeline_tests.warehouse.by_hand import OTHER, SYMBOL, at, rows_of


class TestZeroSnapshots:
    """Which snapshots of zero belong to the end of a contract; two hours count as its last word here."""

    def test_without_a_stretch_at_the_end_none_is_the_last_word(self, filled: Tables) -> None:
        assert self._found(filled) == [(25, False, False)]

    @pytest.mark.parametrize(("until", "is_last_word"), [(160, True), (159, False)])
    def test_zeros_after_the_last_contracts_are_the_last_word_from_two_hours_on(
        self, until: int, is_last_word: bool, tables: Tables
    ) -> None:
        self._put(tables, (until, 0, None), (100, 0, None), (40, 0, None), (70, 9, None), (75, 0, "leaps"))

        assert self._found(tables) == [
            (25, False, False),  # contracts came after it
            (40, is_last_word, False),
            (70, False, False),  # its value is not zero: it says what cannot be
            (100, is_last_word, False),
            (until, is_last_word, False),
        ]

    def test_zeros_of_a_ticker_that_never_had_contracts_are_its_only_word(self, tables: Tables) -> None:
        tables.connection.execute("DELETE FROM open_interest WHERE symbol = $symbol", {"symbol": SYMBOL})
        self._put(tables, (300, 0, None), (180, 0, None))

        assert self._found(tables) == [(180, True, False), (300, True, False)]

    def test_zeros_between_two_contracts_are_told_with_both_ends_of_the_settlement(self, tables: Tables) -> None:
        tables.connection.execute(
            "INSERT INTO settlements VALUES ($s, $a, $b, true, '')", {"s": OTHER, "a": at(0), "b": at(90)}
        )
        self._put(tables, (9, 0, None), (10, 0, None), (11, 3, None), (12, 0, None), (13, 0, None))

        assert self._found(tables) == [
            (9, False, False), (10, False, True), (11, False, False), (12, False, True), (13, False, False),
            (25, False, False),
        ]  # fmt: skip

    def _put(self, tables: Tables, *snapshots: tuple[int, float, str | None]) -> None:
        for ts, value, bad_print in snapshots:
            tables.connection.execute(
                "INSERT INTO open_interest BY NAME SELECT $symbol AS symbol, $ts AS ts, $value AS "
                "open_interest_value_usd, 'test' AS source, $bad AS bad_print",
                {"symbol": SYMBOL, "ts": at(ts), "value": value, "bad": bad_print},
            )

    def _found(self, tables: Tables) -> list[tuple]:
        tables.connection.execute(
            "UPDATE open_interest SET open_interest = 7 WHERE symbol = $s AND ts = $t", {"s": SYMBOL, "t": at(35)}
        )
        return rows_of(tables, "zero_snapshots", "ts", "is_last_word", "is_between_contracts", hours=2)

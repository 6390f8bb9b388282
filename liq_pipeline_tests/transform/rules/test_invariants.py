"""Corners of the invariants. (That each passes and fails at all: `test_planted_faults.py`.)"""

import re

import pytest

from liq_pipeline.transform.positions import walk_whole
from liq_pipeline.transform.rules.heatmaps import heatmap_rules, last_candle_touches_no_older_cell
from liq_pipeline.transform.rules.integrity import has_rows
from liq_pipeline.transform.rules.invariants import (
    no_living_cell_was_touched,
    positions_add_up_to_open_interest,
    shorter_timeframes_are_contained,
    stored_positions_follow_from_the_bars,
)
from liq_pipeline.transform.rules.rule import Subject
from liq_pipeline.warehouse.schema import HEATMAP_TABLES
from liq_pipeline_tests.transform.rules.faults import Fault, plant


@pytest.mark.parametrize("side", ["long", "short"])
def test_a_sum_that_is_not_a_number_does_not_add_up(side: str, subject: Subject) -> None:
    subject.tables.connection.execute(
        "UPDATE position_survival SET tracked = 'nan' WHERE ts = '2026-06-20 12:00:00+00' AND side = $side",
        {"side": side},
    )

    assert not positions_add_up_to_open_interest(subject).passed


def test_a_missing_bar_of_positions_is_found(subject: Subject) -> None:
    subject.tables.connection.execute(
        "DELETE FROM position_survival WHERE ts = '2026-06-20 12:00:00+00' AND side = 'long'"
    )

    outcome = positions_add_up_to_open_interest(subject)

    assert not outcome.passed
    assert outcome.found.endswith("bars are missing")


def test_living_cells_that_do_not_sum_to_what_is_tracked_are_found(subject: Subject) -> None:
    subject.tables.connection.execute("UPDATE cohorts SET contracts_opened = contracts_opened * 2 WHERE side = 'long'")

    assert not positions_add_up_to_open_interest(subject).passed


def test_no_positions_at_all_do_not_add_up(subject: Subject) -> None:
    subject.tables.connection.execute("DELETE FROM position_survival; DELETE FROM cohorts")

    assert not positions_add_up_to_open_interest(subject).passed
    assert not stored_positions_follow_from_the_bars(subject).passed


@pytest.mark.parametrize("side", ["long", "short"])
def test_an_older_cell_inside_the_last_candle_is_found_on_either_side(
    side: str, subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = Fault(
        "INSERT INTO liquidation_heatmap_7d BY NAME SELECT * EXCLUDE (close) REPLACE (close - 1e-6 AS price_low, "
        f"close AS price_high, CASE WHEN side = '{side}' THEN 1000 ELSE 0 END AS contracts) FROM "
        "(SELECT * EXCLUDE (side) FROM liquidation_heatmap_7d ORDER BY ts DESC LIMIT 1), "
        "(SELECT unnest(['long', 'short']) AS side), "
        "(SELECT arg_max(close, ts) AS close FROM klines WHERE symbol = 'BTCUSDT')",
        r"\d[\d.]* contracts inside the last candle's range were opened before it",
    )
    plant(older, subject, monkeypatch)

    outcome = last_candle_touches_no_older_cell("liquidation_heatmap_7d")(subject)

    assert not outcome.passed
    assert re.fullmatch(older.says, outcome.found)


def test_a_bin_that_the_longer_timeframe_lacks_is_found(subject: Subject) -> None:
    subject.tables.connection.execute(
        "DELETE FROM liquidation_levels_30d WHERE (side, leverage, price_low) IN "
        "(SELECT (side, leverage, price_low) FROM liquidation_levels_7d LIMIT 1)"
    )

    outcome = shorter_timeframes_are_contained(subject)

    assert not outcome.passed
    assert outcome.found == "1 bins of liquidation_levels_7d hold more than in liquidation_levels_30d"


def test_a_living_short_that_a_later_high_reached_is_found(subject: Subject) -> None:
    subject.tables.connection.execute(
        "UPDATE oi_delta SET entry_price = entry_price / 2 WHERE ts = "
        "(SELECT min(opened_at) FROM position_cohorts WHERE side = 'short' AND liquidated_after_minutes[1] IS NULL)"
    )

    assert not no_living_cell_was_touched(subject).passed


class TestTheBeginningOfHistory:
    @staticmethod
    def begin(subject: Subject, bars: int) -> None:
        """Leave the newest bars only, and walk anew."""
        (since,) = subject.tables.connection.execute(
            f"SELECT max(ts) - INTERVAL {5 * bars} MINUTE FROM oi_delta WHERE symbol = 'BTCUSDT'"
        ).fetchone()
        for table in ("klines", "open_interest"):
            subject.tables.connection.execute(f"DELETE FROM {table} WHERE ts <= $since", {"since": since})
        tables = subject.tables
        tables.rebuild("oi_delta", "BTCUSDT")
        walk_whole(tables, "BTCUSDT")

    def test_of_one_bar_it_is_said_that_nothing_can_have_opened(self, subject: Subject) -> None:
        self.begin(subject, 1)

        stored, rows = stored_positions_follow_from_the_bars(subject), has_rows("position_cohorts")(subject)

        assert stored.passed
        assert stored.found == "one bar so far; nothing can have opened yet"
        assert rows.is_error
        assert rows.found == "0 rows: one bar so far; nothing can have opened yet"

    def test_two_bars_are_enough(self, subject: Subject) -> None:
        self.begin(subject, 2)

        assert stored_positions_follow_from_the_bars(subject).found == "the table is what the bars give"
        assert has_rows("position_cohorts")(subject).passed

    def test_one_snapshot_among_many_bars_is_one_bar_of_history(self, subject: Subject) -> None:
        subject.tables.connection.execute(
            "DELETE FROM open_interest WHERE ts < (SELECT max(ts) FROM oi_delta WHERE symbol = 'BTCUSDT')"
        )
        tables = subject.tables
        tables.rebuild("oi_delta", "BTCUSDT")
        walk_whole(tables, "BTCUSDT")

        assert "one bar so far" in has_rows("position_cohorts")(subject).found

    def test_an_emptied_table_is_no_beginning(self, subject: Subject) -> None:
        subject.tables.connection.execute("DELETE FROM cohorts")

        assert stored_positions_follow_from_the_bars(subject).found == "stale or altered: empty"
        assert has_rows("position_cohorts")(subject).found == "0 rows"


def test_a_last_column_that_holds_too_much_in_the_right_rows_is_found(subject: Subject) -> None:
    table = HEATMAP_TABLES[0]
    subject.tables.connection.execute(
        f"CREATE TEMP TABLE seen AS FROM {table}; DROP VIEW {table}; CREATE TABLE {table} AS FROM seen; "
        f"UPDATE {table} SET contracts = contracts * 1.01 WHERE ts = (SELECT max(ts) FROM {table})"
    )

    (rule,) = [rule for rule in heatmap_rules() if rule.asset == table and "last_column" in rule.name]
    outcome = rule.apply(subject)

    assert not outcome.passed
    assert "outside" not in outcome.found

"""Where the rules about plausibility draw their lines. (That each passes and fails: `test_planted_faults.py`.)"""

from __future__ import annotations

import pytest

from liq_pipeline.transform.rules.plausibility import (
    bars_without_volume_are_flat,
    contract_is_still_traded,
    open_interest_moves_while_contracts_trade,
    rows_are_plausible,
)
from liq_pipeline.transform.rules.rule import ERROR, WARN, Subject

BAD = "UPDATE open_interest SET open_interest = NULL, bad_print = 'changed by more than was traded: 1 contracts' WHERE "


def test_a_day_that_is_bad_for_its_most_part_is_lost_and_named(subject: Subject) -> None:
    subject.tables.connection.execute(BAD + "ts > '2026-06-20' AND ts <= '2026-06-20 12:00:00+00'")

    outcome = rows_are_plausible("open_interest")(subject)

    assert outcome.is_error
    assert outcome.found.startswith(
        "lost: 2026-06-20 (144 of 288 rows)\n144 bad prints: 2026-06-20 00:05..2026-06-20 12:00"
    )


@pytest.mark.parametrize(
    ("table", "blanked", "said"),
    [
        (
            "open_interest", "open_interest_value_usd = NULL",
            "lost: 2026-06-20 (the value of 288 of 288 rows; their contracts are kept)\n",
        ),
        ("klines", "volume = NULL", "lost: 2026-06-20 (the volume of 288 of 288 rows; their prices are kept)\n"),
        (
            "klines", "volume = NULL, taker_buy_volume = NULL",
            "lost: 2026-06-20 (the volume of 288 and the takers' volume of 288 of 288 rows; their prices are kept)\n",
        ),
    ],
)  # fmt: skip
def test_a_day_of_which_a_column_is_lost_says_which_and_that_the_rest_is_kept(
    subject: Subject, table: str, blanked: str, said: str
) -> None:
    subject.tables.connection.execute(
        f"UPDATE {table} SET {blanked}, bad_print = 'off: 1' WHERE ts > '2026-06-20' AND ts <= '2026-06-21'"
    )

    outcome = rows_are_plausible(table)(subject)

    assert outcome.is_error
    assert outcome.found.startswith(said)


def test_rows_of_which_nothing_was_blanked_are_not_lost(subject: Subject) -> None:
    subject.tables.connection.execute(
        "UPDATE open_interest SET bad_print = 'leaps, and stays there (kept): 1 contracts'"
    )

    outcome = rows_are_plausible("open_interest")(subject)

    assert outcome.severity is WARN
    assert "lost" not in outcome.found


def test_midnight_belongs_to_the_day_that_ends_there(subject: Subject) -> None:
    subject.tables.connection.execute(BAD + "ts > '2026-06-20' AND ts <= '2026-06-21'")

    assert "lost: 2026-06-20 (288 of 288 rows)\n" in rows_are_plausible("open_interest")(subject).found


def test_a_day_that_is_bad_for_less_is_a_warning(subject: Subject) -> None:
    subject.tables.connection.execute(BAD + "ts > '2026-06-20' AND ts <= '2026-06-20 11:55:00+00'")

    outcome = rows_are_plausible("open_interest")(subject)

    assert outcome.severity is WARN
    assert outcome.facts == {"bad": 143, "lost_days": 0}


@pytest.mark.parametrize(
    ("until", "said"),
    [
        ("12:00", "1 bad prints: 2026-06-20 12:00 changed by more than was traded: 1 contracts"),
        ("12:05", "2 bad prints: 2026-06-20 12:00..2026-06-20 12:05 (2) changed by more than was traded"),
    ],
)
def test_a_bad_print_is_told_with_what_was_reported_and_a_stretch_with_its_count(
    subject: Subject, until: str, said: str
) -> None:
    subject.tables.connection.execute(BAD + f"ts BETWEEN '2026-06-20 12:00:00+00' AND '2026-06-20 {until}:00+00'")

    assert rows_are_plausible("open_interest")(subject).found == said


def test_the_first_print_of_a_new_day_does_not_lose_the_day(subject: Subject) -> None:
    subject.tables.connection.execute("DELETE FROM open_interest WHERE ts > '2026-06-27 00:10:00+00'")
    subject.tables.connection.execute(BAD + "ts = '2026-06-27 00:10:00+00'")

    outcome = rows_are_plausible("open_interest")(subject)

    assert outcome.severity is WARN


def test_bad_prints_that_are_spread_over_all_days_are_lost_data_too(subject: Subject) -> None:
    subject.tables.connection.execute(BAD + "minute(ts) = 15")  # every twelfth row

    outcome = rows_are_plausible("open_interest")(subject)

    assert outcome.severity is ERROR
    assert outcome.facts["lost_days"] == 0
    assert outcome.found.endswith("and 220 more")


@pytest.mark.parametrize(("bad", "severity"), [(144, ERROR), (143, WARN)])
def test_a_twentieth_of_all_rows_is_lost_data_and_less_is_a_warning(subject: Subject, bad: int, severity) -> None:
    """2,880 snapshots in ten days; every twentieth, so that no day is bad for half of it."""
    subject.tables.connection.execute(
        BAD + "ts IN (SELECT ts FROM (SELECT ts, row_number() OVER (ORDER BY ts) AS place FROM open_interest) "
        f"WHERE place % 20 = 0 ORDER BY ts LIMIT {bad})"
    )

    outcome = rows_are_plausible("open_interest")(subject)

    assert subject.sql("SELECT count(*) AS rows FROM open_interest").to_pylist() == [{"rows": 2880}]
    assert (outcome.severity, outcome.facts) == (severity, {"bad": bad, "lost_days": 0})


@pytest.mark.parametrize(("until", "lost_days"), [("02:00", 1), ("01:55", 0)])
def test_a_day_that_has_begun_is_lost_with_its_first_two_hours(subject: Subject, until: str, lost_days: int) -> None:
    subject.tables.connection.execute("DELETE FROM open_interest WHERE ts > '2026-06-27 02:00:00+00'")
    subject.tables.connection.execute(BAD + f"ts > '2026-06-27' AND ts <= '2026-06-27 {until}:00+00'")

    assert rows_are_plausible("open_interest")(subject).facts["lost_days"] == lost_days


@pytest.mark.parametrize(("since", "passes"), [("18:05", True), ("18:00", False)])
def test_six_hours_of_bars_without_volume_are_too_many(subject: Subject, since: str, passes: bool) -> None:
    subject.tables.connection.execute(
        f"UPDATE klines SET volume = 0, quote_volume = 0 WHERE ts > '2026-06-27 {since}:00+00'"
    )

    assert contract_is_still_traded(subject).passed is passes


def test_a_silence_that_ended_is_no_delisting(subject: Subject) -> None:
    subject.tables.connection.execute(
        "UPDATE klines SET volume = 0, quote_volume = 0 WHERE ts BETWEEN '2026-06-20' AND '2026-06-27'"
    )

    assert contract_is_still_traded(subject).passed


class TestAfterADelisting:
    FLAT = (
        "UPDATE klines SET open = p, high = p, low = p, close = p, volume = 0, quote_volume = 0 "
        "FROM (SELECT close AS p FROM klines WHERE ts = '2026-06-25') WHERE ts > '2026-06-25'"
    )

    def test_nothing_traded_since_is_said_with_the_instant(self, subject: Subject) -> None:
        subject.tables.connection.execute(self.FLAT)
        subject.tables.connection.execute(
            "UPDATE open_interest SET open_interest = q FROM (SELECT open_interest AS q FROM open_interest "
            "WHERE ts = '2026-06-25') WHERE ts > '2026-06-25'"
        )

        found = contract_is_still_traded(subject).found

        assert found.startswith("nothing traded since 2026-06-25 00:00 UTC: 72.0 hours of bars without volume")
        assert "open interest is frozen at" in found
        assert open_interest_moves_while_contracts_trade(subject).passed  # nothing trades: it has no reason to move
        assert bars_without_volume_are_flat(subject).passed

    def test_an_open_interest_that_ended_is_said_too(self, subject: Subject) -> None:
        subject.tables.connection.execute(self.FLAT)
        subject.tables.connection.execute("DELETE FROM open_interest WHERE ts > '2026-06-25'")

        assert "open interest is not reported any more" in contract_is_still_traded(subject).found


def test_open_interest_that_stands_still_while_contracts_trade_is_a_stuck_feed(subject: Subject) -> None:
    subject.tables.connection.execute(
        "UPDATE open_interest SET open_interest = 12345 WHERE ts BETWEEN '2026-06-20 06:05' AND '2026-06-20 12:00'"
    )
    assert open_interest_moves_while_contracts_trade(subject).passed  # five minutes short of six hours

    subject.tables.connection.execute("UPDATE open_interest SET open_interest = 12345 WHERE ts = '2026-06-20 06:00'")
    assert not open_interest_moves_while_contracts_trade(subject).passed


def test_open_interest_of_a_quiet_coin_may_stand_still(subject: Subject) -> None:
    subject.tables.connection.execute("UPDATE open_interest SET open_interest = 12345 WHERE ts >= '2026-06-20'")
    subject.tables.connection.execute("UPDATE klines SET volume = 0.01 WHERE ts >= '2026-06-20'")

    assert open_interest_moves_while_contracts_trade(subject).passed


def test_a_bar_without_volume_that_closes_elsewhere_than_the_one_before_moved(subject: Subject) -> None:
    subject.tables.connection.execute(
        "UPDATE klines SET open = 5, high = 5, low = 5, close = 5, volume = 0 WHERE ts = '2026-06-20 12:00'"
    )

    assert bars_without_volume_are_flat(subject).found == "1 bars without volume moved: 2026-06-20 12:00"


def test_a_flat_bar_without_volume_after_a_gap_did_not_move(subject: Subject) -> None:
    subject.tables.connection.execute("DELETE FROM klines WHERE ts = '2026-06-20 11:55'")
    subject.tables.connection.execute(
        "UPDATE klines SET open = 5, high = 5, low = 5, close = 5, volume = 0 WHERE ts = '2026-06-20 12:00'"
    )

    assert bars_without_volume_are_flat(subject).passed

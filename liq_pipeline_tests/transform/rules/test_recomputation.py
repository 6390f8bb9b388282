"""`oi_delta` recomputed from snapshots: of three bars of the living contract, and two of the one before."""

from __future__ import annotations

import pytest

from liq_pipeline.transform.rules.integrity import delta_equals_recomputation
from liq_pipeline.transform.rules.rule import Subject
from liq_pipeline_tests.warehouse.by_hand import SYMBOL, at

WITHOUT_ENDS = "the table does not begin and end with a snapshot"


@pytest.fixture
def made(small: Subject) -> Subject:
    """Open interest 61, 59 of one contract, then 200, 217, 241 of the next."""
    small.tables.rebuild("oi_delta", SYMBOL)
    return small


def change(subject: Subject, what: str, *minutes: float) -> None:
    for ts in minutes:
        subject.tables.connection.execute(
            f"UPDATE {what} WHERE symbol = $symbol AND ts = $ts", {"symbol": SYMBOL, "ts": at(ts)}
        )


def test_the_newest_contract_is_told_where_all_agree(made: Subject) -> None:
    outcome = delta_equals_recomputation(made)

    assert outcome.passed
    assert outcome.found == (
        "3 rows: largest relative difference 0.0e+00, first row null, neighbouring snapshots exact"
    )


def test_the_contract_that_differs_is_told_whichever_it_is(made: Subject) -> None:
    change(made, "oi_delta SET oi_delta = oi_delta + 1", 10)

    outcome = delta_equals_recomputation(made)

    assert not outcome.passed
    assert outcome.found == (
        "2 rows: largest relative difference 1.6e-02, first row null, neighbouring snapshots not exact"  # 1 of 61
    )


@pytest.mark.parametrize("lost", [(15,), (30,), (15, 20, 30), (15, 30)])
def test_rows_begin_and_end_with_a_snapshot(lost: tuple[float, ...], made: Subject) -> None:
    change(made, "open_interest SET open_interest = NULL", *lost)

    outcome = delta_equals_recomputation(made)

    assert not outcome.passed
    assert outcome.found == WITHOUT_ENDS


@pytest.mark.parametrize(("off", "passes", "said"), [(0.9e-9, True, "9.0e-10"), (1.1e-9, False, "1.1e-09")])
def test_between_two_snapshots_changes_add_up_to_a_billionth(
    off: float, passes: bool, said: str, made: Subject
) -> None:
    """The snapshot of 00:20 is lost since: its two changes must still add up to 41."""
    change(made, "open_interest SET open_interest = NULL", 20)
    change(made, f"oi_delta SET oi_delta = oi_delta + {off * 241!r}", 20)

    outcome = delta_equals_recomputation(made)

    assert outcome.passed is passes
    assert outcome.found == (
        f"3 rows: largest relative difference {said}, first row null, neighbouring snapshots exact"
    )


def test_a_change_between_neighbours_is_exact_to_the_bit(made: Subject) -> None:
    change(made, "oi_delta SET oi_delta = oi_delta + 1e-14", 20)

    outcome = delta_equals_recomputation(made)

    assert not outcome.passed
    assert outcome.found.endswith("neighbouring snapshots not exact")


def test_of_one_row_only_its_null_is_looked_at(made: Subject) -> None:
    made.tables.connection.execute("DELETE FROM oi_delta WHERE symbol = $s AND ts <> $t", {"s": SYMBOL, "t": at(15)})
    text = "1 rows: largest relative difference 0.0e+00, first row {}, neighbouring snapshots exact"
    assert delta_equals_recomputation(made).passed
    assert delta_equals_recomputation(made).found == text.format("null")

    change(made, "oi_delta SET oi_delta = 0", 15)
    assert not delta_equals_recomputation(made).passed
    assert delta_equals_recomputation(made).found == text.format("not null")


def test_of_no_row_there_is_nothing_to_say(made: Subject) -> None:
    made.tables.connection.execute("DELETE FROM oi_delta")

    outcome = delta_equals_recomputation(made)

    assert (outcome.passed, outcome.found) == (True, "no row")

"""`oi_delta`: the change of open interest per bar, from snapshots and klines."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from liq_pipeline.warehouse.warehouse import Warehouse
from liq_pipeline_tests.once import once


def _column(rows: list[dict], name: str) -> list:
    return [row[name] for row in rows]


def test_the_first_row_has_no_delta(book) -> None:
    book.fill([100, 110])

    first, second = book.deltas()

    assert first["oi_delta"] is None
    assert first["oi_delta_usd"] is None
    assert second["oi_delta"] == 10


def test_a_delta_is_the_difference_of_neighbouring_snapshots_to_the_bit(book) -> None:
    book.fill([0.1, 0.3, 0.2])

    assert _column(book.deltas(), "oi_delta")[1:] == [0.3 - 0.1, 0.2 - 0.3]


def test_the_usd_delta_is_taken_at_the_volume_weighted_price(book) -> None:
    book.fill([100, 90], price=50.0)

    row = book.deltas()[1]

    assert row["entry_price"] == 50
    assert row["oi_delta_usd"] == -10 * 50


def test_the_entry_price_of_a_bar_without_volume_is_its_typical_price(book) -> None:
    book.fill([100, 100], volumes=[10, 0])

    assert book.deltas()[1]["entry_price"] == pytest.approx((102 + 99 + 101) / 3)


def test_the_entry_price_stays_within_the_range_of_the_bar(book) -> None:
    book.fill([100, 100])
    with book.warehouse.get_connection("BTCUSDT") as connection:
        connection.execute("UPDATE klines SET quote_volume = volume * 500")

    assert _column(book.deltas(), "entry_price") == [102, 102]


def test_across_a_gap_the_change_is_spread_by_volume_and_flagged(book) -> None:
    book.fill([100, None, None, 140], volumes=[10, 10, 20, 10])

    rows = book.deltas()

    assert _column(rows, "oi_delta")[1:] == pytest.approx([10, 20, 10])
    assert _column(rows, "open_interest") == pytest.approx([100, 110, 130, 140])
    assert _column(rows, "is_interpolated") == [False, True, True, True]


def test_across_a_gap_without_volume_the_change_is_spread_evenly(book) -> None:
    book.fill([100, None, None, 130], volumes=[10, 0, 0, 0])

    assert _column(book.deltas(), "oi_delta")[1:] == pytest.approx([10, 10, 10])


def test_a_bad_print_is_a_gap_of_one_snapshot(book) -> None:
    book.fill([100, None, 120, 121])

    rows = book.deltas()

    assert _column(rows, "oi_delta")[1:] == pytest.approx([10, 10, 1])
    assert _column(rows, "is_interpolated") == [False, True, True, False]


def test_zero_in_the_table_counts_as_a_bad_print(book) -> None:
    book.fill([100, 0, 120])

    assert _column(book.deltas(), "open_interest") == pytest.approx([100, 110, 120])


def test_a_missing_kline_makes_no_row_and_flags_the_next(book) -> None:
    book.fill([100, 105, 120, 121], missing_bars=[1])

    rows = book.deltas()

    assert [f"{row['ts']:%H:%M}" for row in rows] == ["00:05", "00:15", "00:20"]
    assert _column(rows, "oi_delta") == [None, 20, 1]
    assert _column(rows, "is_interpolated") == [False, True, False]


def test_rows_begin_and_end_with_a_snapshot(book) -> None:
    book.fill([None, 100, 110, None])

    assert [f"{row['ts']:%H:%M}" for row in book.deltas()] == ["00:10", "00:15"]


def test_symbols_do_not_see_each_other(book) -> None:
    book.fill([100, 110])
    book.fill([5, 7, 9], symbol="ETHUSDT")
    book.deltas()

    assert _column(book.deltas("ETHUSDT"), "oi_delta") == [None, 2, 2]
    assert _column(book.deltas(), "oi_delta") == [None, 10]


def test_the_newest_bar_needs_both_a_kline_and_a_snapshot(book) -> None:
    book.fill([100, 110, None])
    book.deltas()

    newest = once(book.warehouse).newest_bar("BTCUSDT")

    assert f"{newest['as_of']:%H:%M %Z}" == "00:10 UTC"
    assert newest["open_interest"] == 110
    assert newest["current_price"] == 101


@given(
    places=st.lists(
        st.tuples(
            st.one_of(st.none(), st.floats(1, 1e6)),
            st.floats(0, 1e5).map(lambda volume: round(volume, 3)),
        ),
        min_size=2,
        max_size=12,
    ).filter(lambda places: any(value for value, _ in places))
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_deltas_add_up_to_the_change_between_any_two_snapshots(book, places) -> None:
    snapshots, volumes = zip(*places, strict=True)
    book.fill(snapshots, volumes)

    rows = book.deltas()

    known = [value for value in snapshots if value]
    total = sum(row["oi_delta"] for row in rows[1:])
    assert total == pytest.approx(known[-1] - known[0], abs=1e-9 * max(known))
    held = [row["open_interest"] for row in rows]
    assert np.allclose(np.cumsum([held[0], *(row["oi_delta"] for row in rows[1:])]), held, rtol=1e-9)
    first = next(place for place, value in enumerate(snapshots) if value)
    for row, value in zip(rows, snapshots[first:], strict=False):
        assert value is None or row["open_interest"] == value
    assert all(min(known) * (1 - 1e-9) <= value <= max(known) * (1 + 1e-9) for value in held)


def test_rebuilding_gives_the_same_rows(warehouse: Warehouse) -> None:
    before = once(warehouse).sql("SELECT * FROM oi_delta ORDER BY ts")

    once(warehouse).rebuild("oi_delta", "BTCUSDT")

    assert once(warehouse).sql("SELECT * FROM oi_delta ORDER BY ts").equals(before)

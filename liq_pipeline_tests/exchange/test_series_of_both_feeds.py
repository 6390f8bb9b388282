"""The arrays in which changes of contracts are looked for: cells, medians of six rows, what lasts."""

from __future__ import annotations

from statistics import median

import numpy as np
import pyarrow as pa
import pytest

from liq_pipeline.exchange.contract_changes import Feeds, Series
from liq_pipeline_tests.exchange.flat_days import START

HOUR = np.timedelta64(1, "h")
NAN = np.nan


def hours(*numbers: float) -> np.ndarray:
    return START + np.array([round(60 * number) for number in numbers]) * np.timedelta64(1, "m")


@pytest.fixture
def series() -> Series:
    rng = np.random.default_rng(3)
    return Series(hours(*range(30)), rng.integers(-9, 99, 30).astype(float))


def old_and_new(level: list[float], before: int, after: int) -> tuple[float, float]:
    return median(level[: before + 1][-6:]), median(level[after:][:6])


def test_a_step_is_between_medians_of_up_to_six_rows(series: Series) -> None:
    level = series.level.tolist()
    for before in range(29):
        for after in range(before + 1, 30):
            old, new = old_and_new(level, before, after)
            assert series.step(before, after) == new - old


def test_a_step_to_where_no_rows_are_is_not_known(series: Series) -> None:
    assert np.isnan([series.step(29, 30), series.step(-1, 0)]).all()


def test_a_place_is_the_first_row_at_or_after_an_instant(series: Series) -> None:
    assert [series.at(instant) for instant in hours(-1, 0, 2, 2.5, 29, 29.5)] == [0, 0, 2, 3, 29, 30]


def test_a_step_lasts_where_both_ends_of_a_stretch_are_nearer_to_their_own_side() -> None:
    """Against the same in lists. Small whole numbers: that both are equally near happens often."""
    rng = np.random.default_rng(4)
    told = set()
    for _ in range(1_000):
        size = int(rng.integers(4, 40))
        level = rng.integers(-1, 3, size).astype(float).tolist()
        before = int(rng.integers(0, size - 1))
        after = int(rng.integers(before + 1, min(before + 3, size)))
        since, until = sorted(rng.integers(-4, 2 * size + 4, 2).tolist())
        old, new = old_and_new(level, before, after)
        begin = min(sum(row < since / 2 for row in range(size)), before)
        later = [level[row] for row in range(after, size) if row <= until / 2 or row == after]
        newest = later[len(later) // 2 :][-6:]
        earliest = level[begin : before + 1][:6]
        expected = abs(median(newest) - new) <= abs(median(newest) - old) and abs(median(earliest) - old) <= abs(
            median(earliest) - new
        )
        lasts = Series(hours(*range(size)), np.array(level)).lasts(before, after, *hours(since / 2, until / 2))
        assert lasts is expected
        told.add(expected)
    assert told == {True, False}


def test_cells_of_open_interest() -> None:
    contracts = [2.0, 2.0, 0.5, 0.0, -1.0, None, None, None, 3.0, 0.0, 0.5]
    value = [6.0, 0.0, 0.75, 6.0, 0.0, 0.0, None, 1.0, -6.0, 0.0, 0.0]
    table = pa.table(
        {"ts": hours(*range(11)), "open_interest": contracts, "open_interest_value_usd": value},
        schema=pa.schema(
            {"ts": pa.timestamp("us"), "open_interest": pa.float64(), "open_interest_value_usd": pa.float64()}
        ),
    )
    feeds = Feeds.of(table, bars([0, 1], [1, 2]))
    np.testing.assert_array_equal(feeds.contracts, [2, 2, 0.5, NAN, NAN, NAN, NAN, NAN, 3, NAN, 0.5])
    np.testing.assert_array_equal(feeds.implied, [3, NAN, 1.5, *[NAN] * 8])
    assert np.flatnonzero(feeds.zero).tolist() == [4, 5, 9]
    assert feeds.known.tolist() == [0, 1, 2, 8, 10]


def bars(opened: list[float], close: list[float], volume: float = 1) -> pa.Table:
    prices = {name: np.array(close, dtype=float) for name in ("open", "high", "low", "close")}
    return pa.table(
        {"ts": hours(*opened) + HOUR, "open_time": hours(*opened), "volume": np.full(len(close), volume)} | prices
    )


def snapshots(at: list[float], contracts: list[float], price: list[float]) -> pa.Table:
    value = np.multiply(contracts, price)
    return pa.table({"ts": hours(*at), "open_interest": np.array(contracts), "open_interest_value_usd": value})


def test_snapshots_at_half_as_much_again_as_the_close_of_their_bar_are_left_out() -> None:
    """The bar is the one that closes at or after them; after the last one, that."""
    table = snapshots([0.5, 1, 1.5, 2, 2.5, 9], [1.0, 2, 3, 4, 5, 6], [14.5, 15.5, 30 / 1.45, 30 / 1.55, 30, 30])
    feeds = Feeds.of(table, bars([0, 1], [10, 30]))
    np.testing.assert_array_equal(np.exp(feeds.open_interest.level).round(9), [1, 3, 5, 6])
    assert feeds.open_interest.ts.tolist() == hours(0.5, 1.5, 2.5, 9).tolist()


def test_a_snapshot_without_a_value_is_not_left_out() -> None:
    table = snapshots([0.5, 1], [1.0, 2], [0, 500])
    assert np.exp(Feeds.of(table, bars([0], [10])).open_interest.level).tolist() == [1]


@pytest.mark.parametrize(("price", "expected"), [(14.9, True), (15.1, False), (10 / 1.49, True), (10 / 1.51, False)])
def test_a_bar_is_confirmed_by_the_median_of_six_snapshots_after_it_opened(price: float, expected: bool) -> None:
    """And by the median close of six bars: the seventh of either, and what lies before, are not asked."""
    opened = [0.0, 1, 2, 3, 4, 5, 6, 7]
    prices = [90, 90, 1, 1, price, price, 90, 90, 90, 90]
    table = snapshots([0.5, 1, *np.arange(1.25, 3.25, 0.25)], [1.0] * 10, prices)
    feeds = Feeds.of(table, bars(opened, [80, 2, 2, 10, 10, 40, 40, 80]))
    assert feeds.confirms(1) is expected


def test_a_bar_is_not_confirmed_where_no_snapshot_follows() -> None:
    assert not Feeds.of(snapshots([0, 1], [1.0, 1], [10, 10]), bars([0, 1], [10, 10])).confirms(1)

"""The map at an instant of the past, from `positions` alone: what a run at that instant would publish."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from liq_pipeline.errors import NoData
from liq_pipeline.model.timeframes import TIMEFRAMES
from liq_pipeline.published.layout import dataset_path
from liq_pipeline.published.past import Past, past_of
from liq_pipeline.settings import Settings
from liq_pipeline.transform.levels import write_levels
from liq_pipeline.transform.positions import walk_whole
from liq_pipeline.warehouse.warehouse import Warehouse

pytestmark = pytest.mark.whole_run

SYMBOL = "BTCUSDT"
INSTANTS = 10


@pytest.fixture(scope="module")
def rows(good_run: Settings) -> pa.Table:
    return pq.read_table(dataset_path(good_run.published_dir, "positions", SYMBOL))


@pytest.fixture(scope="module")
def past(rows: pa.Table) -> Past:
    return past_of(rows)


@pytest.fixture
def run_until(warehouse: Warehouse) -> Callable[[datetime], dict[str, pa.Table]]:
    """Return the levels of a full run that has only what was there at an instant."""

    def run(at: datetime) -> dict[str, pa.Table]:
        with warehouse.transaction(SYMBOL) as tables:
            for table in ("open_interest", "klines"):
                tables.connection.execute(f"CREATE TEMP TABLE {table}_all AS FROM {table}")
                tables.connection.execute(f"DELETE FROM {table} WHERE ts > $at", {"at": at})
            tables.rebuild("oi_delta", SYMBOL)
            walk_whole(tables, SYMBOL)
            found = write_levels(tables, SYMBOL, tables.newest_bar(SYMBOL))
            for table in ("open_interest", "klines"):
                tables.connection.execute(f"DELETE FROM {table}")
                tables.connection.execute(f"INSERT INTO {table} FROM {table}_all")
                tables.connection.execute(f"DROP TABLE {table}_all")
        return found

    return run


def instants(past: Past, count: int, seed: int) -> list[datetime]:
    """Draw instants between the first day and the end, between bars as well as on them."""
    random = Random(seed)
    first, last = (past.ts[place].item().replace(tzinfo=UTC) for place in (288, -1))
    return [first + random.random() * (last - first) for _ in range(count)]


def test_any_instant_is_what_a_run_at_that_instant_gives(past: Past, run_until) -> None:
    compared = 0
    for at in instants(past, INSTANTS, seed=13):
        expected = run_until(at)
        found = past.levels_at(at)
        for timeframe in TIMEFRAMES:
            one, other = found[timeframe], expected[timeframe]
            assert one.schema == other.schema
            assert one.num_rows == other.num_rows > 0
            for name in one.column_names:
                if pa.types.is_floating(one[name].type):
                    np.testing.assert_allclose(one[name].to_numpy(), other[name].to_numpy(), rtol=1e-9, atol=1e-9)
                else:
                    assert one[name].to_pylist() == other[name].to_pylist(), (at, timeframe, name)
            compared += one.num_rows
    assert compared > 1000


def test_the_newest_instant_is_what_is_published(past: Past, good_run: Settings) -> None:
    found = past.levels_at(past.ts[-1].item().replace(tzinfo=UTC))

    for timeframe, rows in found.items():
        published = pq.read_table(dataset_path(good_run.published_dir, "liquidation_levels", SYMBOL, timeframe))
        assert rows.num_rows == published.num_rows
        for name in ("price_low", "price_high", "contracts", "notional_usd", "distance_pct"):
            np.testing.assert_allclose(rows[name].to_numpy(), published[name].to_numpy(), rtol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_no_later_row_moves_it(rows: pa.Table, past: Past, seed: int) -> None:
    (at,) = instants(past, 1, seed)
    earlier = rows.filter(pc.less_equal(rows["ts"], pa.scalar(at, rows["ts"].type)))

    for one, other in zip(past_of(earlier).levels_at(at).values(), past.levels_at(at).values(), strict=True):
        assert one.equals(other)


def test_one_timeframe_alone_is_the_same(past: Past) -> None:
    (at,) = instants(past, 1, seed=3)
    every = past.levels_at(at)

    for timeframe in TIMEFRAMES:
        assert past.levels_at(at, [timeframe])[timeframe].equals(every[timeframe])


def test_between_two_bars_it_is_the_map_of_the_older_one(past: Past) -> None:
    bar = past.ts[1000].item().replace(tzinfo=UTC)

    on, later = past.levels_at(bar), past.levels_at(bar + timedelta(minutes=4, seconds=59))
    assert all(on[name].equals(later[name]) for name in TIMEFRAMES)
    assert past.levels_at(bar + timedelta(minutes=5))["90d"]["as_of"][0].as_py() == bar + timedelta(minutes=5)


def test_before_the_first_bar_there_is_none(past: Past) -> None:
    with pytest.raises(
        NoData, match=r"BTCUSDT has no bar that closed by 2026-06-17 .* Expected: an instant from 2026-06-18T00:05Z on"
    ):
        past.levels_at(datetime(2026, 6, 17, tzinfo=UTC))

"""A ticker that was settled and used again: the map is that of the living contract, as if the other had never been."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from liq_pipeline.assets.feeds import fill_feeds
from liq_pipeline.assets.levels import coverage_pct, write_levels
from liq_pipeline.assets.positions import walk_whole
from liq_pipeline.assets.walk_on import extend
from liq_pipeline.checks.integrity import delta_equals_recomputation, grid_has_no_gaps, snapshots_are_positive
from liq_pipeline.checks.invariants import positions_add_up_to_open_interest
from liq_pipeline.checks.plausibility import rows_are_plausible, ticker_names_one_contract
from liq_pipeline.checks.rule import WARN, Outcome, Subject
from liq_pipeline.clock import Clock
from liq_pipeline.resources import ArchiveSource
from liq_pipeline.warehouse.publish import Publisher
from liq_pipeline.warehouse.warehouse import LEVEL_TABLES, Warehouse
from liq_pipeline_tests.exchange.reused_ticker import SYMBOL, Feeds, real_days

pytestmark = pytest.mark.shared
DERIVED = ("position_cohorts", "position_survival", *LEVEL_TABLES)
VARIANTS = {
    "LITUSDT: silence, prices ÷ 100, open interest × 100": (
        lambda real: real.silent("2026-03-15T09:00", 32.5).scaled("2026-03-16T17:30", 0.01, 100), "2026-03-16T17:30",
    ),
    "silence, prices × .5, open interest × .01": (
        lambda real: real.silent("2026-03-15T09:00", 32.5).scaled("2026-03-16T17:30", 0.5, 0.01), "2026-03-16T17:30",
    ),
    "redenominated from one bar to the next": (
        lambda real: real.scaled("2026-03-25T06:00", 1000, 0.001), "2026-03-25T06:00",
    ),
    "two of them": (
        lambda real: real.silent("2026-03-15T09:00", 32.5)
        .scaled("2026-03-16T17:30", 0.1, 10)
        .silent("2026-04-01T00:00", 12)
        .scaled("2026-04-01T12:00", 10, 0.1),
        "2026-04-01T12:00",
    ),
    "within the last day": (
        lambda real: real.silent("2026-04-11T00:00", 8).scaled("2026-04-11T08:00", 0.01, 100), "2026-04-11T08:00",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def real(shared_archive: Path) -> Feeds:
    return real_days(shared_archive)


@pytest.fixture
def loaded(tmp_path: Path) -> Callable[[Feeds], Warehouse]:
    """Make a warehouse that holds these rows and everything that a full run derives from them."""
    made = []

    def load(feeds: Feeds) -> Warehouse:
        made.append(None)
        warehouse = Warehouse(database=str(tmp_path / str(len(made)) / "liq.duckdb"), lock_timeout_seconds=5)
        with warehouse.transaction() as tables:
            fill_feeds(tables, SYMBOL, feeds.open_interest, feeds.klines)
            tables.rebuild("oi_delta", SYMBOL)
            walk_whole(tables, SYMBOL)
            write_levels(tables, SYMBOL, tables.newest_bar(SYMBOL))
        return warehouse

    return load


def look(warehouse: Warehouse, rule: Callable[[Subject], Outcome], folder: Path) -> Outcome:
    with warehouse.get_connection() as connection:
        archive = ArchiveSource(
            location=str(folder), listing_url="", raw_dir=str(folder), bar_minutes=15, since="2026-03-13"
        )
        publisher = Publisher(folder=str(folder))
        return rule(Subject(SYMBOL, connection, archive, publisher, Clock(fixed="2026-04-12T06:00:00Z")))


def same_rows(one: Warehouse, other: Warehouse, tables: tuple[str, ...] = DERIVED) -> None:
    for name in tables:
        query = f"SELECT * FROM {name} WHERE symbol = $symbol ORDER BY ALL"
        assert_close(one.sql(query, symbol=SYMBOL), other.sql(query, symbol=SYMBOL), name)


def assert_close(one: pa.Table, other: pa.Table, name: str) -> None:
    assert one.num_rows == other.num_rows > 0, name
    for column in one.column_names:
        if pa.types.is_floating(one.schema.field(column).type):
            np.testing.assert_allclose(one[column], other[column], rtol=1e-9, err_msg=f"{name}.{column}")
        else:
            assert one[column].equals(other[column]), f"{name}.{column}"


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_map_is_that_of_the_living_contracts_rows_alone(variant: str, real: Feeds, loaded) -> None:
    make, begins = VARIANTS[variant]
    feeds = make(real)
    whole, alone = loaded(feeds), loaded(feeds.since(begins))

    same_rows(whole, alone)
    assert whole.newest_bar(SYMBOL) == alone.newest_bar(SYMBOL)
    assert coverage_pct(whole, SYMBOL) == coverage_pct(alone, SYMBOL)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_checks_hold_on_both_sides_of_the_settlement(variant: str, real: Feeds, loaded, tmp_path: Path) -> None:
    warehouse = loaded(VARIANTS[variant][0](real))

    for rule in (
        delta_equals_recomputation, positions_add_up_to_open_interest, grid_has_no_gaps("klines"),
        grid_has_no_gaps("open_interest"), rows_are_plausible("open_interest"), rows_are_plausible("klines"),
    ):  # fmt: skip
        outcome = look(warehouse, rule, tmp_path)
        assert outcome.passed, outcome.found


def test_no_change_of_open_interest_leads_from_one_contract_to_the_other(real: Feeds, loaded) -> None:
    warehouse = loaded(VARIANTS["two of them"][0](real))
    rows = warehouse.sql(
        "SELECT contract, count(*) FILTER (oi_delta IS NULL) AS nulls, bool_or(is_interpolated) AS is_interpolated, "
        "min(ts) FILTER (oi_delta IS NULL) = min(ts) AS at_first FROM oi_delta GROUP BY contract ORDER BY contract"
    ).to_pylist()

    assert rows == [
        {"contract": number, "nulls": 1, "is_interpolated": False, "at_first": True} for number in (1, 2, 3)
    ]


class TestTheWarning:
    def test_it_names_the_instants_what_was_seen_and_what_was_assumed(self, real: Feeds, loaded, tmp_path) -> None:
        warehouse = loaded(next(iter(VARIANTS.values()))[0](real))
        outcome = look(warehouse, ticker_names_one_contract, tmp_path)

        assert not outcome.passed
        assert outcome.severity is WARN
        assert outcome.found == (
            "suspected: both feeds silent for 32.5 h, then price × 0.01035, open interest × 108.3; assumed: the "
            "contract was settled at 2026-03-15 09:00 UTC, all its positions ended then, and another began at "
            "2026-03-16 17:30 UTC"
        )

    @pytest.mark.parametrize("hours", [None, 32.5])
    def test_there_is_none_for_one_contract_with_or_without_a_pause(self, hours, real, loaded, tmp_path) -> None:
        warehouse = loaded(real.silent("2026-03-15T09:00", hours) if hours else real)

        assert look(warehouse, ticker_names_one_contract, tmp_path).passed

    def test_zeros_between_two_contracts_are_no_bad_prints(self, real: Feeds, loaded, tmp_path) -> None:
        warehouse = loaded(real.zero("2026-03-20T00:00", 24))
        outcome = look(warehouse, ticker_names_one_contract, tmp_path)

        assert "open interest of zero from 2026-03-20 00:05 UTC to 2026-03-21 00:00 UTC" in outcome.found
        assert look(warehouse, snapshots_are_positive, tmp_path).passed

    def test_zeros_to_the_end_say_that_nothing_of_the_map_is_left(self, real: Feeds, loaded, tmp_path) -> None:
        warehouse = loaded(real.zero("2026-04-10T00:00", 60))
        outcome = look(warehouse, ticker_names_one_contract, tmp_path)

        assert "zero from 2026-04-10 00:05 UTC to the last snapshot" in outcome.found
        assert f"{warehouse.newest_bar(SYMBOL)['as_of']:%Y-%m-%d %H:%M}" == "2026-04-10 00:00"

    def test_a_short_plateau_of_zeros_is_a_list_of_bad_prints(self, real: Feeds, loaded, tmp_path) -> None:
        warehouse = loaded(real.zero("2026-03-20T00:00", 2))

        assert look(warehouse, ticker_names_one_contract, tmp_path).passed
        assert "24 bad prints" in look(warehouse, snapshots_are_positive, tmp_path).found


@pytest.mark.parametrize("hours", [2, 8, 100])
def test_a_settlement_in_the_newest_rows_gives_what_a_full_run_gives(hours: int, real: Feeds, loaded) -> None:
    """The quick refresh meets the first bars of the new contract, and goes on with it."""
    feeds = real.silent("2026-04-06T00:00", hours)
    resumed = np.datetime64("2026-04-06T00:00") + np.timedelta64(hours, "h")
    feeds = feeds.scaled(str(resumed), 0.01, 100)
    warehouse = loaded(feeds.until("2026-04-06T00:00"))
    for minutes in (15, 60, 600):
        known = feeds.until(str(resumed + np.timedelta64(minutes, "m")))
        with warehouse.transaction() as tables:
            extended = extend(tables, SYMBOL, known.open_interest, known.klines)
        assert extended.newest["first_ts"] == resumed.item().replace(
            tzinfo=extended.newest["as_of"].tzinfo
        ) + timedelta(minutes=15)

    full = loaded(known)
    same_rows(warehouse, full, ("oi_delta", *DERIVED))
    instants = "SELECT settled_at, resumed_at FROM settlements"  # how large the step was, more bars tell better
    assert warehouse.sql(instants).equals(full.sql(instants))

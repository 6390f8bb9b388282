"""A ticker that was settled and used again: the map is that of the living contract, as if the other had never been."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from liq_pipeline.clock import Clock
from liq_pipeline.exchange.sources import ArchiveSource
from liq_pipeline.model.heatmap import COLUMN_WIDTHS
from liq_pipeline.published.layout import dataset_path, manifest_path
from liq_pipeline.published.publish import PublishedDataset, Publisher
from liq_pipeline.transform.feeds import fill_feeds
from liq_pipeline.transform.heatmaps import read_candles, write_heatmaps
from liq_pipeline.transform.incremental import extend
from liq_pipeline.transform.levels import coverage_pct, write_levels
from liq_pipeline.transform.positions import walk_whole
from liq_pipeline.transform.rules.contract import row_count_does_not_shrink
from liq_pipeline.transform.rules.integrity import (
    delta_equals_recomputation,
    grid_has_no_gaps,
    has_rows,
    snapshots_are_positive,
)
from liq_pipeline.transform.rules.invariants import positions_add_up_to_open_interest
from liq_pipeline.transform.rules.plausibility import rows_are_plausible, ticker_names_one_contract
from liq_pipeline.transform.rules.rule import WARN, Outcome, Subject
from liq_pipeline.warehouse.warehouse import Warehouse
from liq_pipeline_tests.exchange.reused_ticker import SYMBOL, VARIANTS, Feeds, real_days, write_archive
from liq_pipeline_tests.once import once
from liq_pipeline_tests.transform.tables import DERIVED, assert_close, same_rows

pytestmark = pytest.mark.shared
WALKED = ("oi_delta", *DERIVED)


@pytest.fixture(scope="module")
def real(shared_archive: Path) -> Feeds:
    return real_days(shared_archive)


@pytest.fixture
def loaded(new_warehouse: Callable[[], Warehouse]) -> Callable[[Feeds], Warehouse]:
    """Make a warehouse that holds these rows and everything that a full run derives from them."""

    def load(feeds: Feeds) -> Warehouse:
        warehouse = new_warehouse()
        with warehouse.transaction("BTCUSDT") as tables:
            fill_feeds(tables, SYMBOL, feeds.open_interest, feeds.klines)
            tables.rebuild("oi_delta", SYMBOL)
            walk_whole(tables, SYMBOL)
            write_levels(tables, SYMBOL, tables.newest_bar(SYMBOL))
        return warehouse

    return load


def look(warehouse: Warehouse, rule: Callable[[Subject], Outcome], folder: Path) -> Outcome:
    with warehouse.opened("BTCUSDT") as tables:
        archive = ArchiveSource(
            location=str(folder), listing_url="", raw_dir=str(folder), bar_minutes=15, since="2026-03-13"
        )
        publisher = Publisher(folder=str(folder))
        return rule(Subject(SYMBOL, tables, archive, publisher, Clock(fixed="2026-04-12T06:00:00Z")))


def pictures(warehouse: Warehouse) -> list[pa.Table]:
    """Return heatmap and candles of every timeframe, as they are published."""
    made = []
    with warehouse.transaction("BTCUSDT") as tables:
        price = tables.newest_bar(SYMBOL)["current_price"]
        for timeframe, found, rows in write_heatmaps(tables, SYMBOL, price, list(COLUMN_WIDTHS)):
            made += [rows, read_candles(tables, SYMBOL, timeframe, found.ts)]
    return made


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_map_is_that_of_the_living_contracts_rows_alone(variant: str, real: Feeds, loaded) -> None:
    make, begins = VARIANTS[variant]
    feeds = make(real)
    whole, alone = loaded(feeds), loaded(feeds.since(begins))

    same_rows(whole, alone)
    assert once(whole).newest_bar(SYMBOL) == once(alone).newest_bar(SYMBOL)
    assert coverage_pct(once(whole), SYMBOL) == coverage_pct(once(alone), SYMBOL)
    for one, other in zip(pictures(whole), pictures(alone), strict=True):
        assert_close(one, other, "heatmap or candles")


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
    rows = (
        once(warehouse)
        .sql(
            "SELECT contract, count(*) FILTER (oi_delta IS NULL) AS nulls, "
            "bool_or(is_interpolated) AS is_interpolated, "
            "min(ts) FILTER (oi_delta IS NULL) = min(ts) AS at_first FROM oi_delta GROUP BY contract ORDER BY contract"
        )
        .to_pylist()
    )

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
        assert f"{once(warehouse).newest_bar(SYMBOL)['as_of']:%Y-%m-%d %H:%M}" == "2026-04-10 00:00"

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
        with warehouse.transaction("BTCUSDT") as tables:
            extended = extend(tables, SYMBOL, known.open_interest, known.klines)
        assert extended.newest["first_ts"] == resumed.item().replace(
            tzinfo=extended.newest["as_of"].tzinfo
        ) + timedelta(minutes=15)

    full = loaded(known)
    same_rows(warehouse, full, WALKED)
    instants = "SELECT settled_at, resumed_at FROM settlements"  # how large the step was, more bars tell better
    assert once(warehouse).sql(instants).equals(once(full).sql(instants))


class TestPieceByPiece:
    """The quick refresh gives what a full run gives, in whatever order the two feeds come."""

    BEGIN = "2026-04-01T00:00"

    @pytest.fixture
    def days(self, real: Feeds) -> Feeds:
        return real.since("2026-03-26T00:00").until("2026-04-02T00:00")

    @pytest.mark.parametrize("first", ["klines", "open_interest"])
    @pytest.mark.parametrize("price", [0.01, 1.2])
    def test_one_feed_is_late_by_a_bar(self, first: str, price: float, days: Feeds, loaded) -> None:
        feeds = days.silent(self.BEGIN, 8).scaled("2026-04-01T08:00", price, 0.01)
        early = {"klines": self.BEGIN, "open_interest": self.BEGIN} | {first: "2026-04-01T08:15"}
        pieces = [(early["open_interest"], early["klines"]), ("2026-04-01T08:15",) * 2, ("2026-04-01T08:45",) * 2]

        self._ends_like_a_full_run(feeds, pieces, loaded)

    def test_a_redenomination_whose_open_interest_is_late(self, days: Feeds, loaded) -> None:
        feeds = days.scaled(self.BEGIN, 1000, 0.001)

        self._ends_like_a_full_run(feeds, [(self.BEGIN, "2026-04-01T00:15"), ("2026-04-01T00:45",) * 2], loaded)

    def test_zeros_after_which_bars_come_first(self, days: Feeds, loaded) -> None:
        pieces = [("2026-04-01T08:00", "2026-04-01T08:30"), ("2026-04-01T08:30",) * 2]

        self._ends_like_a_full_run(days.zero(self.BEGIN, 8), pieces, loaded)

    def test_what_looked_like_another_contract_was_one_absurd_bar(self, days: Feeds, loaded) -> None:
        feeds = days.silent(self.BEGIN, 8).scaled("2026-04-01T08:00", 0.01, 100).scaled("2026-04-01T08:15", 100, 0.01)
        warehouse = self._ends_like_a_full_run(feeds, [("2026-04-01T08:15",) * 2, ("2026-04-01T08:30",) * 2], loaded)

        assert once(warehouse).sql("SELECT * FROM settlements").num_rows == 0
        assert once(warehouse).newest_bar(SYMBOL)["first_ts"] < feeds.until(self.BEGIN).klines["ts"][-1].as_py()

    def _ends_like_a_full_run(self, feeds: Feeds, pieces: list[tuple[str, str]], loaded) -> Warehouse:
        warehouse = loaded(feeds.until(self.BEGIN))
        tail = str(np.datetime64(self.BEGIN) - np.timedelta64(1, "D"))  # what REST gives: not all of the history
        for interest_until, bars_until in pieces:
            open_interest, bars = feeds.until(interest_until), feeds.until(bars_until)
            with warehouse.transaction("BTCUSDT") as tables:
                extend(tables, SYMBOL, open_interest.since(tail).open_interest, bars.since(tail).klines)
        same_rows(
            warehouse, loaded(Feeds(open_interest.open_interest, bars.klines)), ("open_interest", "klines", *WALKED)
        )
        return warehouse


def test_bars_that_were_published_between_two_contracts_may_vanish(real: Feeds, loaded, tmp_path: Path) -> None:
    """An older version spread open interest over the zeros."""
    feeds = real.until("2026-03-22T00:00")
    published = PublishedDataset(
        "oi_delta", SYMBOL, feeds.klines.select(["ts"]), {"as_of": "2026-03-22T00:00:00Z", "bar_minutes": 15}
    )
    Publisher(folder=str(tmp_path)).publish([published])

    assert look(loaded(feeds.zero("2026-03-20T00:00", 24)), row_count_does_not_shrink, tmp_path).passed
    lacking = Feeds(feeds.open_interest, pa.concat_tables([feeds.klines.slice(0, 400), feeds.klines.slice(401)]))
    assert not look(loaded(lacking), row_count_does_not_shrink, tmp_path).passed


def test_of_a_contract_with_one_bar_nothing_can_have_opened_yet(real: Feeds, loaded, tmp_path: Path) -> None:
    feeds = real.silent("2026-03-15T09:00", 32.5).scaled("2026-03-16T17:30", 0.01, 100).until("2026-03-16T17:45")

    outcome = look(loaded(feeds), has_rows("position_cohorts"), tmp_path)

    assert outcome.found == "0 rows: one bar so far; nothing can have opened yet"


@pytest.mark.slow
def test_a_run_from_files_publishes_the_living_contract_alone(real: Feeds, liq, tmp_path: Path) -> None:
    feeds = real.until("2026-03-19T00:00").silent("2026-03-15T09:00", 32.5).scaled("2026-03-16T17:30", 0.01, 100)
    done, published = {}, {}
    for name, content in {"whole": feeds, "alone": feeds.since("2026-03-16T17:30")}.items():
        write_archive(content, tmp_path / name / "archive", "ABCUSDT")
        done[name] = liq(
            "run", "--archive", tmp_path / name / "archive", "--bar", "15m", "--symbols", "ABCUSDT",
            "--since", "2026-03-13", "--data", tmp_path / name / "data", "--now", "2026-03-19T06:00:00Z",
            "--no-pictures",
        )  # fmt: skip
        published[name] = tmp_path / name / "data" / "published"

    assert [finished.code for finished in done.values()] == [0, 0], done["whole"].out
    assert re.findall(r"(?:WARN|ERROR) +(.*)", done["whole"].out) == ["oi_delta: ticker_names_one_contract"]
    for dataset in ("liquidation_levels", "liquidation_heatmap", "candles"):
        for timeframe in COLUMN_WIDTHS:
            one, other = (
                pq.read_table(dataset_path(folder, dataset, "ABCUSDT", timeframe), partitioning=None)
                for folder in published.values()
            )
            assert_close(one, other, f"{dataset} {timeframe}")
    levels = dataset_path(published["whole"], "liquidation_levels", "ABCUSDT", "7d")
    manifest = json.loads(manifest_path(levels).read_text())
    assert (manifest["first_ts"], manifest["as_of"]) == ("2026-03-16T17:45:00Z", "2026-03-19T00:00:00Z")
    oi_delta = dataset_path(published["whole"], "oi_delta", "ABCUSDT")
    assert json.loads(manifest_path(oi_delta).read_text())["first_ts"] == "2026-03-13T02:15:00Z"
    assert pc.count_distinct(pq.read_table(oi_delta, partitioning=None)["contract"]).as_py() == 2

"""`liq forget`: what is kept of a symbol goes, of others stays; and what is said of a symbol that was left behind."""

from __future__ import annotations

import io
import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from filelock import FileLock

from liq_pipeline.alerts.alerts import Alert
from liq_pipeline.exchange.keys import METRICS
from liq_pipeline.exchange.tail import tail_path
from liq_pipeline.orchestration.alert_sensors import alert_desk
from liq_pipeline.orchestration.history import dagster_instance
from liq_pipeline.orchestration.runs import process_tags
from liq_pipeline.published.layout import published_folders
from liq_pipeline.published.publish import Publisher
from liq_pipeline.published.status import read_status
from liq_pipeline.settings import Settings
from liq_pipeline.warehouse.schema import STORED_AS, STORED_TABLES


@pytest.fixture
def two(own_run: Settings) -> Settings:
    """The good run's BTCUSDT, and as much of DOGEUSDT: files, rows, a tail, raw files."""
    for folder in published_folders(own_run.published_dir, "BTCUSDT"):
        shutil.copytree(folder, folder.with_name("DOGEUSDT"))
    shutil.copy(database_of(own_run, "BTCUSDT"), database_of(own_run, "DOGEUSDT"))
    with duckdb.connect(str(database_of(own_run, "DOGEUSDT"))) as connection:
        settled = "'2026-06-20 09:00:00+00', '2026-06-21 17:30:00+00', false, 'both feeds silent'"
        connection.execute(f"INSERT INTO settlements VALUES ('DOGEUSDT', {settled})")
        for table in STORED_TABLES:
            connection.execute(f"UPDATE {STORED_AS.get(table, table)} SET symbol = 'DOGEUSDT'")
    for symbol in ("BTCUSDT", "DOGEUSDT"):
        tail = tail_path(own_run.raw_dir, METRICS, symbol)
        tail.parent.mkdir(parents=True)
        tail.touch()
    for folder in own_run.raw_dir.glob("data/**/BTCUSDT"):
        shutil.copytree(folder, folder.with_name("DOGEUSDT"))
    return own_run


def database_of(settings: Settings, symbol: str) -> Path:
    return settings.database.with_name(f"{symbol}.duckdb")


def rows_of(settings: Settings, symbol: str) -> int:
    if not database_of(settings, symbol).exists():
        return 0
    with duckdb.connect(str(database_of(settings, symbol)), read_only=True) as connection:
        counts = [f"SELECT count(*) FROM {table} WHERE symbol = '{symbol}'" for table in STORED_TABLES]
        return sum(connection.execute(text).fetchone()[0] for text in counts)


def named(folder: Path, symbol: str) -> list[Path]:
    return [path for path in folder.rglob("*") if symbol in path.name]


class TestForget:
    def test_it_says_what_goes_and_what_stays_and_removes_that(self, two: Settings, liq, bytes_below) -> None:
        btc = [bytes_below(folder) for folder in published_folders(two.published_dir, "BTCUSDT")]
        rows = rows_of(two, "BTCUSDT")
        count = sum(len(files) for files in btc)

        done = liq("forget", "dogeusdt", "--yes", "--data", two.data_dir)

        assert done.code == 0, done.err
        for text in (f"remove  published files: {count} files", f"remove  rows in the warehouse: {rows:,}",
                     "remove  rows of REST: 1 f", "keep    raw files, removed with --raw: 20"):  # fmt: skip
            assert text in done.out
        assert not named(two.published_dir, "DOGEUSDT")
        assert not tail_path(two.raw_dir, METRICS, "DOGEUSDT").exists()
        assert named(two.raw_dir / "data", "DOGEUSDT")
        assert rows_of(two, "DOGEUSDT") == 0
        assert rows_of(two, "BTCUSDT") == rows
        assert [bytes_below(folder) for folder in published_folders(two.published_dir, "BTCUSDT")] == btc
        assert tail_path(two.raw_dir, METRICS, "BTCUSDT").exists()

    def test_with_raw_nothing_of_it_is_left_and_a_second_time_there_is_nothing_to_forget(self, two, liq) -> None:
        first = liq("forget", "DOGEUSDT", "--yes", "--raw", "--data", two.data_dir)
        second = liq("forget", "DOGEUSDT", "--yes", "--raw", "--data", two.data_dir)

        assert (first.code, second.code) == (0, 2)
        assert not [path for path in named(two.data_dir, "DOGEUSDT") if "dagster_home" not in str(path)]

    def test_a_wrong_name_offers_similar_ones(self, two: Settings, liq) -> None:
        done = liq("forget", "DOGUSDT", "--yes", "--data", two.data_dir)

        assert done.code == 2
        assert "nothing is kept of DOGUSDT" in done.err
        assert "Expected: one of DOGEUSDT" in done.err

    def test_what_is_no_symbol_is_refused_as_it_was_typed(self, two: Settings, liq) -> None:
        done = liq("forget", "../x", "--yes", "--data", two.data_dir)

        assert done.code == 2
        assert "--symbols='../x': '../X' is not a symbol" in done.err

    @pytest.mark.parametrize("named", [True, False])
    def test_a_symbol_that_the_next_run_brings_back_is_said_to_be_so(self, named, two, liq, monkeypatch) -> None:
        if named:
            monkeypatch.setenv("LIQ_SYMBOLS", "DOGEUSDT,BTCUSDT")
        done = liq("forget", "DOGEUSDT" if named else "BTCUSDT", "--yes", "--data", two.data_dir)

        said = "DOGEUSDT is in LIQ_SYMBOLS: " if named else "BTCUSDT is the default: "
        assert f"{said}the next run without --symbols brings it back. To do: " in done.out
        assert ("name others in LIQ_SYMBOLS" in done.out) is not named

    @pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 2), ("\n", 2), ("", 2)])
    def test_it_asks_first_and_only_a_yes_is_one(self, answer, code, two: Settings, liq, monkeypatch) -> None:
        monkeypatch.setattr(sys, "stdin", io.StringIO(answer))

        done = liq("forget", "DOGEUSDT", "--data", two.data_dir)

        assert done.code == code
        assert bool(named(two.published_dir, "DOGEUSDT")) is bool(code)
        assert ("Nothing was removed" in done.out) is bool(code)

    def test_while_a_run_holds_the_warehouse_nothing_is_removed(self, two: Settings, liq) -> None:
        with FileLock(database_of(two, "DOGEUSDT").with_suffix(".lock")):
            done = liq("forget", "DOGEUSDT", "--yes", "--data", two.data_dir)

        assert done.code == 1
        assert "WarehouseLocked" in done.err
        assert named(two.published_dir, "DOGEUSDT")

    def test_while_a_run_of_the_symbol_is_between_two_steps_nothing_is_removed(self, two: Settings, liq) -> None:
        with dagster_instance(two.home) as instance:
            run = instance.create_run_for_job(_nothing, tags={"dagster/partition": "DOGEUSDT", **process_tags()})
            done = liq("forget", "DOGEUSDT", "--yes", "--data", two.data_dir)
            instance.report_run_canceled(run)
            after = liq("forget", "DOGEUSDT", "--yes", "--data", two.data_dir)

        assert (done.code, after.code) == (1, 0)
        assert f"SymbolBusy: run {run.run_id} works on DOGEUSDT" in done.err

    def test_alerts_of_the_symbol_alone_are_forgotten(self, two: Settings, liq) -> None:
        settings = two.model_copy(update={"alert_urls": "json://127.0.0.1:9/"})
        desk = alert_desk(settings)
        subjects = ["stale:DOGEUSDT", "zone:DOGEUSDT:long", "failure:refresh:DOGEUSDT", "stale:BTCUSDT"]
        desk.tell([Alert("stale", subject, "t", "x") for subject in subjects], datetime(2026, 6, 28, tzinfo=UTC))

        done = liq("forget", "DOGEUSDT", "--yes", "--data", two.data_dir)

        assert "remove  alerts remembered: 3" in done.out
        assert (desk.remembered_of("DOGEUSDT"), desk.remembered_of("BTCUSDT")) == (0, 1)

    def test_what_a_killed_one_left_aside_is_removed_by_the_next(self, published: Path) -> None:
        (published / ".withdrawn" / "candles" / "OLD").mkdir(parents=True)

        Publisher(folder=str(published)).withdraw("BTCUSDT")

        assert not (published / ".withdrawn").exists()
        assert not published_folders(published, "BTCUSDT")


class TestLeftBehind:
    LATE = timedelta(days=3)

    def test_status_says_that_it_is_not_refreshed_and_does_not_exit_with_3_for_it(self, two, liq, monkeypatch) -> None:
        monkeypatch.setenv("LIQ_SYMBOLS", "ETHUSDT")
        late = liq("status", "--data", two.data_dir, "--now", (two.now + self.LATE).isoformat())
        monkeypatch.setenv("LIQ_SYMBOLS", "ETHUSDT,BTCUSDT")
        wanted = liq("status", "--data", two.data_dir, "--now", (two.now + self.LATE).isoformat())

        said = "no longer refreshed: not in LIQ_SYMBOLS, or not traded. To do: liq forget DOGEUSDT, or put it back"
        assert late.code == 0
        assert said in late.out
        assert wanted.code == 3
        assert wanted.out.count("no longer refreshed") == 1

    def test_who_never_set_the_symbols_is_told_that_all_are_late(self, two: Settings, liq) -> None:
        shutil.rmtree(two.published_dir / "liquidation_levels" / "BTCUSDT")

        late = liq("status", "--data", two.data_dir, "--now", (two.now + self.LATE).isoformat())

        assert late.code == 3  # of LIQ_SYMBOLS's defaults nothing is published: they are not what this user refreshes
        assert "no longer refreshed" not in late.out

    def test_as_json_it_says_so_too(self, two: Settings) -> None:
        found = read_status(two.published_dir, two.now, ("BTCUSDT",))

        assert {symbol: entry["is_refreshed"] for symbol, entry in found.items()} == {
            "BTCUSDT": True,
            "DOGEUSDT": False,
        }


def _make_nothing():
    import dagster as dg

    @dg.job
    def nothing() -> None: ...

    return nothing


_nothing = _make_nothing()

"""Fresh data: the recent tail over REST, what replaces it, and one new bar at a time."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pyarrow.parquet as pq
import pytest

from liq_pipeline.orchestration.history import dagster_instance
from liq_pipeline.orchestration.refresh import SymbolResult, refresh, refresh_newest
from liq_pipeline.orchestration.runs import busy_elsewhere, forget_old_runs, process_tags
from liq_pipeline.orchestration.wiring import build_definitions
from liq_pipeline.published.if_reached import DATASET
from liq_pipeline.published.layout import dataset_path, manifest_path
from liq_pipeline.published.manifests import read_manifest
from liq_pipeline.published.status import read_status
from liq_pipeline.settings import Settings
from liq_pipeline.simulator.market import Market
from liq_pipeline.simulator.rest import RestFault
from liq_pipeline_tests.conftest import MadeOnce
from liq_pipeline_tests.live_exchange import FIVE_MINUTES, LiveExchange, live_exchange, markets, publish_everything
from liq_pipeline_tests.once import once


@pytest.fixture(scope="module")
def market() -> dict[str, Market]:
    return markets("BTCUSDT")


@pytest.fixture(scope="module")
def everything(market: dict[str, Market], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish_everything(market, tmp_path_factory.mktemp("everything"))


@pytest.fixture
def live(market: dict[str, Market], everything: Path, tmp_path: Path) -> Iterator[LiveExchange]:
    with live_exchange(tmp_path, everything, market) as exchange:
        yield exchange


@pytest.fixture(scope="module")
def full_run(market: dict[str, Market], everything: Path, made_once: MadeOnce) -> Path:
    """The data folder of a full run at 30 hours behind, with REST. Only read it."""

    def fill(folder: Path) -> None:
        with live_exchange(folder, everything, market) as exchange:
            result = run(exchange.settings(folder / "data", pictures=True))
        assert result.published
        assert not result.findings

    return made_once("full_run", fill) / "data"


@pytest.fixture
def data(full_run: Path, tmp_path: Path) -> Path:
    """A copy of the full run's data folder."""
    return shutil.copytree(full_run, tmp_path / "data")


def run(settings: Settings) -> SymbolResult:
    (result,) = refresh(settings)
    assert not result.errors, result.errors
    return result


def as_of(settings: Settings) -> datetime:
    return datetime.fromisoformat(read_status(settings.published_dir, settings.now)["BTCUSDT"]["as_of"])


def data_files(settings: Settings) -> dict[str, bytes]:
    """Return the published levels and changes, byte by byte."""
    files = [*settings.published_dir.glob("liquidation_levels/**/*.parquet")]
    files += settings.published_dir.glob("oi_delta/**/*.parquet")
    return {str(path.relative_to(settings.published_dir)): path.read_bytes() for path in files}


class TestAnArchiveThatEnds30HoursAgo:
    def test_with_rest_the_map_is_one_bar_old_and_1d_is_not_empty(self, live: LiveExchange, data: Path) -> None:
        settings = live.settings(data)
        assert as_of(settings) == live.now  # a bar closed just now
        rows = pq.read_table(dataset_path(settings.published_dir, "liquidation_levels", "BTCUSDT", "1d"))
        assert rows.num_rows > 0
        manifest = read_manifest(dataset_path(settings.published_dir, "oi_delta", "BTCUSDT"))
        assert manifest
        assert manifest["rest_rows"] == {"open_interest": 360, "klines": 360}

    def test_without_rest_it_publishes_the_archive_and_says_how_old_it_is(
        self, live: LiveExchange, tmp_path: Path
    ) -> None:
        settings = live.settings(tmp_path / "data", rest="off")
        result = run(settings)
        assert result.published
        assert as_of(settings) == datetime.fromisoformat("2026-06-26T00:00:00+00:00")
        assert {(finding.check, finding.severity) for finding in result.findings} == {
            ("newest_bar_is_younger_than_48_hours", "WARN")
        }

    def test_where_rest_is_fenced_it_publishes_the_archive_with_a_flag(
        self, market: dict[str, Market], everything: Path, tmp_path: Path
    ) -> None:
        with live_exchange(tmp_path, everything, market, fenced=True) as live:
            settings = live.settings(tmp_path / "data")
            result = run(settings)
            assert result.published
            assert not result.has_error_findings  # exit code 0
            flags = [finding for finding in result.findings if finding.check == "rest_gives_the_newest_rows"]
            assert {flag.asset for flag in flags} == {"recent_open_interest", "recent_klines"}
            assert all("451" in flag.text and flag.text.startswith("archive only") for flag in flags)
            asked = len(live.rest.requests)
            assert asked <= 2  # never a loop
            (line,), failed = refresh_newest(settings)
            assert not failed
            assert line.startswith("BTCUSDT: nothing new: refused at 06:00 UTC, asked again at 07:00: ")
            assert len(live.rest.requests) == asked, "after a refusal the quick refresh waits for an hour"

    @pytest.mark.parametrize(
        "fault",
        [
            RestFault(body="[" * 200_000),
            RestFault(change=lambda body: [*body, [None] * 12] if isinstance(body, list) else body),
        ],
        ids=["deep JSON", "a row of nothing"],
    )
    def test_whatever_rest_answers_the_archive_alone_is_published(
        self, market: dict[str, Market], everything: Path, tmp_path: Path, fault: RestFault
    ) -> None:
        with live_exchange(tmp_path, everything, market, faults=lambda _: fault) as live:
            result = run(live.settings(tmp_path / "data"))
        assert result.published
        assert not result.has_error_findings
        flags = [finding for finding in result.findings if finding.check == "rest_gives_the_newest_rows"]
        assert len(flags) == 2
        assert all(flag.text.startswith("archive only") for flag in flags)

    def test_a_symbol_that_is_not_traded_any_more_is_named_with_its_status(
        self, market: dict[str, Market], everything: Path, data: Path, tmp_path: Path
    ) -> None:
        nothing = RestFault(change=lambda body: [] if isinstance(body, list) else body)
        with live_exchange(tmp_path, everything, market, faults=lambda _: nothing) as live:
            live.rest.statuses["BTCUSDT"] = "SETTLING"
            live.now += timedelta(hours=2)
            (line,), failed = refresh_newest(live.settings(data))
        assert not failed
        assert line == (
            "BTCUSDT: nothing new: REST has nothing of BTCUSDT since 2026-06-27 06:00 UTC; its status: SETTLING"
        )

    def test_the_same_run_again_fetches_nothing_and_changes_nothing(self, live: LiveExchange, data: Path) -> None:
        settings = live.settings(data)
        before = data_files(settings)
        tails = {path: path.read_bytes() for path in settings.raw_dir.rglob("rest/**/*.parquet")}
        assert tails
        run(settings)
        assert data_files(settings) == before
        assert {path: path.read_bytes() for path in tails} == tails


class TestTheArchiveArrives:
    def test_its_rows_replace_those_of_rest_and_the_map_is_as_if_they_had_always_been_there(
        self, live: LiveExchange, data: Path, tmp_path: Path
    ) -> None:
        settings = live.settings(data)
        live.archive_until(date(2026, 6, 26))
        result = run(settings)
        assert not result.findings
        fresh = live.settings(tmp_path / "from-the-start")
        run(fresh)
        assert data_files(settings) == data_files(fresh)
        manifest = read_manifest(dataset_path(settings.published_dir, "oi_delta", "BTCUSDT"))
        assert manifest
        assert manifest["rest_rows"] == {"open_interest": 72, "klines": 72}

    def test_what_differed_is_counted_and_warned_of(self, live: LiveExchange, data: Path) -> None:
        settings = live.settings(data)
        path = next(settings.raw_dir.rglob("rest/**/metrics.parquet"))
        rows = pq.read_table(path, partitioning=None)
        values = rows["open_interest"].to_pylist()
        values[3] *= 1.005
        column = rows.schema.get_field_index("open_interest")
        pq.write_table(rows.set_column(column, "open_interest", [values]), path)
        live.archive_until(date(2026, 6, 26))
        result = run(settings)
        (finding,) = result.findings
        assert (finding.check, finding.severity) == ("archive_confirms_rows_of_rest", "WARN")
        assert finding.text.startswith("288 rows of REST were replaced by the archive's: 1 differ, by at most 0.5 %")


class TestOneNewBar:
    def test_it_is_published_minutes_after_it_closed_and_equals_a_full_run(
        self, live: LiveExchange, data: Path, tmp_path: Path
    ) -> None:
        for bars in (1, 1, 13):
            live.now += bars * FIVE_MINUTES
            settings = live.settings(data)
            done, failed = refresh_newest(settings)
            assert not failed
            new = "1 new bar" if bars == 1 else f"{bars} new bars"
            assert done == [f"BTCUSDT: {new}, walked on, up to {live.now:%Y-%m-%d %H:%M} UTC"]
            assert as_of(settings) == live.now
        fresh = live.settings(tmp_path / "from-the-start")
        run(fresh)
        assert data_files(settings) == data_files(fresh)

    def test_ranges_go_on_from_the_new_price_with_the_fits_that_are_there(self, live: LiveExchange, data: Path) -> None:
        settings = live.settings(data)
        path = dataset_path(settings.published_dir, DATASET, "BTCUSDT")
        fit = {
            "source": "recorded", "horizon_hours": 4, "days_of_truth": 30.0, "cases": 900, "scored_from_day": 14.0,
            "coverage_80": 0.8, "range_ratio": 9.0, "crps_gain_over_distance": None, "fitted_until": "x",
            "crps_gain_over_distance_low": None, "crps_gain_over_distance_high": None,
            "parameters": dict.fromkeys(("a", "b", "c1", "c2", "beta", "z10", "z50", "z90"), 0.5),
        }  # fmt: skip
        manifest = json.loads(manifest_path(path).read_text())
        manifest_path(path).write_text(json.dumps(manifest | {"fits": [fit]}))
        live.now += FIVE_MINUTES
        refresh_newest(live.settings(data))
        rows = pq.read_table(path, partitioning=None)
        assert rows.num_rows
        assert set(rows["as_of"].to_pylist()) == {live.now}
        newest = json.loads(manifest_path(path).read_text())
        assert newest["fits"] == [fit]
        assert newest["current_price"] != manifest["current_price"]

    def test_between_two_bars_there_is_nothing_new(self, live: LiveExchange, data: Path) -> None:
        live.now += timedelta(minutes=4)
        settings = live.settings(data)
        before = data_files(settings)
        assert refresh_newest(settings) == (["BTCUSDT: nothing new"], [])
        assert data_files(settings) == before

    def test_dagster_shows_what_was_made_and_what_the_checks_found(self, live: LiveExchange, data: Path) -> None:
        live.now += FIVE_MINUTES
        settings = live.settings(data)
        refresh_newest(settings)
        with dagster_instance(settings.home) as instance:
            for asset in ("recent_klines", "klines", "oi_delta", "liquidation_levels_1d", "published_levels"):
                event = instance.get_latest_materialization_event(dg.AssetKey(asset))
                assert event
                assert event.asset_materialization
                assert event.asset_materialization.partition == "BTCUSDT"
                assert event.job_name == "recent_refresh_job"
        manifest = read_manifest(dataset_path(settings.published_dir, "liquidation_levels", "BTCUSDT", "1d"))
        assert manifest
        names = {check["check"] for check in manifest["checks"]}
        assert {
            "long_levels_lie_below_price",
            "positions_add_up_to_open_interest",
            "rest_gives_the_newest_rows",
        } <= names
        assert all(check["passed"] for check in manifest["checks"])

    def test_a_blocking_check_that_fails_changes_and_publishes_nothing(self, live: LiveExchange, data: Path) -> None:
        live.now += FIVE_MINUTES
        settings = live.settings(data)
        before = data_files(settings)
        warehouse = build_definitions(settings).resources["warehouse"]
        with warehouse.transaction("BTCUSDT") as tables:
            tables.connection.execute("UPDATE position_survival SET tracked = tracked * 1.01 WHERE side = 'long'")
        newest = once(warehouse).newest_bar("BTCUSDT")
        done, (failed,) = refresh_newest(settings)
        assert not done
        assert "position_survival: positions_add_up_to_open_interest: largest relative error" in failed
        assert data_files(settings) == before
        assert once(warehouse).newest_bar("BTCUSDT") == newest

    def test_before_any_full_run_it_says_what_comes_first(self, live: LiveExchange, tmp_path: Path) -> None:
        (line,), failed = refresh_newest(live.settings(tmp_path / "data"))
        assert not failed
        assert line.startswith("BTCUSDT: nothing to add to yet; a full run (`liq run`) comes first")

    def test_the_command_says_what_was_done_and_fails_where_nothing_is_published(
        self, live: LiveExchange, data: Path, tmp_path: Path, liq, monkeypatch
    ) -> None:
        live.now += FIVE_MINUTES
        for name in ("archive", "rest", "since", "now"):
            monkeypatch.setenv(f"LIQ_{name.upper()}", str(getattr(live.settings(data), name)))
        done = liq("recent", "--symbols", "BTCUSDT", "--data", data)
        assert (done.code, done.out) == (0, "BTCUSDT: 1 new bar, walked on, up to 2026-06-27 06:05 UTC\n")
        empty = liq("recent", "--symbols", "BTCUSDT", "--data", tmp_path / "empty")
        assert (empty.code, empty.out[:33]) == (1, "BTCUSDT: nothing to add to yet; a")
        monkeypatch.setenv("LIQ_REST", "off")
        assert liq("recent", "--data", data).code == 2

    def test_a_full_run_in_progress_is_left_alone(self, live: LiveExchange, tmp_path: Path) -> None:
        settings = live.settings(tmp_path / "data")
        job = build_definitions(settings).resolve_job_def("refresh_job")
        with dagster_instance(settings.home) as instance:
            full = instance.create_run_for_job(
                job, tags={"dagster/partition": "BTCUSDT"}, status=dg.DagsterRunStatus.STARTED
            )
            assert busy_elsewhere(instance, "BTCUSDT") == full.run_id
            assert not busy_elsewhere(instance, "ETHUSDT")
        (line,), _ = refresh_newest(settings)
        assert line == f"BTCUSDT: left to run {full.run_id}, which refreshes all of it"

    def test_a_full_run_whose_process_was_killed_is_not_waited_for(self, live: LiveExchange, data: Path) -> None:
        settings = live.settings(data)
        job = build_definitions(settings).resolve_job_def("refresh_job")
        killed = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        tags = {"dagster/partition": "BTCUSDT", **process_tags(), "liq/pid": str(killed.pid)}
        with dagster_instance(settings.home) as instance:
            run_id = instance.create_run_for_job(job, tags=tags, status=dg.DagsterRunStatus.STARTED).run_id
            assert busy_elsewhere(instance, "BTCUSDT") == run_id
            killed.kill()
            killed.wait()
            assert not busy_elsewhere(instance, "BTCUSDT")
            runs = instance.get_runs(
                filters=dg.RunsFilter(job_name="refresh_job", statuses=[dg.DagsterRunStatus.SUCCESS])
            )
            assert all("liq/pid" in run.tags for run in runs), "runs of `liq run` carry their process"
            assert runs

    def test_old_runs_are_forgotten_with_their_files(self, live: LiveExchange, data: Path) -> None:
        settings = live.settings(data)
        for _ in range(3):
            live.now += FIVE_MINUTES
            refresh_newest(live.settings(data))
        with dagster_instance(settings.home) as instance:
            runs = instance.get_run_ids(filters=dg.RunsFilter(job_name="recent_refresh_job"))
            assert len(runs) == 3
            assert forget_old_runs(instance, kept=1) == 2
            assert instance.get_run_ids(filters=dg.RunsFilter(job_name="recent_refresh_job")) == runs[:1]
            assert instance.get_latest_materialization_event(dg.AssetKey("published_levels"))
        left = [path for path in settings.home.rglob("*") if any(run_id in path.name for run_id in runs[1:])]
        assert not left


class TestSensor:
    def _tick(self, settings: Settings) -> dg.SensorExecutionData:
        definitions = build_definitions(settings)
        repository = definitions.get_repository_def()
        resources = {name: definitions.resources[name] for name in ("publisher", "rest", "clock")}
        with (
            dagster_instance(settings.home) as instance,
            dg.build_sensor_context(instance=instance, repository_def=repository, resources=resources) as context,
        ):
            return repository.get_sensor_def("recent_refresh_sensor").evaluate_tick(context)

    def test_it_runs_by_default_where_there_is_rest_and_only_there(self, live: LiveExchange, tmp_path: Path) -> None:
        for rest, status in ((live.rest.url, "RUNNING"), ("off", "STOPPED")):
            repository = build_definitions(live.settings(tmp_path, rest=rest)).get_repository_def()
            assert repository.get_sensor_def("recent_refresh_sensor").default_status.value == status
            assert repository.get_schedule_def("hourly_pictures").default_status.value == status

    def test_a_closed_bar_that_is_not_published_requests_one_run_for_all_symbols(
        self, live: LiveExchange, data: Path, tmp_path: Path
    ) -> None:
        assert "nothing is published yet" in str(self._tick(live.settings(tmp_path / "empty")).skip_message)
        settings = live.settings(data)
        assert self._tick(settings).skip_message == "the newest bar is published; the next closes at 06:05 UTC"
        live.now += FIVE_MINUTES + timedelta(seconds=10)
        assert not self._tick(live.settings(data)).run_requests, "the exchange needs some seconds"
        live.now += timedelta(seconds=10)
        (request,) = self._tick(live.settings(data)).run_requests
        assert request.tags["due"] == "BTCUSDT"

    def test_a_run_in_progress_is_not_started_twice(self, live: LiveExchange, data: Path) -> None:
        live.now += timedelta(minutes=10)
        settings = live.settings(data)
        with dagster_instance(settings.home) as instance:
            job = build_definitions(settings).resolve_job_def("recent_refresh_job")
            started = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
        assert self._tick(settings).skip_message == f"run {started.run_id} is running"

    def test_without_rest_it_says_so(self, live: LiveExchange, tmp_path: Path) -> None:
        assert (
            self._tick(live.settings(tmp_path, rest="off")).skip_message == "REST is off (LIQ_REST): the archive alone"
        )

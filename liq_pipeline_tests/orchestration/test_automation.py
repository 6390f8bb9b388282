"""What runs by itself, and when."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from liq_pipeline.orchestration.wiring import build_definitions
from liq_pipeline.settings import Settings
from liq_pipeline.simulator.files import kline_key, metrics_key, rewrite_day


def _tick(settings: Settings) -> dg.SensorExecutionData:
    """Evaluate the sensor as its daemon does."""
    definitions = build_definitions(settings)
    repository = definitions.get_repository_def()
    resources = {name: definitions.resources[name] for name in ("archive", "clock")}
    with (
        dg.DagsterInstance.ephemeral() as instance,
        dg.build_sensor_context(instance=instance, repository_def=repository, resources=resources) as context,
    ):
        return repository.get_sensor_def("late_and_rewritten_files_sensor").evaluate_tick(context)


class TestSchedule:
    @pytest.fixture
    def repository(self, make_settings) -> dg.RepositoryDefinition:
        return build_definitions(make_settings(symbols="BTCUSDT,ETHUSDT")).get_repository_def()

    @pytest.fixture
    def schedule(self, repository: dg.RepositoryDefinition) -> dg.ScheduleDefinition:
        return repository.get_schedule_def("daily_refresh")

    def test_it_runs_by_default_every_day_at_half_past_nine_utc(self, schedule) -> None:
        assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
        assert schedule.cron_schedule == "30 9 * * *"
        assert schedule.execution_timezone == "UTC"

    def test_it_refreshes_every_symbol_once_a_day(self, schedule, repository) -> None:
        morning = datetime(2026, 6, 28, 9, 30, tzinfo=UTC)
        context = dg.build_schedule_context(scheduled_execution_time=morning, repository_def=repository)

        requests = schedule.evaluate_tick(context).run_requests

        assert [(request.partition_key, request.run_key) for request in requests] == [
            ("BTCUSDT", "daily-BTCUSDT-2026-06-28"),
            ("ETHUSDT", "daily-ETHUSDT-2026-06-28"),
        ]

    def test_it_launches_the_whole_chain_with_every_check(self, make_settings) -> None:
        definitions = build_definitions(make_settings())
        job = definitions.resolve_job_def("refresh_job")
        graph = definitions.resolve_asset_graph()

        assert job.asset_layer.executable_asset_keys == graph.get_all_asset_keys()
        assert job.asset_layer.asset_graph.asset_check_keys == graph.asset_check_keys


class TestSensor:
    def test_it_runs_by_default(self, make_settings) -> None:
        sensor = (
            build_definitions(make_settings()).get_repository_def().get_sensor_def("late_and_rewritten_files_sensor")
        )

        assert sensor.default_status is dg.DefaultSensorStatus.RUNNING

    def test_files_that_are_not_here_request_a_run(self, make_settings) -> None:
        (request,) = _tick(make_settings()).run_requests

        assert request.partition_key == "BTCUSDT"

    def test_the_same_listing_gives_the_same_run_key_so_that_it_runs_once(self, make_settings) -> None:
        first, second = (_tick(make_settings()).run_requests[0].run_key for _ in range(2))

        assert first == second

    def test_when_all_is_here_it_skips_and_says_so(self, good_run: Settings) -> None:
        tick = _tick(good_run)

        assert not tick.run_requests
        assert tick.skip_message == "the local copy holds everything that the archive lists"

    def test_a_late_file_requests_a_run(self, good_run: Settings, own_exchange) -> None:
        day = own_exchange.day(10)
        late = metrics_key("BTCUSDT", day)
        yesterday = metrics_key("BTCUSDT", own_exchange.day(9))
        shutil.copy(own_exchange.folder / yesterday, own_exchange.folder / late)

        (request,) = _tick(good_run.model_copy(update={"archive": str(own_exchange.folder)})).run_requests

        assert request.partition_key == "BTCUSDT"

    def test_a_rewritten_file_requests_a_run_with_a_key_of_its_own(self, good_run: Settings, own_exchange) -> None:
        settings = good_run.model_copy(update={"archive": str(own_exchange.folder)})
        key = kline_key("BTCUSDT", "5m", own_exchange.day(3))
        keys = []
        for places in (2, 3):
            rewrite_day(own_exchange.folder, key, lambda lines, n=places: lines[:-n])
            keys.append(_tick(settings).run_requests[0].run_key)

        assert keys[0] != keys[1]

    def test_one_symbol_out_of_reach_does_not_hide_the_files_of_another(self, make_settings) -> None:
        tick = _tick(make_settings(symbols="BTCUSDT,NOPEUSDT"))

        assert [request.partition_key for request in tick.run_requests] == ["BTCUSDT"]

    def test_an_archive_out_of_reach_is_a_reason_to_skip_that_names_the_host(self, make_settings) -> None:
        tick = _tick(make_settings(archive="http://127.0.0.1:9"))

        assert not tick.run_requests
        assert "BTCUSDT: 127.0.0.1:9 does not answer" in (tick.skip_message or "")

    def test_it_downloads_nothing(self, make_settings, tmp_path: Path) -> None:
        _tick(make_settings())

        assert not list((tmp_path / "data").rglob("*.zip"))

"""When the quick job is started."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import dagster as dg

from liq_pipeline.orchestration.history import dagster_instance
from liq_pipeline.orchestration.wiring import build_definitions
from liq_pipeline.settings import Settings
from liq_pipeline_tests.live_exchange import FIVE_MINUTES, LiveExchange


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

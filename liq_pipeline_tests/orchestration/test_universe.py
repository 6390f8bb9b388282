"""A partition for each symbol, also where the archive decides which there are."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from liq_pipeline.orchestration.universe import SYMBOLS
from liq_pipeline.orchestration.wiring import build_definitions
from liq_pipeline.settings import Settings
from liq_pipeline.simulator.files import ROOT

MORNING = datetime(2026, 6, 28, 9, 30, tzinfo=UTC)


def ask(settings: Settings, instance: dg.DagsterInstance) -> dg.SensorExecutionData:
    """Evaluate the sensor as its daemon does, and do what it requests."""
    repository = build_definitions(settings).get_repository_def()
    with dg.build_sensor_context(instance=instance, repository_def=repository) as context:
        found = repository.get_sensor_def("universe_sensor").evaluate_tick(context)
    for request in found.dynamic_partitions_requests or []:
        if isinstance(request, dg.AddDynamicPartitionsRequest):
            instance.add_dynamic_partitions(request.partitions_def_name, request.partition_keys)
        else:
            for key in request.partition_keys:
                instance.delete_dynamic_partition(request.partitions_def_name, key)
    return found


def daily(settings: Settings, instance: dg.DagsterInstance) -> list[str | None]:
    """Return the symbols that the daily schedule asks runs for."""
    repository = build_definitions(settings).get_repository_def()
    with dg.build_schedule_context(
        instance=instance, scheduled_execution_time=MORNING, repository_def=repository
    ) as context:
        requests = repository.get_schedule_def("daily_refresh").evaluate_tick(context).run_requests
    return [request.partition_key for request in requests or []]


def test_where_each_symbol_is_named_nobody_is_asked(make_settings) -> None:
    repository = build_definitions(make_settings()).get_repository_def()

    assert "universe_sensor" not in [sensor.name for sensor in repository.sensor_defs]


def test_symbols_get_a_partition_and_runs_and_lose_them_when_they_are_gone(
    make_settings, own_exchange, tmp_path: Path
) -> None:
    settings = make_settings(symbols="all", archive=str(own_exchange.folder))
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        assert daily(settings, instance) == []

        first = ask(settings, instance)
        assert first.skip_message == "all: 2 symbols"
        assert daily(settings, instance) == ["BTCUSDT", "ETHUSDT"]

        shutil.rmtree(own_exchange.folder / ROOT / "klines" / "ETHUSDT")
        second = ask(settings, instance)
        assert "ETHUSDT is not traded any more" in (second.skip_message or "")
        assert list(instance.get_dynamic_partitions(SYMBOLS)) == daily(settings, instance) == ["BTCUSDT"]

        assert ask(settings, instance).dynamic_partitions_requests == []


def test_an_archive_that_does_not_answer_takes_nothing_away(make_settings) -> None:
    settings = make_settings(symbols="all", archive="http://127.0.0.1:1")
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(SYMBOLS, ["BTCUSDT"])

        found = ask(settings, instance)

        assert "does not answer" in (found.skip_message or "")
        assert instance.get_dynamic_partitions(SYMBOLS) == ["BTCUSDT"]


def test_a_run_of_such_a_partition_is_the_whole_chain(make_settings) -> None:
    settings = make_settings(symbols="top:1", pictures=False)
    job = build_definitions(settings).resolve_job_def("refresh_job")
    with dg.DagsterInstance.ephemeral() as instance:
        ask(settings, instance)
        done = job.execute_in_process(instance=instance, partition_key="BTCUSDT", raise_on_error=False)

    assert done.success
    assert (settings.published_dir / "liquidation_levels" / "BTCUSDT" / "1d.parquet").exists()

"""Runs of `liq` as Dagster's history keeps them: where they came from, and what became of those that were killed."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import dagster as dg
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml
from dagster._core.test_utils import create_run_for_test
from dagster._utils.tags import TagConcurrencyLimitsCounter

from liq_pipeline import client
from liq_pipeline.model.walk import NEWEST_VERSION, use_model
from liq_pipeline.orchestration.history import CONFIG, CONFIGS_WE_SHIPPED, dagster_instance, queue_advice
from liq_pipeline.orchestration.refresh import refresh
from liq_pipeline.orchestration.resources import NoReporter
from liq_pipeline.orchestration.runs import UNFINISHED, process_tags
from liq_pipeline.orchestration.wiring import build_definitions
from liq_pipeline.published.layout import dataset_path
from liq_pipeline.published.manifests import read_manifest
from liq_pipeline.settings import Settings
from liq_pipeline.warehouse.warehouse import Warehouse

BEFORE_POOLS = """\
# Dagster's own settings. `liq` copies this file into DAGSTER_HOME when there is none.
telemetry:
  enabled: false
nux:
  enabled: false
concurrency:
  runs:
    tag_concurrency_limits:
      - key: liq/warehouse  # the warehouse has one writer: runs wait for each other in the queue
        limit: 1
run_retries:
  enabled: true
  max_retries: 2
  # A run whose process died is tried again. A check that failed fails again, and downloads have retries of their own.
  retry_on_asset_or_op_failure: false
run_monitoring:
  enabled: true
retention:
  schedule:
    purge_after_days: 90
  sensor:
    purge_after_days:
      skipped: 7
      failure: 30
      success: 90
"""


class TestOrigin:
    def test_a_run_of_liq_belongs_to_the_code_location_that_the_ui_serves(self, good_run: Settings) -> None:
        with dagster_instance(good_run.home) as instance:
            (run,) = instance.get_runs(filters=dg.RunsFilter(job_name="refresh_job"))
            # Dagster's pages ask for runs by this label.
            labelled = dg.RunsFilter(
                job_name="refresh_job", tags={".dagster/repository": "__repository__@liq_pipeline"}
            )
            assert instance.get_run_ids(filters=labelled) == [run.run_id]
        assert run.remote_job_origin
        assert run.remote_job_origin.location_name == "liq_pipeline"
        assert run.remote_job_origin.job_name == "refresh_job"

    def test_it_is_tagged_with_its_bar_the_model_and_the_code(self, good_run: Settings) -> None:
        with dagster_instance(good_run.home) as instance:
            (run,) = instance.get_runs(filters=dg.RunsFilter(job_name="refresh_job"))
        assert run.tags["liq/as_of"] == "2026-06-28T00:00:00Z"
        assert run.tags["liq/model"].startswith("position-lifecycle ")
        assert run.tags["liq/code_version"]

    def test_the_daemon_does_not_repeat_it_with_settings_of_its_own(self) -> None:
        assert process_tags()["dagster/max_retries"] == "0"


def test_without_pictures_all_but_the_pictures_is_published(make_settings) -> None:
    settings = make_settings(pictures=False)

    (result,) = refresh(settings)

    assert result.published
    assert not result.errors
    assert {path.name for path in settings.published_dir.iterdir() if not path.name.startswith(".")} == {
        "liquidation_levels", "oi_delta", "liquidation_heatmap", "candles", "manifests", "positions",
        "liquidation_features", "levels_history", "if_reached",
    }  # fmt: skip


def test_a_warehouse_of_another_version_is_filled_anew_and_one_sentence_says_so(make_settings) -> None:
    settings = make_settings(pictures=False)
    said: list[str] = []
    reporter = NoReporter()
    reporter.say = said.append  # type: ignore[method-assign]
    assert next(refresh(settings, reporter)).published
    assert said == []
    warehouse = Warehouse(database=str(settings.database))
    count = "SELECT count(*) FROM klines"
    with warehouse.get_connection("BTCUSDT") as connection:
        before = connection.execute(count).fetchone()
        connection.execute("COMMENT ON TABLE warehouse_version IS 'of another version'")

    assert next(refresh(settings, reporter)).published

    assert said == ["BTCUSDT: its warehouse was made by another version: filled anew from data/raw"]
    with warehouse.get_connection("BTCUSDT") as connection:
        assert connection.execute(count).fetchone() == before


def test_version_1_of_the_model_is_published_with_all_entries_at_the_vwap(make_settings) -> None:
    settings = make_settings(pictures=False, model="1")
    try:
        (result,) = refresh(settings)
    finally:
        use_model(NEWEST_VERSION)

    assert result.published
    manifest = read_manifest(dataset_path(settings.published_dir, "positions", "BTCUSDT"))
    assert manifest
    assert manifest["model"]["version"] == "1"
    assert manifest["model"]["parameters"]["extremes_share"] == 0.0
    (path,) = (settings.published_dir / "positions").rglob("*.parquet")
    assert set(pc.unique(pc.list_value_length(pq.read_table(path)["liquidated_at"])).to_pylist()) == {None, 13}
    newest = datetime.fromisoformat(manifest["as_of"])
    past = client.liquidation_levels("BTCUSDT", "7d", at=newest, folder=settings.published_dir)
    stored = client.liquidation_levels("BTCUSDT", "7d", folder=settings.published_dir)
    assert past["notional_usd"].sum() == pytest.approx(stored["notional_usd"].sum(), rel=1e-9)


LIMITED = "concurrency:\n  runs:\n    tag_concurrency_limits:\n      - {{{}}}\n"


class TestQueue:
    def test_runs_of_different_symbols_start_at_once_and_of_one_symbol_never(self, tmp_path: Path) -> None:
        """The daemon's own queue decides, over runs as schedules, sensors and people launch them."""
        with dagster_instance(tmp_path / "home") as instance:
            assert not queue_advice(instance)
            runs = {
                (symbol, number): create_run_for_test(instance, "refresh_job", status=dg.DagsterRunStatus.NOT_STARTED,
                                                      tags={"dagster/partition": symbol})
                for symbol in ("BTCUSDT", "ETHUSDT")
                for number in (1, 2)
            }  # fmt: skip
            queue = instance.get_concurrency_config().run_queue_config
            counter = TagConcurrencyLimitsCounter(queue.tag_concurrency_limits, [])
            started = []
            for key, run in runs.items():
                if not counter.is_blocked(run):
                    counter.update_counters_with_launched_item(run)
                    started.append(key)
        assert started == [("BTCUSDT", 1), ("ETHUSDT", 1)]
        assert queue.max_concurrent_runs >= 2

    def test_one_that_an_older_version_left_is_replaced(self, tmp_path: Path) -> None:
        (tmp_path / "dagster.yaml").write_text(BEFORE_POOLS)
        with dagster_instance(tmp_path) as instance:
            assert not queue_advice(instance)
        assert (tmp_path / "dagster.yaml").read_bytes() == CONFIG.read_bytes()

    @pytest.mark.parametrize(
        "theirs",
        [
            BEFORE_POOLS + "# ours\n",
            "telemetry:\n  enabled: false\n",
            "concurrency:\n  pools:\n    granularity: run\n    default_limit: 1\n",
            LIMITED.format("key: dagster/partition, value: BTCUSDT, limit: 1"),
            LIMITED.format("key: dagster/partition, limit: 2"),
        ],
    )
    def test_one_that_somebody_changed_stays_and_is_told_what_it_lacks(self, theirs: str, tmp_path: Path) -> None:
        (tmp_path / "dagster.yaml").write_text(theirs)
        with dagster_instance(tmp_path) as instance:
            advice = queue_advice(instance)
        assert advice.startswith(f"{tmp_path}/dagster.yaml does not make runs of one symbol wait for each other")
        assert "To do: take over `concurrency: runs:`" in advice
        assert (tmp_path / "dagster.yaml").read_text() == theirs

    def test_one_that_somebody_changed_and_that_has_the_limit_is_left_in_peace(self, tmp_path: Path) -> None:
        theirs = yaml.safe_load(CONFIG.read_text()) | {"telemetry": {"enabled": True}}
        (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(theirs))
        with dagster_instance(tmp_path) as instance:
            assert not queue_advice(instance)

    def test_todays_file_is_known_as_ours_so_that_the_next_version_may_replace_it(self) -> None:
        assert hashlib.sha256(CONFIG.read_bytes()).hexdigest() in CONFIGS_WE_SHIPPED


class TestDeadRuns:
    def test_a_run_whose_process_was_killed_is_marked_as_failed_and_others_are_left(
        self, make_settings, tmp_path: Path
    ) -> None:
        definitions = build_definitions(make_settings())
        killed = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        pids = {"killed": str(killed.pid), "alive": str(os.getpid())}
        runs = {}
        with dagster_instance(tmp_path) as instance:
            for job in ("refresh_job", "recent_refresh_job"):
                for state, pid in pids.items():
                    tags = {**process_tags(), "liq/pid": pid}
                    runs[job, state] = instance.create_run_for_job(
                        definitions.resolve_job_def(job), tags=tags, status=dg.DagsterRunStatus.STARTED
                    ).run_id
            elsewhere = instance.create_run_for_job(
                definitions.resolve_job_def("refresh_job"),
                tags={"liq/host": "another", "liq/pid": str(killed.pid)},
                status=dg.DagsterRunStatus.STARTED,
            ).run_id
        killed.kill()
        killed.wait()

        with dagster_instance(tmp_path) as instance:
            left = set(instance.get_run_ids(filters=dg.RunsFilter(statuses=UNFINISHED)))
            failed = instance.get_runs(filters=dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))

        assert left == {runs["refresh_job", "alive"], runs["recent_refresh_job", "alive"], elsewhere}
        assert {run.run_id for run in failed} == {runs["refresh_job", "killed"], runs["recent_refresh_job", "killed"]}
        assert all(run.tags.get("dagster/will_retry") != "true" for run in failed)

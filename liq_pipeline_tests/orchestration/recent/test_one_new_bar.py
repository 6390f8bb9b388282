"""One new bar at a time: what it publishes is what a full run publishes."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pyarrow.parquet as pq
import pytest

from liq_pipeline.orchestration.history import dagster_instance
from liq_pipeline.orchestration.refresh import refresh_newest
from liq_pipeline.orchestration.runs import RECENT_JOB, busy_elsewhere, forget_old_runs, process_tags
from liq_pipeline.orchestration.wiring import build_definitions
from liq_pipeline.published.if_reached import DATASET
from liq_pipeline.published.layout import dataset_path, manifest_path
from liq_pipeline.published.manifests import read_manifest
from liq_pipeline_tests.live_exchange import FIVE_MINUTES, LiveExchange
from liq_pipeline_tests.once import once
from liq_pipeline_tests.orchestration.recent.runs import as_of, data_files, run

pytestmark = pytest.mark.whole_run


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
            assert forget_old_runs(instance, RECENT_JOB, kept=1) == 2
            assert instance.get_run_ids(filters=dg.RunsFilter(job_name="recent_refresh_job")) == runs[:1]
            assert instance.get_latest_materialization_event(dg.AssetKey("published_levels"))
        left = [path for path in settings.home.rglob("*") if any(run_id in path.name for run_id in runs[1:])]
        assert not left

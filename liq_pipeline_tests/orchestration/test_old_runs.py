"""Dagster's history stays as large as it is: old runs of our jobs are forgotten, with all that they wrote."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from liq_pipeline.orchestration.automation import old_runs
from liq_pipeline.orchestration.history import dagster_instance
from liq_pipeline.orchestration.runs import JOB_NAME, PICTURE_JOB, RUNS_KEPT, forget_old_runs
from liq_pipeline_tests.orchestration.made_runs import ASSET, made, rows

pytestmark = pytest.mark.whole_run


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dagster_instance(tmp_path / "home") as opened:
        yield opened


def ids(instance: dg.DagsterInstance, symbol: str, job: str = JOB_NAME) -> list[str]:
    return list(instance.get_run_ids(filters=dg.RunsFilter(job_name=job, tags={"dagster/partition": symbol})))


def files(instance: dg.DagsterInstance) -> int:
    return sum(1 for path in Path(instance.root_directory).rglob("*") if path.is_file() and path.name[:5] != "index")


def test_of_each_symbol_the_newest_stay_and_nothing_is_left_of_the_others(instance: dg.DagsterInstance) -> None:
    kept = [made(instance, "ETHUSDT")]
    size, count = rows(instance), files(instance)
    for _ in range(4):
        made(instance, "BTCUSDT")
    assert all(rows(instance)[table] > before for table, before in size.items())

    assert forget_old_runs(instance, JOB_NAME, "BTCUSDT", kept=0) == 4
    assert (rows(instance), files(instance)) == (size, count)
    assert ids(instance, "ETHUSDT") == kept
    old = [made(instance, "BTCUSDT") for _ in range(4)]
    assert forget_old_runs(instance, JOB_NAME, "BTCUSDT", kept=1) == 3
    assert ids(instance, "BTCUSDT") == old[-1:]
    assert instance.get_materialized_partitions(ASSET) == {"BTCUSDT", "ETHUSDT"}


def test_those_that_failed_or_were_cancelled_count_and_those_at_work_do_not(instance: dg.DagsterInstance) -> None:
    at_work = made(instance, "BTCUSDT", status=dg.DagsterRunStatus.STARTED)
    for status in (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED):
        made(instance, "BTCUSDT", status=status)
    newest = made(instance, "BTCUSDT")

    assert forget_old_runs(instance, JOB_NAME, "BTCUSDT", kept=1) == 2
    assert ids(instance, "BTCUSDT") == [newest, at_work]


def test_the_sensor_keeps_what_is_promised_of_both_jobs_and_leaves_other_peoples_runs(
    instance: dg.DagsterInstance,
) -> None:
    symbols = dg.StaticPartitionsDefinition(["BTCUSDT"])
    more = 3
    for job in (JOB_NAME, PICTURE_JOB, "__ASSET_JOB"):
        for _ in range(RUNS_KEPT[PICTURE_JOB] + more):
            made(instance, "BTCUSDT", job)

    with dg.build_sensor_context(instance=instance) as context:
        said = old_runs(symbols).evaluate_tick(context).skip_message

    gone = 2 * (RUNS_KEPT[PICTURE_JOB] + more) - RUNS_KEPT[JOB_NAME] - RUNS_KEPT[PICTURE_JOB]
    assert said == f"runs forgotten: {gone}"
    assert [len(ids(instance, "BTCUSDT", job)) for job in (JOB_NAME, PICTURE_JOB)] == [14, 24]
    assert len(ids(instance, "BTCUSDT", "__ASSET_JOB")) == RUNS_KEPT[PICTURE_JOB] + more

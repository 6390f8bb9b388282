"""Finished runs in Dagster's history that were never executed: what a run writes down, and how much there is of it."""

from __future__ import annotations

from functools import cache

import dagster as dg
import sqlalchemy as db
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationPlanned
from dagster._core.definitions.partitions.subset import DefaultPartitionsSubset
from dagster._core.events import DagsterEvent, DagsterEventType, StepMaterializationData
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    SqlEventLogStorageTable,
)
from dagster._core.storage.runs.schema import RunsTable, RunTagsTable

from liq_pipeline.orchestration.runs import JOB_NAME

ASSET = dg.AssetKey("klines")


@cache
def _empty(name: str) -> dg.JobDefinition:
    return dg.job(name=name)(lambda: None)


def made(
    instance: dg.DagsterInstance,
    symbol: str,
    job: str = JOB_NAME,
    status: dg.DagsterRunStatus = dg.DagsterRunStatus.SUCCESS,
) -> str:
    """Write down a run that made an asset and checked it."""
    run = instance.create_run_for_job(_empty(job), tags={"dagster/partition": symbol}, status=status)
    event = DagsterEvent(
        DagsterEventType.ASSET_MATERIALIZATION.value, job,
        event_specific_data=StepMaterializationData(dg.AssetMaterialization(ASSET, partition=symbol)),
    )  # fmt: skip
    instance.report_dagster_event(event, run.run_id)
    planned = AssetCheckEvaluationPlanned(
        asset_key=ASSET, check_name="has_rows", partitions_subset=DefaultPartitionsSubset({symbol})
    )
    found = dg.AssetCheckEvaluation(ASSET, "has_rows", passed=True, metadata={}, partition=symbol)
    for kind, data in (("ASSET_CHECK_EVALUATION_PLANNED", planned), ("ASSET_CHECK_EVALUATION", found)):
        instance.report_dagster_event(DagsterEvent(kind, job, event_specific_data=data), run.run_id)
    return run.run_id


def rows(instance: dg.DagsterInstance) -> dict[str, int]:
    """Count the rows of every table that grows with runs."""
    count = {}
    with instance.event_log_storage.index_connection() as connection:
        for table in (SqlEventLogStorageTable, AssetCheckExecutionsTable):
            count[table.name] = connection.execute(db.select(db.func.count()).select_from(table)).scalar_one()
    with instance.run_storage.connect() as connection:
        for table in (RunsTable, RunTagsTable):
            count[table.name] = connection.execute(db.select(db.func.count()).select_from(table)).scalar_one()
    return count

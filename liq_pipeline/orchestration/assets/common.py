"""What every asset shares: names, groups, owners, and the metadata that the UI draws."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from importlib.metadata import version
from typing import Any
from urllib.parse import urlencode

import dagster as dg
import pyarrow as pa

from liq_pipeline.clock import iso
from liq_pipeline.errors import ArchiveUnreachable, LiqError, NotChecked
from liq_pipeline.model.walk import MODEL_NAME, model_version
from liq_pipeline.transform.rules.rule import Result
from liq_pipeline.warehouse.schema import BASE_TABLES, FEATURES, SQL_DIR, table_columns

OWNERS = ["team:liq-pipeline"]

_SECONDS_BETWEEN_LINES = 5.0  # each line is an event that Dagster stores


def table_metadata(table: str) -> dict[str, Any]:
    """Return what is known of a table before it is filled: its name, its columns with units, and the SQL behind it."""
    stem = table if table in (*BASE_TABLES, FEATURES) else table.rsplit("_", 1)[0]  # one file for all timeframes
    files = {"columns": SQL_DIR / f"{stem}.sql", "rows": SQL_DIR / "queries" / f"{stem}.sql"}
    references: list[Any] = [
        dg.LocalFileCodeReference(file_path=str(path), label=f"SQL: {what}")
        for what, path in files.items()
        if path.exists()
    ]
    return {
        "dagster/table_name": f"main.{table}",
        "dagster/column_schema": _column_schema(table),
        "dagster/code_references": dg.CodeReferencesMetadataValue(code_references=references),
    }


def _column_schema(table: str) -> dg.TableSchema:
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=column.name,
                type=column.type,
                description=column.description,
                constraints=dg.TableColumnConstraints(nullable=column.nullable),
                tags={"unit": column.unit} if column.unit else {},
            )
            for column in table_columns()[table]
        ]
    )


def preview(rows: pa.Table, limit: int = 5) -> dg.MetadataValue:
    """Return the first rows as a small table for the UI."""
    records = [
        dg.TableRecord({name: _plain(value) for name, value in row.items()}) for row in rows.slice(0, limit).to_pylist()
    ]
    return dg.MetadataValue.table(records) if records else dg.MetadataValue.text("no rows")


def _plain(value: Any) -> str | int | float | bool | None:
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def share_pct(part: float, whole: float) -> float:
    """Return a part in percent of the whole. Dagster plots every number: those of two symbols must compare."""
    return round(100 * part / whole, 3) if whole else 0.0


def instant(value: datetime) -> dg.MetadataValue:
    """Return an instant as the UI shows it."""
    return dg.MetadataValue.timestamp(value)


def page_link(service: str, symbol: str, timeframe: str) -> dg.MetadataValue:
    """Return the link to a symbol's page in the service: a browser opens no file from Dagster's page."""
    return dg.MetadataValue.url(f"{service}/?{urlencode({'symbol': symbol, 'timeframe': timeframe})}")


def tag_run(context: dg.OpExecutionContext | dg.AssetExecutionContext, *as_of: datetime) -> None:
    """Write on the run up to which bar it came, with which model and code; several bars (of symbols): first..last."""
    ends = sorted({min(as_of), max(as_of)})
    tags = {"liq/as_of": "..".join(iso(end) for end in ends), **version_tags()}
    context.instance.add_run_tags(context.run.run_id, tags)


def version_tags() -> dict[str, str]:
    """Return tags that tell with which model and code a run is executed."""
    return {"liq/model": f"{MODEL_NAME} {model_version()}", "liq/code_version": version("liq_pipeline")}


def now_and_then(log: Callable[[str], None]) -> Callable[[str], None]:
    """Return a way to tell of progress as often as one likes: what comes sooner than 5 s after a line is left out."""
    told = time.monotonic()

    def tell(line: str) -> None:
        nonlocal told
        if time.monotonic() - told >= _SECONDS_BETWEEN_LINES:
            told = time.monotonic()
            log(line)

    return tell


@contextmanager
def acting() -> Iterator[None]:
    """Do an asset's work: an error to act on is told in its own words. Only an archive out of reach is tried again.

    Raises:
        Failure: of a LiqError.
    """
    try:
        yield
    except LiqError as error:
        dg.get_dagster_logger().error(str(error))  # a line of its own: Dagster's has fifty lines of stack below it
        raise dg.Failure(str(error), allow_retries=isinstance(error, ArchiveUnreachable)) from error


def checks_of_this_run(context: dg.AssetExecutionContext, guarding: Sequence[str]) -> list[dict[str, Any]]:
    """Return what the checks of this run found, ordered by name.

    Args:
        context: of the step that is about to publish.
        guarding: the tables that must have been checked.

    Raises:
        NotChecked: a table was not: nothing may be published.
    """
    entries = context.instance.all_logs(context.run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    found = []
    for entry in entries:
        evaluation = entry.get_dagster_event().asset_check_evaluation_data
        found.append(
            {
                "asset": evaluation.asset_key.to_user_string(),
                "check": evaluation.check_name,
                "passed": evaluation.passed,
                "severity": evaluation.severity.value,
            }
        )
    if unchecked := [table for table in guarding if table not in {item["asset"] for item in found}]:
        raise NotChecked(
            f"Nothing was published: this run evaluated no check of {', '.join(unchecked)}",
            expected="every table that is published to be checked in the same run",
            remedy="launch `refresh_job`, or select these assets, too, with their checks",
        )
    return sorted(found, key=lambda item: (item["asset"], item["check"]))


def check_result(result: Result) -> dg.AssetCheckResult:
    """Return a result as Dagster takes it."""
    return dg.AssetCheckResult(
        asset_key=result.asset,
        check_name=result.check,
        passed=result.outcome.passed,
        severity=dg.AssetCheckSeverity(result.outcome.severity),
        description=result.outcome.found,
        metadata=result.outcome.facts,
    )

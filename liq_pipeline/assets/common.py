"""What every asset shares: names, groups, owners, and the metadata that the UI draws."""

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from importlib.metadata import version
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa

from liq_pipeline.errors import ArchiveUnreachable, LiqError, NotChecked
from liq_pipeline.model.margin import bracket_epochs, has_own_brackets, leverages_used
from liq_pipeline.model.walk import MODEL_NAME, MODEL_VERSION, WalkParameters
from liq_pipeline.warehouse.warehouse import BASE_TABLES, SQL_DIR, table_schemas

OWNERS = ["team:liq-pipeline"]
WAREHOUSE_POOL = "warehouse"  # dagster.yaml runs one run of it at a time: what one writes, another one's checks look at

_SECONDS_BETWEEN_LINES = 5.0  # each line is an event that Dagster stores


def table_metadata(table: str) -> dict[str, Any]:
    """Return what is known of a table before it is filled: its name, its columns with units, and the SQL behind it."""
    stem = table if table in BASE_TABLES else table.rsplit("_", 1)[0]  # one file declares a table per timeframe
    files = {"columns": SQL_DIR / f"{stem}.sql", "rows": SQL_DIR / "queries" / f"{stem}.sql"}
    references: list[Any] = [
        dg.LocalFileCodeReference(file_path=str(path), label=f"SQL: {what}")
        for what, path in files.items()
        if path.exists()
    ]
    return {
        "dagster/table_name": f"main.{table}",
        "dagster/column_schema": table_schemas()[table],
        "dagster/code_references": dg.CodeReferencesMetadataValue(code_references=references),
    }


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


def tag_run(context: dg.OpExecutionContext | dg.AssetExecutionContext, *as_of: datetime) -> None:
    """Write on the run up to which bar it came, with which model and code; several bars (of symbols): first..last."""
    ends = sorted({min(as_of), max(as_of)})
    tags = {"liq/as_of": "..".join(iso(end) for end in ends), **version_tags()}
    context.instance.add_run_tags(context.run.run_id, tags)


def version_tags() -> dict[str, str]:
    """Return tags that tell with which model and code a run is executed."""
    return {"liq/model": f"{MODEL_NAME} {MODEL_VERSION}", "liq/code_version": version("liq_pipeline")}


def now_and_then(log: Callable[[str], None]) -> Callable[[str], None]:
    """Return a way to tell of progress as often as one likes: what comes sooner than 5 s after a line is left out."""
    told = time.monotonic()

    def tell(line: str) -> None:
        nonlocal told
        if time.monotonic() - told >= _SECONDS_BETWEEN_LINES:
            told = time.monotonic()
            log(line)

    return tell


def failure(error: LiqError) -> Exception:
    """Return what an asset raises for an error to act on. Only an archive out of reach is worth a retry."""
    dg.get_dagster_logger().error(str(error))  # a line of its own: Dagster's has fifty lines of stack below it
    return dg.Failure(str(error), allow_retries=isinstance(error, ArchiveUnreachable))


def checks_of_this_run(context: dg.AssetExecutionContext, guarding: Sequence[str]) -> list[dict[str, Any]]:
    """Return what the checks of this run found, ordered by name.

    Args:
        context: of the step that is about to publish.
        guarding: the tables that must have been checked.

    Raises:
        Failure: a table was not: nothing may be published.
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
        raise failure(
            NotChecked(
                f"Nothing was published: this run evaluated no check of {', '.join(unchecked)}",
                expected="every table that is published to be checked in the same run",
                remedy="launch the job `refresh`, or select these assets, too, with their checks",
            )
        )
    return sorted(found, key=lambda item: (item["asset"], item["check"]))


def model_facts(symbol: str, first_ts: datetime, as_of: datetime) -> dict[str, Any]:
    """Return the model as it was used on a symbol, as manifests tell it: parameters, leverages, margin brackets."""
    span = np.array([moment.replace(tzinfo=None) for moment in (first_ts, as_of)], "datetime64[us]")
    parameters = WalkParameters()
    ladder = leverages_used(symbol, parameters.ladder, span[0], span[1])
    epoch, history = bracket_epochs(symbol, span)
    newest = history[epoch[1]]
    return {
        "model": {
            "name": MODEL_NAME,
            "version": MODEL_VERSION,
            "parameters": vars(parameters) | {"ladder": ladder},
        },
        "margin_brackets": "own" if has_own_brackets(symbol) else "default",
        "maintenance_margin_pct": round(100 * float(newest.mmr[0]), 6),
        "max_leverage": float(newest.max_leverage[0]),
    }


def check_key(result: dg.AssetCheckResult) -> tuple[dg.AssetKey, str]:
    """Return which check a result is of."""
    assert result.asset_key
    assert result.check_name
    return result.asset_key, result.check_name


def checks_as_published(results: list[dg.AssetCheckResult]) -> list[dict[str, Any]]:
    """Return results of checks as manifests list them, ordered by name."""
    found = []
    for result in results:
        asset, name = check_key(result)
        found.append(
            {
                "asset": asset.to_user_string(),
                "check": name,
                "passed": result.passed,
                "severity": result.severity.value,
            }
        )
    return sorted(found, key=lambda item: (str(item["asset"]), str(item["check"])))


def iso(instant_: Any) -> str:
    """Return an instant as manifests write it."""
    return str(instant_.isoformat().replace("+00:00", "Z"))

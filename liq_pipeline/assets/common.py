"""What every asset shares: names, groups, owners, and the metadata that the UI draws."""

from datetime import datetime
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa

from liq_pipeline.errors import ArchiveUnreachable, LiqError
from liq_pipeline.model.margin import bracket_epochs, has_own_brackets, leverages_used
from liq_pipeline.model.walk import MODEL_NAME, MODEL_VERSION, WalkParameters
from liq_pipeline.warehouse.warehouse import table_schemas

OWNERS = ["team:liq-pipeline"]


def table_metadata(table: str) -> dict[str, Any]:
    """Return what is known of a table before it is filled: its name and its columns with units."""
    return {"dagster/table_name": f"main.{table}", "dagster/column_schema": table_schemas()[table]}


def preview(rows: pa.Table, limit: int = 5) -> dg.MetadataValue:
    """Return the first rows as a small table for the UI."""
    records = [
        dg.TableRecord({name: _plain(value) for name, value in row.items()}) for row in rows.slice(0, limit).to_pylist()
    ]
    return dg.MetadataValue.table(records) if records else dg.MetadataValue.text("no rows")


def _plain(value: Any) -> str | int | float | bool | None:
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def instant(value: datetime) -> dg.MetadataValue:
    """Return an instant as the UI shows it."""
    return dg.MetadataValue.timestamp(value)


def failure(error: LiqError) -> Exception:
    """Return what an asset raises for an error to act on. Only an archive out of reach is worth a retry."""
    return dg.Failure(str(error), allow_retries=isinstance(error, ArchiveUnreachable))


def checks_of_this_run(context: dg.AssetExecutionContext) -> list[dict[str, Any]]:
    """Return what the checks of this run found, ordered by name; without any, nothing may be published."""
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
    if not found:
        raise dg.Failure(
            "Nothing was published: this run evaluated no check. To do: launch the job `refresh`, or select the "
            "upstream assets with their checks.",
            allow_retries=False,
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

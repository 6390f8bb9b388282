"""Tables of the documents that are written from the code: settings, and the columns of the published files.

`make docs` writes them anew.
"""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import typer
import yaml
from jsonschema import ValidationError, validate
from open_data_contract_standard.model import OpenDataContractStandard

from liq_pipeline.cli.main import app
from liq_pipeline.published.layout import SCHEMA_VERSION
from liq_pipeline.published.manifests import Manifest
from liq_pipeline.published.schemas import SCHEMAS
from liq_pipeline.settings import Settings
from liq_pipeline.transform.described import meanings


def test_every_setting_is_described(repository: Path, pytestconfig: pytest.Config) -> None:
    written(repository / "docs" / "settings.md", "settings", settings_table(), pytestconfig)


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_published_column_is_described(name: str, repository: Path, pytestconfig: pytest.Config) -> None:
    written(repository / "docs" / "files.md", f"columns of {name}", columns_table(name, SCHEMAS[name]), pytestconfig)


def test_the_manifest_has_a_schema_that_every_manifest_keeps(
    repository: Path, pytestconfig: pytest.Config, good_run: Settings
) -> None:
    path = repository / "docs" / "manifest.schema.json"
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"} | Manifest.model_json_schema()
    text = json.dumps(schema, indent=2) + "\n"
    if pytestconfig.getoption("update_docs"):
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text, "manifest.schema.json is out of date. To do: make docs"

    found = [file for name in SCHEMAS for file in (good_run.published_dir / "manifests" / name).rglob("*.json")]
    assert len(found) > len(SCHEMAS)
    for file in found:
        validate(json.loads(file.read_text(encoding="utf-8")), schema)
    with pytest.raises(ValidationError):
        validate({"as_of": "2026-06-28T00:00:00Z", "sha256": "short"}, schema)


def test_the_published_files_have_a_data_contract_in_the_open_standard(
    repository: Path, pytestconfig: pytest.Config
) -> None:
    path = repository / "docs" / "contract.odcs.yaml"
    text = yaml.safe_dump(contract(), sort_keys=False, allow_unicode=True, width=120)
    if pytestconfig.getoption("update_docs"):
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text, "contract.odcs.yaml is out of date. To do: make docs"

    standard = json.loads((files("open_data_contract_standard") / "schema.json").read_text(encoding="utf-8"))
    validate(yaml.safe_load(text), standard)
    with pytest.raises(ValidationError):
        validate(contract() | {"kind": "Table"}, standard)
    read = OpenDataContractStandard.from_string(text)
    assert [table.name for table in read.schema_ or []] == list(SCHEMAS)


LOGICAL = {"string": "string", "timestamp": "timestamp", "double": "number", "float": "number", "int64": "integer",
           "int32": "integer", "bool": "boolean"}  # fmt: skip


def contract() -> dict[str, Any]:
    """Return the published files as a contract (Open Data Contract Standard, v3.1)."""
    return {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": "liq_pipeline.published",
        "name": "Estimated liquidation levels of crypto perpetuals",
        "version": f"{SCHEMA_VERSION}.0.0",
        "status": "active",
        "description": {
            "purpose": "Where open positions would be liquidated, estimated from open interest and prices.",
            "limitations": "Estimates: exposure, not a forecast. See docs/model.md.",
        },
        "servers": [{"server": "files", "type": "local", "path": "data/published/*/*/*.parquet", "format": "parquet"}],
        "schema": [
            {
                "name": name,
                "physicalName": f"{name}/*/*.parquet",
                "physicalType": "parquet",
                "properties": [_property(name, field) for field in schema],
            }
            for name, schema in SCHEMAS.items()
        ],
        "slaProperties": [
            {"property": "frequency", "value": 1, "unit": "d", "description": "a daily refresh; with REST, each bar"},
            {"property": "latency", "value": 48, "unit": "h", "description": "older data is said to be stale"},
        ],
    }


def _kind(kind: pa.DataType) -> dict[str, Any]:
    if pa.types.is_list(kind):
        return {"logicalType": "array", "physicalType": str(kind), "items": {"name": "item", **_kind(kind.value_type)}}
    return {"logicalType": LOGICAL[str(kind).split("[")[0]], "physicalType": str(kind)}


def _property(dataset: str, field: pa.Field) -> dict[str, Any]:
    description, unit = meanings(dataset)[field.name]
    return {
        "name": field.name,
        **_kind(field.type),
        "description": description,
        **({"customProperties": [{"property": "unit", "value": unit}]} if unit else {}),
    }


def written(path: Path, name: str, table: str, config: pytest.Config) -> None:
    """Compare the table behind a mark in a document, or write it there."""
    text = path.read_text(encoding="utf-8")
    mark = f"<!-- {name} -->\n"
    assert text.count(mark) == 1
    before, after = text.split(mark)
    found = re.match(r"\n(?:\|.*\n)*", after)
    rest = after[found.end() :] if found else after
    wanted = f"{before}{mark}\n{table}{rest}"
    if config.getoption("update_docs"):
        path.write_text(wanted, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == wanted, f"{path.name} is out of date. To do: make docs"


def settings_table() -> str:
    """Return variable, option, default, meaning."""
    options = {
        variable: option.opts[0]
        for command in typer.main.get_command(app).commands.values()
        for option in command.params
        for variable in re.findall(r"\((LIQ_[A-Z_]+)\)", option.help)
    }
    lines = ["| variable | option | default | meaning |", "|---|---|---|---|"]
    for name, field in Settings.model_fields.items():
        variable = "DAGSTER_HOME" if name == "dagster_home" else f"LIQ_{name.upper()}"
        meaning, _, said = str(field.description).partition(" (default: ")
        value = ",".join(field.default) if isinstance(field.default, tuple) else field.default
        default = said.removesuffix(")") or ("" if value in (None, "") else f"`{value}`")
        option = f"`{options[variable]}`" if variable in options else ""
        lines.append(f"| `{variable}` | {option} | {default} | {meaning} |")
    return "\n".join(lines) + "\n"


def columns_table(name: str, schema: pa.Schema) -> str:
    """Return column, type, unit, meaning."""
    lines = ["| column | type | unit | meaning |", "|---|---|---|---|"]
    for field in schema:
        meaning, unit = meanings(name)[field.name]
        kind = "timestamp, UTC" if pa.types.is_timestamp(field.type) else str(field.type)
        lines.append(f"| `{field.name}` | {kind} | {'' if unit == 'UTC' else unit} | {meaning} |")
    return "\n".join(lines) + "\n"

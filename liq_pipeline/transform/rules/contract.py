"""Do the tables still keep what was published: columns, types, bars?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from liq_pipeline.published.layout import SCHEMA_VERSION, WHOLE, dataset_path
from liq_pipeline.published.manifests import read_intact_manifest
from liq_pipeline.published.schemas import SCHEMAS
from liq_pipeline.transform.rules.rule import Outcome, Rule, Subject
from liq_pipeline.warehouse.schema import FEATURES, HEATMAP_TABLES, LEVEL_TABLES


def row_count_does_not_shrink(subject: Subject) -> Outcome:
    """The table has at least as many bars as what is published, over the time that both cover."""
    path = dataset_path(Path(subject.publisher.folder), "oi_delta", subject.symbol)
    manifest = read_intact_manifest(path)
    if manifest is None or manifest["bar_minutes"] != subject.archive.bar_minutes:
        return Outcome(True, "nothing published yet to compare with")
    before = pq.read_table(path, columns=["ts"], partitioning=None)["ts"].to_numpy()
    now = subject.sql("SELECT ts FROM oi_delta WHERE symbol = $symbol")["ts"].to_numpy()
    # Where the history begins is the user's choice (--since); where it ends is not.
    first = max(before.min(), now.min())
    # A bar that is known for a bad print by now is listed with the others, one between two contracts is told with them;
    # at the end, what is published is newer.
    known = subject.sql(
        "SELECT ts FROM klines AS k WHERE symbol = $symbol AND (close IS NULL OR EXISTS ("
        "FROM settlements AS s WHERE s.symbol = k.symbol AND k.ts > s.settled_at AND k.ts <= s.resumed_at))"
    )["ts"].to_numpy()
    lost = np.setdiff1d(before[before >= first], np.concatenate([now, known[known < now.max()]]))
    text = f"{len(now)} bars, {len(before)} published"
    if lost.size:
        text += (
            f"; {lost.size} published bars are gone, the first {lost[0]}. "
            f"To do: find out why; if it is right, delete {path}"
        )
    return Outcome(not lost.size, text)


def schema_is_as_published(table: str) -> Callable[[Subject], Outcome]:
    """Return the rule: the table's columns are those of the contract, which only a new schema version may change."""
    dataset, timeframe = (table, None) if table in WHOLE else table.rsplit("_", 1)
    contract = SCHEMAS[dataset]

    def rule(subject: Subject) -> Outcome:
        now = subject.sql(f"SELECT * FROM {table} LIMIT 0").schema
        found = _difference(now, contract)
        path = dataset_path(Path(subject.publisher.folder), dataset, subject.symbol, timeframe)
        manifest = read_intact_manifest(path)
        if manifest and manifest["schema_version"] == SCHEMA_VERSION:
            found += _difference(contract, pq.read_schema(path))
        return Outcome(not found, f"schema differs: {'; '.join(found)}" if found else f"schema {SCHEMA_VERSION}")

    return rule


def _difference(now: pa.Schema, before: pa.Schema) -> list[str]:
    """Return which columns of `before` are gone or have another type. More columns are welcome."""
    found = []
    for column in before:
        index = now.get_field_index(column.name)
        if index < 0:
            found.append(f"{column.name} is gone")
        elif now.field(index).type != column.type:
            found.append(f"{column.name} is {now.field(index).type}, was {column.type}")
    return found


def contract_rules() -> list[Rule]:
    """Return what those who read the published files rely on."""
    text = "Columns and types are those of the published contract."
    return [
        *(
            Rule(table, "schema_is_as_published", schema_is_as_published(table), text, blocking=True)
            for table in ("oi_delta", *LEVEL_TABLES, *HEATMAP_TABLES, FEATURES)
        ),
        Rule(
            "oi_delta",
            "row_count_does_not_shrink",
            row_count_does_not_shrink,
            "No bar that was published has vanished.",
            blocking=True,
        ),
    ]

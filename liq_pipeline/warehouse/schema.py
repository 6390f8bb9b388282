"""Which tables there are, and the SQL that makes and reads them: `sql/<table>.sql`, `sql/queries/<name>.sql`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import duckdb

from liq_pipeline.model.timeframes import TIMEFRAMES

SQL_DIR = Path(__file__).with_name("sql")
BASE_TABLES = ("open_interest", "klines", "oi_delta", "position_cohorts", "position_survival")
LEVEL_TABLES = tuple(f"liquidation_levels_{timeframe}" for timeframe in TIMEFRAMES)
HEATMAP_TABLES = tuple(f"liquidation_heatmap_{timeframe}" for timeframe in TIMEFRAMES)
BEGINNING = "-infinity"
"""As `since`: everything."""
SETTLEMENTS = "settlements"
FEATURES = "liquidation_features"
FILE_TABLES = (*HEATMAP_TABLES, FEATURES)
"""Those that are Parquet files beside the DuckDB file, as they are published; connections have views of them."""
TABLES = BASE_TABLES + LEVEL_TABLES + FILE_TABLES
"""Those that are assets."""
STORED_TABLES = (*BASE_TABLES, *LEVEL_TABLES, SETTLEMENTS)
"""Those in the DuckDB file."""
STORED_AS = {"position_cohorts": "cohorts"}
"""Those that are views over a table that holds what cannot be derived."""


@dataclass(frozen=True)
class Column:
    """A column as `sql/*.sql` declares it.

    Attributes:
        name: of the column.
        type: DuckDB's.
        nullable: whether it may hold null.
        description: what it means.
        unit: of its numbers; empty: none.
    """

    name: str
    type: str
    nullable: bool
    description: str
    unit: str


@cache
def ddl() -> str:
    """Return the statements that make every table and view of a file."""
    from liq_pipeline.model.entries import ENTRIES, layout  # NumPy: not before there is a table to make
    from liq_pipeline.model.margin import LADDER

    statements = [(SQL_DIR / f"{table}.sql").read_text(encoding="utf-8") for table in (*BASE_TABLES, SETTLEMENTS)]
    text = "\n".join([*statements, *_by_timeframe("liquidation_levels")])
    cells = layout()
    of_model = {
        "leverages": len(LADDER),
        "cells": cells.place.size,
        "cell_leverages": cells.leverage.tolist(),
        "cell_places": cells.place.tolist(),
        "cell_entries": [ENTRIES[entry] for entry in cells.entry],
        "cell_shares": cells.share.tolist(),
        "cell_columns": ", ".join(f"c{cell} INTEGER" for cell in range(1, cells.place.size + 1)),
        "cell_values": ", ".join(f"c.ends.c{cell}" for cell in range(1, cells.place.size + 1)),
    }
    for name, value in of_model.items():
        text = text.replace(f"{{{name}}}", str(value))
    return text


@cache
def file_ddl() -> str:
    """Return the statements that make empty tables of those that are files, for this connection only."""
    features = (SQL_DIR / f"{FEATURES}.sql").read_text(encoding="utf-8")
    return "\n".join([*_by_timeframe("liquidation_heatmap"), features])


def _by_timeframe(name: str) -> list[str]:
    template = (SQL_DIR / f"{name}.sql").read_text(encoding="utf-8")
    return [template.replace("{timeframe}", timeframe) for timeframe in TIMEFRAMES]


@cache
def named_query(name: str) -> str:
    """Return the text of `sql/queries/<name>.sql`."""
    return (SQL_DIR / "queries" / f"{name}.sql").read_text(encoding="utf-8")


@cache
def table_columns() -> dict[str, list[Column]]:
    """Return the columns of each table that is an asset."""
    with duckdb.connect(":memory:") as connection:
        connection.execute(ddl() + file_ddl())
        rows = connection.execute(
            "SELECT table_name, column_name, data_type, is_nullable, comment FROM duckdb_columns() "
            "WHERE NOT internal ORDER BY table_name, column_index"
        ).fetchall()
    columns: dict[str, list[Column]] = {}
    for table, name, kind, nullable, comment in rows:
        described = re.fullmatch(r"(?P<text>.*?)(?: \[(?P<unit>[^\]]+)\])?", comment or "")
        assert described
        can_be_null = nullable and table not in STORED_AS  # a view does not say what its table forbids
        columns.setdefault(table, []).append(
            Column(name, kind, can_be_null, described["text"], described["unit"] or "")
        )
    return {table: columns[table] for table in TABLES}

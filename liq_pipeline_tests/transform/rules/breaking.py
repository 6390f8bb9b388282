"""Ways to break the data of a subject that one statement of SQL is too short for."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from liq_pipeline.clock import Clock
from liq_pipeline.published.layout import HISTORY, dataset_path, manifest_path
from liq_pipeline.transform.rules import invariants
from liq_pipeline.transform.rules.integrity import KEYS
from liq_pipeline.transform.rules.rule import Subject
from liq_pipeline.validation.report import report_folder
from liq_pipeline.warehouse.schema import STORED_AS


def a_week_later(subject: Subject, _: pytest.MonkeyPatch) -> None:
    """The clock is put on by a week."""
    subject.clock = Clock(fixed=str(subject.clock.now() + timedelta(days=7)))


def a_gate_failed(subject: Subject, _: pytest.MonkeyPatch) -> None:
    """A report of the validation in which one gate has failed."""
    place = report_folder(Path(subject.publisher.folder), subject.symbol, "reported")
    place.mkdir(parents=True)
    gate = {"number": 2, "statement": "adds to the move", "passed": False, "found": "+0.001"}
    (place / "validation.json").write_text(json.dumps({"source": "reported", "gates": [gate]}), encoding="utf-8")


def walk_looks_ahead(subject: Subject, patch: pytest.MonkeyPatch) -> None:
    """A walk in which a position is smaller the more bars are still to come: it knows the future."""
    honest = invariants.walk

    def cheat(bars, symbol, **more):
        result = honest(bars, symbol, **more)
        result.sides["long"].contracts_opened[:] *= bars.ts.size
        return result

    patch.setattr(invariants, "walk", cheat)


def walk_minds_the_size_of_prices(subject: Subject, patch: pytest.MonkeyPatch) -> None:
    """A walk that opens more of longs where prices have more digits."""
    honest = invariants.walk

    def cheat(bars, symbol, **more):
        result = honest(bars, symbol, **more)
        result.sides["long"].contracts_opened[:] *= np.log10(abs(bars.close[0]))
        return result

    patch.setattr(invariants, "walk", cheat)


def walk_favours_longs(subject: Subject, patch: pytest.MonkeyPatch) -> None:
    """A walk that opens twice as much on the long side."""
    honest = invariants.walk

    def cheat(bars, symbol, **more):
        result = honest(bars, symbol, **more)
        result.sides["long"].contracts_opened[:] *= 2
        return result

    patch.setattr(invariants, "walk", cheat)


def doubled(table: str) -> str:
    stored = STORED_AS.get(table, table)
    return f"INSERT INTO {stored} SELECT * FROM {stored} LIMIT 1"


def null_key(table: str) -> str:
    column, stored = KEYS[table][-1], STORED_AS.get(table, table)
    return (
        f"ALTER TABLE {stored} ALTER COLUMN {column} DROP NOT NULL;"
        f"UPDATE {stored} SET {column} = NULL WHERE rowid = (SELECT min(rowid) FROM {stored})"
    )


def emptied(table: str) -> str:
    return f"DELETE FROM {STORED_AS.get(table, table)}"


def history_says_otherwise(subject: Subject, _: pytest.MonkeyPatch) -> None:
    """An entry of the history in which every level is half as large again."""
    path = dataset_path(Path(subject.publisher.folder), HISTORY, subject.symbol, "2026-06-28")
    rows = pq.read_table(path)
    place = rows.schema.get_field_index("notional_usd")
    pq.write_table(rows.set_column(place, "notional_usd", pc.multiply(rows["notional_usd"], np.float32(1.5))), path)
    manifest = manifest_path(path)
    facts = json.loads(manifest.read_text()) | {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    manifest.write_text(json.dumps(facts | {"code_version": "0.0.1"}))

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
from liq_pipeline.model.bracket_evidence import judge_brackets
from liq_pipeline.published.if_reached import DATASET
from liq_pipeline.published.layout import HISTORY, dataset_path, manifest_path
from liq_pipeline.transform.rules import invariants
from liq_pipeline.transform.rules.integrity import KEYS
from liq_pipeline.transform.rules.rule import Subject
from liq_pipeline.validation.brackets import write_tests
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


def orders_of_another_margin(subject: Subject, _: pytest.MonkeyPatch) -> None:
    """Forced orders that were triggered as if the maintenance margin were .5 %, and not .4 %."""
    count = 400
    price, is_long = np.full(count, 100.0), np.arange(count) % 2 == 0
    bankrupt = np.where(is_long, price * 0.995, price * 1.005)
    found = judge_brackets(is_long, bankrupt, price - 0.01, price + 0.01, np.linspace(0, 4, count), 0.004)
    write_tests(Path(subject.publisher.folder), subject.symbol, {"recorded": found})


def ranges_too_narrow(subject: Subject, _: pytest.MonkeyPatch) -> None:
    """A range that held only six of ten past cases."""
    fit = {
        "source": "recorded", "horizon_hours": 4, "days_of_truth": 30.0, "cases": 900, "scored_from_day": 14.0,
        "coverage_80": 0.601, "range_ratio": 9.0, "crps_gain_over_distance": 0.1, "crps_gain_over_distance_low": 0.0,
        "crps_gain_over_distance_high": 0.2, "fitted_until": "2026-06-28T00:00:00Z",
        "parameters": dict.fromkeys(("a", "b", "c1", "c2", "beta", "z10", "z50", "z90"), 0.5),
    }  # fmt: skip
    path = dataset_path(Path(subject.publisher.folder), DATASET, subject.symbol)
    manifest = json.loads(manifest_path(path).read_text())
    manifest_path(path).write_text(json.dumps(manifest | {"fits": [fit]}))


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

"""How rules become Dagster checks."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from liq_pipeline.orchestration.checks import _together, checks_of
from liq_pipeline.orchestration.resources import (
    ArchiveResource,
    ClockResource,
    PublisherResource,
    WarehouseResource,
)
from liq_pipeline.transform.rules.integrity import has_rows
from liq_pipeline.transform.rules.rule import ERROR, WARN, Outcome, Rule, Subject
from liq_pipeline.warehouse.warehouse import Warehouse

SYMBOLS = dg.StaticPartitionsDefinition(["BTCUSDT", "ETHUSDT"])


def _cannot_tell(_: Subject) -> Outcome:
    raise ZeroDivisionError("no bars")


RULES = [
    Rule(
        "klines", "good", lambda subject: Outcome(True, f"{subject.symbol} is good", facts={"bars": 3}), "Holds.", True
    ),
    Rule("klines", "cannot_tell", _cannot_tell, "Raises."),
    Rule("klines", "odd", lambda _: Outcome(False, "odd", WARN), "Warns."),
]


def _resources(warehouse: Warehouse, published: Path) -> dict[str, dg.ConfigurableResource]:
    return {
        "warehouse": WarehouseResource(**warehouse.model_dump()),
        "archive": ArchiveResource(location="", listing_url="", raw_dir="", bar_minutes=5),
        "publisher": PublisherResource(folder=str(published)),
        "clock": ClockResource(),
    }


@pytest.fixture
def evaluate(warehouse: Warehouse, published):
    """Run the step as Dagster does, for one symbol; return its evaluations by name."""

    def run(symbol: str, selection: dg.AssetSelection | None = None) -> dict[str, dg.AssetCheckEvaluation]:
        @dg.asset(partitions_def=SYMBOLS)
        def klines() -> None:
            """Stand-in."""

        with dg.DagsterInstance.ephemeral() as instance:
            result = dg.materialize(
                [klines, checks_of("step", RULES, SYMBOLS)],
                selection=selection,
                partition_key=symbol,
                instance=instance,
                resources=_resources(warehouse, published),
            )
        return {found.check_name: found for found in result.get_asset_check_evaluations()}

    return run


def test_an_outcome_becomes_a_result_with_severity_words_and_facts(evaluate) -> None:
    found = evaluate("ETHUSDT")

    assert found["good"].passed
    assert found["good"].description == "ETHUSDT is good"
    assert found["good"].metadata["bars"].value == 3
    assert not found["odd"].passed
    assert found["odd"].severity is dg.AssetCheckSeverity.WARN


def test_a_rule_that_raises_has_not_passed_and_the_others_still_speak(evaluate) -> None:
    found = evaluate("BTCUSDT")

    assert set(found) == {"good", "cannot_tell", "odd"}
    assert not found["cannot_tell"].passed
    assert found["cannot_tell"].severity is dg.AssetCheckSeverity.ERROR
    assert found["cannot_tell"].description == "the check itself failed: ZeroDivisionError: no bars"


def test_one_check_of_a_step_can_run_alone(evaluate) -> None:
    asset = dg.AssetSelection.assets("klines").without_checks()
    chosen = asset | dg.AssetSelection.checks(dg.AssetCheckKey(dg.AssetKey("klines"), "odd"))

    assert set(evaluate("BTCUSDT", chosen)) == {"odd"}


def test_a_run_without_a_partition_looks_at_every_symbol(warehouse: Warehouse, published) -> None:
    """ "Execute all" on the page of an asset's checks launches such a run."""
    by_symbol = [
        Rule("klines", "has_rows", has_rows("klines"), "BTCUSDT has rows, ETHUSDT has none."),
        Rule("klines", "odd", lambda subject: Outcome(subject.symbol == "BTCUSDT", "odd", WARN), "Warns of ETHUSDT."),
        Rule("klines", "good", lambda subject: Outcome(True, f"{subject.symbol} is good"), "Holds."),
    ]
    asset = dg.AssetSpec("klines", partitions_def=SYMBOLS)
    definitions = dg.Definitions(
        assets=[asset],
        asset_checks=[checks_of("step", by_symbol, SYMBOLS)],
        resources=_resources(warehouse, published),
        jobs=[dg.define_asset_job("checks", selection=dg.AssetSelection.all_asset_checks())],
    )
    with dg.DagsterInstance.ephemeral() as instance:
        result = definitions.resolve_job_def("checks").execute_in_process(instance=instance)
    found = {evaluation.check_name: evaluation for evaluation in result.get_asset_check_evaluations()}

    assert not found["has_rows"].passed
    assert found["has_rows"].severity is dg.AssetCheckSeverity.ERROR
    assert found["has_rows"].description == "BTCUSDT: 2880 rows\nETHUSDT: 0 rows"
    assert not found["odd"].passed
    assert found["odd"].severity is dg.AssetCheckSeverity.WARN
    assert found["good"].passed


def test_results_are_kept_per_symbol() -> None:
    (spec, *_) = checks_of("step", RULES, SYMBOLS).check_specs

    assert spec.partitions_def == SYMBOLS


def test_one_error_beside_a_warning_of_another_symbol_is_an_error() -> None:
    together = _together({"BTCUSDT": Outcome(False, "bad", ERROR), "ETHUSDT": Outcome(False, "odd", WARN)})

    assert (together.passed, together.severity) == (False, ERROR)
    assert together.found == "BTCUSDT: bad\nETHUSDT: odd"

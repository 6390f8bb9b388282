"""How rules become Dagster checks."""

from __future__ import annotations

import dagster as dg
import pytest

from liq_pipeline.checks.rule import WARN, Outcome, Rule, Subject, checks_of
from liq_pipeline.clock import Clock
from liq_pipeline.resources import ArchiveSource
from liq_pipeline.warehouse.publish import Publisher
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
                resources={
                    "warehouse": warehouse,
                    "archive": ArchiveSource(location="", listing_url="", raw_dir="", bar_minutes=5),
                    "publisher": Publisher(folder=str(published)),
                    "clock": Clock(),
                },
            )
        return {found.check_name: found for found in result.get_asset_check_evaluations()}

    return run


def test_an_outcome_becomes_a_result_with_severity_words_and_facts(evaluate) -> None:
    found = evaluate("ETHUSDT")

    assert found["good"].passed
    assert found["good"].description == "ETHUSDT is good"
    assert found["good"].metadata["bars"].value == 3
    assert not found["odd"].passed
    assert found["odd"].severity is WARN


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


def test_results_are_kept_per_symbol() -> None:
    (spec, *_) = checks_of("step", RULES, SYMBOLS).check_specs

    assert spec.partitions_def == SYMBOLS

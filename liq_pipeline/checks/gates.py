"""Does the map still do what we claim? The gates of issue 5 on the newest data."""

import json
from pathlib import Path

from liq_pipeline.checks.rule import WARN, Outcome, Rule, Subject
from liq_pipeline.validation.report import DATA_NAME, reports_of


def gates_hold(subject: Subject) -> Outcome:
    """Every gate of every report of the symbol holds; without a report nothing is claimed."""
    reports = reports_of(Path(subject.publisher.folder), subject.symbol)
    failed, passed = [], 0
    for folder in reports:
        content = json.loads((folder / DATA_NAME).read_text(encoding="utf-8"))
        for gate in content["gates"]:
            if gate["passed"]:
                passed += 1
            else:
                failed.append(f"{content['source']}: gate {gate['number']} ({gate['statement']}): {gate['found']}")
    text = "\n".join(failed) or f"{passed} gates of {len(reports)} reports hold"
    return Outcome(not failed, text, WARN, {"gates_passed": passed, "gates_failed": len(failed)})


def gate_rules() -> list[Rule]:
    """Return the rule that warns when the model has lost its skill."""
    return [
        Rule(
            "model_validation",
            "model_passes_its_gates",
            gates_hold,
            "The gates of the validation hold on the newest data: WARN where the map does not do what is claimed.",
        )
    ]

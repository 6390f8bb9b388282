"""Does the map still do what we claim? The gates of the validation on the newest data."""

import json
from pathlib import Path

from liq_pipeline.transform.rules.rule import WARN, Outcome, Rule, Subject
from liq_pipeline.validation.report import DATA_NAME, problems_of, reports_of


def gates_hold(subject: Subject) -> Outcome:
    """Every gate of every report of the symbol holds, and all truth that was named was scored.

    Without truth nothing is claimed. A report of an earlier run whose file is gone says nothing of today.
    """
    published = Path(subject.publisher.folder)
    not_scored, odd = problems_of(published, subject.symbol)
    wrong, passed, failed, reports = [*odd], 0, 0, 0
    for folder in reports_of(published, subject.symbol):
        source = folder.name.removeprefix("source=")
        content = json.loads((folder / DATA_NAME).read_text(encoding="utf-8"))
        if source in not_scored:
            last = content.get("facts", {}).get("last_step", "an earlier run")
            not_scored[source] += f" The report in {folder} is older: it goes up to {last}."
            continue
        reports += 1
        if content.get("facts", {}).get("coverage_is_unknown"):
            wrong.append(
                f"{content['source']}: a recording without coverage: nobody knows when the recorder listened, so bars "
                "without an order count as zero"
            )
        for gate in content["gates"]:
            passed += bool(gate["passed"])
            failed += not gate["passed"]
            if not gate["passed"]:
                wrong.append(f"{content['source']}: gate {gate['number']} ({gate['statement']}): {gate['found']}")
    wrong = [*not_scored.values(), *wrong]
    facts = {"gates_passed": passed, "gates_failed": failed, "sources_not_scored": len(not_scored)}
    return Outcome(not wrong, "\n".join(wrong) or f"{passed} gates of {reports} reports hold", WARN, facts)


def gate_rules() -> list[Rule]:
    """Return the rule that warns when the model has lost its skill, or nobody can tell."""
    return [
        Rule(
            "model_validation",
            "model_passes_its_gates",
            gates_hold,
            "The gates of the validation hold on the newest data: WARN where the map does not do what is claimed, and "
            "where reported liquidations that LIQ_TRUTH names could not be scored.",
        )
    ]

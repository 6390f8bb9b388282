"""Does the map still do what we claim? The gates of the validation on the newest data."""

import json
from pathlib import Path

from liq_pipeline.published.if_reached import DATASET, fits_of
from liq_pipeline.published.layout import dataset_path
from liq_pipeline.published.manifests import read_manifest
from liq_pipeline.transform.rules.rule import WARN, Outcome, Rule, Subject
from liq_pipeline.validation.brackets import read_tests
from liq_pipeline.validation.report import DATA_NAME, problems_of, reports_of

LEAST_COVERED, MOST_COVERED = 0.72, 0.88


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


def brackets_agree(subject: Subject) -> Outcome:
    """The maintenance margin that the model uses lies in the interval of the one that forced orders speak for."""
    found = read_tests(Path(subject.publisher.folder), subject.symbol)
    told = [f"{source}: {one['said']}" for source, one in found.items()]
    wrong = [line for line, one in zip(told, found.values(), strict=True) if not one["agrees"]]
    if wrong:
        wrong.append("To do: import newer brackets: liq brackets import FILE")
    return Outcome(not wrong, "\n".join(wrong or told) or "no forced order is known: nothing to test with", WARN)


def ranges_cover(subject: Subject) -> Outcome:
    """Of every fit that is shown, the range held about eight of ten past cases."""
    manifest = read_manifest(dataset_path(Path(subject.publisher.folder), DATASET, subject.symbol))
    fits = fits_of(manifest) if manifest else []
    told = [
        f"{one.source}, {one.horizon_hours} h: {one.coverage_80:.3f} of {one.cases} past cases" for one in fits
    ]  # fmt: skip
    wrong = [
        line for line, one in zip(told, fits, strict=True)
        if one.is_shown and not LEAST_COVERED <= one.coverage_80 <= MOST_COVERED
    ]  # fmt: skip
    lost = [f"not fitted: {line}" for line in (manifest or {}).get("not_fitted", {}).values()]
    expected = f"expected {LEAST_COVERED:g} to {MOST_COVERED:g} in the 80 % range"
    said = "\n".join([*wrong, *([expected] if wrong else []), *lost] or told) or "no reported liquidations: no range"
    return Outcome(not wrong and not lost, said, WARN)


def gate_rules() -> list[Rule]:
    """Return the rules that warn when the model has lost its skill, or its brackets are wrong, or nobody can tell."""
    return [
        Rule(
            DATASET,
            "ranges_cover_eight_of_ten_cases",
            ranges_cover,
            "Past cases, each day fitted on the days before, lay in the 80 % range as often as that says: WARN outside "
            ".72 to .88, and where a source of reported liquidations could not be fitted.",
        ),
        Rule(
            "bracket_evidence",
            "brackets_agree_with_forced_orders",
            brackets_agree,
            "The maintenance margin of the first bracket lies in the interval of the one under which most forced "
            "orders were triggered inside their own bar: WARN where it does not.",
        ),
        Rule(
            "model_validation",
            "model_passes_its_gates",
            gates_hold,
            "The gates of the validation hold on the newest data: WARN where the map does not do what is claimed, and "
            "where reported liquidations that LIQ_TRUTH names could not be scored.",
        ),
    ]

"""`docs/checks.md`: each check beside the fault that it catches. Generated from the rules and the planted faults.

`make docs` writes it anew.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from liq_pipeline.orchestration.assets.archive import archive_assets
from liq_pipeline.orchestration.assets.recent import recent_assets
from liq_pipeline.transform.rules.rule import Rule, Subject
from liq_pipeline.warehouse.tables import Tables
from liq_pipeline_tests.transform.rules.faults import FAULTS, RULES, Fault, plant

HEAD = """# Each check beside the fault it catches

Generated from the rules (`liq_pipeline/transform/rules/`) and the tests that plant the faults
(`liq_pipeline_tests/transform/rules/faults.py`): `make docs` writes this page, a test compares it.

A check's name is a statement that holds when it passes. Each is tested twice: it passes on good data, and fails on the
fault below, with the words below (of the first asset that it guards; numbers are those of the simulated exchange).
**Blocking**: nothing downstream is made, and nothing is published, while it fails with severity ERROR.

There are {checks} checks: {rules} rules ({statements} statements about {assets} assets), and {own} that assets of the
archive and of REST make themselves, tested beside them: {names}.
"""
LONGEST = 400  # characters of a message


def test_the_page_shows_every_check_with_its_fault_and_what_it_says(
    subject: Subject, repository: Path, pytestconfig: pytest.Config
) -> None:
    text = page(subject)
    path = repository / "docs" / "checks.md"
    if pytestconfig.getoption("update_docs"):
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text, "docs/checks.md is out of date. To do: make docs"


def page(subject: Subject) -> str:
    """Return the page."""
    by_statement: dict[str, list[Rule]] = {}
    for rule in RULES.values():
        by_statement.setdefault(rule.name, []).append(rule)
    symbols = dg.StaticPartitionsDefinition([subject.symbol])
    own = [key for asset in (*archive_assets(symbols), *recent_assets(symbols)) for key in asset.check_keys]
    head = HEAD.format(
        checks=len(RULES) + len(own),
        rules=len(RULES),
        statements=len(by_statement),
        assets=len({rule.asset for rule in RULES.values()}),
        own=len(own),
        names=", ".join(f"`{name}`" for name in sorted({key.name for key in own})),
    )
    sections = [section(rules, subject) for _, rules in sorted(by_statement.items())]
    return "\n".join([head, *sections])


def section(rules: list[Rule], subject: Subject) -> str:
    """Return what the page says of one statement, whichever assets it guards."""
    rule = rules[0]
    fault = FAULTS[rule.asset, rule.name]
    severity = f"{fault.severity}, blocking" if rule.blocking else fault.severity
    return "\n".join(
        [
            f"## {rule.name}",
            "",
            f"**Guards** {', '.join(f'`{one.asset}`' for one in rules)} ({severity}).",
            rule.description,
            "",
            "**Planted fault**",
            "",
            planted(fault),
            "",
            "**It says**",
            "",
            f"> {said(rule, fault, subject)}",
            "",
        ]
    )


def planted(fault: Fault) -> str:
    """Return a fault as people read it: SQL as it stands, else in words."""
    if callable(fault.plant):
        return inspect.getdoc(fault.plant) or ""
    statements = ";\n".join(part.strip() for part in fault.plant.split(";"))
    return f"```sql\n{statements}\n```"


def said(rule: Rule, fault: Fault, subject: Subject) -> str:
    """Plant a fault, return what the check says, and undo it."""
    broken = replace(subject, tables=Tables(subject.tables.connection, subject.tables.files))
    with pytest.MonkeyPatch.context() as patch:
        broken.tables.connection.begin()
        try:
            plant(fault, broken, patch)
            outcome = rule.apply(broken)
        finally:
            broken.tables.connection.rollback()
    assert not outcome.passed
    text = re.sub(r"/\S*/published/", "data/published/", outcome.found).replace("\n", "  \n> ")
    return text if len(text) <= LONGEST else f"{text[:LONGEST].rsplit(' ', 1)[0]} …"


def test_every_fault_that_is_not_sql_says_in_words_what_it_is() -> None:
    unsaid = {fault.plant.__name__ for fault in FAULTS.values() if callable(fault.plant) and not fault.plant.__doc__}

    assert not unsaid

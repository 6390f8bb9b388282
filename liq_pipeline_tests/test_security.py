"""SECURITY.md says what the code does."""

from __future__ import annotations

import re
from functools import reduce
from importlib import import_module
from pathlib import Path


def test_every_limit_is_that_of_the_code(repository: Path) -> None:
    rows = re.findall(
        r"^\| [^|]+ \| ([\d,]+) \| `([\w.]+)` \|$", (repository / "SECURITY.md").read_text(), re.MULTILINE
    )
    assert len(rows) >= 15
    for shown, name in rows:
        parts = name.split(".")
        module = import_module("liq_pipeline." + ".".join(parts[:2]))
        assert reduce(getattr, parts[2:], module) == int(shown.replace(",", "")), name


def test_the_tests_and_commands_it_names_are_there(repository: Path) -> None:
    text = (repository / "SECURITY.md").read_text()
    makefile = (repository / "Makefile").read_text()
    for target in re.findall(r"`make (\w+)", text):
        assert f"\n{target}:" in makefile
    for name in re.findall(r"`(?:liq_pipeline_tests/)?([\w/]*test_\w+\.py)`", text):
        assert list((repository / "liq_pipeline_tests").rglob(Path(name).name)), name

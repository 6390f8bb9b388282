"""The documents say what is there: links lead somewhere, paths exist, every room is described."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from liq_pipeline_tests.conftest import REPOSITORY

PACKAGE = REPOSITORY / "liq_pipeline"
DOCUMENTS = sorted(
    path
    for path in [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")]
    if path.name != "exchange.md"  # its brackets are references of another kind
)
ROOMS = sorted(path.parent for path in PACKAGE.rglob("__init__.py") if path.parent != PACKAGE)


def named(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_link_and_every_path_leads_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text) if "://" not in link]
    paths = re.findall(r"`((?:liq_pipeline|liq_pipeline_tests|benchmarks|docs)/[\w/.-]+?)`", text)

    assert not [link for link in links if not (document.parent / link).exists()]
    assert not [path for path in paths if not (REPOSITORY / path).exists()]


@pytest.mark.parametrize("room", ROOMS, ids=named)
def test_every_room_says_what_belongs_there_and_what_belongs_elsewhere(room: Path) -> None:
    said = ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8")))
    assert said
    first, _, elsewhere = said.partition("\n\n")

    assert len(first.splitlines()) == 1
    assert elsewhere.startswith("Not here: ")
    others = re.findall(r"`([\w.]+)`", elsewhere)
    assert others or "each calls" in elsewhere
    for other in others:
        place = PACKAGE / other.removesuffix(".py").replace(".", "/")
        assert place.is_dir() or place.with_suffix(".py").exists(), other


def test_the_architecture_lists_every_room_and_every_module_at_the_top() -> None:
    text = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
    rooms = {f"{path.name}/" for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    modules = {path.name for path in PACKAGE.glob("*.py") if not path.name.startswith("__")}

    assert not [name for name in rooms | modules if not re.search(rf"^  {re.escape(name)} ", text, re.MULTILINE)]

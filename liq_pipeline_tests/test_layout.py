"""The code stays readable: no module over 300 lines, tests too; no function over 60 but for compiled kernels."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from liq_pipeline_tests.conftest import REPOSITORY

MODULES = sorted((REPOSITORY / "liq_pipeline").rglob("*.py"))
LINES_OF_A_MODULE, LINES_OF_A_FUNCTION = 300, 60
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_modules_and_functions_are_short(module: Path) -> None:
    text = module.read_text(encoding="utf-8")

    assert len(text.splitlines()) <= LINES_OF_A_MODULE
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, FUNCTIONS)]
    assert not [one.name for one in functions if own_lines(one) > LINES_OF_A_FUNCTION and not is_compiled(one)]


def test_modules_of_tests_are_short() -> None:
    modules = [path for folder in ("liq_pipeline_tests", "benchmarks") for path in (REPOSITORY / folder).rglob("*.py")]

    assert len(modules) > 100
    long = {str(path): len(path.read_text(encoding="utf-8").splitlines()) for path in modules}
    assert not {path: lines for path, lines in long.items() if lines > LINES_OF_A_MODULE}


def own_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the lines of a function without those of the functions in it, which count by themselves."""
    inner = [node for node in ast.walk(function) if isinstance(node, FUNCTIONS) and node is not function]
    return length(function) - sum(length(one) for one in inner)


def length(node: ast.stmt) -> int:
    return (node.end_lineno or 0) - node.lineno + 1


def is_compiled(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any("compiled" in ast.unparse(decorator) for decorator in function.decorator_list)

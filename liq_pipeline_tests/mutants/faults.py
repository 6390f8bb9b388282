"""Where a small fault can be put into a module or a statement of SQL, and what the text is with it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

OPERATORS: dict[type[ast.AST], tuple[str, str]] = {
    ast.Lt: ("<", "<="), ast.LtE: ("<=", "<"), ast.Gt: (">", ">="), ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="), ast.NotEq: ("!=", "=="), ast.In: ("in", "not in"), ast.NotIn: ("not in", "in"),
    ast.Is: ("is", "is not"), ast.IsNot: ("is not", "is"),
    ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "/"), ast.Div: ("/", "*"), ast.FloorDiv: ("//", "*"),
    ast.Mod: ("%", "*"), ast.BitAnd: ("&", "|"), ast.BitOr: ("|", "&"), ast.And: ("and", "or"), ast.Or: ("or", "and"),
}  # fmt: skip
CALLS = {"any": "all", "all": "any", "min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum"}
IN_SQL = (
    (r"\bAND\b", "OR"), (r"\bOR\b", "AND"), (r"<=", "<"), (r">=", ">"), (r"(?<![<>=])<(?![=>])", "<="),
    (r"(?<![<>=-])>(?![=])", ">="), (r"(?<![<>!])=(?!=)", "<>"), (r" \+ ", " - "), (r" - ", " + "), (r" \* ", " / "),
    (r"\bmax\(", "min("), (r"\bmin\(", "max("), (r"ORDER BY [^)\n]*$", ""), (r"IS NOT NULL", "IS NULL"),
    (r"\barg_min\b", "arg_max"), (r"\bleast\b", "greatest"), (r" / ", " * "), (r"\bLEFT JOIN\b", "JOIN"),
)  # fmt: skip


TUNABLE = re.compile(
    r"SECONDS|BYTES|SEED|PAUSE|TIMEOUT|ATTEMPTS|BATCH|PER_READ|BACKLOG|KEPT|OPEN_FILES|WORKER|LOOKBACK|AT_ONCE|ROUNDS|DRAWS|"
    r"MOST_(ROWS|COLUMNS|SHOWN|TEXT|PAGES|REJECTS|UNSAVED|REMEMBERED|LOOKS|ORIGINS|ORDERS)|PLAIN_WIDTH|"
    r"RETRY|BACKOFF|CHUNK|MAXSIZE|^_(AGE|LEVEL|BIN)$|EXAMPLE",
    re.IGNORECASE,
)
"""Names of times to wait, sizes of buffers and samples, limits of machinery, examples in documentation: no behaviour
depends on the exact number."""


@dataclass(frozen=True)
class Mutant:
    """One fault.

    Attributes:
        path: file, relative to the checkout.
        line: from 1.
        was, becomes: the part that changes.
        text: the whole file with the fault.
        is_compiled: whether it lies in a function that numba compiles.
    """

    path: Path
    line: int
    was: str
    becomes: str
    text: str
    is_compiled: bool = False

    @property
    def room(self) -> str:
        """Room of the package."""
        return self.path.parts[1] if len(self.path.parts) > 2 else "top"


def mutants_of(path: Path, root: Path) -> Iterator[Mutant]:
    """Yield every fault that a file can have."""
    text = (root / path).read_text(encoding="utf-8")
    is_sql = path.suffix == ".sql"
    compiled = set() if is_sql else _compiled_lines(text)
    for start, end, becomes in _in_sql(text) if is_sql else _in_python(text):
        changed, line = text[:start] + becomes + text[end:], text.count("\n", 0, start) + 1
        yield Mutant(path, line, text[start:end], becomes, changed, line in compiled)


def _compiled_lines(text: str) -> set[int]:
    functions = (node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef))
    return {
        line
        for function in functions
        if any(ast.unparse(one).startswith("compiled(") for one in function.decorator_list)
        for line in range(function.lineno, (function.end_lineno or 0) + 1)
    }


def _in_sql(text: str) -> Iterator[tuple[int, int, str]]:
    for line in re.finditer(r"^(?!\s*--|COMMENT).*$", text, re.MULTILINE):
        for pattern, becomes in IN_SQL:
            for found in re.finditer(pattern, line[0]):
                yield line.start() + found.start(), line.start() + found.end(), becomes


def _in_python(text: str) -> Iterator[tuple[int, int, str]]:
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line.encode()))
    raw = text.encode()

    def place(line: int, column: int) -> int:
        return len(raw[: starts[line - 1] + column].decode())

    for node in _behaviour(ast.parse(text)):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            pairs = [(op, sides[i], sides[i + 1]) for i, op in enumerate(node.ops)]
        elif isinstance(node, ast.BinOp):
            pairs = [(node.op, node.left, node.right)]
        elif isinstance(node, ast.BoolOp):
            pairs = [(node.op, node.values[0], node.values[1])]
        else:
            yield from _leaf(node, place)
            continue
        for operator, left, right in pairs:
            was, becomes = OPERATORS.get(type(operator), ("", ""))
            start, end = place(left.end_lineno or 0, left.end_col_offset or 0), place(right.lineno, right.col_offset)
            at = text.find(was, start, end) if was else -1
            if at >= 0 and not any(isinstance(side, ast.JoinedStr) or _is_text(side) for side in (left, right)):
                yield at, at + len(was), becomes


def _leaf(node: ast.AST, place) -> Iterator[tuple[int, int, str]]:  # type: ignore[no-untyped-def]
    if isinstance(node, ast.Constant) and type(node.value) in (bool, int, float):
        start, end = place(node.lineno, node.col_offset), place(node.end_lineno or 0, node.end_col_offset or 0)
        yield start, end, str(not node.value) if isinstance(node.value, bool) else f"({node.value!r} + 1)"
    elif isinstance(node, ast.Call):
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        if name in CALLS:
            end = place(node.func.end_lineno or 0, node.func.end_col_offset or 0)
            yield end - len(name), end, CALLS[name]
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        start = place(node.lineno, node.col_offset)
        yield start, start + 3, ""
    elif isinstance(node, ast.AugAssign) and type(node.op) in OPERATORS:
        was, becomes = OPERATORS[type(node.op)]
        end = place(node.value.lineno, node.value.col_offset)
        yield end - len(was) - 2, end - 2, becomes


def _behaviour(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that change what happens: no annotations, messages, declared metadata or tunables."""
    for name, value in ast.iter_fields(tree):
        if name in ("annotation", "returns", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or isinstance(child, ast.JoinedStr | ast.Raise | ast.Subscript):
                continue
            if isinstance(child, ast.keyword) and child.arg in (
                "help",
                "description",
                "remedy",
                "expected",
                "fontsize",
            ):
                continue
            if any(TUNABLE.search(name) for name in _named(child)):
                continue
            yield child
            yield from _behaviour(child)


def _named(node: ast.AST) -> list[str]:
    """Return the names that are given a value here, if it is one written out."""
    if isinstance(node, ast.keyword):
        return [node.arg or ""] if isinstance(node.value, ast.Constant) else []
    if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
        return []
    if any(isinstance(part, ast.Name | ast.Call) for part in ast.walk(node.value)):
        return []
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return [part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)]


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)

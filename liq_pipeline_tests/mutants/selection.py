"""Which tests can notice a mutant: those that execute its line, as one recorded run of the tests has seen."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path

from coverage import CoverageData

from liq_pipeline_tests.mutants.faults import Mutant

TESTS = "liq_pipeline_tests"
MORE = {
    "exchange": ("transform",), "warehouse": ("transform", "cli"), "model": ("validation", "transform"),
    "transform": ("warehouse",), "published": ("server", "cli"), "views": ("server",), "top": ("cli", "exchange"),
    "alerts": ("orchestration",), "cli": ("system",),
}  # fmt: skip
"""Rooms whose tests are run, too, where the recording cannot tell: compiled functions, and what runs at import."""


class Selection:
    """What a recording tells.

    Attributes:
        seconds: how long each test takes that passed.
        users: tests by the fixture that they share.
        lines: who executes a line: tests and shared fixtures by (file, line).
    """

    def __init__(self, root: Path, folder: Path) -> None:
        self.root = root
        self.recorded_at = (folder / "done").stat().st_mtime
        self.seconds: dict[str, float] = {}
        self.users: dict[str, set[str]] = defaultdict(set)
        for path in folder.glob("tests.*.json"):
            told = json.loads(path.read_text(encoding="utf-8"))
            self.seconds |= told["seconds"]
            for test, fixtures in told["fixtures"].items():
                for name in fixtures:
                    self.users[f"fixture {name}"].add(test)
        self.lines: dict[tuple[str, int], set[str]] = defaultdict(set)
        for path in folder.glob("lines.*"):
            data = CoverageData(str(path))
            data.read()
            for file in data.measured_files():
                for line, contexts in data.contexts_by_lineno(file).items():
                    self.lines[file[file.rindex("/liq_pipeline/") + 1 :], line].update(contexts)

    def tests_of(self, mutant: Mutant, most_seconds: float) -> tuple[dict[str, list[str]], bool]:
        """Return tests by file, the likeliest first, as many as take so long; and whether a shared fixture changes."""
        runners = set[str]().union(*(self.lines[place] for place in self._places(mutant))) - {""}
        shared = {name for name in runners if name.startswith("fixture ")}
        tests = (runners - shared).union(*(self.users[name] for name in shared)) & self.seconds.keys()
        unseen = not runners or mutant.is_compiled
        if unseen:
            rooms = tuple(f"{TESTS}/{room}/" for room in (mutant.room, *MORE.get(mutant.room, ())))
            tests = {test for test in self.seconds if test.startswith(rooms) or test.count("/") == 1}
        by_file: dict[str, list[str]] = defaultdict(list)
        for test in sorted(tests, key=lambda test: self.seconds[test]):
            by_file[test.partition("::")[0]].append(test)
        module = mutant.path.stem if mutant.path.suffix == ".sql" else ".".join(mutant.path.with_suffix("").parts)

        def distance(file: str) -> tuple[bool, bool, bool, float]:
            text = (self.root / file).read_text(encoding="utf-8")
            cost = sum(self.seconds[test] for test in by_file[file])
            return mutant.path.stem not in Path(file).stem, module not in text, f"/{mutant.room}/" not in file, cost

        chosen: dict[str, list[str]] = {}
        spent = 0.0
        for file in sorted((file for file in by_file if (self.root / file).exists()), key=distance):
            for test in by_file[file]:
                spent += self.seconds[test] + 0.02  # of pytest itself
                if spent <= most_seconds:
                    chosen.setdefault(file, []).append(test)
        return chosen, bool(shared) or unseen

    def newer_files(self, mutant: Mutant) -> list[str]:
        """Return files of tests that are newer than the recording: all of them run."""
        files = (self.root / TESTS).rglob("test_*.py")
        newer = [file for file in files if file.stat().st_mtime > self.recorded_at]
        return [str(file.relative_to(self.root)) for file in sorted(newer) if mutant.room in (*file.parts, "top")]

    def _places(self, mutant: Mutant) -> list[tuple[str, int]]:
        """Return the line of a mutant; of a statement of SQL the lines that name its file."""
        if mutant.path.suffix != ".sql":
            return [(str(mutant.path), mutant.line)]
        name = re.compile(rf"[\"']{mutant.path.stem}[\"']")
        return [
            (str(path.relative_to(self.root)), number)
            for path in (self.root / "liq_pipeline").rglob("*.py")
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
            if name.search(line)
        ]

"""`make mutants`: sample small faults, one at a time, and count those that no test notices.

The tests run once, recorded: which executes which line, and how long it takes. For each mutant then run those that
execute its line, nearest by name first, and files of tests that are newer; where the recording cannot tell (compiled
functions, what runs at import), the tests of its room. Each runs in a copy of the checkout. What tests in other
processes execute is not recorded, and a mutant has --seconds of tests: the share killed is a lower bound. Not in CI.

Left out, since no test could or should tell: annotations, messages, metadata, numbers of the pictures' design, the page
and the simulator, and tunables (faults.TUNABLE). Other faults that change nothing that anybody could see count as
survivors here; read the list.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from random import Random

from liq_pipeline_tests.mutants.faults import Mutant, mutants_of
from liq_pipeline_tests.mutants.selection import Selection

REPOSITORY = Path(__file__).parents[2]
LEFT_OUT = ("views/static", "simulator")
"""The page has tests in a browser only; the simulator is itself a tool of tests. Of views, numbers: they are design."""
HANGS_AFTER_SECONDS = 600
LEAST_OF_A_ROOM = 6


def sampled(count: int, seed: int, rooms: list[str], at: list[str]) -> list[Mutant]:
    """Return so many mutants of all rooms, and some of each room; with `at` those at these lines, file:line."""
    files = [
        path.relative_to(REPOSITORY)
        for suffix in ("*.py", "*.sql")
        for path in sorted((REPOSITORY / "liq_pipeline").rglob(suffix))
    ]
    every = [
        mutant
        for path in files
        if not any(part in str(path) for part in LEFT_OUT)
        for mutant in mutants_of(path, REPOSITORY)
        if (not rooms or mutant.room in rooms) and not (mutant.room == "views" and mutant.becomes.endswith("+ 1)"))
    ]
    if at:
        return [mutant for mutant in every if f"{mutant.path}:{mutant.line}" in at]
    shuffled = Random(seed).sample(every, len(every))
    chosen, further = shuffled[:count], shuffled[count:]
    for room in sorted({mutant.room for mutant in every}):
        lacking = max(0, min(LEAST_OF_A_ROOM, count) - sum(mutant.room == room for mutant in chosen))
        chosen += [mutant for mutant in further if mutant.room == room][:lacking]
    return chosen


class Trial:
    """Copies of the checkout, in which tests run."""

    def __init__(self, place: Path, kept: Path, jobs: int, seconds: float) -> None:
        self.kept, self.seconds = kept, seconds
        self.copies: Queue[Path] = Queue()
        for number in range(jobs):
            copy = place / str(number) / "project"
            shutil.copytree(REPOSITORY, copy, ignore=shutil.ignore_patterns(".venv", "data", ".git", ".*_cache"))
            (copy.parent / "shared").symlink_to(REPOSITORY.parent / "shared")
            self.copies.put(copy)
        package = max(
            path.stat().st_mtime for path in (REPOSITORY / "liq_pipeline").rglob("*.*") if path.suffix != ".pyc"
        )
        if not (kept / "done").exists() or (kept / "done").stat().st_mtime < package:
            self._record(jobs)
        self.selection = Selection(REPOSITORY, kept)

    def _record(self, jobs: int) -> None:
        print("Recording which test executes which line: longer than `make test`: whole runs, too.", flush=True)
        shutil.rmtree(self.kept, ignore_errors=True)
        self.kept.mkdir(parents=True)
        copy = self.copies.get()
        # With "=": pytest would take the value of an option that a conftest.py adds for a place to look for tests.
        options = f"--record={self.kept}", f"--made-once={self.kept / 'made'}"
        failed = self._tests(copy, *options, "-n", jobs, "--dist", "worksteal")
        if not any(self.kept.glob("tests.*.json")):
            raise SystemExit(f"No test was recorded, so no mutant could be killed. pytest: {failed or 'nothing ran'}")
        if failed:
            print(f"A test fails without any mutant, and will not be asked: {failed}", flush=True)
        self.copies.put(copy)
        (self.kept / "done").touch()

    def killer_of(self, mutant: Mutant) -> str:
        """Return the first test that noticed the fault; empty: none did."""
        chosen, changes_what_is_shared = self.selection.tests_of(mutant, self.seconds)
        chosen = {file: [] for file in self.selection.newer_files(mutant)} | chosen
        if not chosen:
            return ""
        copy = self.copies.get()
        path, listed, compiled = copy / mutant.path, copy.parent / "chosen.json", copy.parent / "compiled"
        good = path.read_text(encoding="utf-8")
        path.write_text(mutant.text, encoding="utf-8")
        listed.write_text(json.dumps(chosen), encoding="utf-8")
        options = [] if changes_what_is_shared else [f"--made-once={self.kept / 'made'}"]
        # numba keeps what it compiled by file, and knows nothing of a changed function of another file that it calls.
        environment = {"NUMBA_CACHE_DIR": str(compiled)} if mutant.is_compiled else {}
        try:
            return self._tests(copy, "-x", "--chosen", listed, *options, *chosen, **environment)
        finally:
            path.write_text(good, encoding="utf-8")
            shutil.rmtree(compiled, ignore_errors=True)
            self.copies.put(copy)

    def _tests(self, copy: Path, *options: object, **variables: str) -> str:
        command = [sys.executable, "-m", "pytest", "-q", "-rfE", "--tb=no", "-p", "no:cacheprovider", "-p",
                   "liq_pipeline_tests.mutants.plugin", "-m", "not slow and not browser", "--timeout=120",
                   *map(str, options)]  # fmt: skip
        # Bytecode of its own, kept: of a mutant and its original alike in size, written in one second, none could
        # be told from the other; a run takes longer than that.
        environment = os.environ | variables
        environment |= {"PYTHONPATH": str(copy), "PYTHONPYCACHEPREFIX": str(copy.parent / "bytecode")}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        time = HANGS_AFTER_SECONDS if "--chosen" in options else None
        try:
            done = subprocess.run(
                command, cwd=copy, env=environment, capture_output=True, text=True, timeout=time, check=False
            )
        except subprocess.TimeoutExpired:
            return "time"
        failed = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
        return "" if done.returncode in (0, 5) else failed[1] if failed else f"exit code {done.returncode}"


def main() -> int:
    """Return 1 if a room has fewer than 80 of 100 killed."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("--count", type=int, default=150)
    parser.add_argument("--seed", type=int, default=20261127)
    parser.add_argument("--room", action="append", default=[])
    parser.add_argument("--at", action="append", default=[], help="file:line; instead of a sample")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seconds", type=float, default=90, help="of tests for each mutant")
    given = parser.parse_args()
    chosen = sampled(given.count, given.seed, given.room, given.at)
    killed: Counter[str] = Counter()
    total = Counter(mutant.room for mutant in chosen)
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(given.jobs) as pool:
        trial = Trial(Path(name), REPOSITORY / ".venv" / "mutants", given.jobs, given.seconds)

        def run(mutant: Mutant) -> None:
            killer = trial.killer_of(mutant)
            killed[mutant.room] += bool(killer)
            what = "killed  " if killer else "SURVIVED"
            print(f"{what} {mutant.path}:{mutant.line}: {mutant.was!r} -> {mutant.becomes!r} {killer}", flush=True)

        list(pool.map(run, chosen))
    for room in sorted(total):
        print(f"{room:14} {killed[room]:3} of {total[room]:3} killed, {killed[room] / total[room]:.0%}")
    print(f"{'all':14} {killed.total():3} of {total.total():3} killed, {killed.total() / total.total():.0%}")
    return int(any(killed[room] < 0.8 * total[room] for room in total))


if __name__ == "__main__":
    sys.exit(main())

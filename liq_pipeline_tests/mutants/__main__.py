"""`make mutants`: sample small faults, one at a time, and count those that no test notices.

Each runs in a copy of the checkout. First the test files that import the mutated module, then the tests of its room.
Not in CI: a hundred take half an hour. Faults that change nothing that anybody could see count as survivors here;
read the list.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from random import Random

from liq_pipeline_tests.conftest import REPOSITORY
from liq_pipeline_tests.mutants.faults import Mutant, mutants_of

TESTS = Path("liq_pipeline_tests")
LEFT_OUT = ("views/static", "simulator")
"""The page has tests in a browser only; the simulator is itself a tool of tests. Of views, numbers: they are design."""
MORE = {
    "exchange": ("transform",), "warehouse": ("transform", "cli"), "model": ("validation", "transform"),
    "transform": ("warehouse",), "published": ("server", "cli"), "views": ("server",), "top": ("cli", "exchange"),
    "alerts": ("orchestration",), "cli": ("system",),
}  # fmt: skip
SECONDS = 600


def sampled(count: int, seed: int, rooms: list[str]) -> list[Mutant]:
    """Return mutants, as many of each room as it has lines among all."""
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
    return Random(seed).sample(every, min(count, len(every)))


def tests_of(mutant: Mutant) -> list[list[str]]:
    """Return what to run, stage by stage; first the tests that bear its name, then those of its room."""
    module = ".".join(mutant.path.with_suffix("").parts)
    name = f"{mutant.path.stem}" if mutant.path.suffix == ".sql" else module
    found = [path for path in (REPOSITORY / TESTS).rglob("test_*.py") if name in path.read_text(encoding="utf-8")]

    def distance(path: Path) -> tuple[bool, bool, str]:
        return mutant.path.stem not in path.stem, mutant.room not in path.parts, str(path)

    near = [str(path.relative_to(REPOSITORY)) for path in sorted(found, key=distance)]
    folders = [TESTS / room for room in (mutant.room, *MORE.get(mutant.room, ()))]
    far = [str(folder) for folder in folders if (REPOSITORY / folder).is_dir()]
    if mutant.room == "top":
        far += [str(path.relative_to(REPOSITORY)) for path in sorted((REPOSITORY / TESTS).glob("test_*.py"))]
    return [stage for stage in (near, far) if stage]


def killed_by(mutant: Mutant, copy: Path) -> str:
    """Return what noticed the fault; empty: nothing did."""
    path = copy / mutant.path
    good = path.read_text(encoding="utf-8")
    path.write_text(mutant.text, encoding="utf-8")
    try:
        for number, tests in enumerate(tests_of(mutant), 1):
            command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-m",
                       "not slow and not browser", "--timeout=120", *tests]  # fmt: skip
            # Bytecode of its own, kept: of a mutant and its original alike in size, written in one second, none could
            # be told from the other; a run takes longer than that.
            environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONPYCACHEPREFIX": str(copy.parent / "bytecode")}
            environment.pop("PYTHONDONTWRITEBYTECODE", None)
            try:
                done = subprocess.run(
                    command, cwd=copy, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
                )
            except subprocess.TimeoutExpired:
                return "time"
            if done.returncode not in (0, 5):
                return f"stage {number}"
        return ""
    finally:
        path.write_text(good, encoding="utf-8")


def main() -> int:
    """Return 1 if a room has fewer than 80 of 100 killed."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("--count", type=int, default=150)
    parser.add_argument("--seed", type=int, default=20261127)
    parser.add_argument("--room", action="append", default=[])
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    chosen = sampled(given.count, given.seed, given.room)
    killed: Counter[str] = Counter()
    total = Counter(mutant.room for mutant in chosen)
    copies: Queue[Path] = Queue()
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(given.jobs) as pool:
        for number in range(given.jobs):
            copy = Path(name) / str(number) / "project"
            shutil.copytree(REPOSITORY, copy, ignore=shutil.ignore_patterns(".venv", "data", ".git", ".*_cache"))
            (copy.parent / "shared").symlink_to(REPOSITORY.parent / "shared")
            copies.put(copy)

        def run(mutant: Mutant) -> None:
            copy = copies.get()
            try:
                how = killed_by(mutant, copy)
            finally:
                copies.put(copy)
            killed[mutant.room] += bool(how)
            what = f"killed ({how})" if how else "SURVIVED"
            print(f"{what:18} {mutant.path}:{mutant.line}: {mutant.was!r} -> {mutant.becomes!r}", flush=True)

        list(pool.map(run, chosen))
    for room in sorted(total):
        print(f"{room:14} {killed[room]:3} of {total[room]:3} killed, {killed[room] / total[room]:.0%}")
    print(f"{'all':14} {killed.total():3} of {total.total():3} killed, {killed.total() / total.total():.0%}")
    return int(any(killed[room] < 0.8 * total[room] for room in total))


if __name__ == "__main__":
    sys.exit(main())

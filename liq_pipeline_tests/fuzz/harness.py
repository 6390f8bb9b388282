"""Feeds targets with inputs and keeps what breaks the promise.

The promise: the right rows or an error of ours, within 2 s and 512 MB. An input that breaks it is kept below `cases/`,
and replayed by the tests ever after.
"""

from __future__ import annotations

import hashlib
import importlib
import pkgutil
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from liq_pipeline.errors import LiqError
from liq_pipeline_tests.fuzz import targets as target_modules
from liq_pipeline_tests.fuzz.mutators import mutate

CASES = Path(__file__).with_name("cases")
MOST_SECONDS = 2.0
MOST_BYTES = 512 << 20
LEAST_INPUTS, LEAST_FILES = 50_000, 20_000  # of an overall run of 1,000,000


class Broken(AssertionError):
    """Accepted rows that cannot be."""


@dataclass(frozen=True)
class Target:
    """A parser under fire.

    Args:
        name: of the target; its cases lie in a folder of this name.
        seeds: good inputs.
        parse: reads one input; raises `Broken` where accepted rows break their rules.
        make: draws an input from a grammar; None: mutated seeds only.
        typed: errors besides `LiqError` that may come: those that the parser's one caller turns into a `LiqError`.
        is_file: whether inputs go over a file, which is slower.
    """

    name: str
    seeds: Sequence[bytes]
    parse: Callable[[bytes], object]
    make: Callable[[Random], bytes] | None = None
    typed: tuple[type[Exception], ...] = ()
    is_file: bool = False

    @property
    def least(self) -> int:
        """Inputs in an overall run."""
        return LEAST_FILES if self.is_file else LEAST_INPUTS

    def draw(self, rng: Random) -> bytes:
        """Return the next input."""
        kind = rng.random()
        if self.make and kind < 0.4:
            made = self.make(rng)
            return made if kind < 0.2 else mutate(rng, made, self.seeds, most=2)
        return mutate(rng, rng.choice(self.seeds), self.seeds)


@dataclass
class Tally:
    """What became of a target's inputs."""

    name: str
    inputs: int = 0
    accepted: int = 0
    refused: int = 0
    slowest: float = 0.0
    seconds: float = 0.0
    broken: dict[str, list[str]] = field(default_factory=dict)  # kind of fault -> inputs, by name of their case

    def line(self) -> str:
        """One line for people."""
        faults = ", ".join(f"{len(cases)} {kind}" for kind, cases in self.broken.items()) or "none"
        return (
            f"{self.name:24} {self.inputs:>9,} inputs  {self.accepted:>8,} accepted  {self.refused:>9,} refused  "
            f"slowest {1000 * self.slowest:7.1f} ms  faults: {faults}"
        )


def find_targets(workspace: Path) -> list[Target]:
    """Return the targets of every module below `targets/`.

    Args:
        workspace: folder for files that parsers read; best in memory.
    """
    names = sorted(module.name for module in pkgutil.iter_modules(target_modules.__path__))
    found = [importlib.import_module(f"{target_modules.__name__}.{name}").targets(workspace) for name in names]
    return [target for some in found for target in some]


def fault_of(target: Target, data: bytes) -> tuple[str, bool, float]:
    """Parse one input; return the kind of fault (empty: none), whether it was accepted, and the CPU seconds it took."""
    begin = time.process_time()  # of all threads; other programs on the machine do not count
    fault, accepted = "", False
    try:
        target.parse(data)
        accepted = True
    except (LiqError, *target.typed):
        pass
    except Broken as error:
        fault = f"rows that cannot be: {error}"
    except Exception as error:
        fault = f"untyped {type(error).__name__}: {str(error)[:120]}"
    return fault, accepted, time.process_time() - begin


def shoot(target: Target, rng: Random, tally: Tally, inputs: int, deadline: float) -> None:
    """Feed a target with `inputs` inputs, or until the deadline; keep those that break the promise."""
    for _ in range(inputs):
        if time.perf_counter() > deadline:
            return
        data = target.draw(rng)
        peak = _peak_bytes()
        fault, accepted, seconds = fault_of(target, data)
        if not fault and (grown := _peak_bytes() - peak) > MOST_BYTES:  # what is large is slow as well
            fault = f"large: {grown >> 20} MB"
        if not fault and seconds > MOST_SECONDS:
            fault = f"slow: {seconds:.1f} s"
        tally.inputs += 1
        tally.accepted += accepted
        tally.refused += not accepted and not fault
        tally.slowest, tally.seconds = max(tally.slowest, seconds), tally.seconds + seconds
        if fault:
            cases = tally.broken.setdefault(fault.split(":")[0], [])
            if len(cases) < 5:
                keep(target, data)
                print(f"{target.name}: {fault}\n    {data[:200]!r}", flush=True)
            cases.append(hashlib.sha256(data).hexdigest()[:12])


def keep(target: Target, data: bytes) -> Path:
    """Keep an input as a case."""
    path = CASES / target.name / f"{hashlib.sha256(data).hexdigest()[:12]}.bin"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def cases_of(target: Target) -> Iterator[Path]:
    """Yield the kept inputs of a target."""
    yield from sorted((CASES / target.name).glob("*.bin"))


def _peak_bytes() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

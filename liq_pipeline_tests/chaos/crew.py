"""`liq run --jobs N`, killed at random: the process that was started, one of its workers, or all of them."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import psutil

from liq_pipeline_tests.chaos.stage import Command, Stage, ends
from liq_pipeline_tests.chaos.witness import Reader, look

LIVES = 8  # kills of one state before it is run to its end
VICTIMS = ("its parent", "a worker", "all of it")
END_SECONDS = 15  # until workers whose parent was killed have ended, too
Found = Callable[[str, list[str]], None]


def crews(stage: Stage, kills: int, work: Path, rng: Random, found: Found) -> Iterator[Reader]:
    """Kill runs again and again, look after each kill, then let one end in peace; yield the readers of each state.

    Args:
        stage: of `set_crew_stage`.
        kills: how many.
        work: folder for states.
        rng: chooses whom and when.
        found: told what was done and what is wrong.
    """
    (command,) = stage.commands
    lasts, killed = command.seconds, 0
    while killed < kills:
        data = stage.copy(work / "crew")
        with Reader(data / "published", command.editions, command.symbols) as reader:
            for _ in range(min(LIVES, kills - killed)):
                victim = VICTIMS[killed % len(VICTIMS)]
                struck, wrong = _kill(command, data, victim, rng.uniform(0, 1) * lasts)
                for symbol in command.symbols:
                    wrong += look(data / "published", command.editions, symbol)
                found(f"{command.name}: {f'{victim} killed' if struck else 'ended before the kill'}", wrong)
                killed += struck
                if not struck:  # nothing is left to do there, and the machine is less busy than it was
                    lasts *= 0.8
                    break
            done = command.run(data)
        found(f"{command.name} run to its end after kills", ends(done, data, command))
        yield reader
        shutil.rmtree(data)


def _kill(command: Command, data: Path, victim: str, seconds: float) -> tuple[bool, list[str]]:
    """Kill the victim so long after the start, a worker once there is one; return whether it was, and what is wrong."""
    process = subprocess.Popen(
        command.line(data), env=command.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    moment = time.monotonic() + seconds
    while process.poll() is None and (
        time.monotonic() < moment or (victim == "a worker" and not workers_of(process.pid))
    ):
        time.sleep(0.02)
    workers = workers_of(process.pid)
    if process.poll() is not None or (victim == "a worker" and not workers):
        process.wait()
        return False, []
    if victim != "a worker":
        process.kill()
    for worker in {"its parent": [], "a worker": workers[:1], "all of it": workers}[victim]:
        worker.kill()
    process.wait(600)
    _, alive = psutil.wait_procs(workers, END_SECONDS)
    wrong = [f"left: worker {worker.pid} goes on" for worker in alive]
    if victim == "a worker" and process.returncode not in (0, 1):  # 0: it had nothing left to do
        wrong.append(f"untyped: exit code {process.returncode} though a worker was killed")
    return True, wrong


def workers_of(process: int) -> list[psutil.Process]:
    """Return the workers of a run."""
    try:
        children = psutil.Process(process).children()
        return [child for child in children if any("spawn_main" in part for part in child.cmdline())]
    except psutil.Error:  # it ended meanwhile
        return []

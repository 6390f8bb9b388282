"""`make chaos`: kills at random and before renames, commits and fsyncs; full and read-only disks; runs that collide."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

from liq_pipeline_tests.chaos.crew import crews
from liq_pipeline_tests.chaos.disk import full_disks, read_only
from liq_pipeline_tests.chaos.record import recordings
from liq_pipeline_tests.chaos.stage import Command, Stage, as_of, ends, set_crew_stage, set_stage
from liq_pipeline_tests.chaos.strike import Point, kill_at, points, spread, struck
from liq_pipeline_tests.chaos.witness import Reader, look

LIVES = 4  # kills of one state before it is run to its end


@dataclass
class Tally:
    """What was done and what was found."""

    done: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    views: Counter[str] = field(default_factory=Counter)

    def found(self, what: str, problems: list[str]) -> None:
        """Count what was done; keep and print what is wrong."""
        self.done[what] += 1
        print(f"{sum(self.done.values()):>5}  {what}", flush=True)
        for problem in problems:
            self.wrong.append(f"{what}: {problem}")
            print(f"  WRONG after {what}: {problem}", flush=True)

    def lines(self) -> list[str]:
        """For people."""
        kinds = Counter(wrong.split(": ")[1].split(" ")[0] for wrong in self.wrong)
        return [
            *(f"{count:>6}  {what}" for what, count in sorted(self.done.items())),
            *(f"{count:>6}  views of a reader: {what}" for what, count in sorted(self.views.items())),
            f"{len(self.wrong):>6}  faults  {', '.join(f'{count} {kind}' for kind, count in kinds.items())}",
        ]


def killed(stage: Stage, command: Command, strikes: list[Point | float], work: Path, tally: Tally) -> None:
    """Kill a command again and again on one state, look after each kill, then let it end in peace."""
    data = stage.copy(work / "killed")
    published, log = data / "published", work / "strace.log"
    with Reader(published, command.editions) as reader:
        for strike in strikes:
            if isinstance(strike, Point):
                kill_at(command, data, strike, log).wait()
                before = struck(log)
                what = f"{command.name} " + (f"killed before {before}" if before else "ended before the kill")
            else:
                process = subprocess.Popen(
                    command.line(data), env=command.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                )
                with suppress(subprocess.TimeoutExpired):
                    process.wait(strike)
                process.kill()
                what = f"{command.name} " + ("ended before the kill" if process.wait() >= 0 else "killed at random")
            tally.found(what, look(published, command.editions))
        done = command.run(data)
    tally.views += Counter({what.split(":")[0]: count for what, count in reader.seen.items()})
    tally.wrong += [f"{command.name}: {what}" for what in reader.seen if what.startswith(("torn", "mixed"))]
    tally.found(f"{command.name} run to its end after kills", ends(done, data, command))
    shutil.rmtree(data)


def collide(stage: Stage, command: Command, work: Path, tally: Tally) -> None:
    """Two at once; one of two is killed."""
    data = stage.copy(work / "two")
    with Reader(data / "published", command.editions) as reader:
        both = [
            subprocess.Popen(
                command.line(data),
                env=command.environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for _ in range(2)
        ]
        time.sleep(4)
        both[0].kill()
        for process in both:
            process.communicate()
        tally.found(f"{command.name} beside one that was killed", look(data / "published", command.editions))
        done = command.run(data)
    tally.views += Counter({what.split(":")[0]: count for what, count in reader.seen.items()})
    tally.found(f"{command.name} after two at once", ends(done, data, command))
    shutil.rmtree(data)


def clock_back(stage: Stage, command: Command, work: Path, tally: Tally) -> None:
    """Run it to its end, then with the clock set back by six hours, then with the clock right again."""
    data = stage.copy(work / "clock")
    command.run(data)
    place = command.arguments.index("--now") + 1
    earlier = datetime.fromisoformat(command.arguments[place]) - timedelta(hours=6)
    arguments = (*command.arguments[:place], earlier.isoformat(), *command.arguments[place + 1 :])
    done = replace(command, arguments=arguments).run(data)
    wrong = [f"untyped: {done.stdout[-600:]}{done.stderr[-600:]}"] if "Traceback" in done.stdout + done.stderr else []
    editions = command.editions | {as_of(data)}  # the map of six hours ago is a right one
    tally.found(f"{command.name} with the clock set back", wrong + look(data / "published", editions))
    tally.found(f"{command.name} with the clock right again", ends(command.run(data), data, command))
    shutil.rmtree(data)


def at_once(jobs: int, kills: int, rng: Random, tally: Tally) -> None:
    """Kill runs of several symbols at once: the parent, a worker, all."""
    with tempfile.TemporaryDirectory() as name, set_crew_stage(Path(name), jobs) as stage:
        for reader in crews(stage, kills, Path(name), rng, tally.found):
            tally.views += Counter({what.split(":")[0]: count for what, count in reader.seen.items()})
            tally.wrong += [f"reader: {what}" for what in reader.seen if what.startswith(("torn", "mixed"))]


def main() -> int:
    """Return 1 if anything was torn, mixed or lost."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=100, help="of which two thirds are placed")
    parser.add_argument("--disks", type=int, default=30, help="points at which the disk is full; needs root")
    parser.add_argument("--jobs", type=int, default=1, help="2 or more: only kill `liq run --jobs N`, and its workers")
    parser.add_argument("--seed", type=int, default=20261126)
    given = parser.parse_args()
    if given.jobs > 1:
        tally = Tally()
        at_once(given.jobs, given.kills, Random(given.seed), tally)
        print("\n".join(tally.lines()))
        return int(bool(tally.wrong))
    if not shutil.which("strace"):
        print("strace is needed. To do: apt-get install strace")
        return 2
    rng, tally = Random(given.seed), Tally()
    with tempfile.TemporaryDirectory() as name, set_stage(Path(name)) as stage:
        work = Path(name)
        for command in stage.commands:
            share = given.kills // len(stage.commands)
            began = time.monotonic()
            seen = points(command, stage.copy(work / "counted"), work / "strace.log")
            lasts = time.monotonic() - began
            shutil.rmtree(work / "counted")
            print(f"{command.name}: {len(seen)} renames and fsyncs below its folder, {lasts:.0f} s", flush=True)
            placed = spread(seen, 2 * share // 3)
            strikes: list[Point | float] = [*rng.sample(placed, min(len(placed), 2 * share // 3))]
            strikes += [rng.uniform(0.2, lasts) for _ in range(share - len(strikes))]
            rng.shuffle(strikes)
            for first in range(0, len(strikes), LIVES):
                killed(stage, command, strikes[first : first + LIVES], work, tally)
            collide(stage, command, work, tally)
            clock_back(stage, command, work, tally)
        recordings(given.kills // 5, work, rng, tally.found)
        if given.disks:
            full_disks(stage, stage.commands[0], given.disks, work, tally.found)
            read_only(stage, stage.commands[0], work, tally.found)
    print("\n".join(tally.lines()))
    return int(bool(tally.wrong))


if __name__ == "__main__":
    sys.exit(main())

"""`python -m liq_pipeline_tests.fuzz --minutes 10`: every target in turn, in rounds, until the time is up."""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import tempfile
import time
import warnings
from pathlib import Path
from random import Random

from liq_pipeline_tests.fuzz.harness import Tally, find_targets, shoot

SECONDS_A_TURN = 1.0


def main() -> int:
    """Fuzz; return 1 if an input broke the promise."""
    parser = argparse.ArgumentParser(prog="python -m liq_pipeline_tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--only", action="append", help="this target (may be given repeatedly)")
    parser.add_argument("--until-enough", action="store_true", help="go on until every target has had its least inputs")
    parser.add_argument("--total", type=int, default=0, help="with --until-enough: inputs of all targets together")
    parser.add_argument("--seed", type=int, default=secrets.randbits(32), help="draws the same inputs again")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures as JSON, after every round")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=memory) as folder:
        every = find_targets(Path(folder))
        targets = [target for target in every if not arguments.only or target.name in arguments.only]
        if unknown := set(arguments.only or ()) - {target.name for target in every}:
            parser.error(f"no target {unknown}; there are {', '.join(target.name for target in every)}")
        print(f"{len(targets)} targets, seed {arguments.seed}", flush=True)
        tallies = {target.name: Tally(target.name) for target in targets}
        rngs = {target.name: Random(f"{arguments.seed} {target.name}") for target in targets}  # however fast others are
        end = time.perf_counter() + 60 * arguments.minutes
        while True:
            total = sum(tally.inputs for tally in tallies.values())
            for target in targets:
                tally = tallies[target.name]
                had_enough = tally.inputs >= target.least and (target.is_file or total >= arguments.total)
                if arguments.until_enough and had_enough:
                    continue
                turn = min(SECONDS_A_TURN, max(0.0, end - time.perf_counter())) if not arguments.until_enough else 5.0
                shoot(target, rngs[target.name], tally, 5_000, time.perf_counter() + turn)
            if arguments.json:
                arguments.json.write_text(json.dumps([vars(t) for t in tallies.values()], indent=1), encoding="utf-8")
            enough = all(tallies[target.name].inputs >= target.least for target in targets) and total >= arguments.total
            if enough if arguments.until_enough else time.perf_counter() >= end:
                break
    for tally in tallies.values():
        print(tally.line())
    print(f"{sum(tally.inputs for tally in tallies.values()):,} inputs in all, seed {arguments.seed}")
    if broken := [name for name, tally in tallies.items() if tally.broken]:
        print(
            f"The promise was broken by inputs of {', '.join(broken)}; they are kept in liq_pipeline_tests/fuzz/cases"
        )
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())

"""`make cluster-demo`, `cluster-test`, `cluster-trials`: a real cluster on this machine, and what it stands."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from liq_pipeline.system.objects import Objects
from liq_pipeline.system.proxies import exempt_this_machine
from liq_pipeline_tests.cluster.hosts import Cluster, build_exchange, cluster, environment, settings_of, symbols_of
from liq_pipeline_tests.cluster.trials import Trial, cut_off, kills, linked, nothing, restarted, visible

TRIALS: dict[str, Callable[[argparse.Namespace], Callable[[Trial], None]]] = {
    "identity": lambda options: nothing,
    "kills": lambda options: kills(options.kills),
    "database": lambda options: restarted("database", 5),
    "queue": lambda options: restarted("queue", 5),
    "store": lambda options: restarted("store", 60),
    "slow": lambda options: linked(("slow", 30), ("failing", 30)),
    "network": lambda options: cut_off(120),
}


def alone(folder: Path, exchange: Path, symbols: tuple[str, ...]) -> tuple[dict[str, bytes], float]:
    """Publish the symbols in one process, with a folder and nothing else; return the files, and the seconds."""
    begun = time.monotonic()
    variables = settings_of(exchange, symbols) | {"LIQ_DATA_DIR": str(folder)}
    with (folder.parent / "alone.log").open("w") as out:
        command = [sys.executable, "-m", "liq_pipeline", "run", "--jobs", "1"]
        subprocess.run(command, env=environment(variables), check=True, stdout=out)
    return visible(folder / "published"), time.monotonic() - begun


def main() -> int:
    """Do it; return 1 where something was wrong."""
    parser = argparse.ArgumentParser(prog="python -m liq_pipeline_tests.cluster")
    parser.add_argument("what", nargs="+", choices=["demo", *TRIALS])
    parser.add_argument("--symbols", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--keep", action="store_true", help="the UI stays until Ctrl-C (demo)")
    options = parser.parse_args()
    exempt_this_machine()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is stopped then, too
    symbols = symbols_of(options.symbols)
    with tempfile.TemporaryDirectory(prefix="liq-cluster-") as name:
        folder = Path(name)
        say(f"{len(symbols)} symbols, {options.workers} workers, below {folder}")
        exchange = build_exchange(folder / "exchange", symbols)
        expected, seconds = alone(folder / "alone", exchange, symbols)
        say(f"one process, no cluster: {seconds:.0f} s, {len(expected)} files")
        with cluster(folder, exchange, symbols, options.workers) as made:
            os.environ.update({key: value for key, value in made.variables.items() if key.startswith("AWS_")})
            say(f"up: {made.address}")
            wrong = [one for what in options.what for one in tried(what, made, symbols, expected, options)]
            if options.keep:
                wait_for_interrupt(made)
        say("all that was started is stopped")
    return 1 if wrong else 0


def tried(
    what: str, made: Cluster, symbols: tuple[str, ...], expected: dict[str, bytes], options: argparse.Namespace
) -> list[str]:
    """Do one trial, and say what came of it."""
    disturb = TRIALS["identity" if what == "demo" else what](options)
    trial = Trial(what, made, symbols, expected, Objects(made.variables["LIQ_STORAGE"])).do(disturb)
    for line in trial.said:
        say(f"{what}: {line}")
    for line in trial.wrong:
        say(f"{what}: WRONG: {line}")
    return trial.wrong


def wait_for_interrupt(made: Cluster) -> None:
    """Let people look at the UI."""
    say(f"the UI is on {made.address}; Ctrl-C stops everything")
    try:
        while True:
            time.sleep(1)
    except KeyboardInterrupt:
        pass


def say(line: str) -> None:
    """Print a line at once."""
    print(f"{time.strftime('%H:%M:%S', time.gmtime())} {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())

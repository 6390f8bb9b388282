"""A SIMULATION of the queue with many workers: how long 500 symbols take with 1, 4, 16, 64 workers, and what limits it.

Dagster's daemon looks at the queue every few seconds and launches runs one after the other into free slots; a
run takes so long; Postgres takes so many events a second in all. Nothing is run: give it times that were measured here.

python -m benchmarks.queue_simulation --run 9 --launch 0.2 --events 600 --events-a-second 2000
"""

from __future__ import annotations

import argparse
import heapq


def simulated(
    symbols: int, workers: int, run: float, launch: float, look: float, events: int, events_a_second: float
) -> float:
    """Return the seconds until all symbols are done.

    Args:
        run: seconds of a run on a worker of its own.
        launch: seconds that the daemon takes to launch one.
        look: seconds between two looks at the queue.
        events: that a run writes.
        events_a_second: that Postgres takes from all workers together.
    """
    # Where all runs at once would write more than Postgres takes, each of them waits for it.
    stretched = max(run, min(workers, symbols) * events / events_a_second)
    now, waiting, busy = 0.0, symbols, list[float]()
    while waiting or busy:
        while busy and busy[0] <= now:
            heapq.heappop(busy)
        while waiting and len(busy) < workers:
            now += launch
            waiting -= 1
            heapq.heappush(busy, now + stretched)
            while busy and busy[0] <= now:
                heapq.heappop(busy)
        if not waiting:
            return max(busy)
        now += look
    return now


def limit(workers: int, run: float, launch: float, look: float, events: int, events_a_second: float) -> str:
    """Return what a further worker would wait for."""
    if workers * events / events_a_second > run:
        return "Postgres"
    if workers * launch + look > run:
        return "the daemon, which launches one run after the other"
    return "workers"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--symbols", type=int, default=500)
    for name, default in (("run", 9.0), ("launch", 0.2), ("look", 5.0), ("events-a-second", 2000.0)):
        parser.add_argument(f"--{name}", type=float, default=default)
    parser.add_argument("--events", type=int, default=600)
    given = vars(parser.parse_args())
    symbols, costs = given.pop("symbols"), given
    print("| workers | seconds (simulated) | times one worker | limited by |")
    print("|---|---|---|---|")
    alone = simulated(symbols, 1, **costs)
    for workers in (1, 4, 16, 64):
        seconds = simulated(symbols, workers, **costs)
        print(f"| {workers} | {seconds:,.0f} | {alone / seconds:.1f} | {limit(workers, **costs)} |")


if __name__ == "__main__":
    main()

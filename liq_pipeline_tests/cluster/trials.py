"""What can break on a cluster, done to a real one; what is published in the end must be what one process publishes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import requests

from liq_pipeline.errors import LiqError
from liq_pipeline.published.damage import published_files
from liq_pipeline.published.editions import Editions
from liq_pipeline.system.objects import Objects
from liq_pipeline_tests.cluster.hosts import Cluster
from liq_pipeline_tests.cluster.links import Mode

PATIENCE_SECONDS = 900.0


def visible(folder: Path) -> dict[str, bytes]:
    """Return what readers see below a folder, by name."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }


@dataclass
class Trial:
    """One thing done to a cluster while it publishes every symbol, and what came of it.

    Attributes:
        expected: the files that one process published.
        wrong: what must not be, in words; empty: all is well.
    """

    name: str
    made: Cluster
    symbols: tuple[str, ...]
    expected: dict[str, bytes]
    objects: Objects
    said: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    looks: int = 0

    def do(self, disturb: Callable[[Trial], None]) -> Trial:
        """Publish every symbol from nothing, while something is done; then look at what is published."""
        for prefix in ("published/editions/", "published/files/"):
            self.objects.delete(self.objects.list(prefix))
        self.before = {run["runId"] for run in self.made.runs()}
        begun = time.monotonic()
        with self._watched():
            for symbol in self.symbols:
                self.made.launch(symbol)
            disturb(self)
            try:
                self.made.wait(self.symbols, PATIENCE_SECONDS)
            except AssertionError as error:
                self.wrong.append(f"not everything was published {error}")
        self.said.append(f"all {len(self.symbols)} symbols published after {time.monotonic() - begun:.0f} s")
        self._compare()
        return self

    def runs(self) -> list[dict[str, object]]:
        """Return this trial's runs."""
        return [run for run in self.made.runs() if run["runId"] not in self.before]

    def wait_for_work(self, seconds: float = 120) -> None:
        """Wait until a run of this trial is at work."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with suppress(requests.RequestException, TypeError, KeyError, ValueError):
                if any(run["status"] == "STARTED" for run in self.runs()):
                    return
            time.sleep(0.3)

    def _compare(self) -> None:
        folder = self.made.folder / f"reader-{self.name}"
        Editions(self.objects, folder).fetch()
        found = visible(folder)
        if found.keys() != self.expected.keys():
            self.wrong.append(f"other files: {sorted(found.keys() ^ self.expected.keys())[:5]}")
        if differ := [name for name in found if found[name] != self.expected.get(name)]:
            self.wrong.append(f"{len(differ)} files differ from one process's: {differ[:3]}")
        statuses = [str(run["status"]) for run in self.runs()]
        retried = sum("dagster/parent_run_id" in run["tags"] for run in self.runs())  # type: ignore[operator]
        self.said.append(
            f"{len(statuses)} runs, {statuses.count('FAILURE')} of them failed, {retried} tried again; "
            f"a reader looked {self.looks} times; {len(found)} files as one process's"
        )

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Let a reader look all the time: whatever it sees must be whole."""
        done = threading.Event()
        folder = self.made.folder / f"watcher-{self.name}"
        reader = Editions(Objects(self.objects.address, patience_seconds=1), folder)

        def look() -> None:
            while not done.wait(1):
                with suppress(LiqError):  # the store is away
                    for symbol in reader.fetch():
                        files = published_files(folder, symbol)
                        self.looks += 1
                        # Heatmaps and levels are two steps of a run: what is not there yet is not damaged.
                        self.wrong += [
                            f"seen: {error}" for error in files.damage.values() if "missing" not in str(error)
                        ]

        watching = threading.Thread(target=look, daemon=True)
        watching.start()
        try:
            yield
        finally:
            done.set()
            watching.join(30)


def nothing(trial: Trial) -> None:
    """Disturb nothing."""


def kills(count: int, seed: int = 1) -> Callable[[Trial], None]:
    """Kill a worker (-9) that is at work, and start it again; so many times. Say how long until its run went on."""

    def disturb(trial: Trial) -> None:
        dice, at = Random(seed), []
        for number in range(count):
            trial.wait_for_work(10)
            time.sleep(dice.uniform(1, 15))
            if number and not [run for run in trial.runs() if run["status"] in ("QUEUED", "STARTING", "STARTED")]:
                for symbol in trial.symbols:
                    trial.made.launch(symbol)
                trial.wait_for_work()
            worker = dice.choice(trial.made.workers)
            worker.kill()
            at.append(time.time())
            worker.start()
        trial.made.wait(trial.symbols, PATIENCE_SECONDS)
        runs = {run["runId"]: run for run in trial.runs()}
        spans = []
        for run in runs.values():
            parent = runs.get(run["tags"].get("dagster/parent_run_id"))  # type: ignore[attr-defined]
            before = [kill for kill in at if parent and parent["endTime"] and kill < parent["endTime"]]  # type: ignore[operator]
            if before and run["startTime"]:
                spans.append(run["startTime"] - before[-1])  # type: ignore[operator]
        spans.sort()
        middle = f"{spans[len(spans) // 2]:.0f} s, at most {spans[-1]:.0f} s" if spans else "none was hit"
        trial.said.append(f"{count} kills; from a kill to the new run's start: median {middle}")

    return disturb


def restarted(name: str, seconds: float) -> Callable[[Trial], None]:
    """Kill a service, and start it again some seconds later."""

    def disturb(trial: Trial) -> None:
        trial.wait_for_work()
        time.sleep(3)
        service = trial.made.services[name]
        service.kill()
        time.sleep(seconds)
        service.start()
        trial.said.append(f"{name} away for {seconds:g} s")

    return disturb


def linked(*modes: tuple[Mode, float]) -> Callable[[Trial], None]:
    """Let the object store be slow, or fail, for so many seconds, for every worker."""

    def disturb(trial: Trial) -> None:
        trial.wait_for_work()
        for mode, seconds in modes:
            for links in trial.made.links:
                links["store"].mode = mode
            time.sleep(seconds)
            trial.said.append(f"object store {mode} for {seconds:g} s")
        for links in trial.made.links:
            links["store"].mode = "open"

    return disturb


def cut_off(seconds: float) -> Callable[[Trial], None]:
    """Cut a worker that is at work off from everything, then let it come back."""

    def disturb(trial: Trial) -> None:
        trial.wait_for_work()
        time.sleep(4)
        for link in trial.made.links[0].values():
            link.mode = "cut"
        time.sleep(seconds)
        for link in trial.made.links[0].values():
            link.mode = "open"
        trial.said.append(f"worker-0 cut off for {seconds:g} s")

    return disturb

"""A cluster on one machine: services, Dagster's webserver and daemon, workers that share no folder and no user."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import requests

from liq_pipeline.simulator.market import MarketConfig, simulate
from liq_pipeline.simulator.mirror import publish
from liq_pipeline_tests.cluster.links import Link
from liq_pipeline_tests.cluster.services import (
    Service,
    free_ports,
    make_bucket,
    object_store,
    postgres,
    redis,
    running,
)

REPOSITORY = Path(__file__).parents[2]
FIRST_DAY, DAYS = date(2026, 6, 23), 5
NOW = datetime(2026, 6, 28, 6, tzinfo=UTC)
FIRST_USER = 20_001  # of a worker, where root may choose one
LAUNCH = """mutation($symbol: String!, $priority: String!) {
  launchRun(executionParams: {
    selector: {repositoryName: "__repository__", repositoryLocationName: "liq_pipeline", pipelineName: "refresh_job"},
    runConfigData: {}, executionMetadata: {tags: [
      {key: "dagster/partition", value: $symbol}, {key: "dagster/priority", value: $priority}]}
  }) { __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } }
}"""
RUNS = """{ runsOrError(limit: 1000) { ... on Runs { results {
  runId status startTime endTime creationTime tags { key value } } } } }"""


def symbols_of(count: int) -> tuple[str, ...]:
    """Return names of symbols."""
    return tuple(f"COIN{number:03d}USDT" for number in range(count))


def build_exchange(folder: Path, symbols: Sequence[str], traders: int = 300) -> Path:
    """Simulate an exchange's archive, five days; what is there already stays."""
    for number, symbol in enumerate(symbols):
        if not (folder / "data" / "futures" / "um" / "daily" / "metrics" / symbol).exists():
            config = MarketConfig(symbol=symbol, seed=number + 1, first_day=FIRST_DAY, days=DAYS, traders=traders)
            publish(simulate(config), folder)
    return folder


def settings_of(exchange: Path, symbols: Sequence[str]) -> dict[str, str]:
    """Return the settings that all machines have alike, as variables."""
    return {
        "LIQ_SYMBOLS": ",".join(symbols),
        "LIQ_ARCHIVE": str(exchange),
        "LIQ_SINCE": FIRST_DAY.isoformat(),
        "LIQ_NOW": NOW.isoformat(),
        "LIQ_PICTURES": "false",
        "LIQ_JOBS": "1",
        "LIQ_SOURCE_LABEL": "simulated",
    }


def environment(variables: dict[str, str]) -> dict[str, str]:
    """Return an environment of a machine: ours without its own settings, and these."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("LIQ_", "AWS_", "DAGSTER_"))}
    # Processes that started with threads of their own would take both cores from the others.
    return {**ours, "DAGSTER_DISABLE_TELEMETRY": "1", "PYTHONPATH": str(REPOSITORY), **variables}


@dataclass
class Cluster:
    """Everything that runs, and how to speak to it.

    Attributes:
        address: of the UI.
        folder: below which all lies.
        variables: settings of every machine.
        links: of each worker to the services, by their name.
    """

    address: str
    folder: Path
    variables: dict[str, str]
    services: dict[str, Service] = field(default_factory=dict)
    workers: list[Service] = field(default_factory=list)
    links: list[dict[str, Link]] = field(default_factory=list)

    def ask(self, query: str, **variables: str) -> Any:
        """Ask Dagster's webserver."""
        answer = requests.post(f"{self.address}/graphql", json={"query": query, "variables": variables}, timeout=30)
        return answer.json()["data"]

    def launch(self, symbol: str, priority: int = 0) -> str:
        """Put a run of a symbol into the queue; return its id."""
        answer = self.ask(LAUNCH, symbol=symbol, priority=str(priority))["launchRun"]
        assert answer["__typename"] == "LaunchRunSuccess", answer
        return str(answer["run"]["runId"])

    def runs(self) -> list[dict[str, Any]]:
        """Return all runs, the newest first; tags as a dictionary."""
        found = self.ask(RUNS)["runsOrError"]["results"]
        return [run | {"tags": {tag["key"]: tag["value"] for tag in run["tags"]}} for run in found]

    def wait(self, symbols: Sequence[str], seconds: float, look: Callable[[], None] = lambda: None) -> None:
        """Wait until the newest run of each symbol has succeeded.

        Raises:
            AssertionError: not in time; says how far each is.
        """
        deadline = time.monotonic() + seconds
        newest: dict[str, str] = {}
        while time.monotonic() < deadline:
            try:
                runs = self.runs()
            except (requests.RequestException, TypeError, KeyError, ValueError):
                runs = []  # Postgres or the webserver is away
            for run in reversed(runs):
                newest[run["tags"].get("dagster/partition", "")] = run["status"]
            if all(newest.get(symbol) == "SUCCESS" for symbol in symbols):
                return
            look()
            time.sleep(0.5)
        raise AssertionError(f"after {seconds:g} s: {newest}")

    def add_worker(self) -> Service:
        """Start one more worker: a user and a folder of its own."""
        number = len(self.workers)
        place = self.folder / f"worker-{number}"
        options = _as_user(FIRST_USER + number)
        for folder in (place, place / "home", place / "data"):
            folder.mkdir(parents=True)
            if options:
                os.chown(folder, FIRST_USER + number, FIRST_USER + number)
        shutil.copy(REPOSITORY / "deploy" / "cluster" / "dagster.yaml", place / "home" / "dagster.yaml")
        variables = {"LIQ_DATA_DIR": str(place / "data"), "DAGSTER_HOME": str(place / "home"), "HOME": str(place)}
        variables |= self._linked()
        options["env"] = environment(self.variables | variables)
        command = [sys.executable, "-m", "liq_pipeline", "worker", "--name", f"worker-{number}"]
        service = Service(f"worker-{number}", command, place, lambda: self._is_listening(number), options)
        self.workers.append(service)
        service.start()
        return service

    def _linked(self) -> dict[str, str]:
        """Return where a new worker finds the services: each through a link of its own."""
        ports = {
            "store": int(self.variables["AWS_ENDPOINT_URL"].rpartition(":")[2]),
            "database": int(self.variables["DAGSTER_POSTGRES_PORT"]),
            "queue": int(self.variables["DAGSTER_CELERY_BROKER"].rpartition(":")[2].partition("/")[0]),
        }
        links = {name: Link(port) for name, port in ports.items()}
        self.links.append(links)
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{links['store'].port}",
            "DAGSTER_POSTGRES_PORT": str(links["database"].port),
            "DAGSTER_CELERY_BROKER": f"redis://127.0.0.1:{links['queue'].port}/0",
        }

    def _is_listening(self, number: int) -> bool:
        from dagster_celery.make_app import make_app

        app = make_app({"broker": self.variables["DAGSTER_CELERY_BROKER"], "backend": "disabled://"})
        with app.connection_for_write() as connection:
            names = app.control.inspect(timeout=1, connection=connection).ping() or {}
        return any(name.startswith(f"worker-{number}@") for name in names)


@contextmanager
def cluster(folder: Path, exchange: Path, symbols: Sequence[str], workers: int = 2) -> Iterator[Cluster]:
    """Start everything on this machine; stop all of it at the end."""
    folder.chmod(0o755)
    with ExitStack() as stack:
        store, variables = object_store(folder / "objects")
        database, database_port = postgres(folder / "postgres")
        queue, broker = redis(folder / "redis")
        for service in (store, database, queue):
            stack.enter_context(running(service))
        make_bucket(variables)
        tools = database.command[0]
        subprocess.run(
            [Path(str(tools)).with_name("createdb"), "-h", "127.0.0.1", "-p", database_port, "-U", "liq", "dagster"],
            check=True,
        )
        variables |= settings_of(exchange, symbols) | {
            "DAGSTER_POSTGRES_USER": "liq", "DAGSTER_POSTGRES_PASSWORD": "none", "DAGSTER_POSTGRES_HOST": "127.0.0.1",
            "DAGSTER_POSTGRES_PORT": database_port, "DAGSTER_POSTGRES_DB": "dagster", "DAGSTER_CELERY_BROKER": broker,
        }  # fmt: skip
        (port,) = free_ports(1)
        made = Cluster(
            f"http://127.0.0.1:{port}", folder, variables, {"store": store, "database": database, "queue": queue}
        )
        stack.enter_context(running(control(made, port)))
        try:
            for _ in range(workers):
                made.add_worker()
            yield made
        finally:
            for worker in made.workers:
                worker.kill()
            for link in (link for links in made.links for link in links.values()):
                link.close()


def _as_user(number: int) -> dict[str, object]:
    """Return options that start a process as a user of its own; none where nobody else may run this Python."""
    if os.geteuid() != 0:
        return {}
    options: dict[str, object] = {"user": number, "group": number, "extra_groups": []}
    try:
        subprocess.run([sys.executable, "-c", ""], check=True, **options)  # type: ignore[call-overload]
    except (OSError, subprocess.CalledProcessError):
        return {}
    return options


def control(made: Cluster, port: int) -> Service:
    """Return the machine that has no work of its own: webserver, daemon, code location."""
    place = made.folder / "control"
    (place / "home").mkdir(parents=True)
    shutil.copy(REPOSITORY / "deploy" / "cluster" / "dagster.yaml", place / "home" / "dagster.yaml")
    nothing = place / "no archive"  # else its sensor would ask for a run of each symbol beside those of a trial
    nothing.mkdir()
    variables = {"LIQ_DATA_DIR": str(place / "data"), "DAGSTER_HOME": str(place / "home"), "LIQ_ARCHIVE": str(nothing)}
    command = [sys.executable, "-m", "liq_pipeline", "ui", "--port", str(port)]
    options: dict[str, object] = {"env": environment(made.variables | variables)}
    return Service("control", command, place, lambda: _loaded(made), options)


def _loaded(made: Cluster) -> bool:
    query = "{ workspaceOrError { ... on Workspace { locationEntries { loadStatus } } } }"
    try:
        entries = made.ask(query)["workspaceOrError"]["locationEntries"]
    except (requests.RequestException, TypeError, KeyError, ValueError):
        return False
    return bool(entries) and all(entry["loadStatus"] == "LOADED" for entry in entries)

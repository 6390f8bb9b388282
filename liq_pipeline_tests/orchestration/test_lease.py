"""Two machines that share a Postgres try to work on one symbol."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg
import pytest
from celery.contrib.testing.worker import start_worker
from dagster._core.launcher import WorkerStatus

from liq_pipeline.errors import SymbolBusy
from liq_pipeline.orchestration.launcher import WatchedCeleryRunLauncher
from liq_pipeline.orchestration.lease import holder_of, lease
from liq_pipeline_tests.cluster.services import postgres, redis, running

pytestmark = pytest.mark.whole_run

CONFIG = Path(__file__).parents[2] / "deploy" / "cluster" / "dagster.yaml"
SYMBOLS = 20
WORK = """
import json, sys, time
import dagster as dg
from liq_pipeline.orchestration import lease as module
module.LOOK_SECONDS = 0.02
with dg.DagsterInstance.get() as instance:
    print("ready", flush=True)
    sys.stdin.readline()
    begin = time.time() // 1 + 2
    for turn in range(SYMBOLS):  # both ask for a symbol that nobody ever held, at the same moment
        time.sleep(max(0, begin + turn / 2 - time.time()))
        with module.lease(instance, sys.argv[1], f"S{turn}USDT", 120):
            begun = time.monotonic()
            time.sleep(0.1)
            print(json.dumps([turn, begun, time.monotonic()]), flush=True)
"""


@pytest.fixture(scope="module")
def homes() -> Iterator[Callable[[str], dict[str, str]]]:
    """Return variables of a machine whose history lies in a Postgres that all machines share."""
    with TemporaryDirectory(prefix="liq-lease-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # Postgres runs as another user
        yield from _homes(folder)


def _homes(folder: Path) -> Iterator[Callable[[str], dict[str, str]]]:
    database, port = postgres(folder / "postgres")
    queue, broker = redis(folder / "redis")
    with running(database), running(queue):
        create = Path(str(database.command[0])).with_name("createdb")
        subprocess.run([create, "-h", "127.0.0.1", "-p", port, "-U", "liq", "dagster"], check=True)

        def machine(name: str) -> dict[str, str]:
            home = folder / name
            home.mkdir(exist_ok=True)
            shutil.copy(CONFIG, home / "dagster.yaml")
            return {
                "DAGSTER_HOME": str(home), "DAGSTER_POSTGRES_USER": "liq", "DAGSTER_POSTGRES_PASSWORD": "none",
                "DAGSTER_POSTGRES_HOST": "127.0.0.1", "DAGSTER_POSTGRES_PORT": port, "DAGSTER_POSTGRES_DB": "dagster",
                "DAGSTER_CELERY_BROKER": broker,
            }  # fmt: skip

        yield machine


@pytest.fixture
def instance(homes: Callable[[str], dict[str, str]], monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """A machine's instance."""
    for name, value in homes("here").items():
        monkeypatch.setenv(name, value)
    with dg.DagsterInstance.get() as opened:
        yield opened


def test_a_symbol_is_worked_on_by_one_machine_at_a_time(
    instance: dg.DagsterInstance, homes: Callable[[str], dict[str, str]], child_env: Callable[..., dict[str, str]]
) -> None:
    code = WORK.replace("SYMBOLS", str(SYMBOLS))
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", code, f"run-{name}"], env=child_env(**homes(name)), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        for name in ("a", "b")
    ]  # fmt: skip
    for worker in workers:
        assert worker.stdout
        assert worker.stdout.readline() == "ready\n"
    outputs = []
    for worker in workers:
        assert worker.stdin
        worker.stdin.write("\n")
        worker.stdin.flush()
    for worker in workers:
        outputs.append(worker.communicate(timeout=120)[0])

    spans = sorted(tuple(json.loads(line)) for text in outputs for line in text.splitlines())
    assert len(spans) == 2 * SYMBOLS
    assert [pair for pair in pairwise(spans) if pair[0][0] == pair[1][0] and pair[0][2] > pair[1][1]] == []
    assert holder_of(instance, "S0USDT") == ""


def test_who_waits_too_long_is_told_who_holds_the_symbol_and_others_go_on(instance: dg.DagsterInstance) -> None:
    with lease(instance, "one", "ETHUSDT", 1):
        with pytest.raises(SymbolBusy, match="run one works on ETHUSDT"), lease(instance, "two", "ETHUSDT", 0):
            pass
        with lease(instance, "two", "SOLUSDT", 0), lease(instance, "one", "ETHUSDT", 0):
            assert holder_of(instance, "ETHUSDT") == "one"
    with lease(instance, "two", "ETHUSDT", 0):
        assert holder_of(instance, "ETHUSDT") == "two"


def test_the_lease_of_a_run_that_died_is_freed_by_dagsters_own_means(instance: dg.DagsterInstance) -> None:
    holding = lease(instance, "died", "XRPUSDT", 1)
    holding.__enter__()
    instance.event_log_storage.free_concurrency_slots_for_run("died")  # as run monitoring does

    with lease(instance, "next", "XRPUSDT", 0):
        assert holder_of(instance, "XRPUSDT") == "next"


def test_the_lease_of_a_run_that_was_marked_as_failed_is_taken_over_without_a_daemon() -> None:
    with dg.DagsterInstance.local_temp() as alone:
        run = alone.create_run_for_job(dg.job(name="nothing")(lambda: None), status=dg.DagsterRunStatus.STARTED)
        killed = lease(alone, run.run_id, "XRPUSDT", 0)
        killed.__enter__()
        with pytest.raises(SymbolBusy, match=run.run_id), lease(alone, "next", "XRPUSDT", 0):
            pass

        alone.report_run_failed(run, "its process is gone")
        with lease(alone, "next", "XRPUSDT", 0):
            assert holder_of(alone, "XRPUSDT") == "next"


def test_a_slot_too_many_is_not_claimed_beside_another(instance: dg.DagsterInstance) -> None:
    """Two runs that make the pool at the same moment make a slot each."""
    with lease(instance, "one", "BNBUSDT", 1):
        instance.event_log_storage.set_concurrency_slots("symbol_BNBUSDT", 2)
        with pytest.raises(SymbolBusy, match="run one works on BNBUSDT"), lease(instance, "two", "BNBUSDT", 0):
            pass
    with lease(instance, "two", "BNBUSDT", 0):
        assert holder_of(instance, "BNBUSDT") == "two"


def statuses(launcher: WatchedCeleryRunLauncher, run: dg.DagsterRun, count: int) -> list[WorkerStatus]:
    """Look at a run so many times."""
    return [launcher.check_run_worker_health(run).status for _ in range(count)]


def test_a_run_that_no_worker_names_is_given_up_when_it_was_asked_twice(instance: dg.DagsterInstance) -> None:
    launcher = instance.run_launcher
    assert isinstance(launcher, WatchedCeleryRunLauncher)
    run = instance.create_run_for_job(dg.job(name="nothing")(lambda: None))
    with start_worker(launcher.celery, pool="solo", perform_ping_check=False):
        assert statuses(launcher, run, 2) == [WorkerStatus.RUNNING, WorkerStatus.FAILED]


def test_while_no_worker_answers_no_run_is_given_up_nor_just_after(instance: dg.DagsterInstance) -> None:
    """The broker was away: a worker that goes on with its run comes back when it can."""
    launcher = instance.run_launcher
    assert isinstance(launcher, WatchedCeleryRunLauncher)
    run = instance.create_run_for_job(dg.job(name="nothing")(lambda: None))

    assert statuses(launcher, run, 3) == [WorkerStatus.RUNNING] * 3
    with start_worker(launcher.celery, pool="solo", perform_ping_check=False):
        launcher._answers = (float("-inf"), "")
        assert statuses(launcher, run, 3) == [WorkerStatus.RUNNING] * 3


def test_while_the_broker_is_away_no_run_is_given_up(instance: dg.DagsterInstance) -> None:
    away = WatchedCeleryRunLauncher(
        default_queue="dagster", broker="redis://127.0.0.1:9/0", backend="disabled://",
        config_source={"broker_connection_retry": False, "broker_transport_options": {"max_retries": 1}},
    )  # fmt: skip
    run = instance.create_run_for_job(dg.job(name="nothing")(lambda: None))

    assert statuses(away, run, 4) == [WorkerStatus.RUNNING] * 4

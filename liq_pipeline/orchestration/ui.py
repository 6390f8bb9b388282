"""`liq ui`: Dagster's webserver and daemon, watched over until somebody stops them; nothing is left behind."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from liq_pipeline.errors import LiqError, SettingsError
from liq_pipeline.settings import Settings
from liq_pipeline.system.ports import take_port, web_address
from liq_pipeline.system.storage import check_writable

HOST = "127.0.0.1"
PATIENCE_SECONDS = 20.0  # to end in good order, before it is ended
STOPS = {signal.SIGINT: 130, signal.SIGTERM: 0}  # and its exit code: a service manager's wish is a good end
if hasattr(signal, "SIGHUP"):
    STOPS[signal.SIGHUP] = 0  # the terminal was closed
_LOOK_SECONDS = 0.2


def run_ui(settings: Settings, port: int, report: Callable[[str], None]) -> int:
    """Run Dagster's UI, schedules and sensors until Ctrl-C or SIGTERM; return the exit code (130, 0).

    Args:
        settings: as the other processes read them, too.
        port: of the page, on this machine only.
        report: told in lines what happens.

    Raises:
        SettingsError: the port is in use, or a UI of this DAGSTER_HOME is open already.
        StorageFailed, HistoryUnusable: DAGSTER_HOME cannot be used.
        LiqError: the webserver or the daemon ended by itself; the other one was stopped.
    """
    home = settings.home.absolute()
    check_writable(home)
    with _only_one(home, web_address(HOST, port)):
        for listener in take_port(HOST, port):
            listener.close()
        # Loads Dagster: not before there is a place for it.
        from liq_pipeline.orchestration.history import dagster_instance, queue_advice

        with dagster_instance(home) as instance:  # make it before several processes would at once
            advice = queue_advice(instance)
        if advice:
            report(advice)
        report(f"{web_address(HOST, port)} in some seconds; Ctrl-C stops it")
        return _watch(command(port), settings.as_environment())


def command(port: int) -> list[str]:
    """Return what is run: `dagster dev`, which starts the webserver and the daemon."""
    start = [sys.executable, "-W", "ignore", "-c", "from liq_pipeline.orchestration.ui import dagster; dagster()"]
    return [*start, "dev", "-m", "liq_pipeline", "-h", HOST, "-p", str(port), "--log-level", "warning"]


def dagster() -> None:
    """Be the `dagster` command, but end without a traceback when interrupted or when a part of it died."""
    try:
        from dagster._cli import main

        logging.getLogger("dagster").addFilter(_in_a_line)
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
        main()
    except KeyboardInterrupt:
        sys.exit(STOPS[signal.SIGINT])


def _end_with(parent: int) -> None:
    """End when `liq ui` is gone: killed, it could not say so."""
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGINT)


def _in_a_line(record: logging.LogRecord) -> bool:
    if record.exc_info and record.exc_info[1]:
        record.msg, record.args, record.exc_info = str(record.exc_info[1]), (), None
    return True


@contextmanager
def _only_one(home: Path, address: str) -> Iterator[None]:
    """Hold the one place of a UI: two daemons would start everything twice."""
    holder = home / ".ui.json"
    lock = FileLock(home / ".ui.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        try:
            other = json.loads(holder.read_text(encoding="utf-8"))
            who = f"process {other['pid']}, {other['address']}"
        except (OSError, ValueError, KeyError, TypeError):
            who = "another process"
        raise SettingsError(
            f"a UI of {home} is open already: {who}", remedy="use that one, or stop it, or choose another --data"
        ) from None
    try:
        holder.write_text(json.dumps({"pid": os.getpid(), "address": address}), encoding="utf-8")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _watch(arguments: list[str], environment: dict[str, str]) -> int:
    asked: list[int] = []
    before = {number: signal.signal(number, lambda number, _: asked.append(number)) for number in STOPS}
    # A session of its own: Ctrl-C reaches only us, and whatever it started can be found again.
    process = subprocess.Popen(arguments, env=environment, start_new_session=True)
    try:
        while process.poll() is None and not asked:
            time.sleep(_LOOK_SECONDS)
        code = process.poll()
    finally:
        _end(process)
        for number, handler in before.items():
            signal.signal(number, handler)
    if asked:
        return STOPS[signal.Signals(asked[0])]
    raise LiqError(
        f"Dagster ended by itself (exit code {code}): its webserver or its daemon died, and the other was stopped",
        remedy="read what it wrote above, then start it again",
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    """End Dagster, and every process that it started."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE_SECONDS)
    for number, seconds in ((signal.SIGTERM, 3.0), (signal.SIGKILL, 2.0)):
        deadline = time.monotonic() + seconds
        try:
            os.killpg(process.pid, number)
            while time.monotonic() < deadline:
                process.poll()  # reaps it: the dead count as a group, too
                os.killpg(process.pid, 0)
                time.sleep(_LOOK_SECONDS / 2)
        except ProcessLookupError:
            return

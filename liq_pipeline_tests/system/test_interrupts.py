"""Ctrl-C: one line, exit code 130, no traceback, wherever it strikes."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from liq_pipeline.errors import INTERRUPTED_LINE
from liq_pipeline.simulator.server import ArchiveServer, Fault
from liq_pipeline.system.interrupts import hear_interrupts, is_interrupt
from liq_pipeline.warehouse.warehouse import Warehouse
from liq_pipeline_tests.once import once

pytestmark = pytest.mark.whole_run


@pytest.fixture(autouse=True)
def hears_interrupts() -> Iterator[None]:
    """The tests' own process hears SIGINT, though whoever started it in the background wants it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def _interrupt_soon(seconds: float) -> None:
    threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT)).start()


@pytest.fixture
def start(child_env):
    """Start `liq` so that it hears SIGINT, whatever its parent ignores."""

    def run(*arguments: object, **variables: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "liq_pipeline", *map(str, arguments)], env=child_env(**variables), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip

    return run


def test_while_the_command_is_loaded(child_env) -> None:
    """The signal strikes inside an import of the command line."""
    code = (
        "import os, signal, sys\n"
        "class Strike:\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'typer': os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Strike()); sys.argv = ['liq', 'status']\n"
        "from liq_pipeline.__main__ import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=child_env(), capture_output=True, text=True, check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (130, f"{INTERRUPTED_LINE}\n")


STRIKE = "import os, signal\ndef strike(*_): os.kill(os.getpid(), signal.SIGINT)\n"
LOST = {
    "in a function that catches everything": "try: strike()\nexcept BaseException: pass",
    "in one that makes another error of it": "try: strike()\nexcept KeyboardInterrupt: raise ValueError",
    "in one that ends in good order": "try: strike()\nexcept KeyboardInterrupt: raise SystemExit(0)",
    "in a finaliser": "class Going: __del__ = strike\nGoing()\nprint('went on')",
    "in a finaliser, where a library has a handler and an exception of its own": "class Own(BaseException): pass\n"
    "def handler(*_): raise Own\n"
    "signal.signal(signal.SIGINT, handler)\nclass Going: __del__ = strike\nGoing()\nprint('went on')",
    "in an import that cannot stand an exception": "import sys\nclass Finder:\n"
    "    def find_spec(self, name, path, target=None):\n"
    "        try: strike()\n"
    "        except KeyboardInterrupt: print('went on')\n"
    "sys.meta_path.insert(0, Finder())\nimport no_such_module",
}


@pytest.mark.parametrize("code", LOST.values(), ids=LOST)
def test_an_interrupt_that_gets_lost(code: str, child_env) -> None:
    indented = "".join(f"    {line}\n" for line in (STRIKE + code).splitlines())
    whole = f"from liq_pipeline.system.interrupts import interruptible\nwith interruptible():\n{indented}"
    done = subprocess.run(
        [sys.executable, "-c", whole], env=child_env(), capture_output=True, text=True, check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip

    assert (done.returncode, done.stdout, done.stderr) == (130, "", f"{INTERRUPTED_LINE}\n")


def test_what_is_to_be_tidied_up_is_before_it_ends(child_env) -> None:
    code = (
        f"{STRIKE}from liq_pipeline.system.interrupts import interruptible\n"
        "with interruptible():\n    try: strike()\n    finally: print('tidied up')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=child_env(), capture_output=True, text=True, check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip

    assert (done.returncode, done.stdout, done.stderr) == (130, "tidied up\n", f"{INTERRUPTED_LINE}\n")


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (KeyboardInterrupt(), True), (RuntimeError("Query interrupted"), True), (RuntimeError("out of memory"), False),
        (ValueError("Query interrupted"), False), (SystemExit(1), False),
    ],
    ids=repr,
)  # fmt: skip
def test_an_interrupt_is_pythons_own_or_duckdbs(error: BaseException, is_one: bool) -> None:
    assert is_interrupt(error) is is_one


def test_an_interrupt_that_comes_with_another_signal_is_heard() -> None:
    """Both are delivered at once, the other one first."""
    both = {signal.SIGINT, signal.SIGUSR1}
    came: list[int] = []
    before = {number: signal.signal(number, lambda number, _: came.append(number)) for number in both}
    try:
        with hear_interrupts(patience=20) as interrupted:
            signal.pthread_sigmask(signal.SIG_BLOCK, both)
            for number in both:
                os.kill(os.getpid(), number)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, both)
            assert interrupted()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert set(came) == both


def test_an_interrupt_that_whoever_started_it_ignores(child_env) -> None:
    code = (
        f"{STRIKE}from liq_pipeline.system.interrupts import interruptible\nwith interruptible(): strike(); print('on')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=child_env(), capture_output=True, text=True, check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )  # fmt: skip

    assert (done.returncode, done.stdout, done.stderr) == (0, "on\n", "")


LOADED = {
    "run": ("pydantic_core", "_duckdb", "llvmlite", "matplotlib"),
    "demo": ("pydantic_core", "llvmlite", "_duckdb"),
    "recent": ("pydantic_core", "_duckdb"),
    "ui": ("pydantic_core",),
}
"""Libraries in the order in which the commands load them: each is a moment of its own, however slow the machine."""


@pytest.mark.parametrize(
    ("command", "library", "later"),
    [
        *((command, library, 0.0) for command, loads in LOADED.items() for library in loads),
        *((command, "_duckdb", 0.4) for command in ("run", "demo", "recent")),  # at work, not loading
    ],
)
def test_whatever_it_does(
    command: str, library: str, later: float, start, own_run, exchange, run_options, tmp_path: Path
) -> None:
    arguments = {
        "run": run_options(exchange, tmp_path / "new", pictures=True),
        "demo": ["--data", tmp_path / "new"],
        "recent": ["--data", own_run.data_dir],
        "ui": ["--data", tmp_path / "new", "--port", "3999"],
    }
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, never answers
        rest = f"http://127.0.0.1:{silent.getsockname()[1]}" if command == "recent" else "off"
        process = start(command, *arguments[command], LIQ_REST=rest)
        while library not in Path(f"/proc/{process.pid}/maps").read_text():
            assert process.poll() is None
            time.sleep(0.005)
        time.sleep(later)

        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)

    assert process.returncode == 130
    assert "Traceback" not in out + err
    assert err.splitlines() == [INTERRUPTED_LINE]


def test_an_interrupt_that_duckdb_turns_into_an_error_of_its_own(child_env) -> None:
    code = (
        "import duckdb, os, signal, threading\n"
        "from liq_pipeline.system.interrupts import is_interrupt\n"
        "assert not is_interrupt(RuntimeError('of another kind'))\n"
        "threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "query = 'SELECT sum(a.range ^ b.range) FROM range(9_000_000) AS a, range(9_000_000) AS b'\n"
        "try: duckdb.sql(query).fetchall()\n"
        "except (KeyboardInterrupt, RuntimeError) as error: assert is_interrupt(error), error; print('heard')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=child_env(), capture_output=True, text=True, check=False, timeout=60,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip

    assert (done.returncode, done.stdout) == (0, "heard\n"), done.stderr


def test_an_interrupt_inside_exec_does_not_change_how_it_ends(child_env, tmp_path: Path) -> None:
    """`python -m` of Python 3.11 kills itself with SIGINT at the end where the interrupt struck inside `exec`."""
    (tmp_path / "struck.py").write_text(
        "from liq_pipeline.system.interrupts import leave\n"
        "try: exec('import os, signal; os.kill(os.getpid(), signal.SIGINT); x = 1')\n"
        "except KeyboardInterrupt: leave()\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "struck"], env=child_env(), cwd=tmp_path, capture_output=True, text=True, check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (130, f"{INTERRUPTED_LINE}\n")


def test_while_files_are_fetched(start, exchange, run_options, tmp_path: Path) -> None:
    slow = lambda path: Fault(delay_seconds=0.5) if ".zip" in path else None  # noqa: E731
    with ArchiveServer(exchange.folder, faults=slow) as server:
        process = start("run", *run_options(exchange, tmp_path / "data", archive=server.url))
        while not any(".zip" in path for path in server.requests):
            assert process.poll() is None
            time.sleep(0.02)

        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)

    assert process.returncode == 130
    assert "Traceback" not in out + err
    assert err.splitlines() == [INTERRUPTED_LINE]


def test_inside_duckdb_it_is_an_interrupt_not_a_failed_query(warehouse: Warehouse) -> None:
    _interrupt_soon(0.5)

    with pytest.raises(KeyboardInterrupt):
        once(warehouse).sql("SELECT count(*) AS n FROM range(100000000000) a, range(1000)")

    assert once(warehouse).sql("SELECT 1 AS one")["one"].to_pylist() == [1]  # and the database is free again


def test_it_is_heard_though_its_exception_was_lost() -> None:
    with hear_interrupts() as interrupted:
        assert not interrupted()
        _interrupt_soon(0.1)
        with contextlib.suppress(KeyboardInterrupt):
            time.sleep(5)
        assert interrupted()


def test_who_does_not_end_after_it_is_ended(child_env) -> None:
    code = (
        "import os, signal, time\n"
        "from liq_pipeline.system.interrupts import hear_interrupts\n"
        "with hear_interrupts(patience=0.2):\n"
        "    signal.signal(signal.SIGINT, lambda *_: None)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    time.sleep(60)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=child_env(), capture_output=True, text=True, check=False, timeout=30
    )

    assert (done.returncode, done.stderr) == (130, f"{INTERRUPTED_LINE}\n")

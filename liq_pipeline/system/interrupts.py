"""Ctrl-C: one line and exit code 130, wherever it strikes.

An interrupt may be lost: within the import of a compiled library it becomes an `ImportError` or a crash, within a
finaliser nothing at all, and Dagster takes it for the failure of a step, which it may try again. So it is remembered
by the signal's handler, not by its exception.
"""

from __future__ import annotations

import atexit
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread, current_thread, main_thread
from types import FrameType
from typing import NoReturn

from liq_pipeline.errors import INTERRUPTED, INTERRUPTED_LINE

PATIENCE_SECONDS = 3.0  # to end in good order; then at once: whatever is written is written whole or not at all
_IMPORT = "<frozen importlib._bootstrap>"
_SHOW_CURSOR = b"\x1b[?25h"
_DONE, _ASK = b"\0", b"\xff"  # beside the numbers of signals


def is_interrupt(error: BaseException) -> bool:
    """Tell whether an error is an interrupt: Python's own, or what DuckDB makes of it within a query."""
    return isinstance(error, KeyboardInterrupt) or (
        isinstance(error, RuntimeError) and str(error) == "Query interrupted"
    )


def leave(says: bool = True) -> NoReturn:
    """End in good order with exit code 130, and say that the command was interrupted.

    Not by `sys.exit`: `python -m` ends itself with SIGINT instead where the interrupt struck inside `exec`, as in
    `namedtuple`, however it was handled since (Python 3.11).
    """
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    end_at_once(says)


def end_at_once(says: bool = True) -> NoReturn:
    """End where nothing else may run any more: whatever is written is written whole or not at all."""
    for number in (1, 2):
        if os.isatty(number):
            os.write(number, _SHOW_CURSOR)  # a progress bar hides it
    if says:
        with suppress(OSError):
            os.write(2, f"{INTERRUPTED_LINE}\n".encode())
    os._exit(INTERRUPTED)


@contextmanager
def interruptible(says: bool = True) -> Iterator[None]:
    """Run a whole process within: after an interrupt it ends with exit code 130, whatever became of the exception.

    Args:
        says: one line is printed. A worker leaves that to the process that started it.
    """
    struck: list[int] = []

    def strike(number: int, frame: FrameType | None) -> None:
        struck.append(number)
        if _is_importing(frame):  # compiled libraries do not stand an exception while they load
            end_at_once(says)
        raise KeyboardInterrupt

    def lose(lost: sys.UnraisableHookArgs) -> None:
        # KeyboardInterrupt, or what the handler of a library raises instead, as Dagster's does.
        if not issubclass(lost.exc_type, Exception | GeneratorExit | SystemExit):
            end_at_once(says)
        sys.__unraisablehook__(lost)

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else whoever started us wants it ignored
        signal.signal(signal.SIGINT, strike)
        sys.unraisablehook = lose
    try:
        yield
    except BaseException as error:
        if struck or is_interrupt(error):
            leave(says)
        raise
    if struck:
        leave(says)


def _is_importing(frame: FrameType | None) -> bool:
    while frame:
        if frame.f_code.co_filename == _IMPORT:
            return True
        frame = frame.f_back
    return False


@contextmanager
def hear_interrupts(patience: float = PATIENCE_SECONDS) -> Iterator[Callable[[], bool]]:
    """Yield a function that tells whether an interrupt came since.

    Who is still inside `patience` seconds after an interrupt is ended, with exit code 130. Heard in the main thread
    only, as Python does.
    """
    if current_thread() is not main_thread():
        yield lambda: False
        return
    heard, left, answered = Event(), Event(), Event()
    ear, mouth = socket.socketpair()
    mouth.setblocking(False)
    listener = Thread(target=_listen, args=(ear, heard, left, answered, patience), daemon=True)
    listener.start()
    before = signal.set_wakeup_fd(mouth.fileno(), warn_on_full_buffer=False)

    def interrupted() -> bool:
        answered.clear()
        mouth.send(_ASK)  # behind whatever signal came before: once it is answered, that one was heard
        return heard.is_set() or (answered.wait(patience) and heard.is_set())

    try:
        yield interrupted
    finally:
        signal.set_wakeup_fd(before)
        left.set()
        mouth.send(_DONE)
        listener.join()
        ear.close()
        mouth.close()


def _listen(ear: socket.socket, heard: Event, left: Event, answered: Event, patience: float) -> None:
    while (number := ear.recv(1)) and number != _DONE:
        if number == _ASK:
            answered.set()
        elif number[0] == signal.SIGINT:
            heard.set()
            answered.set()
            if not left.wait(patience):
                end_at_once()

"""Ctrl-C: one line and exit code 130, wherever it strikes.

While Dagster works it is heard whatever becomes of its exception, and final after some seconds: Dagster takes an
interrupt for the failure of a step, which it may try again, and goes on with the next one.
"""

from __future__ import annotations

import atexit
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread, current_thread, main_thread
from typing import NoReturn

from liq_pipeline.errors import INTERRUPTED, INTERRUPTED_LINE

PATIENCE_SECONDS = 3.0  # to end in good order; then at once: whatever is written is written whole or not at all
_DONE, _ASK = b"\0", b"\xff"  # beside the numbers of signals


def is_interrupt(error: BaseException) -> bool:
    """Tell whether an error is an interrupt: Python's own, or what DuckDB makes of it within a query."""
    return isinstance(error, KeyboardInterrupt) or (
        isinstance(error, RuntimeError) and str(error) == "Query interrupted"
    )


def leave() -> NoReturn:
    """Say that the command was interrupted, and end with exit code 130.

    Not by `sys.exit`: `python -m` ends itself with SIGINT instead where the interrupt struck inside `exec`, as in
    `namedtuple`, however it was handled since (Python 3.11).
    """
    sys.stderr.write(f"{INTERRUPTED_LINE}\n")
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(INTERRUPTED)


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
                sys.stderr.write(f"{INTERRUPTED_LINE}\n")
                sys.stderr.flush()
                os._exit(INTERRUPTED)

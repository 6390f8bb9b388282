"""Ctrl-C while Dagster works: heard whatever becomes of its exception, and final after some seconds.

Dagster takes an interrupt for the failure of a step: it may try the step again, or go on with the next one.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread, current_thread, main_thread

from liq_pipeline.errors import INTERRUPTED, INTERRUPTED_LINE

PATIENCE_SECONDS = 3.0  # to end in good order; then at once: whatever is written is written whole or not at all
_DONE = b"\0"


@contextmanager
def hear_interrupts(patience: float = PATIENCE_SECONDS) -> Iterator[Callable[[], bool]]:
    """Yield a function that tells whether an interrupt came since.

    Who is still inside `patience` seconds after an interrupt is ended, with exit code 130. Heard in the main thread
    only, as Python does.
    """
    if current_thread() is not main_thread():
        yield lambda: False
        return
    heard, left = Event(), Event()
    ear, mouth = socket.socketpair()
    mouth.setblocking(False)
    listener = Thread(target=_listen, args=(ear, heard, left, patience), daemon=True)
    listener.start()
    before = signal.set_wakeup_fd(mouth.fileno(), warn_on_full_buffer=False)
    try:
        yield lambda: heard.wait(0.05)
    finally:
        signal.set_wakeup_fd(before)
        left.set()
        mouth.send(_DONE)
        listener.join()
        ear.close()
        mouth.close()


def _listen(ear: socket.socket, heard: Event, left: Event, patience: float) -> None:
    while (number := ear.recv(1)) and number != _DONE:
        if number[0] == signal.SIGINT:
            heard.set()
            if not left.wait(patience):
                sys.stderr.write(f"{INTERRUPTED_LINE}\n")
                sys.stderr.flush()
                os._exit(INTERRUPTED)

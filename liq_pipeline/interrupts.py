"""Whether Ctrl-C was pressed, whatever became of its exception on the way through compiled code and Dagster."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


@contextmanager
def hear_interrupts() -> Iterator[Callable[[], bool]]:
    """Yield a function that tells whether an interrupt came since. Heard in the main thread only, as Python does."""
    ear, mouth = socket.socketpair()
    with ear, mouth:
        ear.setblocking(False)
        mouth.setblocking(False)
        before = None
        with suppress(ValueError):  # not the main thread
            before = signal.set_wakeup_fd(mouth.fileno(), warn_on_full_buffer=False)
        heard = bytearray()

        def was_interrupted() -> bool:
            with suppress(BlockingIOError):
                heard.extend(ear.recv(4096))
            return signal.SIGINT in heard

        try:
            yield was_interrupted
        finally:
            if before is not None:
                signal.set_wakeup_fd(before)

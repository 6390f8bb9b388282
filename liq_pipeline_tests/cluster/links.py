"""The network between a worker and the rest: a forwarder on loopback that can be cut, slowed down or made to fail."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from typing import Literal

Mode = Literal["open", "cut", "slow", "failing"]
_CHUNK = 65_536
_ERROR = (
    b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/xml\r\nContent-Length: 44\r\n"
    b"Connection: close\r\n\r\n<Error><Code>InternalError</Code></Error>    "
)


class Link:
    """Forwards a port of ours to another.

    Modes: `open`; `cut`, in which nothing arrives any more on either side and nobody is told; `slow`, 200 ms for each
    piece; `failing`, for HTTP: each request is answered 500.
    """

    def __init__(self, port: int) -> None:
        self.target = port
        self.mode: Mode = "open"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Accept no more."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        self._wait()
        if self.mode == "failing":
            with suppress(OSError), near:
                near.settimeout(2)
                near.recv(_CHUNK)
                near.sendall(_ERROR)
                while near.recv(_CHUNK):  # else what was not read would become a reset
                    pass
            return
        try:
            far = socket.create_connection(("127.0.0.1", self.target), timeout=5)
            far.settimeout(None)
        except OSError:
            near.close()
            return
        for one, other in ((near, far), (far, near)):
            threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    def _wait(self) -> None:
        while self.mode == "cut":
            time.sleep(0.1)
        if self.mode == "slow":
            time.sleep(0.2)

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(_CHUNK):
                self._wait()
                if self.mode == "failing":
                    break
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

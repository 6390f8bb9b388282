"""One connection to the stream: reads, and proves that it lives.

A stretch of time counts as listened to only as far as that is proven: by the event time of an order, or by the instant
of a ping that was answered. Whatever ends a connection, its stretch ends there and never later.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from liq_pipeline.system.network import socket_proxy

LAST_PROOF_SECONDS = 3.0  # to wait for the last sign of life when it ends: stopping must not take long


@dataclass(frozen=True)
class Timeouts:
    """How long things take, in real seconds.

    Args:
        flush: between two writes: what a killed recorder loses at most.
        tell: between two lines of counts.
        quiet: without any order, until that is called strange.
        ping: between two proofs that the connection lives.
        pong: to wait for the answer, until the connection is taken for dead.
        opening: to wait for a connection.
        life: of a connection; the exchange ends each after 24 hours.
        first_pause, longest_pause: between attempts to connect; doubled each time, less a random part.
    """

    flush: float = 30.0
    tell: float = 60.0
    quiet: float = 3600.0
    ping: float = 15.0
    pong: float = 15.0
    opening: float = 15.0
    life: float = 23.5 * 3600
    first_pause: float = 1.0
    longest_pause: float = 60.0


class Connection:
    """One connection: from when it was open, and until when it is proven to have listened.

    Args:
        socket: just opened.
        take: is given each message; returns the instant until which it proves that we listen, or None.
        now: the clock, UTC.
        pace: how long things take.

    Attributes:
        opened_at, alive_at: the stretch proven so far, [opened_at, alive_at), UTC.
        ended_by: why it ended; empty while it lives.
        work: done when it has ended; its exception is that of `take`, if that raised.
    """

    def __init__(
        self,
        socket: ClientConnection,
        take: Callable[[str | bytes], datetime | None],
        now: Callable[[], datetime],
        pace: Timeouts,
    ) -> None:
        self.socket, self.take, self.now, self.pace = socket, take, now, pace
        self.opened_at = self.alive_at = now()
        self._began = time.monotonic()
        self.ended_by = ""
        self.work = asyncio.create_task(self._work())

    @property
    def age(self) -> float:
        """Real seconds since it was opened."""
        return time.monotonic() - self._began

    async def retire(self, reason: str) -> None:
        """End the connection, if it lives: a last proof, then a farewell."""
        if not self.work.done():
            self.ended_by = self.ended_by or reason
            with suppress(TimeoutError, OSError, ConnectionClosed):
                await self._prove(min(self.pace.pong, LAST_PROOF_SECONDS))
                await self.socket.close()
            self.work.cancel()
        await asyncio.gather(self.work, return_exceptions=True)

    async def _work(self) -> None:
        """Read, and ask for a sign of life now and then, until the connection ends."""
        reading = asyncio.create_task(self._read())
        try:
            while not reading.done():
                await asyncio.wait([reading], timeout=self.pace.ping)
                if not reading.done():
                    await self._prove(self.pace.pong)
            reading.result()
        except TimeoutError:
            self.ended_by = self.ended_by or f"silent: no answer to a ping in {self.pace.pong:g} s"
        except (OSError, ConnectionClosed) as error:
            self.ended_by = self.ended_by or reason_of(error)
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            self.socket.transport.abort()  # a dead one would not answer a farewell

    async def _read(self) -> None:
        while True:
            if proven := self.take(await self.socket.recv()):
                self.alive_at = max(self.alive_at, proven)

    async def _prove(self, seconds: float) -> None:
        """Ping. Messages keep their order: with the answer, all that was sent before it has been read."""
        asked = self.now()
        await asyncio.wait_for(await self.socket.ping(), seconds)
        self.alive_at = max(self.alive_at, asked)


async def open_socket(url: str, pace: Timeouts) -> ClientConnection:
    """Return a new connection. Pings are ours, and pongs to the exchange's the library's.

    Raises:
        OSError, TimeoutError, WebSocketException: there is none.
        SettingsError: the proxy in the environment cannot be used.
    """
    return await connect(
        url, proxy=socket_proxy(url), open_timeout=pace.opening, close_timeout=1, ping_interval=None, compression=None
    )


def reason_of(error: BaseException) -> str:
    """Say why a connection ended or was not made."""
    if isinstance(error, InvalidStatus):
        status = error.response.status_code
        why = {451: ", fenced in this country", 403: ", blocked", 418: ", banned", 429: ", asked too often"}
        return f"HTTP {status}{why.get(status, '')}"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error) or type(error).__name__

"""A clock that tests move by hand, and a recorder that runs beside the test."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Self

from liq_pipeline.exchange.connection import Timeouts
from liq_pipeline.exchange.recorded import RecordingFolder
from liq_pipeline.exchange.recorder import MOST_UNSAVED, Recorder
from liq_pipeline.simulator.stream import StreamServer

NOON = datetime(2026, 6, 20, 12, tzinfo=UTC)
QUICK = Timeouts(flush=0.05, tell=0.05, ping=0.02, pong=0.2, opening=2, first_pause=0.01, longest_pause=0.05)


class HandClock:
    """Stands still until it is moved."""

    def __init__(self, instant: datetime = NOON) -> None:
        self.instant = instant

    def now(self) -> datetime:
        return self.instant

    def move(self, **by: float) -> None:
        self.instant += timedelta(**by)


class Running:
    """A recorder in a thread of its own, as a context manager: it is stopped, and has written, when that ends."""

    def __init__(
        self,
        address: str,
        folder: Path,
        clock: HandClock,
        symbols: Sequence[str] = ("BTCUSDT",),
        pace: Timeouts = QUICK,
        most_unsaved: int = MOST_UNSAVED,
    ) -> None:
        self.lines: list[str] = []
        self.error: BaseException | None = None
        self.folder = RecordingFolder(folder, self.lines.append)
        self.recorder = Recorder(address, tuple(symbols), self.folder, clock.now, self.lines.append, pace, most_unsaved)
        self._thread = Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        async def work() -> None:
            self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
            await self.recorder.run()

        try:
            with self.folder:
                asyncio.run(work())
        except asyncio.CancelledError:
            pass
        except BaseException as error:
            self.error = error

    def __enter__(self) -> Self:
        self._thread.start()
        until(lambda: self.has_said("connected: ") or self.has_said("cannot connect") or self.error)
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(10)
        assert not self._thread.is_alive()

    def has_said(self, text: str) -> int:
        """How many lines hold the text."""
        return sum(text in line for line in list(self.lines))


def until(holds: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait until something holds."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, "waited in vain"
        time.sleep(0.002)


def tell_until(server: StreamServer, running: Running, clock: HandClock, instant: datetime) -> None:
    """Move the clock, and wait until all that was due has been sent, has arrived and is written."""
    clock.instant = instant
    due = sum(order.event_ms <= instant.timestamp() * 1000 for order in server.orders)
    until(lambda: server.told == due)
    settle(running, clock)


def settle(running: Running, clock: HandClock) -> None:
    """Wait until the open connection has proven that it listened until now: then it has read all before, too."""
    now = clock.now()

    def proven() -> bool:
        lines = [line for line in list(running.recorder._connections) if not line.work.done()]
        return bool(lines) and all(line.alive_at >= now for line in lines)

    until(lambda: proven() or running.error)

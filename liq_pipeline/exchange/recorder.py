"""Keeps the forced-order stream: connects, listens, connects again, writes."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from websockets.exceptions import InvalidStatus, WebSocketException

from liq_pipeline.errors import RecordingFailed
from liq_pipeline.exchange.connection import Connection, Timeouts, open_socket, reason_of
from liq_pipeline.exchange.forced_orders import ForcedOrder, Malformed, parse_message, stream_url
from liq_pipeline.exchange.recorded import Batch, Connected, RecordingFolder, Reject, read_coverage

MOST_UNSAVED = 100_000  # orders in memory while the disk refuses; about 50 MB
MOST_REJECTS = 20  # messages set aside between two writes; further ones are only counted
REFUSALS = (403, 418, 429, 451)  # asking again soon makes these worse
PLANNED = "planned reconnect"
STOPPED = "stopped"


class Recorder:
    """Records the forced orders of some symbols into a folder.

    Args:
        address: of the exchange's routed streams, such as `wss://host/market`.
        symbols: perpetuals.
        folder: where to write; entered and left by the caller.
        now: the clock, UTC.
        report: told in a line what happens.
        pace: how long things take.
        most_unsaved: orders to keep in memory while they cannot be written.

    Attributes:
        recorded: orders written so far, by symbol, doubles left out.
        rejected: messages set aside so far.

    Raises:
        SettingsError: an address or symbols that cannot be used.
    """

    def __init__(
        self,
        address: str,
        symbols: tuple[str, ...],
        folder: RecordingFolder,
        now: Callable[[], datetime],
        report: Callable[[str], None] = lambda _: None,
        pace: Timeouts | None = None,
        most_unsaved: int = MOST_UNSAVED,
    ) -> None:
        self.url, self.symbols, self.folder = stream_url(address, symbols), symbols, folder
        self.now, self.report, self.pace, self.most_unsaved = now, report, pace or Timeouts(), most_unsaved
        self.recorded: Counter[str] = Counter()
        self.rejected = 0
        self._orders: dict[tuple[object, ...], ForcedOrder] = {}
        self._rejects: list[Reject] = []
        self._connections: list[Connection] = []
        self._failures = 0
        self._last_order = time.monotonic()
        self._clocks_compared = False

    async def run(self) -> None:
        """Listen and write until cancelled; then write what is left.

        Raises:
            RecordingFailed: the disk refuses, and memory is full, or it is time to end.
            CancelledError: it was cancelled; everything received is written.
        """
        stop = asyncio.Event()
        writing = asyncio.create_task(self._write_until(stop))
        others = [asyncio.create_task(self._listen()), asyncio.create_task(self._tell())]
        try:
            await asyncio.wait([writing, *others], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in others:
                task.cancel()
            found = await asyncio.gather(*others, return_exceptions=True)
            stop.set()
            await writing
            for line in found:
                if isinstance(line, Exception):
                    raise line

    async def _listen(self) -> None:
        line: Connection | None = None
        before = read_coverage(self.folder.folder, self.symbols[0])
        try:
            while True:
                successor = await self._opened()  # the line before goes on meanwhile, if it lives
                if line:
                    await line.retire(PLANNED)
                self._tell_of_gap(line.alive_at if line else before[-1][1] if before else None, successor)
                line = successor
                await asyncio.wait([line.work], timeout=self.pace.life)
                # One that dies young is as bad as one that was refused: do not hammer.
                self._failures = self._failures + 1 if line.age < min(self.pace.longest_pause, self.pace.life) else 0
                if line.work.done():
                    line.work.result()
                    self.report(f"{self.now():%F %T} connection lost: {line.ended_by}")
                    await asyncio.sleep(self._pause())
        finally:
            for one in list(self._connections):
                await one.retire(STOPPED)

    async def _opened(self) -> Connection:
        """Return a connection, however long that takes."""
        while True:
            try:
                socket = await open_socket(self.url, self.pace)
            except (OSError, TimeoutError, WebSocketException) as error:
                self._failures += 1
                pause = self._pause(error)
                self.report(f"{self.now():%F %T} cannot connect: {reason_of(error)}; again in {pause:.0f} s")
                await asyncio.sleep(pause)
                continue
            line = Connection(socket, self.take, self.now, self.pace)
            self._connections.append(line)
            self.report(f"{self.now():%F %T} connected: forced orders of {', '.join(self.symbols)}")
            return line

    def _pause(self, error: BaseException | None = None) -> float:
        """Return how long to wait before the next attempt, after so many failures in a row."""
        if not self._failures:
            return 0.0
        seconds = min(self.pace.longest_pause, self.pace.first_pause * 2.0 ** min(self._failures - 1, 30))
        if isinstance(error, InvalidStatus) and error.response.status_code in REFUSALS:
            asked = error.response.headers.get("Retry-After", "")
            return max(self.pace.longest_pause, min(float(asked), 3600.0) if asked.isdecimal() else 0.0)
        return seconds * random.uniform(0.5, 1.0)

    def _tell_of_gap(self, until: datetime | None, line: Connection) -> None:
        if until and line.opened_at > until:
            gap = f"GAP of {(line.opened_at - until).total_seconds():.1f} s"
            self.report(f"{gap}: nobody listened from {until:%F %T} to {line.opened_at:%F %T} UTC")

    def take(self, message: str | bytes) -> datetime | None:
        """Keep an order, or set the message aside; return the instant until which an order proves that we listen.

        Raises:
            RecordingFailed: too much is in memory that could not be written.
        """
        received = self.now()
        try:
            order = parse_message(message, self.symbols, received)
        except Malformed as error:
            self.rejected += 1
            if len(self._rejects) < MOST_REJECTS:
                text = message if isinstance(message, str) else message.decode(errors="replace")
                self._rejects.append(Reject(received, str(error), text[:500]))
            return None
        if len(self._orders) >= self.most_unsaved:
            raise RecordingFailed(
                f"{len(self._orders)} orders could not be written into {self.folder.folder}",
                remedy="make room on the disk, then start again; the time until then is a gap",
            )
        self._orders.setdefault(order.identity, order)
        self._last_order = time.monotonic()
        if not self._clocks_compared:
            self._clocks_compared = True
            if abs(skew := (received - order.event_time).total_seconds()) > 30:
                self.report(f"our clock is {skew:+.0f} s beside the exchange's: gaps are off by that; set the clock")
        return min(order.event_time, received)

    async def _write_until(self, stop: asyncio.Event) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self.pace.flush)
            ending = stop.is_set()
            # Taken in one step: the stretches never reach beyond what is in the batch.
            orders, rejects = self._orders, self._rejects
            self._orders, self._rejects = {}, []
            gone = [line for line in self._connections if line.work.done()]
            batch = Batch(list(orders.values()), [self._stretch(line) for line in self._connections], rejects)
            try:
                self.recorded.update(await asyncio.to_thread(self.folder.write, batch))
                self._connections = [line for line in self._connections if line not in gone]
            except OSError as error:
                self._orders, self._rejects = orders | self._orders, (rejects + self._rejects)[:MOST_REJECTS]
                if ending:
                    raise RecordingFailed(
                        f"{len(self._orders)} orders are lost: {self.folder.folder} cannot be written: {error}",
                        remedy="make room on the disk; the time since the last write is a gap",
                    ) from error
                self.report(
                    f"{self.now():%F %T} CANNOT WRITE: {error}; {len(self._orders)} orders are kept in memory, at most "
                    f"{self.most_unsaved}"
                )
            if ending:
                return

    def _stretch(self, line: Connection) -> Connected:
        return Connected(line.opened_at, line.alive_at, self.symbols, line.ended_by)

    async def _tell(self) -> None:
        before, told = Counter(self.recorded), time.monotonic()
        while True:
            await asyncio.sleep(self.pace.tell)
            new = self.recorded - before
            each = ", ".join(f"{symbol} {count}" for symbol, count in new.items())
            self.report(
                f"{self.now():%F %T} {new.total()} forced orders written{f' ({each})' if each else ''}, "
                f"{self.recorded.total()} since the start; {self.rejected} messages set aside"
            )
            before = Counter(self.recorded)
            silence = time.monotonic() - max(self._last_order, told)
            if silence > self.pace.quiet:
                told = time.monotonic()
                self.report(
                    f"connected, but no forced order for {silence / 60:.0f} minutes: are {', '.join(self.symbols)} "
                    "traded, and is the address routed?"
                )

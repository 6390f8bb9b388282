"""Processes that take one symbol after the other, each as it gets done with the one before.

A worker that crashes or is killed costs its symbol alone. Workers end with the process that started them. This module
loads no Dagster, so a worker loads it only if its work needs it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from queue import SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

from liq_pipeline.errors import LiqError
from liq_pipeline.exchange.report import Progress
from liq_pipeline.system.interrupts import interruptible

if TYPE_CHECKING:
    from liq_pipeline.orchestration.resources import Reporter

SECONDS_TO_END = 5.0  # after Ctrl-C
_RESULT, _TRACK, _CALL, _SAY, _ERROR = "result", "track", "call", "say", "error"


@dataclass(frozen=True)
class Lost:
    """A symbol whose worker died, and why, in words."""

    symbol: str
    why: str


Work = Callable[[Iterator[str], "Reporter"], Iterator[Any]]


def at_once(work: Work, symbols: Iterable[str], count: int, reporter: Reporter | None = None) -> Iterator[Any]:
    """Yield what the work makes of each symbol, as it is done; a `Lost` for one whose worker died.

    Args:
        work: takes symbols as they come and yields a result for each; can be pickled, and so can its results.
        symbols: taken one by one, as workers get free.
        count: number of processes.
        reporter: told about long work.

    Raises:
        KeyboardInterrupt: after Ctrl-C, when every worker has ended.
        LiqError: the work's own.
    """
    pool = _Pool(work, reporter)
    try:
        yield from pool.run(iter(symbols), count)
    finally:
        pool.stop()


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    symbol: str = ""


class _Pool:
    def __init__(self, work: Work, reporter: Reporter | None) -> None:
        self.work, self.reporter = work, reporter
        self.context = multiprocessing.get_context("spawn")  # forks of a process with threads may hang
        self.workers: list[_Worker] = []
        self.tracked: dict[tuple[int, int], Progress] = {}

    def run(self, symbols: Iterator[str], count: int) -> Iterator[Any]:
        for _ in range(count):
            self._start(next(symbols, ""))
        while busy := [worker for worker in self.workers if worker.symbol]:
            for ready in wait([worker.pipe for worker in busy]):
                worker = next(one for one in busy if one.pipe is ready)
                try:
                    kind, *content = worker.pipe.recv()
                except (EOFError, OSError):
                    yield self._lost(worker)
                    self._start(next(symbols, ""))
                    continue
                if kind == _ERROR:
                    raise content[0]
                if kind == _RESULT:
                    self._give(worker, next(symbols, ""))  # it goes on while whoever asked looks at the result
                    yield content[0]
                else:
                    self._tell(worker, kind, content)

    def _start(self, symbol: str) -> None:
        if not symbol:
            return
        ours, theirs = self.context.Pipe()
        process = self.context.Process(target=_serve, args=(self.work, theirs), daemon=True)
        resource_tracker.ensure_running()  # its start would unblock the signal
        # Ctrl-C while it still imports would be a traceback: it inherits the mask, and lets go when it can answer.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        theirs.close()  # else the end of the worker would not be seen
        worker = _Worker(process, ours)
        self.workers.append(worker)
        self._give(worker, symbol)

    def _give(self, worker: _Worker, symbol: str) -> None:
        """Give it its next symbol; an empty one lets it end."""
        worker.symbol = symbol
        with suppress(OSError):  # it has died: the next look at its pipe tells
            worker.pipe.send(worker.symbol)

    def _lost(self, worker: _Worker) -> Lost:
        worker.process.join()
        code = worker.process.exitcode or 0
        if code in (-signal.SIGINT, 130):
            raise KeyboardInterrupt
        self.workers.remove(worker)
        how = f"killed ({signal.Signals(-code).name})" if code < 0 else f"ended with exit code {code}"
        why = f"the process that worked on it was {how}; what was published before stays. To do: run again"
        return Lost(worker.symbol, why)

    def _tell(self, worker: _Worker, kind: str, content: list[Any]) -> None:
        if kind == _SAY:
            if self.reporter:
                self.reporter.say(content[0])
            return
        number, *rest = content
        key = (worker.process.pid or 0, number)
        if kind == _TRACK:
            progress = self.reporter.track(rest[0]) if self.reporter else None
            if progress:
                self.tracked[key] = progress
        elif key in self.tracked:
            getattr(self.tracked[key], rest[0])(*rest[1])

    def stop(self) -> None:
        for worker in self.workers:
            if worker.symbol and worker.process.is_alive() and worker.process.pid:
                # Ctrl-C in a terminal reached it, too; once more does no harm.
                os.kill(worker.process.pid, signal.SIGINT)
            worker.pipe.close()
        for worker in self.workers:
            worker.process.join(SECONDS_TO_END)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()


class _Remote:
    """Tells the process that started this one about progress."""

    def __init__(self, pipe: Connection, lock: Lock) -> None:
        self.pipe, self.lock, self.count = pipe, lock, 0

    def send(self, *message: Any) -> None:
        with self.lock:
            self.pipe.send(message)

    def track(self, label: str) -> Progress:
        self.count += 1
        self.send(_TRACK, self.count, label)
        return _RemoteProgress(self, self.count)

    def say(self, line: str) -> None:
        self.send(_SAY, line)


class _RemoteProgress:
    def __init__(self, remote: _Remote, number: int) -> None:
        self.remote, self.number = remote, number

    def start(self, total_files: int, total_bytes: int) -> None:
        self.remote.send(_CALL, self.number, "start", (total_files, total_bytes))

    def advance(self, files: int = 1, bytes: int = 0) -> None:
        self.remote.send(_CALL, self.number, "advance", (files, bytes))

    def finish(self) -> None:
        self.remote.send(_CALL, self.number, "finish", ())


def _serve(work: Work, pipe: Connection) -> None:
    """Work on the symbols that come through the pipe, until an empty one, or until the other side is gone."""
    remote = _Remote(pipe, Lock())
    given: SimpleQueue[str] = SimpleQueue()

    def listen() -> None:
        while True:
            try:
                given.put(pipe.recv())
            except (EOFError, OSError):  # whoever started us is gone: nobody would see what we do
                os._exit(1)

    Thread(target=listen, daemon=True).start()
    with interruptible(says=False):
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            for result in work(iter(given.get, ""), remote):
                remote.send(_RESULT, result)
        except LiqError as error:
            remote.send(_ERROR, error)

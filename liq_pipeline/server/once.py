"""Slow work of the service: in two threads, and once for all who ask for the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


class Once:
    """Runs functions in threads; who asks for what is already on its way waits for the same result.

    Heavy work (a heatmap takes 100 MB and half a second) has a thread to itself: the rest never waits for it, no two
    take their memory at once.
    """

    def __init__(self) -> None:
        self._light = ThreadPoolExecutor(1, thread_name_prefix="liq-light")
        self._heavy = ThreadPoolExecutor(1, thread_name_prefix="liq-heavy")
        self._running: dict[Hashable, asyncio.Future[Any]] = {}

    async def run(self, key: Hashable, work: Callable[[], T], *, heavy: bool = False) -> T:
        """Return what `work` returns, or raise what it raises. The key names the work."""
        running = self._running.get(key)
        if running is None:
            running = asyncio.get_running_loop().run_in_executor(self._heavy if heavy else self._light, work)
            self._running[key] = running
            running.add_done_callback(lambda _: self._running.pop(key, None))
        result: T = await asyncio.shield(running)  # a client that hangs up takes it from nobody
        return result

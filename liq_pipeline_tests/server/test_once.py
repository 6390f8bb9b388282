"""Slow work of the service: heavy work takes turns, and nothing else waits for it."""

from __future__ import annotations

import asyncio
import threading
import time

from liq_pipeline.server.once import Once


def test_two_heavy_works_never_take_their_memory_at_once() -> None:
    once, inside, most = Once(), [], []

    def heavy() -> None:
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.05)
        inside.pop()

    async def ask() -> None:
        await asyncio.gather(*(once.run(number, heavy, heavy=True) for number in range(4)))

    asyncio.run(ask())
    assert most == [1, 1, 1, 1]


def test_light_work_does_not_wait_for_heavy_work() -> None:
    once, go_on = Once(), threading.Event()

    async def ask() -> tuple[bool, str]:
        heavy = asyncio.ensure_future(once.run("map", lambda: go_on.wait(30), heavy=True))
        light = await asyncio.wait_for(once.run("levels", lambda: "done"), 20)
        go_on.set()
        return await heavy, light

    assert asyncio.run(ask()) == (True, "done")


def test_who_asks_for_what_is_on_its_way_gets_the_same_result_and_later_a_new_one() -> None:
    once, made = Once(), []

    def work() -> int:
        time.sleep(0.05)
        made.append(1)
        return len(made)

    async def ask() -> tuple[list[int], int]:
        together = await asyncio.gather(*(once.run("levels", work) for _ in range(3)))
        return together, await once.run("levels", work)

    assert asyncio.run(ask()) == ([1, 1, 1], 2)

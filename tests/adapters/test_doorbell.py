"""The doorbell wakes who waits, nobody else, and keeps nothing."""

from __future__ import annotations

import asyncio
import time

from handoff.adapters.doorbell import LocalDoorbell

LONG = 30.0
"""Seconds nobody waits: a test that does would be seen at once."""


async def waiting(bell: LocalDoorbell, key: str, seconds: float = LONG) -> asyncio.Task[None]:
    """Return a task that listens already."""
    task = asyncio.create_task(bell.wait(key, seconds))
    await asyncio.sleep(0)
    return task


async def test_a_ring_wakes_everybody_who_waits_for_the_key() -> None:
    bell, began = LocalDoorbell(), time.monotonic()
    tasks = [await waiting(bell, "a") for _ in range(3)]
    bell.ring("a")
    await asyncio.gather(*tasks)
    assert time.monotonic() - began < LONG / 2


async def test_a_ring_for_another_key_wakes_nobody() -> None:
    bell = LocalDoorbell()
    task = await waiting(bell, "a")
    bell.ring("b")
    for _ in range(5):
        await asyncio.sleep(0)
    assert not task.done()
    bell.ring("a")
    await task


async def test_without_a_ring_the_wait_ends_by_itself() -> None:
    bell, began = LocalDoorbell(), time.monotonic()
    await bell.wait("a", 0.05)
    assert 0.04 <= time.monotonic() - began < LONG / 2


async def test_a_ring_nobody_hears_is_not_kept() -> None:
    """What rang before is in the database: whoever comes later looks there first."""
    bell = LocalDoorbell()
    bell.ring("a")
    task = await waiting(bell, "a")
    await asyncio.sleep(0)
    assert not task.done()
    bell.ring("a")
    await task


async def test_nothing_is_left_of_those_who_waited() -> None:
    bell = LocalDoorbell()
    rung, given_up = await waiting(bell, "a"), await waiting(bell, "a")
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    assert given_up.cancelled() and not rung.done()
    bell.ring("a")
    await rung
    await bell.wait("b", 0.001)
    assert not bell._waiting

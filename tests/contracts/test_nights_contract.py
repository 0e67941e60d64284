"""A night begins once for each local date, in memory as on disk."""

from __future__ import annotations

import asyncio

from handoff.ports import Store
from tests.contracts.samples import START


async def test_a_date_begins_once_and_again_only_when_it_was_undone(store: Store) -> None:
    async with store() as work:
        assert await work.nights.begin("2026-10-25", START)
        assert not await work.nights.begin("2026-10-25", START)
        await work.commit()
    async with store() as work:
        assert not await work.nights.begin("2026-10-25", START)
        assert await work.nights.begin("2026-10-26", START)
    async with store() as work:
        assert await work.nights.begin("2026-10-26", START), "what was not committed is undone"
        await work.nights.undo("2026-10-25")
        await work.nights.undo("1999-01-01")
        await work.commit()
    async with store() as work:
        assert await work.nights.begin("2026-10-25", START)
        assert not await work.nights.begin("2026-10-26", START)


async def test_of_many_at_once_one_begins(store: Store) -> None:
    async def begin() -> bool:
        async with store() as work:
            begun = await work.nights.begin("2026-10-25", START)
            await work.commit()
        return begun

    assert sum(await asyncio.gather(*(begin() for _ in range(5)))) == 1

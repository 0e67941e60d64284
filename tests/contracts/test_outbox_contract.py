"""The outbox: order, priorities, topics, dedupe, dead dispatchers, and two dispatchers at once."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest

from handoff.adapters.db.engine import make_engine
from handoff.adapters.db.store import DatabaseStore
from handoff.core.errors import StaleVersion
from handoff.core.model import OutboxItem, OutboxKind, OutboxStatus
from handoff.ports import Store, Work
from tests.contracts import samples
from tests.contracts.samples import at


async def put(work: Work, *items: OutboxItem) -> None:
    for item in items:
        assert await work.outbox.put(item)


async def take_all(work: Work, skip_topics: Sequence[str] = ()) -> list[str]:
    """Take until nothing is due, settling each, and return the ids in order."""
    taken = []
    while (item := await work.outbox.take(at(0), skip_topics)) is not None:
        item.status = OutboxStatus.SENT
        await work.outbox.save(item)
        taken.append(item.id)
    return taken


async def test_an_item_is_owed_once(store: Store, other: Store) -> None:
    async with store() as work:
        assert await work.outbox.put(samples.item("a", dedupe_key="same", payload={"n": 1}))
        await work.commit()
    async with other() as work:
        assert not await work.outbox.put(samples.item("b", dedupe_key="same", payload={"n": 2}))
        assert await work.outbox.waiting() == 1
        assert (await work.outbox.get("a")).payload == {"n": 1}
        with pytest.raises(StaleVersion):
            await work.outbox.put(samples.item("a", dedupe_key="another"))


async def test_an_item_that_was_sent_stays_known(store: Store) -> None:
    async with store() as work:
        await put(work, samples.item("a"))
        assert await take_all(work) == ["a"]
        assert not await work.outbox.put(samples.item("b", dedupe_key="key-a"))
        assert await work.outbox.waiting() == 0


async def test_the_store_numbers_items_in_order(store: Store) -> None:
    items = [samples.item(id) for id in ("z", "a", "m")]
    async with store() as work:
        await put(work, *items)
        numbers = [(await work.outbox.get(item.id)).number for item in items]
    assert 0 < numbers[0] < numbers[1] < numbers[2]
    assert [item.number for item in items] == numbers


async def test_take_marks_sending_and_counts_the_attempt(store: Store) -> None:
    async with store() as work:
        await put(work, samples.item("a", kind=OutboxKind.CARD, topic="t", attempts=2))
        taken = await work.outbox.take(at(0))
        assert taken is not None
        assert (taken.id, taken.status, taken.attempts) == ("a", OutboxStatus.SENDING, 3)
        assert await work.outbox.get("a") == taken
        assert await work.outbox.take(at(0)) is None
        assert await work.outbox.waiting() == 0


async def test_the_lowest_priority_value_goes_first_then_the_lowest_number(store: Store) -> None:
    async with store() as work:
        await put(
            work,
            samples.item("later", priority=2),
            samples.item("b", priority=1),
            samples.item("c", priority=1),
            samples.item("first", priority=0),
        )
        assert await take_all(work) == ["first", "b", "c", "later"]


async def test_an_item_is_not_taken_before_its_time(store: Store) -> None:
    async with store() as work:
        await put(work, samples.item("a", not_before=at(10)), samples.item("b", priority=2))
        assert await take_all(work) == ["b"]
        assert await work.outbox.take(at(9)) is None
        taken = await work.outbox.take(at(10))
        assert taken is not None and taken.id == "a"


async def test_topics_can_be_skipped(store: Store) -> None:
    async with store() as work:
        await put(
            work,
            samples.item("a", topic="busy"),
            samples.item("b", topic="free"),
            samples.item("c", topic=""),
        )
        assert await take_all(work, ["busy", "other"]) == ["b", "c"]
        assert await take_all(work) == ["a"]


async def test_all_topics_can_be_left_out(store: Store) -> None:
    async with store() as work:
        await put(work, samples.item("a", topic="t"), samples.item("b", topic="", priority=2))
        taken = await work.outbox.take(at(0), topics=False)
        assert taken is not None and taken.id == "b"
        assert await work.outbox.take(at(0), topics=False) is None
        assert await take_all(work) == ["a"]


@pytest.mark.parametrize("status", [OutboxStatus.PENDING, OutboxStatus.SENDING])
async def test_nothing_overtakes_an_unsettled_older_item_of_its_topic(
    store: Store, status: OutboxStatus
) -> None:
    """A pending older one may have to wait because sending it failed a moment ago."""
    async with store() as work:
        older = samples.item("older", topic="t", status=status, not_before=at(60))
        await put(work, older, samples.item("younger", topic="t"), samples.item("b", topic="u"))
        assert await take_all(work) == ["b"]
        older.status = OutboxStatus.SENT
        await work.outbox.save(older)
        assert await take_all(work) == ["younger"]


@pytest.mark.parametrize("status", [OutboxStatus.SENT, OutboxStatus.FAILED, OutboxStatus.UNCERTAIN])
async def test_a_settled_older_item_holds_up_nobody(store: Store, status: OutboxStatus) -> None:
    async with store() as work:
        await put(work, samples.item("a", topic="t", status=status), samples.item("b", topic="t"))
        assert await take_all(work) == ["b"]


async def test_another_priority_of_the_topic_may_overtake(store: Store) -> None:
    async with store() as work:
        await put(
            work,
            samples.item("card", topic="t", priority=1, status=OutboxStatus.SENDING),
            samples.item("customer", topic="t", priority=0),
            samples.item("digest", topic="t", priority=2),
        )
        assert await take_all(work) == ["customer", "digest"]


async def test_items_without_a_topic_do_not_hold_up_each_other(store: Store) -> None:
    """They go to different chats."""
    async with store() as work:
        await put(work, samples.item("a", not_before=at(60)), samples.item("b"))
        assert await take_all(work) == ["b"]


async def test_stranded_returns_what_is_being_sent(store: Store) -> None:
    async with store() as work:
        await put(work, *(samples.item(id) for id in ("c", "b", "a")))
        await work.outbox.take(at(0))
        await work.outbox.take(at(0))
        assert [item.id for item in await work.outbox.stranded()] == ["c", "b"]
        stranded = (await work.outbox.stranded())[0]
        stranded.status, stranded.error = OutboxStatus.UNCERTAIN, "the process died"
        await work.outbox.save(stranded)
        assert [item.id for item in await work.outbox.stranded()] == ["b"]
        assert await work.outbox.get("c") == stranded


async def test_a_take_that_is_not_committed_did_not_happen(store: Store) -> None:
    async with store() as work:
        await put(work, samples.item("a"))
        await work.commit()
    async with store() as work:
        assert await work.outbox.take(at(0)) is not None
    async with store() as work:
        taken = await work.outbox.take(at(0))
        assert taken is not None and taken.attempts == 1


async def test_two_dispatchers_share_the_items_in_order(store: Store, other: Store) -> None:
    """Each item goes to one of them, and within a topic to none before the older one is sent."""
    async with store() as work:
        for number in range(40):
            await put(work, samples.item(f"o{number:02}", topic=f"t{number % 4}"))
        await work.commit()
    sent: list[str] = []

    async def dispatch(by: Store) -> None:
        while len(sent) < 40:
            async with by() as work:
                item = await work.outbox.take(at(0))
                await work.commit()
            if item is None:
                await asyncio.sleep(0)
                continue
            sent.append(item.id)
            item.status = OutboxStatus.SENT
            async with by() as work:
                await work.outbox.save(item)
                await work.commit()

    await asyncio.gather(dispatch(store), dispatch(other), dispatch(store), dispatch(other))
    assert sorted(sent) == [f"o{number:02}" for number in range(40)]
    for topic in range(4):
        mine = [id for id in sent if int(id[1:]) % 4 == topic]
        assert mine == sorted(mine)


async def test_two_units_taking_at_once_get_different_items(store: Store, other: Store) -> None:
    async with store() as work:
        await put(work, samples.item("a", topic="t"), samples.item("b", topic="t"))
        await put(work, samples.item("c", topic="u"))
        await work.commit()
    both_open = asyncio.Barrier(2)

    async def take(by: Store) -> str | None:
        async with by() as work:
            assert await work.outbox.waiting() == 3
            await both_open.wait()
            item = await work.outbox.take(at(0))
            await work.commit()
        return None if item is None else item.id

    assert sorted(map(str, await asyncio.gather(take(store), take(other)))) == ["a", "c"]


async def test_numbers_of_a_topic_become_visible_in_order(store: Store, other: Store) -> None:
    """Else a dispatcher could send the younger of two items before it can see the older one."""
    async with store() as first:
        await put(first, samples.item("older", topic="t"))

        async def put_younger() -> None:
            async with other() as work:
                await put(work, samples.item("younger", topic="t"))
                await work.commit()

        waiting = asyncio.create_task(put_younger())
        await asyncio.sleep(0.02)
        assert not waiting.done()
        await first.commit()
    await waiting
    async with store() as work:
        assert await take_all(work) == ["older", "younger"]


DISPATCHER = """
import asyncio, json, sys
from datetime import datetime
from handoff.adapters.db.engine import make_engine
from handoff.adapters.db.store import DatabaseStore
from handoff.core.model import OutboxStatus

async def main(url, now):
    store, taken = DatabaseStore(make_engine(url)), []
    async with store() as work:
        await work.outbox.waiting()
    print("ready", flush=True)
    sys.stdin.readline()
    while True:
        async with store() as work:
            item = await work.outbox.take(now)
            await work.commit()
        if item is None:
            break
        taken.append(item.id)
        async with store() as work:
            item.status = OutboxStatus.SENT
            await work.outbox.save(item)
            await work.commit()
    print(json.dumps(taken))

asyncio.run(main(sys.argv[1], datetime.fromisoformat(sys.argv[2])))
"""


def dispatcher(url: str) -> subprocess.Popen[str]:
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    command = [sys.executable, "-c", DISPATCHER, url, at(0).isoformat()]
    return subprocess.Popen(command, **pipes)


async def test_two_processes_share_the_items(database_url: str) -> None:
    """Two real processes: no item twice, none left, and never an error about a locked database."""
    ids = [f"o{number:03}" for number in range(150)]
    engine = make_engine(database_url)
    async with DatabaseStore(engine)() as work:
        await put(work, *(samples.item(id) for id in ids))
        await work.commit()
    await engine.dispose()
    processes = [dispatcher(database_url), dispatcher(database_url)]
    try:
        for process in processes:
            assert process.stdout is not None and process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        taken = [json.loads(process.communicate(timeout=30)[0]) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert sorted(taken[0] + taken[1]) == ids
    assert all(taken), "both processes should have had a share"

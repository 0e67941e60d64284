"""What a unit of work promises: nothing before commit, nothing without it, one winner of a race."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from handoff.core.errors import NotFound, StaleVersion
from handoff.core.model import CandidateStatus, State
from handoff.ports import Store
from tests.contracts import samples
from tests.contracts.samples import at


async def test_what_is_committed_lasts(store: Store, other: Store) -> None:
    async with store() as work:
        await work.conversations.add(samples.conversation())
        await work.commit()
    async with other() as work:
        assert await work.conversations.get("c1") == samples.conversation()


async def test_a_unit_sees_its_own_changes_and_nobody_else_does_before_commit(
    store: Store, other: Store
) -> None:
    async with store() as work:
        await work.conversations.add(samples.conversation())
        assert await work.conversations.get("c1") == samples.conversation()
        async with other() as reader:
            assert await reader.conversations.find("web", "key-c1") is None
        await work.commit()


async def test_leaving_without_commit_undoes_everything(store: Store) -> None:
    async with store() as work:
        await work.conversations.add(samples.conversation())
        await work.commit()
    async with store() as work:
        conversation = await work.conversations.get("c1")
        conversation.state = State.WAITING
        await work.conversations.save(conversation)
        await work.messages.add(samples.message())
        await work.outbox.put(samples.item())
    async with store() as work:
        assert await work.conversations.get("c1") == samples.conversation()
        assert await work.messages.after("c1", 0) == []
        assert await work.outbox.waiting() == 0


async def test_an_exception_undoes_everything_and_goes_on(store: Store) -> None:
    with pytest.raises(ZeroDivisionError):
        async with store() as work:
            await work.conversations.add(samples.conversation())
            raise ZeroDivisionError
    async with store() as work:
        with pytest.raises(NotFound):
            await work.conversations.get("c1")


async def test_a_cancelled_unit_is_undone_and_frees_the_next_writer(store: Store) -> None:
    started = asyncio.Event()

    async def hang() -> None:
        async with store() as work:
            await work.conversations.add(samples.conversation())
            started.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(hang())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with store() as work:
        await work.conversations.add(samples.conversation())
        await work.commit()


async def test_changes_after_commit_are_undone(store: Store) -> None:
    async with store() as work:
        await work.conversations.add(samples.conversation("c1"))
        await work.commit()
        await work.conversations.add(samples.conversation("c2"))
    async with store() as work:
        assert [c.id for c in await work.conversations.in_state([State.BOT])] == ["c1"]


async def test_the_store_hands_out_and_keeps_copies(store: Store) -> None:
    given = samples.item(payload={"deep": [1]})
    async with store() as work:
        await work.outbox.put(given)
        given.payload["deep"].append(2)
        first = await work.outbox.get("o1")
        first.payload["deep"].append(3)
        first.error = "changed"
        assert (await work.outbox.get("o1")).payload == {"deep": [1]}
        assert (await work.outbox.get("o1")).error == ""


async def test_of_two_who_save_the_same_version_one_wins(store: Store, other: Store) -> None:
    async with store() as work:
        await work.conversations.add(samples.conversation())
        await work.commit()
    loaded = asyncio.Barrier(2)

    async def claim(by: Store, agent: int) -> bool:
        async with by() as work:
            conversation = await work.conversations.get("c1")
            await loaded.wait()
            conversation.assignee = agent
            try:
                await work.conversations.save(conversation)
            except StaleVersion:
                return False
            await work.commit()
            return True

    won = await asyncio.gather(claim(store, 1), claim(other, 2))
    assert sorted(won) == [False, True]
    async with store() as work:
        conversation = await work.conversations.get("c1")
    assert (conversation.assignee, conversation.version) == (1 if won[0] else 2, 1)


async def test_writers_wait_for_each_other(store: Store, other: Store) -> None:
    """Twenty units that each add what they read lose nothing when they retry after a conflict."""
    async with store() as work:
        await work.conversations.add(samples.conversation())
        await work.commit()

    async def add_one(by: Store) -> None:
        while True:
            async with by() as work:
                conversation = await work.conversations.get("c1")
                conversation.last_seq += 1
                try:
                    await work.conversations.save(conversation)
                except StaleVersion:
                    continue
                await work.commit()
                return

    await asyncio.gather(*(add_one(by) for by in (store, other) for _ in range(10)))
    async with store() as work:
        conversation = await work.conversations.get("c1")
    assert (conversation.last_seq, conversation.version) == (20, 20)


async def test_two_who_add_the_same_next_line_one_wins(store: Store, other: Store) -> None:
    """The loser learns it by `StaleVersion`, so that it can load and try again."""
    async with store() as work:
        await work.conversations.add(samples.conversation())
        await work.commit()
    async with store() as first:
        await first.messages.add(samples.message("m1", seq=1))

        async def second() -> None:
            async with other() as work:
                await work.messages.add(samples.message("m2", seq=1))
                await work.commit()

        waiting = asyncio.create_task(second())
        await asyncio.sleep(0.02)
        assert not waiting.done()
        await first.commit()
    with pytest.raises(StaleVersion):
        await waiting


async def test_two_first_messages_make_one_conversation(store: Store, other: Store) -> None:
    ready = asyncio.Barrier(2)

    async def open_it(by: Store, id: str) -> bool:
        async with by() as work:
            assert await work.conversations.find("web", "ada") is None
            await ready.wait()
            try:
                await work.conversations.add(samples.conversation(id, customer_key="ada"))
            except StaleVersion:
                return False
            await work.commit()
            return True

    assert sorted(await asyncio.gather(open_it(store, "a"), open_it(other, "b"))) == [False, True]


async def test_a_refusal_leaves_the_unit_usable(store: Store) -> None:
    async with store() as work:
        await work.conversations.add(samples.conversation("c1"))
        await work.messages.add(samples.message("m1", seq=1))
        await work.outbox.put(samples.item("o1"))
        with pytest.raises(StaleVersion):
            await work.conversations.add(samples.conversation("c2", customer_key="key-c1"))
        with pytest.raises(StaleVersion):
            await work.messages.add(samples.message("m2", seq=1))
        with pytest.raises(NotFound):
            await work.messages.add(samples.message("m3", conversation_id="nobody"))
        assert not await work.outbox.put(samples.item("o2", dedupe_key="key-o1"))
        with pytest.raises(StaleVersion):
            await work.conversations.save(samples.conversation("c1", version=9))
        await work.messages.add(samples.message("m4", seq=2))
        await work.commit()
    async with store() as work:
        assert [m.id for m in await work.messages.after("c1", 0)] == ["m1", "m4"]
        assert [c.id for c in await work.conversations.in_state([State.BOT])] == ["c1"]
        assert await work.outbox.waiting() == 1


async def test_a_saved_entity_can_be_saved_again(store: Store) -> None:
    async with store() as work:
        conversation = samples.conversation()
        await work.conversations.add(conversation)
        await work.conversations.save(conversation)
        await work.conversations.save(conversation)
        assert conversation.version == 2
        assert (await work.conversations.get("c1")).version == 2


async def test_a_candidate_saved_since_is_stale(store: Store) -> None:
    async with store() as work:
        await work.conversations.add(samples.conversation())
        await work.handoffs.add(samples.handoff())
        await work.candidates.add(samples.candidate())
        first, second = await work.candidates.get("k1"), await work.candidates.get("k1")
        await work.candidates.save(replace(first, status=CandidateStatus.ACCEPTED))
        with pytest.raises(StaleVersion):
            await work.candidates.save(replace(second, status=CandidateStatus.REJECTED))
        stored = await work.candidates.get("k1")
        assert (stored.status, stored.version) == (CandidateStatus.ACCEPTED, 1)


async def test_a_time_without_a_zone_is_refused(store: Store) -> None:
    async with store() as work:
        with pytest.raises(ValueError, match="without a time zone"):
            naive = at(0).replace(tzinfo=None)
            await work.conversations.add(samples.conversation(updated_at=naive))
        await work.conversations.add(samples.conversation())


async def test_what_json_cannot_hold_is_refused(store: Store) -> None:
    async with store() as work:
        with pytest.raises(Exception, match="not JSON"):
            await work.outbox.put(samples.item(payload={"when": at(0)}))
        with pytest.raises(Exception, match="not JSON compliant"):
            await work.runs.add(samples.run(figures_after={"accuracy": float("nan")}))
        assert await work.outbox.put(samples.item())


async def test_reading_waits_for_nobody(store: Store, other: Store) -> None:
    async with store() as writer:
        await writer.conversations.add(samples.conversation())
        async with asyncio.timeout(2), other() as reader:
            assert await reader.outbox.waiting() == 0
            assert await reader.outbox.take(at(0)) is None

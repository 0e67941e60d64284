"""A customer's message is stored before anything else happens, once, and reaches its owner."""

from __future__ import annotations

import asyncio
from functools import reduce

import pytest

from handoff.app.receive import Inbound
from handoff.core.errors import DeskError, EmptyText, InvalidKey, TextTooLong
from handoff.core.limits import CONTEXT_BYTES, CONTEXT_LEVELS
from handoff.core.model import Author, MessageStatus, State
from tests.fakes import ANA, FakeDesk


@pytest.fixture
def desk() -> FakeDesk:
    return FakeDesk()


async def test_a_first_message_opens_a_conversation_and_is_owed_a_decision(desk):
    received = await desk.write("  hello\n<3 _*[  ", "c1")
    (line,) = await desk.lines(received.conversation_id)
    assert (line.text, line.seq, line.author) == ("hello\n<3 _*[", 1, Author.CUSTOMER)
    assert line.status is MessageStatus.RECEIVED
    assert line.client_id == "c1"
    conversation = await desk.conversation(received.conversation_id)
    assert (conversation.state, conversation.episode) == (State.BOT, 1)
    assert conversation.customer_name == "Customer kim"
    assert await desk.owed_items() == []


async def test_the_same_identifier_twice_is_one_message(desk):
    first = await desk.write("hello", "c1")
    again = await desk.write("hello, edited on the way", "c1")
    assert (first.known, again.known) == (False, True)
    assert first.message.id == again.message.id
    assert await desk.said(first.conversation_id) == ["hello"]


async def test_without_an_identifier_the_same_text_is_two_messages(desk):
    first = await desk.write("hello")
    await desk.write("hello")
    assert await desk.said(first.conversation_id) == ["hello", "hello"]


async def test_two_quick_first_messages_make_one_conversation_and_one_handoff(desk):
    a, b = await asyncio.gather(desk.write("human please"), desk.write("human please, quick"))
    assert a.conversation_id == b.conversation_id
    await asyncio.gather(desk.turn(a), desk.turn(b))
    assert len(await desk.handoffs()) == 1
    assert [m.seq for m in await desk.lines(a.conversation_id)] == [1, 2, 3]


async def test_many_at_once_leave_no_gap_in_the_numbers(desk):
    received = await asyncio.gather(*(desk.write(f"line {n}", f"c{n}") for n in range(20)))
    lines = await desk.lines(received[0].conversation_id)
    assert [line.seq for line in lines] == list(range(1, 21))
    assert (await desk.conversation(received[0].conversation_id)).last_seq == 20


async def test_customers_and_channels_are_kept_apart(desk):
    kim, lou = await desk.write("hello", key="kim"), await desk.write("hello", key="lou")
    other = await desk.receive(Inbound("elsewhere", "kim", "hello"))
    assert len({r.conversation_id for r in (kim, lou, other)}) == 3


@pytest.mark.parametrize("state", [State.WAITING, State.AGENT])
async def test_a_person_is_given_what_a_customer_writes_and_the_bot_is_silent(desk, state):
    id = await (desk.handed_over() if state is State.WAITING else desk.with_ana())
    await desk.owed_items()
    desk.clock.advance(2 * 3600)
    received = await desk.ask("are you still there? <3 /start")
    assert received.message.status is MessageStatus.DONE
    assert await desk.owed_items() == [("relay", {"message_id": received.message.id})]
    assert desk.assistant.heard == []
    assert (await desk.conversation(id)).state is state


async def test_writing_into_a_closed_conversation_begins_an_episode(desk):
    id = await desk.with_ana()
    await desk.resolve(id, ANA)
    received = await desk.write("one more thing")
    conversation = await desk.conversation(id)
    assert received.conversation_id == id
    assert (conversation.state, conversation.episode, received.message.episode) == (
        State.BOT,
        2,
        2,
    )


@pytest.mark.parametrize(
    ("inbound", "error"),
    [
        (Inbound("test", "kim", " \n"), EmptyText),
        (Inbound("test", "kim", "x" * 20_000), TextTooLong),
        (Inbound("test", "", "hello"), InvalidKey),
        (Inbound("test", "k" * 256, "hello"), InvalidKey),
        (Inbound("test", "kim", "hello", ""), InvalidKey),
        (Inbound("test", "kim", "hello", "a\nb"), InvalidKey),
    ],
)
async def test_what_is_refused_is_not_stored(desk, inbound: Inbound, error: type[DeskError]):
    with pytest.raises(error):
        await desk.receive(inbound)
    async with desk.store() as work:
        assert await work.conversations.in_state(list(State)) == []


async def test_whoever_waits_is_woken(desk):
    id = (await desk.write("hello")).conversation_id
    for key in (id, "outbox"):
        waiting = asyncio.create_task(desk.bell.wait(key, 5))
        await asyncio.sleep(0)
        await desk.write("again")
        await asyncio.wait_for(waiting, 1)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ({"page": 1}, {"page": 1}),
        (["a", {"b": None}], {"metadata": ["a", {"b": None}]}),
        ("words", {"metadata": "words"}),
        (0, {"metadata": 0}),
        (False, {"metadata": False}),
        ({}, None),
        (None, None),
        ({"note": "\ud800 \x00"}, {"note": "\ud800 \x00"}),
        ({"x": float("nan")}, None),
        ({"x": b"binary"}, None),
        ({"x": "y" * CONTEXT_BYTES}, None),
        (reduce(lambda inner, _: [inner], range(CONTEXT_LEVELS), []), None),
    ],
    ids=lambda value: str(value)[:20] if not isinstance(value, list) else "a list",
)
async def test_any_metadata_is_kept_or_left_out_and_the_words_are_kept(desk: FakeDesk, sent, kept):
    received = await desk.receive(Inbound("test", "kim", "hello", context=sent))
    (line,) = await desk.lines(received.conversation_id)
    assert (line.text, line.context) == ("hello", kept)

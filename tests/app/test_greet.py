"""A widget opens the chat: the assistant greets, and nothing counts as written."""

from __future__ import annotations

import asyncio

import pytest

from handoff.app.greet import OPENINGS, Greet, opening
from handoff.app.receive import Inbound
from handoff.core.model import Author, BotLine, Button, State
from tests.fakes import ANA, FakeDesk

HELLO = BotLine("Hello! What can I do?", (Button("Track", "/track_order"),), "/wave.png")


@pytest.fixture
def desk() -> FakeDesk:
    made = FakeDesk()
    made.assistant.intents = frozenset({"greet", "get_started", "track_order", "faq"})
    made.assistant.answers["/greet"] = [HELLO]
    return made


@pytest.fixture
def greet(desk: FakeDesk) -> Greet:
    return Greet(desk.store, desk.clock, desk.bell, desk.assistant, desk.take_turn)


def opened(text: str = "/greet", key: str = "kim", context: object = None) -> Inbound:
    return Inbound("test", key, text, context=context)


async def conversations(desk: FakeDesk) -> list:
    async with desk.store() as work:
        return await work.conversations.in_state(list(State))


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("/greet", "/greet"),
        ("  /greet \n", "/greet"),
        ("/get_started", "/get_started"),
        ("/session_start", "/session_start"),
        ('/greet{"language": "de"}', '/greet{"language": "de"}'),
        ("/greet{}", "/greet"),
        ("/greet{broken", "/greet"),
        ('/greet{"x": NaN}', "/greet"),
        ('/greet{"x": ' + "[" * 4000 + "}", "/greet"),
        ('/greet@0.1{"a": 1}', "/greet"),
        ('/greet{"a": 1}/restart', "/greet"),
        ("/greet now", ""),
        ("/greeting", ""),
        ("//greet", ""),
        ("/ greet", "/greet"),
        ("greet", ""),
        ("hello /greet", ""),
        ("/restart", ""),
        ("/cancel_order", ""),
        ("/", ""),
        ("", ""),
    ],
)
def test_only_the_payloads_the_owner_named_open_a_chat(text, sent):
    assert opening(text, OPENINGS) == sent


def test_the_owner_names_others():
    mine = frozenset({"welcome"})
    assert [opening(text, mine) for text in ("/welcome", "/greet")] == ["/welcome", ""]
    assert opening("/greet", frozenset()) == ""


async def test_the_assistant_greets_and_nothing_counts_as_written(desk, greet):
    assert await greet.opens(opened())
    id = await greet(opened(context={"page": "/cart"}))
    (line,) = await desk.lines(id)
    assert (line.author, line.text, line.image) == (Author.BOT, HELLO.text, HELLO.image)
    assert desk.assistant.heard == [(f"{id}-1", "/greet")]
    assert desk.assistant.given[0]["page"] == "/cart"
    assert desk.assistant.given[0]["handoff_desk"]["customer_key"] == "kim"
    assert desk.assistant.parsed == []
    assert await desk.handoffs() == [] and await desk.owed_items() == []
    async with desk.store() as work:
        assert await work.decisions.latest() == []
        assert await work.episodes_since(desk.clock.now()) == []


async def test_a_button_of_the_greeting_works(desk, greet):
    await greet(opened())
    await desk.ask("/track_order")
    assert desk.assistant.heard[-1][1] == "/track_order"


async def test_a_button_that_sends_an_opening_is_a_button(desk, greet):
    again = BotLine("Anything else?", (Button("Start over", "/get_started"),))
    desk.assistant.answers["thanks"] = [again]
    id = (await desk.ask("thanks")).conversation_id
    assert not await greet.opens(opened("/get_started"))
    await desk.ask("/get_started")
    assert (await desk.said(id, Author.CUSTOMER)) == ["thanks", "Start over"]


@pytest.mark.parametrize("intents", [frozenset(), frozenset({"faq"})])
async def test_an_assistant_that_does_not_know_the_payload_is_not_asked(desk, greet, intents):
    desk.assistant.intents = intents
    assert await greet(opened()) is None
    assert desk.assistant.heard == [] and await conversations(desk) == []


@pytest.mark.parametrize("field", ["down", "down_for_turns"])
async def test_a_dead_assistant_greets_nobody_and_calls_nobody(desk, greet, field):
    setattr(desk.assistant, field, "connection refused")
    assert await greet(opened()) is None
    assert await desk.handoffs() == [] and await desk.owed_items() == []


async def test_a_silent_assistant_is_no_silence_to_a_customer(desk, greet):
    desk.assistant.answers["/greet"] = []
    assert await greet(opened()) is None
    assert await desk.handoffs() == []


async def test_who_has_written_is_not_greeted_again(desk, greet):
    """A page that is loaded again in the middle of a form must not answer the form."""
    id = (await desk.ask("cancel my order")).conversation_id
    before = await desk.lines(id)
    assert await greet.opens(opened()) and await greet(opened()) is None
    assert await desk.lines(id) == before
    assert len(desk.assistant.heard) == 1


@pytest.mark.parametrize("with_person", [False, True])
async def test_the_bot_is_silent_while_people_have_the_conversation(desk, greet, with_person):
    id = await (desk.with_ana() if with_person else desk.handed_over())
    before, owed = await desk.lines(id), await desk.owed_items()
    assert owed
    assert await greet.opens(opened()) and await greet(opened()) is None
    assert await desk.lines(id) == before and await desk.owed_items() == []
    assert desk.assistant.heard == []


async def test_a_closed_conversation_stays_closed_until_the_customer_writes(desk, greet):
    id = await desk.with_ana()
    await desk.resolve(id, ANA)
    await desk.owed_items()
    assert await greet(opened()) == id
    conversation = await desk.conversation(id)
    assert (conversation.state, conversation.episode) == (State.CLOSED, 1)
    assert desk.assistant.heard == [(f"{id}-2", "/greet")]
    assert await desk.owed_items() == []
    await desk.ask("/track_order")
    conversation = await desk.conversation(id)
    assert (conversation.state, conversation.episode) == (State.BOT, 2)
    assert desk.assistant.heard[-1] == (f"{id}-2", "/track_order")


async def test_a_person_who_takes_over_meanwhile_wins(desk, greet):
    async def handed_over(sender: str, text: str) -> None:
        desk.assistant.meanwhile = nothing
        await desk.write("human please")
        async with desk.store() as work:
            (conversation,) = await work.conversations.in_state([State.BOT])
            conversation.state = State.WAITING
            await work.conversations.save(conversation)
            await work.commit()

    async def nothing(sender: str, text: str) -> None:
        return None

    desk.assistant.meanwhile = handed_over
    assert await greet(opened()) is None
    (conversation,) = await conversations(desk)
    assert await desk.said(conversation.id) == ["human please"]


async def test_a_first_message_waits_for_the_greeting_and_comes_after_it(desk, greet):
    asked = asyncio.Event()

    async def slowly(sender: str, text: str) -> None:
        if text == "/greet":
            asked.set()
            await asyncio.sleep(0.05)

    desk.assistant.meanwhile = slowly
    greeting = asyncio.create_task(greet(opened()))
    await asked.wait()
    received = await desk.ask("where is my order?")
    await greeting
    said = await desk.said(received.conversation_id, Author.BOT)
    assert said == [HELLO.text, "About “where is my order?”: yes."]


async def test_openings_at_once_make_one_conversation(desk, greet):
    await asyncio.gather(*(greet(opened()) for _ in range(5)))
    assert len(await conversations(desk)) == 1

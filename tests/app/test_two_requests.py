"""Two requests in one message: both are served or asked about, over forms and restarts alike."""

from __future__ import annotations

import pytest

from handoff.app import phrases
from handoff.core.evidence import replay
from handoff.core.model import Author, BotLine, Button, Reason, State
from tests.fakes import ANA, FakeDesk, understood

BOTH = "I want a refund and also change my address"
FIRST, SECOND = "I want a refund", "change my address"
NOW_TO = phrases.NEXT_REQUEST.format(text=SECOND)


@pytest.fixture
def desk() -> FakeDesk:
    desk = FakeDesk()
    desk.assistant.parses |= {
        BOTH: understood("get_refund", 0.9),
        FIRST: understood("get_refund"),
        SECOND: understood("edit_account"),
    }
    desk.assistant.answers |= {
        FIRST: [BotLine("The refund is on its way.")],
        SECOND: [BotLine("Open My account.")],
        "10042": [BotLine("Refunded 10042.")],
    }
    return desk


def form(desk: FakeDesk) -> None:
    """Let the first request open a form that asks for an order number, until one is given."""
    desk.assistant.answers[FIRST] = [BotLine("Which order is it?")]

    async def meanwhile(sender: str, text: str) -> None:
        desk.assistant.slot = {FIRST: "order", "hm": "order"}.get(text)

    desk.assistant.meanwhile = meanwhile


async def test_both_are_served_in_one_turn(desk):
    received = await desk.ask(BOTH)
    assert await desk.said(received.conversation_id, Author.BOT) == [
        "The refund is on its way.",
        NOW_TO,
        "Open My account.",
    ]
    assert [text for _, text in desk.assistant.heard] == [FIRST, SECOND]
    async with desk.store() as work:
        (made,) = await work.decisions.of_message(received.message.id)
    assert made.evidence["outcome"]["requests"] == [FIRST, SECOND]
    assert replay(made, desk.take_turn.configured).same


async def test_the_second_waits_until_the_form_of_the_first_has_ended(desk):
    form(desk)
    id = (await desk.ask(BOTH)).conversation_id
    promise = phrases.ONE_BY_ONE.format(text=SECOND)
    assert await desk.said(id, Author.BOT) == [promise, "Which order is it?"]
    assert (await desk.conversation(id)).pending == (SECOND,)
    await desk.ask("hm")
    assert (await desk.conversation(id)).pending == (SECOND,)
    await desk.ask("10042")
    assert (await desk.said(id, Author.BOT))[-3:] == ["Refunded 10042.", NOW_TO, "Open My account."]
    assert (await desk.conversation(id)).pending is None


async def test_what_waits_outlives_the_process(desk):
    form(desk)
    id = (await desk.ask(BOTH)).conversation_id
    restarted = FakeDesk(desk.store)
    restarted.assistant = restarted.take_turn.assistant = desk.assistant
    await restarted.ask("10042")
    assert (await restarted.said(id, Author.BOT))[-1] == "Open My account."


async def test_a_second_request_that_is_not_clear_is_asked_about_after_the_first(desk):
    text = "I want a refund. Also tell me about that thing"
    desk.assistant.parses |= {
        text: understood("get_refund", 0.9),
        "I want a refund.": understood("get_refund"),
        "tell me about that thing": understood("out_of_scope", 0.55, ("edit_account", 0.4)),
    }
    id = (await desk.ask(text)).conversation_id
    lines = await desk.lines(id)
    assert lines[-1].text == phrases.DID_YOU_MEAN_THIS
    assert [b.payload for b in lines[-1].buttons] == ["/edit_account", "/contact_human_agent"]
    assert (await desk.conversation(id)).asking is True
    await desk.ask("yes")
    assert desk.assistant.heard[-1][1] == "/edit_account"


async def test_a_person_sees_both_and_the_bot_forgets_what_waited(desk):
    form(desk)
    id = (await desk.ask(BOTH)).conversation_id
    await desk.ask("human please")
    conversation = await desk.conversation(id)
    assert (conversation.state, conversation.pending) == (State.WAITING, None)
    await desk.claim(id, ANA)
    await desk.return_to_bot(id, ANA)
    desk.assistant.slot = None
    await desk.ask("hello there")
    assert (await desk.said(id, Author.BOT))[-1] == "About “hello there”: yes."


async def test_what_was_done_is_told_although_the_second_request_fails(desk):
    desk.assistant.answers[SECOND] = []
    id = (await desk.ask(BOTH)).conversation_id
    assert (await desk.said(id, Author.BOT, Author.SYSTEM))[0] == "The refund is on its way."
    assert (await desk.conversation(id)).state is State.WAITING
    (handoff,) = await desk.handoffs()
    assert handoff.findings[0].reason is Reason.BOT_UNAVAILABLE


async def test_whoever_is_done_is_told_nothing_that_waited(desk):
    form(desk)
    id = (await desk.ask(BOTH)).conversation_id
    await desk.ask("no thanks, that's all")
    assert (await desk.said(id, Author.BOT))[-1] == "About “no thanks, that's all”: yes."
    assert (await desk.conversation(id)).pending is None


async def test_a_message_of_one_part_is_parsed_once(desk):
    await desk.ask("where is my order")
    assert desk.assistant.parsed == ["where is my order"]


async def test_a_request_with_its_reason_is_one(desk):
    text = "I want a refund because it came broken, and it was my birthday"
    await desk.ask(text)
    assert [heard for _, heard in desk.assistant.heard] == [text]


async def test_what_waited_is_words_whatever_ends_the_form(desk):
    """A button's payload is Rasa's form of an intent; a customer's own text never is."""
    text = "I want a refund and also /restart@1 my address"
    waits = "restart@1 my address"
    desk.assistant.parses |= {
        text: understood("get_refund", 0.9),
        waits: understood("edit_account"),
    }
    form(desk)
    desk.assistant.answers[FIRST] = [BotLine("Which one?", (Button("The last", "/inform"),))]
    id = (await desk.ask(text)).conversation_id
    assert len((await desk.conversation(id)).pending) == 1
    await desk.ask("/inform")
    assert [heard for _, heard in desk.assistant.heard] == [FIRST, "/inform", waits]


async def test_what_is_asked_for_again_is_done_once(desk):
    form(desk)
    id = (await desk.ask(BOTH)).conversation_id
    await desk.ask(SECOND)
    await desk.ask("where is my order")
    assert [heard for _, heard in desk.assistant.heard].count(SECOND) == 1
    assert (await desk.conversation(id)).pending is None


async def test_a_choice_holds_up_what_waits_as_a_form_does(desk):
    desk.assistant.answers[FIRST] = [BotLine("Refund it?", (Button("Yes", "/affirm"),))]
    id = (await desk.ask(BOTH)).conversation_id
    promise = phrases.ONE_BY_ONE.format(text=SECOND)
    assert await desk.said(id, Author.BOT) == [promise, "Refund it?"]
    await desk.ask("/affirm")
    assert [heard for _, heard in desk.assistant.heard] == [FIRST, "/affirm", SECOND]


async def test_nothing_to_a_form_that_takes_any_text_ends_nothing_else(desk):
    form(desk)
    desk.assistant.any_text = True
    id = (await desk.ask(BOTH)).conversation_id
    await desk.ask("nothing")
    assert (await desk.said(id, Author.BOT))[-1] == "Open My account."

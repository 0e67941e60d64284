"""Parse, decide, speak: what the bot may say, and when a person is asked instead."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import numpy as np
import pytest

from handoff.app import phrases, sweep
from handoff.app.receive import Inbound
from handoff.app.take_turn import TakeTurn
from handoff.core.assistant import AssistantDomain
from handoff.core.errors import AssistantUnavailable
from handoff.core.evidence import named
from handoff.core.limits import HISTORY_LINES, PolicyLimits
from handoff.core.model import (
    Action,
    Author,
    BotLine,
    Button,
    Decision,
    MessageStatus,
    Reason,
    State,
)
from handoff.core.policy import POLICY_VERSION, Policy
from handoff.core.risk import RiskModel
from tests.fakes import ANA, UNKNOWN, FakeDesk, understood

ORDER = ({"entity": "order_id", "value": "10042"},)


@pytest.fixture
def desk() -> FakeDesk:
    return FakeDesk()


async def decisions(desk: FakeDesk, message_id: str) -> list[Decision]:
    async with desk.store() as work:
        return await work.decisions.of_message(message_id)


async def reasons(desk: FakeDesk) -> list[list[Reason]]:
    return [[f.reason for f in handoff.findings] for handoff in await desk.handoffs()]


async def test_an_understood_message_is_answered_and_the_decision_kept(desk):
    received = await desk.ask("where is my order?")
    id = received.conversation_id
    assert await desk.said(id, Author.BOT) == ["About “where is my order?”: yes."]
    (decision,) = await decisions(desk, received.message.id)
    assert decision.action is Action.ANSWER
    assert not any(finding.is_rule for finding in decision.findings)
    assert (decision.model, decision.policy_version) == ("fake-model", POLICY_VERSION)
    assert decision.evidence["signals"]["feelings"]["negative"] == 0.1
    line = (await desk.lines(id))[0]
    assert line.status is MessageStatus.DONE
    assert line.parse is not None and line.parse.ranking[0].intent == "faq"
    assert line.feelings is not None and line.feelings.angry == 0.05
    assert (await desk.conversation(id)).state is State.BOT
    assert await desk.owed_items() == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("human please", Reason.PERSON_REQUESTED),
        ("this makes me furious", Reason.ANGRY),
        (UNKNOWN, Reason.NOT_UNDERSTOOD),
    ],
)
async def test_a_person_is_asked_before_the_bot_has_said_or_done_anything(desk, text, reason):
    received = await desk.ask(text)
    id = received.conversation_id
    assert desk.assistant.heard == []
    assert await desk.said(id) == [text, phrases.HANDED_OVER]
    assert (await desk.conversation(id)).state is State.WAITING
    (handoff,) = await desk.handoffs()
    (decision,) = await decisions(desk, received.message.id)
    assert handoff.decision_id == decision.id
    assert handoff.findings == decision.findings
    assert handoff.findings[0].reason is reason
    assert await desk.owed_items() == [("card", {"handoff_id": handoff.id})]


async def test_buttons_and_pictures_are_kept(desk):
    line = BotLine("Which?", (Button("Track", "/track_order"),), "/box.png")
    desk.assistant.answers["hi"] = [line, BotLine("Or write.")]
    id = (await desk.ask("hi")).conversation_id
    _, first, second = await desk.lines(id)
    assert (first.buttons, first.image) == (line.buttons, "/box.png")
    assert second.text == "Or write."


async def test_a_dead_assistant_hands_over(desk):
    desk.assistant.down = "connection refused"
    id = (await desk.ask("where is my order?")).conversation_id
    assert await desk.said(id, Author.SYSTEM) == [phrases.BOT_DOWN]
    (handoff,) = await desk.handoffs()
    assert handoff.findings[0].reason is Reason.BOT_UNAVAILABLE
    assert "connection refused" in handoff.findings[0].detail


async def test_an_assistant_that_dies_while_answering_hands_over(desk):
    desk.assistant.down_for_turns = "timed out"
    received = await desk.ask("where is my order?")
    assert await reasons(desk) == [[Reason.BOT_UNAVAILABLE]]
    (decision,) = await decisions(desk, received.message.id)
    why = "The assistant did not answer: timed out."
    assert decision.evidence["turn"] == {"lines": 0, "said_before": 0, "why_silent": why}
    assert "timed out" in decision.findings[0].detail
    assert decision.model == "fake-model"


async def test_a_silent_bot_hands_over(desk):
    desk.assistant.answers["hello"] = []
    await desk.ask("hello")
    assert await reasons(desk) == [[Reason.BOT_UNAVAILABLE]]


async def test_a_dead_encoder_hands_over(desk):
    desk.encoder.down = "it is not loaded"
    received = await desk.ask("where is my order?")
    assert await desk.said(received.conversation_id, Author.SYSTEM) == [phrases.BOT_DOWN]
    (decision,) = await decisions(desk, received.message.id)
    assert decision.findings[0].reason is Reason.BOT_UNAVAILABLE
    assert "it is not loaded" in decision.findings[0].detail


async def test_what_the_bot_has_said_twice_is_not_shown_a_third_time(desk):
    for text in ("one", "two", "three"):
        desk.assistant.answers[text] = [BotLine("Please look at our help page.")]
        id = (await desk.ask(text)).conversation_id
    assert len(await desk.said(id, Author.BOT)) == 2
    assert await reasons(desk) == [[Reason.BOT_REPEATS]]


async def test_a_question_answered_in_between_may_be_asked_again(desk):
    """Three orders, one after the other: the bot asks for each number and answers each."""
    for text in ("first order", "second order", "third order"):
        desk.assistant.answers[text] = [BotLine("Which order number?")]
        await desk.ask(text)
        id = (await desk.ask(f"it is {text}")).conversation_id
    assert (await desk.conversation(id)).state is State.BOT
    assert await reasons(desk) == []


async def test_a_customer_who_says_the_same_a_third_time_gets_a_person(desk):
    for _ in range(3):
        id = (await desk.ask("my parcel is not here")).conversation_id
    assert len(await desk.said(id, Author.BOT)) == 2
    assert (await reasons(desk))[0][0] is Reason.CUSTOMER_REPEATS


async def test_a_falling_mood_raises_the_risk_until_it_hands_over(desk):
    weights, typical = {"mood": 1.0, "mood_fall": 2.0}, {"mood": 0.1, "mood_fall": 0.0}
    moody = Policy(PolicyLimits(risk=0.2), risk=RiskModel(-2.0, weights, typical))
    desk.take_turn.configured = named(moody)
    risks = []
    for key, text in (("kim", "this is bad"), ("lou", "hello"), ("lou", "this is bad")):
        received = await desk.ask(text, key=key)
        (decision,) = await decisions(desk, received.message.id)
        risks.append(decision.evidence["outcome"]["risk"])
    assert risks[1] < risks[0] < 0.2 <= risks[2]
    assert await reasons(desk) == [[Reason.MOOD_FALLING, Reason.MOOD_BAD]]


async def test_a_customer_cannot_command_the_assistant(desk):
    await desk.ask("/restart")
    assert desk.assistant.parsed == ["restart"]
    assert [text for _, text in desk.assistant.heard] == ["restart"]


async def test_a_pressed_button_reaches_the_assistant_as_it_is(desk):
    desk.assistant.answers["hi"] = [BotLine("Sure?", (Button("Yes", "/affirm"),))]
    desk.assistant.parses["/affirm"] = understood("affirm", 0.2)
    await desk.ask("hi")
    id = (await desk.ask("/affirm")).conversation_id
    assert desk.assistant.parsed[-1] == "/affirm"
    assert desk.assistant.heard[-1][1] == "/affirm"
    assert (await desk.conversation(id)).state is State.BOT


async def test_a_button_of_an_earlier_episode_is_text(desk):
    desk.assistant.answers["hi"] = [BotLine("Sure?", (Button("Yes", "/affirm"),))]
    await desk.ask("hi")
    id = await desk.with_ana()
    await desk.resolve(id, ANA)
    await desk.ask("/affirm")
    assert desk.assistant.heard[-1][1] == "affirm"


async def test_an_answer_to_the_bots_question_needs_no_confidence(desk):
    desk.assistant.slot = "order_id"
    id = (await desk.ask("where is my order?")).conversation_id
    assert (await desk.conversation(id)).awaiting_slot == "order_id"
    desk.assistant.slot = None
    number = f"10042 {UNKNOWN}"
    desk.assistant.parses[number] = replace(understood("faq", 0.1), entities=ORDER)
    await desk.ask(number)
    assert await reasons(desk) == []
    assert (await desk.conversation(id)).awaiting_slot is None
    await desk.ask(UNKNOWN)
    assert (await reasons(desk))[0][0] is Reason.NOT_UNDERSTOOD


async def test_what_does_not_answer_the_bots_question_is_judged_like_anything_else(desk):
    desk.assistant.slot = "order_id"
    await desk.ask("where is my order?")
    await desk.ask(UNKNOWN)
    assert (await reasons(desk))[0][0] is Reason.NOT_UNDERSTOOD


@pytest.mark.parametrize("known", [True, False])
async def test_any_text_answers_where_the_bot_takes_any_or_nobody_knows(desk, known):
    async def gone() -> AssistantDomain:
        raise AssistantUnavailable(why="refused")

    desk.assistant.slot, desk.assistant.any_text = "reason", True
    await desk.ask("cancel my order")
    if not known:
        desk.assistant.domain = gone
    await desk.ask(UNKNOWN)
    assert await reasons(desk) == []


async def test_after_a_question_of_the_desk_the_bot_still_waits(desk):
    desk.assistant.slot = "order_id"
    id = (await desk.ask("where is my order?")).conversation_id
    torn = understood("track_order", 0.5, ("get_refund", 0.45))
    desk.assistant.parses["the order"] = torn
    await desk.ask("the order")
    conversation = await desk.conversation(id)
    assert conversation.asking and conversation.awaiting_slot == "order_id"


async def test_a_claim_during_a_bot_turn_drops_what_the_bot_says(desk):
    # Another process on the same database: its own locks, the same store.
    other = TakeTurn(
        desk.store,
        desk.clock,
        desk.bell,
        desk.assistant,
        desk.encoder,
        desk.take_turn.feelings,
        desk.take_turn.configured,
    )

    async def meanwhile(sender: str, text: str) -> None:
        request = await desk.write("human please")
        await other(request.conversation_id, request.message.id)
        await desk.claim(request.conversation_id, ANA)

    desk.assistant.meanwhile = meanwhile
    received = await desk.ask("where is my order?")
    id = received.conversation_id
    assert await desk.said(id, Author.BOT) == []
    assert (await desk.conversation(id)).state is State.AGENT
    assert all(m.status is MessageStatus.DONE for m in await desk.lines(id))
    relayed = [payload for kind, payload in await desk.owed_items() if kind == "relay"]
    assert relayed == [{"message_id": received.message.id}]


async def test_a_turn_taken_twice_answers_once(desk):
    received = await desk.write("hello")
    await asyncio.gather(desk.turn(received), desk.turn(received))
    await desk.turn(received)
    assert len(desk.assistant.heard) == 1
    assert len(await decisions(desk, received.message.id)) == 1


async def test_messages_of_one_customer_are_answered_in_their_order(desk):
    received = [await desk.write(f"question {n}") for n in range(3)]
    await asyncio.gather(*(desk.turn(r) for r in received))
    assert await desk.said(received[0].conversation_id, Author.BOT) == [
        f"About “question {n}”: yes." for n in range(3)
    ]


async def test_what_was_written_after_the_request_goes_to_the_person_too(desk):
    first = await desk.write("human please")
    later = [await desk.write("hello?"), await desk.write("order 10042")]
    await desk.turn(first)
    for received in later:
        await desk.turn(received)
    assert desk.assistant.heard == []
    relayed = [p["message_id"] for kind, p in await desk.owed_items() if kind == "relay"]
    assert relayed == [r.message.id for r in later]


async def test_nothing_from_before_a_resolution_hands_over_again(desk):
    for _ in range(2):
        await desk.ask("my parcel is not here")
    id = (await desk.ask("I am furious, this is bad")).conversation_id
    await desk.claim(id, ANA)
    await desk.resolve(id, ANA)
    await desk.ask("my parcel is not here")
    assert (await desk.conversation(id)).state is State.BOT
    assert len(await desk.handoffs()) == 1


async def test_the_bots_memory_ends_with_the_episode(desk):
    id = (await desk.ask("hello")).conversation_id
    await desk.with_ana()
    await desk.resolve(id, ANA)
    await desk.ask("hello again")
    assert [sender for sender, _ in desk.assistant.heard] == [f"{id}-1", f"{id}-2"]


async def test_the_sweep_pays_what_a_dead_process_owed_but_not_too_early(desk):
    received = await desk.write("where is my order?")
    desk.clock.advance(10)
    await desk.sweep()
    assert desk.assistant.heard == []
    desk.clock.advance(30)
    await desk.sweep()
    await desk.sweep()
    assert await desk.said(received.conversation_id, Author.BOT) == [
        "About “where is my order?”: yes."
    ]


async def test_one_poisonous_message_does_not_keep_the_sweep_from_the_others(desk):
    async def meanwhile(sender: str, text: str) -> None:
        if text == "a bitter pill":
            raise RuntimeError("a defect")

    desk.assistant.meanwhile = meanwhile
    poison = await desk.write("a bitter pill", key="kim")
    other = await desk.write("hello", key="lou")
    desk.clock.advance(60)
    await desk.sweep()
    assert await desk.said(other.conversation_id, Author.BOT) == ["About “hello”: yes."]
    assert (await desk.conversation(poison.conversation_id)).state is State.WAITING
    (handoff,) = await desk.handoffs()
    assert handoff.findings[0].reason is Reason.BOT_UNAVAILABLE
    assert handoff.findings[0].detail == "RuntimeError"


async def test_figures_stay_plain_numbers_although_vectors_are_arrays(desk):
    """What is stored as evidence must be JSON: numpy's numbers are not."""
    encode = desk.encoder.encode

    async def arrays(texts):
        return [np.asarray(vector, dtype=np.float32) for vector in await encode(texts)]

    desk.encoder.encode = arrays
    await desk.ask("hello")
    received = await desk.ask("hello")
    async with desk.store() as work:
        (decision,) = await work.decisions.of_message(received.message.id)
    assert json.loads(json.dumps(decision.evidence))["signals"]["repeats"] == 1


async def test_what_the_bot_did_is_told_although_its_memory_cannot_be_read(desk):
    """The order is cancelled by then: the customer must hear it, not "I cannot answer"."""

    async def gone(sender: str) -> str | None:
        raise AssistantUnavailable(why="timed out")

    desk.assistant.awaiting_slot = gone
    desk.assistant.answers["cancel it"] = [BotLine("Order 10042 is cancelled.")]
    id = (await desk.ask("cancel it")).conversation_id
    assert await desk.said(id, Author.BOT, Author.SYSTEM) == ["Order 10042 is cancelled."]


async def test_a_customer_who_keeps_saying_thanks_stays_with_the_bot(desk):
    desk.assistant.parses["thanks"] = understood("thank")
    desk.assistant.answers["thanks"] = [BotLine("You are welcome.")]
    for number in range(4):
        await desk.ask(f"question number {number} about parcel {number}{number}")
        id = (await desk.ask("thanks")).conversation_id
    assert (await desk.conversation(id)).state is State.BOT
    assert await desk.handoffs() == []


async def test_a_turn_looks_back_over_so_many_lines_and_no_further(desk):
    """However long a customer stays, a turn costs and remembers the same."""
    for number in range(HISTORY_LINES):
        last = await desk.ask(f"question {number} {number * 7} {number * 13} {number * 29}")
    seen = len((await decisions(desk, last.message.id))[0].evidence["signals"]["mood"])
    assert seen == HISTORY_LINES // 2
    assert (await desk.conversation(last.conversation_id)).state is State.BOT


async def test_after_a_restart_the_assistant_that_still_starts_is_waited_for(desk, monkeypatch):
    """Rasa takes longer than the gateway: those it interrupted get their answer, not a person."""
    received = await desk.write("where is my order?")
    desk.clock.advance(60)
    desk.assistant.down = "ConnectError at /status"
    status, looks = desk.assistant.status, 0

    async def starting() -> str:
        nonlocal looks
        looks += 1
        if looks == 2:
            await desk.sweep()  # Its first run comes before Rasa is there.
        if looks == 3:
            desk.assistant.down = ""
        return await status()

    desk.assistant.status = starting
    monkeypatch.setattr(sweep, "LOOK_SECONDS", 0)
    assert await desk.sweep.recover() == 1
    assert await desk.said(received.conversation_id, Author.BOT) == [
        "About “where is my order?”: yes."
    ]
    assert await desk.handoffs() == []


async def test_an_assistant_that_never_starts_is_not_waited_for_for_ever(desk, monkeypatch):
    await desk.write("where is my order?")
    desk.clock.advance(1)
    desk.assistant.down = "ConnectError at /status"
    monkeypatch.setattr(sweep, "ASSISTANT_START_SECONDS", 0)
    assert await desk.sweep.recover() == 1
    assert await reasons(desk) == [[Reason.BOT_UNAVAILABLE]]


@pytest.mark.parametrize(
    "line",
    [
        BotLine("", image="/box.png"),
        BotLine("", extra={"custom": {"type": "carousel"}}),
        BotLine("", extra={"attachment": "/bill.pdf"}),
        BotLine("", extra={"json_message": [1]}),
        BotLine("", (Button("Track", "/track_order"),)),
    ],
)
async def test_an_answer_without_words_is_an_answer_and_is_kept(desk: FakeDesk, line: BotLine):
    desk.assistant.answers["show me"] = [line]
    id = (await desk.ask("show me")).conversation_id
    assert await desk.handoffs() == []
    (kept,) = [m for m in await desk.lines(id) if m.author is Author.BOT]
    assert (kept.text, kept.buttons, kept.image, kept.extra) == (
        line.text,
        line.buttons,
        line.image,
        line.extra,
    )


async def test_different_answers_without_words_do_not_repeat_each_other(desk: FakeDesk):
    for number in range(5):
        text = f"show me thing {number}"
        desk.assistant.answers[text] = [BotLine("", extra={"custom": {"item": number}})]
        await desk.ask(text)
    assert await desk.handoffs() == []
    for number in range(3):
        text = f"what about number {number}0"
        desk.assistant.answers[text] = [BotLine("", image="/same.png")]
        await desk.ask(text)
    (handoff,) = await desk.handoffs()
    assert handoff.findings[0].reason is Reason.BOT_REPEATS


async def test_what_a_page_sends_along_reaches_the_assistant_and_says_whose_turn_it_is(
    desk: FakeDesk,
):
    sent = {"page": "/cart", "customer": {"tier": "gold"}}
    received = await desk.receive(Inbound("rest", "kim", "hello", context=sent))
    await desk.turn(received)
    (given,) = desk.assistant.given
    assert given == {
        **sent,
        "handoff_desk": {
            "customer_key": "kim",
            "channel": "rest",
            "conversation": received.conversation_id,
            "episode": 1,
        },
    }


async def test_the_key_of_the_page_opens_its_conversation_and_stays_at_the_desk(desk: FakeDesk):
    received = await desk.receive(Inbound("web", "secret-session", "hello"))
    await desk.turn(received)
    assert desk.assistant.given[0]["handoff_desk"]["customer_key"] == received.conversation_id
    assert "secret-session" not in str(desk.assistant.given)


@pytest.mark.parametrize(
    ("extra", "title"),
    [
        ({"custom": {"options": [{"value": 5, "payload": "/rate{\"n\": 5}"}]}}, "5"),
        (
            {
                "attachment": {
                    "type": "template",
                    "payload": {"elements": [{"buttons": [
                        {"title": "Best", "type": "postback", "payload": "/rate{\"n\": 5}"}
                    ]}]},
                }
            },
            "Best",
        ),
        ({"custom": [[{"payload": "/rate{\"n\": 5}"}]]}, "/rate{\"n\": 5}"),
    ],
)  # fmt: skip
async def test_what_a_widgets_own_payload_offers_is_a_button(desk: FakeDesk, extra, title):
    desk.assistant.answers["how was it"] = [BotLine("", extra=extra)]
    await desk.ask("how was it")
    id = (await desk.ask('/rate{"n": 5}')).conversation_id
    assert desk.assistant.heard[-1][1] == '/rate{"n": 5}'
    assert (await desk.said(id, Author.CUSTOMER))[-1] == title
    await desk.ask('/rate{"n": 4}')
    assert not desk.assistant.heard[-1][1].startswith("/")

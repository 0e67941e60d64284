"""A no, a done, a sign, a foreign language: what the whole desk makes of them."""

from __future__ import annotations

import pytest

from handoff.app import phrases
from handoff.core.evidence import replay
from handoff.core.model import Action, Author, BotLine, Button, Parse, Reason, State
from handoff.core.moves import LastSaid
from handoff.core.policy import Reply
from handoff.core.reasons_in_words import why
from tests.fakes import ANA, FakeDesk, understood

VAGUE, VAGUE_OF_ONE = "what about it", "the thing"
TORN = understood("track_order", 0.5, ("track_refund", 0.4))
ONE = understood("track_order", 0.4)
QUESTION = "Shall I cancel it?"
PERSON = Button(phrases.A_PERSON, "/contact_human_agent")


@pytest.fixture
def desk() -> FakeDesk:
    desk = FakeDesk()
    desk.assistant.parses |= {VAGUE: TORN, VAGUE_OF_ONE: ONE}
    desk.assistant.parses |= {word: understood("thank") for word in ("thanks", "thank you")}
    desk.assistant.parses |= {"no": understood("deny"), "yes": understood("affirm")}
    desk.assistant.answers["thanks"] = [BotLine("You are welcome! Is there anything else?")]
    return desk


async def last(desk: FakeDesk, id: str) -> tuple[str, tuple[Button, ...]]:
    line = (await desk.lines(id))[-1]
    assert line.author is Author.BOT
    return line.text, line.buttons


NOES = ["no", "Nope!", "nah", "that's wrong", "none of these", "not what I meant", "👎", "❌"]


@pytest.mark.parametrize("no", NOES)
async def test_a_no_to_the_question_is_asked_for_other_words_once_and_then_goes_to_a_person(
    desk, no
):
    for vague in (VAGUE, VAGUE_OF_ONE):
        id = (await desk.ask(vague, key=vague)).conversation_id
        await desk.ask(no, key=vague)
        assert await last(desk, id) == (phrases.REPLIES[Reply.OTHER_WORDS], (PERSON,))
        await desk.ask(no, key=vague)
        assert (await desk.conversation(id)).state is State.WAITING
    assert [h.findings[0].reason for h in await desk.handoffs()] == [Reason.REJECTED] * 2
    assert desk.assistant.heard == []


async def test_other_words_after_a_no_are_understood_like_any_message(desk):
    id = (await desk.ask(VAGUE)).conversation_id
    await desk.ask("no")
    await desk.ask("where is my parcel")
    assert (await last(desk, id))[0] == "About “where is my parcel”: yes."


@pytest.mark.parametrize("no", NOES)
async def test_a_no_to_an_answer_is_not_taken_for_the_end(desk, no):
    id = (await desk.ask("how do I pay?")).conversation_id
    received = await desk.ask(no)
    assert await last(desk, id) == (phrases.NOT_IT, (PERSON,))
    async with desk.store() as work:
        (made,) = await work.decisions.of_message(received.message.id)
    assert (made.action, made.findings[0].reason) == (Action.CLARIFY, Reason.REJECTED)
    assert replay(made, desk.take_turn.configured).same
    await desk.ask(no)
    assert (await desk.conversation(id)).state is State.WAITING


@pytest.mark.parametrize("done", ["no", "No thanks, I'm done", "that's all", "nope", "👎"])
async def test_a_no_to_anything_else_is_a_farewell(desk, done):
    await desk.ask("how do I pay?")
    id = (await desk.ask("thanks")).conversation_id
    await desk.ask(done)
    assert await last(desk, id) == (phrases.FAREWELL, ())
    await desk.ask(done)
    assert await last(desk, id) == (phrases.FAREWELL, ())


async def test_whoever_is_done_is_not_asked_again(desk):
    for key, before in (("a", VAGUE), ("b", "how do I pay?"), ("c", "thanks")):
        id = (await desk.ask(before, key=key)).conversation_id
        await desk.ask("no thanks, that's all", key=key)
        assert await last(desk, id) == (phrases.FAREWELL, ())
        assert (await desk.conversation(id)).asking is False


@pytest.mark.parametrize(
    ("sign", "word"), [("👍", "yes"), ("✅", "yes"), ("👎🏽", "no"), ("❌", "no")]
)
async def test_signs_answer_a_question_of_the_assistant(desk, sign, word):
    desk.assistant.answers["cancel it"] = [BotLine(QUESTION)]
    await desk.ask("cancel it")
    await desk.ask(sign)
    assert desk.assistant.heard[-1][1] == word
    desk.assistant.slot = "confirm"
    await desk.ask("cancel another", key="lou")
    await desk.ask(sign, key="lou")
    assert desk.assistant.heard[-1][1] == word


async def test_signs_are_words_of_the_language_the_assistant_speaks(desk):
    desk.take_turn.language = "de"
    desk.assistant.answers["hallo"] = [BotLine("Soll ich sie stornieren?")]
    await desk.ask("hallo")
    await desk.ask("👎")
    assert desk.assistant.heard[-1][1] == "nein"


@pytest.mark.parametrize("yes", ["👍", "👍🏿", "✔️", "yes", "that's it"])
async def test_a_yes_takes_the_only_option(desk, yes):
    await desk.ask(VAGUE_OF_ONE)
    await desk.ask(yes)
    assert desk.assistant.heard[-1][1] == "/track_order"


@pytest.mark.parametrize("yes", ["👍", "yes", "🐢", "?", "❤️"])
async def test_what_chooses_none_of_several_options_is_asked_once_more_with_them(desk, yes):
    id = (await desk.ask(VAGUE)).conversation_id
    _, offered = await last(desk, id)
    await desk.ask(yes)
    assert await last(desk, id) == (phrases.CHOOSE, offered)
    await desk.ask("2")
    assert desk.assistant.heard[-1][1] == "/track_refund"
    await desk.ask(VAGUE, key="lou")
    for _ in range(2):
        id = (await desk.ask(yes, key="lou")).conversation_id
    assert (await desk.conversation(id)).state is State.WAITING


@pytest.mark.parametrize("sign", ["👍", "?", "??", "🙂", "…", "🐢", ":)", "👎"])
async def test_a_sign_as_the_first_message_is_greeted_with_a_question(desk, sign):
    id = (await desk.ask(sign)).conversation_id
    assert await last(desk, id) == (phrases.PROMPT, ())
    assert await desk.handoffs() == []


@pytest.mark.parametrize(
    ("sign", "reply"),
    [
        ("👍", Reply.GLAD),
        ("❤️", Reply.GLAD),
        (":)", Reply.GLAD),
        ("?", Reply.UNCLEAR),
        ("🤔", Reply.UNCLEAR),
        ("😢", Reply.SORRY),
        (":(", Reply.SORRY),
        ("...", Reply.PROMPT),
    ],
)
async def test_a_sign_after_an_answer(desk, sign, reply):
    id = (await desk.ask("how do I pay?")).conversation_id
    await desk.ask(sign)
    assert (await last(desk, id))[0] == phrases.REPLIES[reply]


@pytest.mark.parametrize("sign", ["😡", "🤬🤬", ">:("])
async def test_anger_without_words_is_anger(desk, sign):
    id = (await desk.ask(sign)).conversation_id
    assert (await desk.conversation(id)).state is State.WAITING
    (handoff,) = await desk.handoffs()
    assert why(handoff.findings[0]) == "The customer sent nothing but signs of anger"


async def test_a_form_repeats_its_question_to_signs_that_do_not_answer_it(desk):
    desk.assistant.slot = "confirm"
    desk.assistant.answers["cancel it"] = [BotLine("It is free."), BotLine(QUESTION)]
    id = (await desk.ask("cancel it")).conversation_id
    await desk.ask("🐢")
    assert (await desk.said(id))[-2:] == ["It is free.", QUESTION]
    assert (await desk.conversation(id)).awaiting_slot == "confirm"
    await desk.ask("👍")
    assert desk.assistant.heard[-1][1] == "yes"
    await desk.ask("cancel it", key="lou")
    for _ in range(2):
        id = (await desk.ask("…", key="lou")).conversation_id
    assert (await desk.conversation(id)).state is State.WAITING


async def test_a_button_of_the_assistants_own_is_chosen_by_a_sign(desk):
    buttons = (Button("Yes, cancel it", "/affirm"), Button("No", "/deny"))
    desk.assistant.answers["cancel it"] = [BotLine(QUESTION, buttons)]
    for sign, payload in (("👍", "/affirm"), ("👎", "/deny")):
        await desk.ask("cancel it", key=sign)
        await desk.ask(sign, key=sign)
        assert desk.assistant.heard[-1][1] == payload


async def test_a_message_that_goes_to_a_person_says_in_which_language_it_is_written(desk):
    desk.take_turn.foreign = lambda text: "es" if "pedido" in text else ""
    desk.assistant.parses["¿Dónde está mi pedido?"] = Parse()
    received = await desk.ask("¿Dónde está mi pedido?")
    assert (await desk.conversation(received.conversation_id)).state is State.WAITING
    (handoff,) = await desk.handoffs()
    told = [why(finding) for finding in handoff.findings]
    assert told[0] == "The message is written in Spanish, which the bot does not speak"
    async with desk.store() as work:
        (made,) = await work.decisions.of_message(received.message.id)
    assert made.evidence["signals"]["language"] == "es"


async def test_nobody_is_handed_over_for_a_foreign_language_that_was_understood(desk):
    desk.take_turn.foreign = lambda text: "de"
    id = (await desk.ask("Wo ist meine Bestellung?")).conversation_id
    assert (await desk.conversation(id)).state is State.BOT


async def test_what_an_agent_said_is_no_answer_of_the_bot(desk):
    id = (await desk.ask("human please")).conversation_id
    await desk.claim(id, ANA)
    await desk.return_to_bot(id, ANA)
    received = await desk.ask("no")
    async with desk.store() as work:
        (made,) = await work.decisions.of_message(received.message.id)
    assert made.evidence["signals"]["last_said"] == LastSaid.NOTHING
    assert made.action is Action.ANSWER


def test_every_reply_but_the_bots_own_has_its_words():
    assert set(phrases.REPLIES) == set(Reply) - {Reply.AGAIN}
    assert len(set(phrases.REPLIES.values())) == len(phrases.REPLIES)

"""The bot asks what was meant: which buttons, what pressing or typing does, and when it asks."""

from __future__ import annotations

import json
import re
import string
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handoff.app import phrases
from handoff.app.clarify import named_intent, pressed, question, readable
from handoff.app.report import Report
from handoff.core.limits import MESSAGE_CHARACTERS
from handoff.core.model import (
    Action,
    Author,
    BotLine,
    Button,
    Decision,
    Message,
    Parse,
    Reason,
    State,
)
from handoff.core.policy import Desk
from handoff.core.text import check_text
from tests.fakes import ANA, START, FakeDesk, understood

TITLES = {"track_order": "Where my order is", "track_refund": "Where my refund is"}
VAGUE = "what about 10042 <3"
ORDER = ({"entity": "order_number", "value": "10042"},)
PRESSED = '/track_order{"order_number": "10042"}'
PERSON = "/contact_human_agent"


def unsure(*entities: dict[str, Any]) -> Parse:
    return replace(understood("track_order", 0.5, ("track_refund", 0.4)), entities=entities)


@pytest.fixture
def desk() -> FakeDesk:
    desk = FakeDesk()
    desk.take_turn.titles = lambda: TITLES
    desk.assistant.parses[VAGUE] = unsure(*ORDER)
    desk.assistant.answers[PRESSED] = [BotLine("Order 10042 is on its way.")]
    return desk


async def decision(desk: FakeDesk, message_id: str) -> Decision:
    async with desk.store() as work:
        (one,) = await work.decisions.of_message(message_id)
    return one


# --- the question ----------------------------------------------------------------------------


def test_a_question_offers_what_was_likely_and_a_way_out():
    line = question(("track_order", "check_refund_policy"), ORDER, TITLES, Desk())
    assert line.text == phrases.DID_YOU_MEAN
    assert line.buttons == (
        Button("Where my order is", PRESSED),
        Button("Check refund policy", '/check_refund_policy{"order_number": "10042"}'),
        Button(phrases.SOMETHING_ELSE, PERSON),
    )


def test_one_likely_intent_is_asked_about_in_the_singular():
    assert question(("track_order",), (), TITLES, Desk()).text == phrases.DID_YOU_MEAN_THIS


def test_a_desk_without_such_an_intent_offers_no_way_out_that_leads_nowhere():
    line = question(("track_order",), (), TITLES, Desk(person_intents=frozenset()))
    assert [b.payload for b in line.buttons] == ["/track_order"]


def test_an_entity_found_twice_is_given_twice_and_an_empty_one_not_at_all():
    found = [
        {"entity": "order_number", "value": "10042"},
        {"entity": "order_number", "value": "10043"},
        {"entity": "order_number", "value": "10042"},
        {"entity": "email", "value": None},
    ]
    (button, *_) = question(("track_order",), found, {}, Desk()).buttons
    assert button.payload == '/track_order{"order_number": ["10042", "10043"]}'


@pytest.mark.parametrize(
    ("intent", "words"),
    [
        ("check_refund_policy", "Check refund policy"),
        ("faq/ask-price", "Faq ask price"),
        ("learned_two_gift_cards", "Two gift cards"),
    ],
)
def test_an_intent_without_a_title_is_shown_in_words(intent, words):
    assert readable(intent) == words


RASAS_PATTERN = re.compile(r"^/(?P<name>[^{@]+)(?P<confidence>@[0-9.]+)?(?P<entities>{.+})?(.*)")
"""`YAMLStoryReader._regex_message_pattern` of Rasa 3.6; `tests/e2e` asks Rasa itself."""

PLAIN = st.text() | st.integers() | st.booleans()
JSON_VALUES = PLAIN | st.lists(PLAIN, max_size=3)


@settings(deadline=None, derandomize=True)
@given(st.dictionaries(st.text(string.ascii_letters, min_size=1), JSON_VALUES, max_size=3))
def test_whatever_stands_in_an_entity_comes_back_as_it_was(values: dict[str, Any]) -> None:
    """Quotes, braces, at signs, line breaks, any script: Rasa reads back the same."""
    found = [{"entity": name, "value": value} for name, value in values.items()]
    (button, *_) = question(("track_order",), found, {}, Desk()).buttons
    assert check_text(button.payload) == button.payload
    match = RASAS_PATTERN.match(button.payload)
    assert match and match["name"] == "track_order" and not match[4]
    assert json.loads(match["entities"] or "{}") == values


def test_what_would_be_too_long_to_send_back_is_left_out():
    found = [{"entity": "email", "value": '"' * MESSAGE_CHARACTERS}]
    (button, *_) = question(("track_order",), found, {}, Desk()).buttons
    assert button.payload == "/track_order"


# --- what a customer's text stands for ---------------------------------------------------------


def line(author: Author, text: str, *buttons: Button) -> Message:
    return Message("m", "c", 1, 1, author, text, START, buttons=buttons)


YES, NO = Button("Yes, cancel it", '/affirm{"order": "1"}'), Button("No", "/deny")
OFFER = line(Author.BOT, "Cancel it?", YES, NO)
OPTIONS = (Button("Where my order is", "/track_order"), Button("My refund", "/track_refund"))
OUT = Button(phrases.SOMETHING_ELSE, PERSON)
QUESTION = line(Author.BOT, phrases.DID_YOU_MEAN, *OPTIONS, OUT)
QUESTION_OF_ONE = line(Author.BOT, phrases.DID_YOU_MEAN_THIS, OPTIONS[0], OUT)
WROTE, ANSWERED = line(Author.CUSTOMER, "hm"), line(Author.BOT, "Order 1 is on its way.")


@pytest.mark.parametrize(
    ("text", "before", "asking", "meant"),
    [
        ("/deny", [OFFER], False, NO),
        ("/deny", [OFFER, WROTE, ANSWERED], False, NO),
        ("/deny", [WROTE], False, None),
        ("/deny", [line(Author.CUSTOMER, "x", NO)], False, None),
        ("/restart", [OFFER], False, None),
        ("yes,  CANCEL it!", [OFFER], False, YES),
        ("no", [OFFER, ANSWERED], False, NO),
        ("no", [OFFER, WROTE], False, None),
        ("no", [OFFER, line(Author.AGENT, "Shall I?")], False, None),
        ("no", [line(Author.BOT, "Which?", NO, Button("No", "/other"))], False, None),
        ("cancel", [OFFER], False, None),
        ("2", [QUESTION], True, OPTIONS[1]),
        (" 3. ", [QUESTION], True, OUT),
        ("4", [QUESTION], True, None),
        ("0", [QUESTION], True, None),
        ("12", [QUESTION], True, None),
        ("²", [QUESTION], True, None),
        ("2", [OFFER], False, None),
        ("2", [QUESTION, WROTE, ANSWERED], False, None),
        ("yes", [QUESTION], True, None),
        ("Yes!", [QUESTION_OF_ONE], True, OPTIONS[0]),
        ("yes please", [QUESTION_OF_ONE], True, OPTIONS[0]),
        ("no", [QUESTION_OF_ONE], True, None),
        ("yes", [QUESTION_OF_ONE], False, None),
        ("where my order is", [QUESTION], True, OPTIONS[0]),
        ("hello", [], False, None),
    ],
)
def test_which_button_a_text_stands_for(text, before, asking, meant):
    assert pressed(text, before, asking) == meant


def test_a_payload_of_plain_words_counts_only_where_it_was_just_offered():
    plain = line(Author.BOT, "Which?", Button("Blue", "the blue one"))
    assert pressed("the blue one", [plain], False) == plain.buttons[0]
    assert pressed("the blue one", [plain, WROTE], False) is None


@pytest.mark.parametrize(
    ("payload", "intent"),
    [("/deny", "deny"), (PRESSED, "track_order"), ("/deny@0.5", "deny"), ("deny", ""), ("/", "")],
)
def test_the_intent_a_payload_names(payload, intent):
    assert named_intent(payload) == intent


# --- the desk ----------------------------------------------------------------------------------


async def test_a_question_that_would_settle_it_is_asked_before_anybody_is_called(desk):
    received = await desk.ask(VAGUE)
    id = received.conversation_id
    line = (await desk.lines(id))[-1]
    assert (line.author, line.text) == (Author.BOT, phrases.DID_YOU_MEAN)
    assert [b.title for b in line.buttons] == [*TITLES.values(), phrases.SOMETHING_ELSE]
    assert desk.assistant.heard == []
    conversation = await desk.conversation(id)
    assert (conversation.state, conversation.asking, conversation.questions) == (State.BOT, True, 1)
    made = await decision(desk, received.message.id)
    assert made.action is Action.CLARIFY
    assert made.findings[0].reason is Reason.AMBIGUOUS
    assert await desk.owed_items() == []


async def test_a_pressed_choice_is_answered_and_reads_as_its_title(desk):
    id = (await desk.ask(VAGUE)).conversation_id
    desk.assistant.parses[PRESSED] = understood("track_order", 1.0)
    chosen = await desk.ask(PRESSED)
    assert desk.assistant.heard[-1][1] == PRESSED
    assert await desk.said(id, Author.CUSTOMER) == [VAGUE, "Where my order is"]
    assert (await desk.said(id))[-1] == "Order 10042 is on its way."
    line = (await desk.lines(id))[-2]
    assert line.buttons == (Button("Where my order is", PRESSED),)
    assert line.feelings is None, "what stands on a button says nothing about moods"
    assert (await decision(desk, chosen.message.id)).evidence["signals"]["pressed"] is True
    conversation = await desk.conversation(id)
    assert (conversation.asking, conversation.questions) == (False, 1)


@pytest.mark.parametrize("typed", ["where my order is", "1", "1."])
async def test_typing_the_choice_is_choosing_it(desk, typed):
    id = (await desk.ask(VAGUE)).conversation_id
    await desk.ask(typed)
    assert desk.assistant.heard[-1][1] == PRESSED
    assert await desk.said(id, Author.CUSTOMER) == [VAGUE, typed.strip()]


async def test_a_typed_answer_is_understood_like_any_message(desk):
    id = (await desk.ask(VAGUE)).conversation_id
    await desk.ask("I want to know when my parcel comes")
    assert desk.assistant.heard[-1][1] == "I want to know when my parcel comes"
    assert (await desk.conversation(id)).state is State.BOT


async def test_it_is_never_asked_twice_in_a_row(desk):
    desk.assistant.parses["the thing"] = unsure()
    id = (await desk.ask(VAGUE)).conversation_id
    await desk.ask("the thing")
    assert (await desk.conversation(id)).state is State.WAITING
    (handoff,) = await desk.handoffs()
    assert Reason.AMBIGUOUS in [f.reason for f in handoff.findings]
    assert (await desk.conversation(id)).asking is False


async def test_it_is_asked_a_few_times_in_an_episode_and_then_a_person_is(desk):
    for text in ("vague one", "vague two", "vague three"):
        desk.assistant.parses[text] = unsure()
    for text in ("vague one", "an understood message", "vague two", "another one"):
        id = (await desk.ask(text)).conversation_id
    conversation = await desk.conversation(id)
    assert (conversation.questions, conversation.state) == (2, State.BOT)
    await desk.ask("vague three")
    assert (await desk.conversation(id)).state is State.WAITING


async def test_a_new_episode_may_be_asked_anew(desk):
    desk.assistant.parses["the thing"] = unsure()
    id = (await desk.ask(VAGUE)).conversation_id
    await desk.ask("the thing")
    await desk.claim(id, ANA)
    await desk.resolve(id, ANA)
    await desk.ask(VAGUE)
    conversation = await desk.conversation(id)
    assert (conversation.state, conversation.questions) == (State.BOT, 1)


@pytest.mark.parametrize("down", ["", "connection refused"])
async def test_the_way_out_leads_to_a_person_whatever_the_assistant_knows(desk, down):
    id = (await desk.ask(VAGUE)).conversation_id
    desk.assistant.parses[PERSON] = understood("track_order", 0.99)
    desk.assistant.down = down
    await desk.ask(PERSON)
    assert (await desk.conversation(id)).state is State.WAITING
    (handoff,) = await desk.handoffs()
    assert [f.reason for f in handoff.findings] == [Reason.PERSON_REQUESTED]
    assert await desk.said(id) == [
        VAGUE,
        phrases.DID_YOU_MEAN,
        phrases.SOMETHING_ELSE,
        phrases.HANDED_OVER,
    ]


async def test_a_customer_cannot_name_an_intent_that_was_not_offered(desk):
    await desk.ask(VAGUE)
    await desk.ask('/cancel_order{"order_number": "10042"}')
    assert desk.assistant.heard[-1][1] == 'cancel_order{"order_number": "10042"}'


async def test_choices_are_no_repetitions_and_no_mood(desk):
    """Three orders, one after the other, each asked about: the customer is not stuck."""
    for number in range(3):
        desk.assistant.answers[f"which {number}"] = [BotLine("Which?", (Button("This", "/this"),))]
        await desk.ask(f"which {number}")
        id = (await desk.ask("/this")).conversation_id
    assert (await desk.conversation(id)).state is State.BOT
    await desk.ask("This")
    made = await decision(desk, (await desk.lines(id))[-2].id)
    assert made.evidence["signals"]["repeats"] == 0
    assert len(made.evidence["signals"]["mood"]) == 3


async def test_a_choice_pressed_while_a_person_has_the_conversation_is_relayed_in_words(desk):
    desk.assistant.answers["hi"] = [BotLine("Which?", (Button("This", "/this"),))]
    await desk.ask("hi")
    id = (await desk.ask("human please")).conversation_id
    await desk.claim(id, ANA)
    await desk.ask("/this")
    assert (await desk.said(id, Author.CUSTOMER))[-1] == "This"


async def test_a_question_back_is_no_handoff(desk):
    """What the customer settles with one press counts as the bot's; the way out counts once."""
    await desk.ask(VAGUE, key="kim")
    await desk.ask(PRESSED, key="kim")
    report = Report(desk.store, desk.clock)
    assert ((await report(1)).handoffs, (await report(1)).resolved_by_bot) == (0, 1.0)
    await desk.ask(VAGUE, key="lou")
    await desk.ask(PERSON, key="lou")
    figures = await report(1)
    assert (figures.handoffs, figures.resolved_by_bot) == (1, 0.5)
    assert figures.reasons == ((Reason.PERSON_REQUESTED.value, 1),)

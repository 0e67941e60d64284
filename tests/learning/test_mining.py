"""Which lines of a resolved conversation teach something."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from handoff.core.mining import (
    ANSWER_CHARACTERS,
    INTENT_CHARACTERS,
    TEXTS_PER_HANDOFF,
    Episode,
    Known,
    Spoken,
    answer_of,
    carried,
    is_teachable,
    normalised,
    only_wants_person,
    propose,
    questions,
    slug,
)
from handoff.core.model import (
    Author,
    Button,
    CandidateKind,
    Finding,
    Handoff,
    IntentScore,
    Message,
    Parse,
    Reason,
    Truth,
)

NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)
GIFT = "can I pay with two gift cards at once?"


def handoff(truth: Truth = Truth.NEW_TOPIC, intent: str | None = None, *reasons: Reason) -> Handoff:
    findings = tuple(Finding(reason, 1, 1) for reason in reasons)
    return Handoff("h1", "c1", 1, "d1", findings, NOW, truth=truth, truth_intent=intent)


def episode(
    *lines: str | tuple[str, Parse], of: Handoff | None = None, names=("Sam Fox", "Ana"), data=()
) -> Episode:
    """Build an episode from lines such as `customer: hello`; `!` marks the one handed over."""
    messages, at = [], ""
    for seq, line in enumerate(lines, 1):
        text, parse = line if isinstance(line, tuple) else (line, None)
        who, said = text.split(": ", 1)
        if who.endswith("!"):
            at = f"m{seq}"
        author = Author(who.rstrip("!"))
        messages.append(Message(f"m{seq}", "c1", 1, seq, author, said, NOW, parse=parse))
    return Episode(of or handoff(), tuple(messages), at, frozenset(data), names)


def parsed(intent: str, confidence: float) -> Parse:
    return Parse((IntentScore(intent, confidence),))


def texts(messages: list[Message]) -> list[str]:
    return [m.text for m in messages]


@pytest.mark.parametrize(
    "text",
    [
        "hi",
        "refund",
        "thanks a lot",
        "ok, thanks very much, goodbye",
        "yes please",
        "10042",
        "my order number is 10042",
        "#10042",
        "my email address is my email address",
        "/restart now please",
        "!!! ???",
        "😀 😀 😀",
        "word " * 100,
    ],
)
def test_messages_that_teach_nothing(text: str):
    assert not is_teachable(text)


@pytest.mark.parametrize(
    "text",
    [GIFT, "where is my order 10042?", "track order", "refund me now", "我可以用两张礼品卡付款吗"],
)
def test_messages_that_teach(text: str):
    assert is_teachable(text)


@pytest.mark.parametrize(
    ("text", "only"),
    [
        ("I want to talk to a human", True),
        ("agent please", True),
        ("give me a real person!!", True),
        (GIFT, False),
        (
            "I have asked three times now where the lamp is that I paid for, "
            "get me a person who knows",
            False,
        ),
    ],
)
def test_a_bare_request_for_a_person_is_no_example(text: str, only: bool):
    assert only_wants_person(text) is only


def test_the_message_at_the_handoff_comes_first_then_those_before():
    found = carried(
        episode(
            "customer: hello there",
            "customer: two gift cards, possible?",
            "bot: I did not get that.",
            f"customer!: {GIFT}",
            "agent: Yes, two gift cards work.",
            "customer: and do three gift cards work?",
        )
    )
    assert texts(found) == [GIFT, "two gift cards, possible?"]


def chosen(told: Episode, *numbers: int) -> Episode:
    """Return the episode with these lines of the customer being choices among buttons."""
    lines = [
        replace(m, buttons=(Button(m.text, "/faq"),)) if m.seq in numbers else m for m in told.lines
    ]
    return replace(told, lines=tuple(lines))


def test_what_stands_on_a_button_is_not_the_customers_word():
    told = episode(
        f"customer: {GIFT}", "bot: Did you mean one of these?", "customer!: Getting my money back"
    )
    assert texts(carried(told)) == ["Getting my money back", GIFT]
    assert texts(carried(chosen(told, 3))) == [GIFT]


@pytest.mark.parametrize(
    ("truth", "taught"), [("track_order", ["what about my parcel thing"]), ("get_refund", [])]
)
def test_what_a_choice_settled_teaches_what_was_chosen_and_nothing_else(truth, taught):
    told = episode(
        ("customer: what about my parcel thing", parsed("get_refund", 0.4)),
        "bot: Did you mean one of these?",
        ("customer: Where my order is", parsed("track_order", 1.0)),
        "bot: It is on its way.",
        "customer!: let me talk to a human",
        of=handoff(Truth.INTENT, truth),
    )
    assert texts(carried(chosen(told, 3))) == taught


def test_only_the_customer_teaches():
    found = carried(
        episode("bot: where is my order?", "agent: where is my order?", "note: where is my order?")
    )
    assert found == []


def test_what_the_bot_understood_as_something_else_ends_the_search():
    found = carried(
        episode(
            ("customer: can I use a gift card", parsed("x", 0.2)),
            ("customer: where is my order", parsed("track_order", 0.95)),
            f"customer!: {GIFT}",
        )
    )
    assert texts(found) == [GIFT]


def test_a_bot_that_answered_the_wrong_thing_again_and_again_does_not_end_it():
    found = carried(
        episode(
            ("customer: two gift cards at checkout", parsed("payment_issue", 0.95)),
            f"customer!: {GIFT}",
            of=handoff(Truth.NEW_TOPIC, None, Reason.CUSTOMER_REPEATS),
        )
    )
    assert texts(found) == [GIFT, "two gift cards at checkout"]


def test_whoever_asked_for_a_person_at_once_teaches_by_what_they_tell_the_agent():
    found = carried(
        episode(
            "customer: hi",
            ("customer: where is my order", parsed("track_order", 0.95)),
            "customer!: I want a human",
            "agent: Ana here, how can I help?",
            f"customer: {GIFT}",
            "customer: I have both gift cards here",
        )
    )
    assert texts(found) == [GIFT]


def test_a_request_for_a_person_teaches_where_it_was_the_intent():
    asked = episode("customer!: let me talk to a human", of=handoff(Truth.INTENT, "contact_human"))
    assert carried(asked) == []
    assert texts(carried(asked, {"contact_human"})) == ["let me talk to a human"]


def test_data_for_the_bots_form_and_sure_small_talk_do_not_teach():
    found = carried(
        episode(
            "customer: to the red door in Springfield",
            ("customer: much obliged mate", parsed("thank", 0.9)),
            f"customer!: {GIFT}",
            data={"m1"},
        )
    )
    assert texts(found) == [GIFT]


def test_one_handoff_teaches_a_few_texts_at_most():
    lines = [f"customer: gift card question {word}" for word in ("one", "two", "three", "four")]
    assert len(carried(episode(*lines, f"customer!: {GIFT}"))) == TEXTS_PER_HANDOFF


def test_a_topic_takes_questions_and_only_without_any_the_best_message():
    both = episode("customer: it says declined at checkout", f"customer!: {GIFT}")
    assert texts(questions(carried(both))) == [GIFT]
    none = episode("customer!: gift cards declined at checkout")
    assert texts(questions(carried(none))) == ["gift cards declined at checkout"]


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("Hi Sam, Ana here. One moment please.", ""),
        ("Hi! Yes you can combine two. Have a nice day!", "Yes you can combine two."),
        ("Thanks for waiting, two cards can be combined.", "Two cards can be combined."),
        ("Could you give me your order number?", ""),
        ("You're welcome, bye!", ""),
        ("I'm Ana from support", ""),
        ("Hello, this is Ana speaking, how can I help?", ""),
        ("Let me know if you need anything else.", ""),
        ("Sorry, gift cards can't be combined.", "Gift cards can't be combined."),
        ("This is not possible.", "This is not possible."),
        ("It's possible with two cards.", "It's possible with two cards."),
        ("Please wait 3-5 days.", "Please wait 3-5 days."),
        ("Have a look at the gift card page.", "Have a look at the gift card page."),
        ("Great question! We accept: Visa, Amex", "We accept: Visa, Amex"),
        ("Yes:\n- Visa cards\n- gift cards", "Yes:\n- Visa cards\n- gift cards"),
    ],
)
def test_the_answer_is_what_the_agent_said_about_it(said: str, answer: str):
    assert answer_of(episode(f"agent: {said}")) == answer


def test_the_answer_joins_the_agents_lines_and_nobody_elses():
    found = answer_of(
        episode(
            "bot: You can pay by card.",
            "system: Ana has joined. You are now talking to a person.",
            "agent: Hi Sam, Ana here!",
            "note: she always asks this",
            "agent: You can use two gift cards per order.",
            "customer: great, thanks",
            "agent: > Can I use two?\n> Gift cards, I mean.\n\nEnter both codes at checkout.",
            "agent: Anything else I can do for you?",
            "agent: Have a great day!",
        )
    )
    assert found == "You can use two gift cards per order.\nEnter both codes at checkout."


def test_a_long_answer_ends_with_a_sentence():
    found = answer_of(episode("agent: " + "You can use two gift cards. " * 60))
    assert len(found) <= ANSWER_CHARACTERS and found.endswith("gift cards.")


def test_intent_names_are_readable_unique_and_short():
    first = slug(GIFT, set())
    assert first == "learned_pay_two_gift_cards_once"
    assert slug(GIFT, {first}) == f"{first}_2"
    assert slug("Überweisung möglich?", set()) == "learned_uberweisung_moglich"
    long = slug("internationalisation characteristically unquestionable parcels", set())
    assert len(long) <= INTENT_CHARACTERS and len(slug(long, {long})) <= INTENT_CHARACTERS
    assert slug("我可以吗", set()) != slug("你可以吗", set())


def test_an_intent_gives_a_candidate_a_text():
    spoken = [Spoken("m1", "where is my parcel"), Spoken("m2", "parcel still missing")]
    found = propose(handoff(Truth.INTENT, "track_order"), spoken, "", Known(), (), NOW)
    assert [(c.kind, c.intent, c.texts, c.message_ids) for c in found] == [
        (CandidateKind.EXAMPLE, "track_order", ("where is my parcel",), ("m1",)),
        (CandidateKind.EXAMPLE, "track_order", ("parcel still missing",), ("m2",)),
    ]
    assert len({c.dedupe_key for c in found}) == 2


def test_a_topic_gives_one_candidate_with_all_questions_and_the_answer():
    spoken = [Spoken("m2", GIFT), Spoken("m1", "two gift cards?")]
    (found,) = propose(handoff(), spoken, "Yes, two.", Known(), (), NOW)
    assert found.kind is CandidateKind.ANSWER and found.answer == "Yes, two."
    assert found.texts == (GIFT, "two gift cards?") and found.message_ids == ("m2", "m1")
    assert found.intent == found.proposed_intent == "learned_pay_two_gift_cards_once"


@pytest.mark.parametrize("where", ["training", "golden", "proposed"])
def test_what_is_known_or_golden_is_never_proposed(where: str):
    key = frozenset({normalised("Can I pay with TWO gift-cards at once")})
    known = Known() if where == "proposed" else Known(**{where: key})
    proposed = key if where == "proposed" else ()
    assert propose(handoff(), [Spoken("m1", GIFT)], "Yes.", known, proposed, NOW) == []


@pytest.mark.parametrize(
    "of", [handoff(Truth.DO_NOT_LEARN), handoff(Truth.INTENT, None), handoff(Truth.NEW_TOPIC)]
)
def test_without_truth_intent_or_answer_nothing_is_proposed(of: Handoff):
    assert propose(of, [Spoken("m1", GIFT)], "", Known(), (), NOW) == []


def test_the_same_words_twice_are_one_candidate():
    spoken = [Spoken("m1", GIFT), Spoken("m2", GIFT.upper() + "!!")]
    found = propose(handoff(Truth.INTENT, "x"), spoken, "", Known(), (), NOW)
    assert [c.message_ids for c in found] == [("m1",)]

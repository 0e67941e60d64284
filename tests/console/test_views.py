"""Every view against a golden file. `UPDATE_GOLDEN=1 pytest tests/console` writes them anew."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_console import learning_views, views
from agent_console.callbacks import decode
from agent_console.picture import stats_picture
from agent_console.policy_views import SHOWN, limits_moved, limits_now, policies
from agent_console.richtext import CAPTION_UNITS, TEXT_UNITS, TOPIC_NAME_UNITS
from agent_console.views import Card, View
from handoff.app.switch_policy import Disagreement, Judged
from handoff.core.errors import NotClaimed, NotYours
from handoff.core.evidence import named, policy_body
from handoff.core.limits import PolicyLimits
from handoff.core.model import (
    Action,
    Author,
    Button,
    Candidate,
    CandidateKind,
    CandidateStatus,
    Conversation,
    Decision,
    Feelings,
    Finding,
    Handoff,
    IntentScore,
    LearningRun,
    Message,
    Parse,
    PolicyStatus,
    Reason,
    RunStatus,
    ShadowVerdict,
    State,
    StoredPolicy,
    Truth,
)
from handoff.core.policy import Policy
from handoff.core.reasons_in_words import SHORT, why
from handoff.core.risk import RiskModel
from handoff.core.statistics import Statistics
from tests.console.desk import INTENTS
from tests.fakes import ANA, LEA, RITA

GOLDEN = Path(__file__).parent / "golden"
NOON = datetime(2025, 11, 21, 12, 0, tzinfo=UTC)
HANDOFF_ID, CANDIDATE_ID = "a" * 32, "c" * 32


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def talk() -> Conversation:
    return Conversation("k" * 32, "web", "kim", "Kim <3 _O_", NOON, NOON, State.WAITING)


def line(number: int, author: Author, text: str, **fields) -> Message:
    fields.setdefault("author_name", {Author.AGENT: "Ana", Author.NOTE: "Bo"}.get(author, ""))
    if author is Author.CUSTOMER:
        fields["author_name"] = "Kim <3 _O_"
    return Message(
        str(number), "k" * 32, 1, number, author, text, at(number / 10), **fields
    )  # fmt: skip


def parse(*scores: tuple[str, float], entities: tuple = ()) -> Parse:
    return Parse(tuple(IntentScore(*score) for score in scores), entities)


RANKING = (
    ("track_order", 0.3141), ("check_payment_methods", 0.2), ("get_refund", 0.1),
    ("place_order", 0.05), ("delivery_period", 0.04), ("complaint", 0.01),
)  # fmt: skip


def lines() -> list[Message]:
    order = ({"entity": "order_number", "value": "10042"},)
    return [
        line(1, Author.CUSTOMER, "where is my order 10042?", feelings=Feelings(0.1),
             parse=parse(("track_order", 0.97), ("get_refund", 0.02), entities=order)),
        line(2, Author.BOT, "Order 10042 is on its way."),
        line(3, Author.CUSTOMER, "can I pay with <3 two _*[gift](cards) at once?\n/start 😀",
             feelings=Feelings(0.55), parse=parse(*RANKING)),
        line(4, Author.SYSTEM, "I am passing you on to a colleague."),
        line(5, Author.NOTE, "a regular"),
    ]  # fmt: skip


WAY_OUT = Button("Something else, a person please", "/contact_human_agent")
OFFERED = (Button("Where my order is", "/track_order"), Button("A refund", "/get_refund"), WAY_OUT)
ASKED = (Finding(Reason.PERSON_REQUESTED, 1.0, 0.0, "contact_human_agent"),)


def choices() -> list[Message]:
    """Return what is said where the bot asks back and a person is wanted."""
    person = parse(("contact_human_agent", 1.0))
    return [
        line(1, Author.CUSTOMER, "what about the money thing", parse=parse(*RANKING)),
        line(2, Author.BOT, "Did you mean one of these?", buttons=OFFERED),
        line(3, Author.CUSTOMER, WAY_OUT.title, parse=person, buttons=(WAY_OUT,)),
    ]


def sure() -> list[Message]:
    """A customer who stays calm in tone, and an assistant that sees one intent alone."""
    ranking = parse(("out_of_scope", 0.996), ("faq", 0.004), ("get_refund", 0.0), ("chat", 0.0))
    return [
        line(1, Author.CUSTOMER, "hello", feelings=Feelings(0.02, 0.01)),
        line(2, Author.CUSTOMER, "well?", feelings=Feelings(0.06, 0.02)),
        line(3, Author.CUSTOMER, "can you juggle", feelings=Feelings(0.09, 0.45), parse=ranking),
    ]


UNSURE = Finding(Reason.NOT_UNDERSTOOD, 0.3141, 0.45, "track_order")


def handoff(**fields) -> Handoff:
    fields = {"findings": (UNSURE, Finding(Reason.CUSTOMER_REPEATS, 2, 2)), **fields}
    return Handoff(HANDOFF_ID, "k" * 32, 1, "d" * 32, requested_at=at(0.45), **fields)


def claimed(**fields) -> Handoff:
    who = {"claimed_at": at(3), "claimed_by": 1001, "claimed_by_name": "Ana"}
    return handoff(**{**who, **fields})


def resolved(**fields) -> Handoff:
    return claimed(**{"ended_at": at(18), "outcome": "resolved", **fields})


def card(of: Handoff, **fields) -> View:
    return views.handoff_card(Card(talk(), of, fields.pop("lines", lines()), INTENTS, **fields))


EVERY_RULE = (
    Finding(Reason.PERSON_REQUESTED, 0.81, 0.6),
    ASKED[0],
    Finding(Reason.SAFETY, 1, 1, "caught fire"),
    Finding(Reason.LEGAL, 2, 1, "lawyer"),
    Finding(Reason.SENSITIVE_INTENT, 0.72, 0.45, "complaint"),
    Finding(Reason.ANGRY, 0.88, 0.75),
    Finding(Reason.CUSTOMER_REPEATS, 2, 2),
    Finding(Reason.BOT_REPEATS, 2, 2),
    Finding(Reason.BOT_UNAVAILABLE, 1, 1, "The assistant did not answer: timed out."),
    Finding(Reason.ANGRY, 1, 0.9, "signs"),
    Finding(Reason.FOREIGN_LANGUAGE, 1, 1, "es"),
    Finding(Reason.REJECTED, 1, 1, "options"),
    Finding(Reason.REJECTED, 1, 1, "words"),
    Finding(Reason.REJECTED, 1, 1, "answer"),
    Finding(Reason.REJECTED, 1, 1, "closing"),
    Finding(Reason.WORDLESS, 1, 1, "confusion"),
    Finding(Reason.WORDLESS, 1, 1, "nothing"),
    Finding(Reason.OUT_OF_SCOPE, 0.92, 0.07, "check_payment_methods"),
    Finding(Reason.OUT_OF_SCOPE, 1.0, 0.0, ""),
    UNSURE,
    Finding(Reason.NOT_UNDERSTOOD, 0.4496, 0.45, ""),
    Finding(Reason.NOT_UNDERSTOOD, 0.47, 0.45, "track_order"),
    Finding(Reason.AMBIGUOUS, 0.31, 0.15, "get_refund / track_refund"),
    Finding(Reason.AMBIGUOUS, 0.22, 0.15, "get_refund / track_refund / track_order"),
    Finding(Reason.SAFETY, 0.97, 0.5, "smoke coming"),
    Finding(Reason.LEGAL, 0.81, 0.5),
    Finding(Reason.NOT_MEANT, 0.93, 0.6, "thank"),
)
BEFORE_VERSION_3 = (
    Finding(Reason.MOOD_FALLING, 0.71, 0.6, "+0.25"),
    Finding(Reason.AMBIGUOUS, 0.03, 0.08, "get_refund / track_refund"),
)
EVERY_SIGNAL = tuple(
    Finding(reason, value, usual, "signal", 0.5)
    for reason, value, usual in (
        (Reason.PRECEDENT, 0.34, 0.05),
        (Reason.OUT_OF_SCOPE, 0.4, 0.05),
        (Reason.NOT_UNDERSTOOD, 0.43, 0.1),
        (Reason.AMBIGUOUS, 0.6, 0.0),
        (Reason.ANGRY, 0.62, 0.03),
        (Reason.NEGATIVE, 0.7, 0.1),
        (Reason.MOOD_BAD, 0.7, 0.1),
        (Reason.MOOD_FALLING, 0.004, 0.0),
        (Reason.MAY_ASK_FOR_PERSON, 0.31, 0.02),
        (Reason.CUSTOMER_REPEATS, 1.0, 0.04),
        (Reason.ASKED_BACK, 2.0, 0.0),
    )
)
DOWN = EVERY_RULE[8]


def example(**fields) -> Candidate:
    return replace(
        Candidate(
            CANDIDATE_ID, CandidateKind.EXAMPLE, HANDOFF_ID, ("3",), ("where is it <3?",),
            "track_order", "", "key", NOON, proposed_intent="track_order",
        ),
        **fields,
    )  # fmt: skip


def answer(**fields) -> Candidate:
    made = example(
        kind=CandidateKind.ANSWER,
        texts=("can I pay with two gift cards?", "two gift cards at once?"),
        intent="pay_with_gift_cards",
        proposed_intent="pay_with_gift_cards",
        answer="Yes, up to two:\nenter one after the other.",
    )
    return replace(made, **fields)


JUDGED = {"reviewer": 1003, "reviewer_name": "Rita", "reviewed_at": at(60)}


def review(candidate: Candidate, **fields) -> View:
    shown = learning_views.ReviewCard(candidate, "Ana", NOON, INTENTS, **fields)
    return learning_views.review_card(shown)


def run(**fields) -> LearningRun:
    return LearningRun("r" * 32, NOON, NOON, **{"mined": 5, "pending_review": 1, **fields})


PROMOTED = {
    "status": RunStatus.PROMOTED,
    "learned": 2,
    "figures_before": {"accuracy": 0.912, "oos_recall": 0.8, "train_seconds": 8.04},
    "figures_after": {"accuracy": 0.925, "oos_recall": 0.81, "train_seconds": 8.5, "new": 1.0},
    "verdict": "No worse on any figure: swapped in.",
    "finished_at": at(2.5),
}
FIGURES = Statistics(
    412,
    97,
    0.7646,
    (("not_understood", 41), ("angry", 13)),
    134.0,
    201.0,
    8450.0,
    61,
    0.115,
    4,
    3,
    1260.0,
)
NOTHING = Statistics(0, 0, None, (), None, None, None, 0, None, 0)
QUEUE = [
    views.Waiting("Kim <3", at(-125), "not_understood", 17),
    views.Waiting("", at(-1), "angry", None),
]


def reasons() -> View:
    findings = (*EVERY_RULE, *BEFORE_VERSION_3, *EVERY_SIGNAL)
    return views.plain("\n".join(why(finding) for finding in findings))


RISK = RiskModel(
    -2.6,
    {"mood": 0.8, "repeats": 1.5, "anger": 0.3, "precedent": 0.5, "asks": 0.3, "doubt": 0.2},
    dict.fromkeys(("mood", "repeats", "anger", "precedent", "asks", "doubt"), 0.1),
)
ACTIVE = named(Policy(PolicyLimits(risk=0.25, risk_floor=0.05, risk_ceiling=0.6), risk=RISK))
EAGER = named(
    replace(
        ACTIVE,
        limits=replace(ACTIVE.limits, risk=0.15),
        risk=replace(RISK, weights={**RISK.weights, "mood": 2.0}),
    )
)


def policy(of: Policy, status: PolicyStatus, judged: int = 0, disagreed: int = 0) -> Judged:
    body, by = policy_body(of), "Lea" if status is PolicyStatus.ACTIVE else "refit"
    note = "From 214 resolved conversations: cost 0.31 instead of 0.36."
    # An id of its own: the real one changes with every default of the program.
    id = "a1" * 6 if status is PolicyStatus.ACTIVE else "b2" * 6
    stored = StoredPolicy(id, body, status, at(-90), at(-60), by, changed_by=by, note=note)
    return Judged(stored, judged, disagreed)


def disagreement(text: str, did: Action, would: Action, *findings: Finding) -> Disagreement:
    ids = ("e" * 32, "d" * 32, "3", "k" * 32)
    made = Decision(ids[1], "3", "k" * 32, did, (), {}, "3", "model", NOON)
    verdict = ShadowVerdict(*ids, EAGER.id, would, findings, False, NOON)
    return Disagreement(line(3, Author.CUSTOMER, text), made, verdict)


DISAGREEMENTS = (
    disagreement("where\nis <3 it?? " * 20, Action.ANSWER, Action.HAND_OFF, EVERY_SIGNAL[6]),
    disagreement("and my refund", Action.CLARIFY, Action.ANSWER),
    disagreement("this is it", Action.HAND_OFF, Action.CLARIFY, EVERY_RULE[14]),
)
ON, BESIDE = PolicyStatus.ACTIVE, PolicyStatus.SHADOW

VIEWS = {
    "card_waiting": lambda: card(handoff()),
    "card_risk": lambda: card(handoff(findings=EVERY_SIGNAL[:3]), risk=0.314, limit=0.25),
    "card_no_reason": lambda: card(handoff(findings=()), risk=0.2502, limit=0.25),
    "card_rule": lambda: card(
        handoff(findings=(EVERY_RULE[9], EVERY_SIGNAL[4], EVERY_SIGNAL[7])),
        lines=sure(),
        risk=0.08,
        limit=0.125,
    ),
    "card_claimed": lambda: card(claimed()),
    "card_nothing_known": lambda: card(
        handoff(findings=(DOWN,)), lines=[line(1, Author.CUSTOMER, "hi")]
    ),
    "card_resolved": lambda: card(resolved()),
    "card_truth_told": lambda: card(resolved(truth=Truth.INTENT, truth_intent="get_refund")),
    "card_needed_told": lambda: card(resolved(needed=False)),
    "card_all_told": lambda: card(resolved(truth=Truth.NEW_TOPIC, needed=True)),
    "card_changing": lambda: card(resolved(truth=Truth.NEW_TOPIC, needed=True), changing=True),
    "card_mined": lambda: card(resolved(truth=Truth.DO_NOT_LEARN, needed=True, mined=True)),
    "card_first_page": lambda: card(resolved(), page=0),
    "card_last_page": lambda: card(resolved(), page=9),
    "card_returned": lambda: card(claimed(ended_at=at(4), outcome="returned")),
    "card_returned_unclaimed": lambda: card(handoff(ended_at=at(4), outcome="returned")),
    "card_choices": lambda: card(handoff(findings=ASKED), lines=choices()),
    "reasons": reasons,
    "relay": lambda: views.relay(lines()[2])[0],
    "relay_choice": lambda: views.relay(choices()[2])[0],
    "transcript": lambda: views.transcript(lines()),
    "not_yours": lambda: views.not_sent(NotYours(name="Bo"), talk(), claimed()),
    "not_claimed": lambda: views.not_sent(NotClaimed(), talk(), handoff()),
    "not_sent_bot": lambda: views.not_sent(
        NotClaimed(), replace(talk(), state=State.BOT), resolved()
    ),
    "not_sent_closed": lambda: views.not_sent(
        NotClaimed(), replace(talk(), state=State.CLOSED), resolved()
    ),
    "uncertain": lambda: views.uncertain("a line of the customer", "b" * 32),
    "failed": lambda: views.failed("a line of the customer", "Message is too long", "b" * 32),
    "queue": lambda: views.queue(QUEUE, NOON, -1001000000001),
    "queue_empty": lambda: views.queue([], NOON, -1001000000001),
    "help_agent": lambda: views.help_text(ANA),
    "help_reviewer": lambda: views.help_text(RITA),
    "help_lead": lambda: views.help_text(LEA),
    "whoami": lambda: views.whoami(ANA),
    "review_count": lambda: views.review_count(3, 1),
    "policy_none": lambda: policies(None, None),
    "policy_alone": lambda: policies(policy(ACTIVE, ON), None),
    "policy_shadow_new": lambda: policies(policy(ACTIVE, ON), policy(EAGER, BESIDE)),
    "policy_shadow": lambda: policies(
        policy(ACTIVE, ON), policy(EAGER, BESIDE, 130, 12), DISAGREEMENTS
    ),
    "limits_now": lambda: limits_now(policy(ACTIVE, ON)),
    "limits_none": lambda: limits_now(None),
    "limits_moved": lambda: limits_moved(policy(ACTIVE, ON).policy),
    "stats": lambda: views.stats_caption(FIGURES, 7),
    "stats_nothing": lambda: views.stats_caption(NOTHING, 1),
    "review_example": lambda: review(example()),
    "review_example_page": lambda: review(example(), page=1),
    "review_answer": lambda: review(answer()),
    "review_accepted": lambda: review(example(status=CandidateStatus.ACCEPTED, **JUDGED)),
    "review_relabelled": lambda: review(
        example(status=CandidateStatus.ACCEPTED, **JUDGED | {"intent": "get_refund"})
    ),
    "review_rejected": lambda: review(answer(status=CandidateStatus.REJECTED, **JUDGED)),
    "review_learned": lambda: review(answer(status=CandidateStatus.LEARNED, **JUDGED)),
    "review_rolled_back": lambda: review(answer(status=CandidateStatus.ROLLED_BACK, **JUDGED)),
    "all_judged": lambda: learning_views.all_judged(2),
    "all_judged_nothing": lambda: learning_views.all_judged(0),
    "digest_promoted": lambda: learning_views.run_digest(run(**PROMOTED), [example(), answer()]),
    "digest_refused": lambda: learning_views.run_digest(
        run(status=RunStatus.REFUSED, verdict="accuracy fell by 2 points")
    ),
    "digest_nothing": lambda: learning_views.run_digest(run(status=RunStatus.NOTHING_TO_LEARN)),
}


def written(view: View) -> str:
    """Return a view as a golden file shows it."""
    raw = view.text.encode("utf-16-le")
    parts = [view.text, "--- entities"]
    for e in view.entities:
        inside = raw[e.offset * 2 : (e.offset + e.length) * 2].decode("utf-16-le")
        parts.append(f"{e.type} {e.offset}+{e.length} {inside!r}{' ' + e.url if e.url else ''}")
    parts.append("--- buttons")
    parts += [" | ".join(f"[{key.text}] {key.data}" for key in row) for row in view.rows]
    return "\n".join(parts) + "\n"


@pytest.mark.parametrize("name", VIEWS)
def test_golden(name: str) -> None:
    path, now = GOLDEN / f"{name}.txt", written(VIEWS[name]())
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(now, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == now


def test_there_is_no_golden_file_without_a_view() -> None:
    assert {path.stem for path in GOLDEN.glob("*.txt")} == set(VIEWS)


def test_every_reason_has_its_words_in_the_golden_file() -> None:
    assert {f.reason for f in (*EVERY_RULE, *EVERY_SIGNAL)} == set(Reason)
    assert set(SHORT) == {reason.value for reason in Reason}


@given(st.builds(Finding))
def test_any_finding_can_be_told(finding: Finding) -> None:
    assert why(finding)


def every_view() -> Iterator[View]:
    for make in VIEWS.values():
        yield make()


def test_every_button_can_be_decoded() -> None:
    data = [key.data for view in every_view() for row in view.rows for key in row]
    assert len(data) > 50
    assert all(decode(one) for one in data)


FALLING, ANGRY = EVERY_SIGNAL[7], EVERY_SIGNAL[4]


@pytest.mark.parametrize(
    ("feelings", "reasons", "words"),
    [
        ([(0.02, 0.0), (0.05, 0.0)], (), "▁▁  calm"),
        ([(0.02, 0.0), (0.12, 0.0)], (), "▁▁  calm → mostly calm"),
        ([(0.02, 0.0), (0.05, 0.0)], (ANGRY,), "▁▁  calm → mostly calm"),
        ([(0.05, 0.0)], (ANGRY,), "▁  mostly calm"),
        ([(0.1, 0.45)], (ANGRY,), "▄  uneasy"),
        ([(0.1, 0.9)], (EVERY_RULE[5],), "█  very unhappy"),
        ([(0.12, 0.0), (0.2, 0.0)], (FALLING,), "▁▂  mostly calm, getting worse"),
        ([(0.02, 0.0), (0.15, 0.0)], (FALLING,), "▁▂  calm → mostly calm"),
        ([(0.7, 0.0), (0.02, 0.0), (0.3, 0.0)], (FALLING,), "▆▁▃  unhappy → uneasy, getting worse"),
        ([(0.7, 0.0), (0.02, 0.0)], (UNSURE,), "▆▁  unhappy → calm"),
    ],
)
def test_the_mood_does_not_contradict_the_reasons(feelings, reasons, words) -> None:
    said = [
        line(n, Author.CUSTOMER, "well", feelings=Feelings(*one)) for n, one in enumerate(feelings)
    ]
    assert f"Mood  {words}\n" in card(handoff(findings=reasons), lines=said).text


@pytest.mark.parametrize(
    ("intents", "causes"),
    [
        ((), "danger, the law and anger"),
        (("complaint", "close_account"), "danger, the law, anger, “close account” and “complaint”"),
    ],
)
def test_the_intents_that_always_need_a_person_are_named(intents, causes) -> None:
    of = named(replace(ACTIVE, desk=replace(ACTIVE.desk, human_intents=frozenset(intents))))
    shown = policies(policy(of, ON), None).text
    assert f"• Always on request, and for {causes}\n" in shown


def test_a_risk_below_its_limit_did_not_decide() -> None:
    of = handoff(findings=(UNSURE,))
    for risk, told in (
        (0.08, "8 %, below the limit of 12.5 %: the reasons above decided, not the risk\n"),
        (0.125, "12.5 %, the limit is 12.5 %\n"),
        (0.2, "20 %, the limit is 12.5 %\n"),
    ):
        shown = card(of, risk=risk, limit=0.125).text
        assert f"Risk that a person is needed: {told}" in shown


@pytest.mark.parametrize(
    ("scores", "shown"),
    [
        ((1.0, 0.0, 0.0), ["100 %  faq"]),
        ((0.98, 0.01, 0.0099), [" 98 %  faq", "  1 %  get refund"]),
        ((0.004, 0.003, 0.002), ["  0 %  faq"]),
    ],
)
def test_what_is_next_to_impossible_is_not_understood(scores, shown) -> None:
    ranking = parse(*zip(("faq", "get_refund", "track_order"), scores, strict=True))
    text = card(handoff(), lines=[line(1, Author.CUSTOMER, "hm", parse=ranking)]).text
    between = text.split("What the bot understood\n")[1].split("\n\n")[0]
    assert between.split("\n") == shown


ANY = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1)


@given(
    ANY,
    st.lists(st.tuples(st.sampled_from([*Author]), ANY), max_size=9),
    st.integers(1, 5000),
)
def test_a_card_always_fits_and_its_quotes_are_the_texts(name, said, times) -> None:
    """However long the lines and the name, and whatever they hold."""
    made = [
        line(n, author, (text * times)[:5000], feelings=Feelings(0.5), parse=parse(*RANKING))
        for n, (author, text) in enumerate(said)
    ]
    conversation = replace(talk(), customer_name=(name * times)[:255])
    of = replace(handoff(), requested_at=at(60))
    for view in (
        views.handoff_card(Card(conversation, of, made, INTENTS)),
        views.transcript(made),
    ):
        raw = view.text.encode("utf-16-le")
        assert len(raw) // 2 <= TEXT_UNITS
        for entity in (e for e in view.entities if e.type == "blockquote"):
            end = (entity.offset + entity.length) * 2
            quote = raw[entity.offset * 2 : end].decode("utf-16-le")
            kept = quote.removesuffix("…")
            assert any(m.text.strip().startswith(kept) for m in made)
    assert len(views.topic_name(conversation, made).encode("utf-16-le")) // 2 <= TOPIC_NAME_UNITS


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5000))
def test_a_relayed_line_is_as_typed(text: str) -> None:
    sent = [view.text for view in views.relay(line(1, Author.CUSTOMER, text))]
    assert "".join("".join(sent).split()) == "".join(text.split())
    assert all(len(part.encode("utf-16-le")) // 2 <= TEXT_UNITS for part in sent)


def test_a_conversation_is_named_and_judged_by_the_customers_own_words() -> None:
    assert views.topic_name(talk(), choices()).endswith("what about the money thing")
    assert views.topic_name(talk(), choices()[2:]).endswith(WAY_OUT.title)
    assert views.top_intents(choices())[0] == "track_order"
    chosen = line(4, Author.CUSTOMER, "A refund", buttons=OFFERED[1:2])
    chosen.parse = parse(("get_refund", 1.0))
    assert views.top_intents([*choices(), chosen])[0] == "get_refund"


def test_a_typed_number_is_shown_with_what_it_chose() -> None:
    typed = line(3, Author.CUSTOMER, "2", buttons=OFFERED[1:2])
    assert views.relay(typed)[0].text == "2\n▸ A refund"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"image": "https://shop/box.png"}, "[image] https://shop/box.png"),
        ({"text": "Look:", "image": "/a.png"}, "Look:\n[image] /a.png"),
        ({"extra": {"attachment": "https://shop/bill.pdf"}}, "[attachment] https://shop/bill.pdf"),
        ({"extra": {"custom": {"type": "carousel", "é": [1]}}},
         '[custom] {"type": "carousel", "é": [1]}'),
        ({"extra": {"json_message": [None]}, "buttons": (WAY_OUT,)},
         "[json_message] [null]\n▸ Something else, a person please"),
    ],
)  # fmt: skip
def test_what_a_console_cannot_show_is_told(fields: dict, words: str) -> None:
    of = line(2, Author.BOT, fields.pop("text", ""), **fields)
    shown = card(handoff(), lines=[line(1, Author.CUSTOMER, "hello"), of])
    assert words in shown.text


def test_a_card_tells_the_metadata_the_owner_named_as_it_was_sent_last() -> None:
    sent = (
        {"page": "/old", "customer": {"tier": "gold"}, "secret": "never"},
        None,
        {"page": "/checkout", "a.b": 0, "cart": [{"sku": 7}], "none": None},
    )
    said = [line(n, Author.CUSTOMER, "hi", context=context) for n, context in enumerate(sent, 1)]
    names = ("page", "customer.tier", "a.b", "cart", "none", "missing", "page.x", "customer.")
    shown = card(handoff(), lines=said, shown_fields=names).text
    assert 'page: /checkout\ncustomer.tier: gold\na.b: 0\ncart: [{"sku": 7}]\n' in shown
    for hidden in ("never", "/old", "missing", "page.x", "none"):
        assert hidden not in shown
    assert "page" not in card(handoff(), lines=said).text


def test_statistics_digest_and_policies_fit_whatever_they_hold() -> None:
    many = tuple((f"reason_{n}", 10_000 - n) for n in range(200))
    assert len(views.stats_caption(replace(FIGURES, reasons=many), 7).text) <= CAPTION_UNITS
    long = [example(texts=("word " * 200,)) for _ in range(300)]
    assert len(learning_views.run_digest(run(**PROMOTED), long).text) <= TEXT_UNITS
    reason = Finding(Reason.BOT_UNAVAILABLE, 1, 1, "word " * 900)
    wrong = [disagreement("word " * 900, Action.CLARIFY, Action.HAND_OFF, reason)] * SHOWN
    noted = replace(policy(EAGER, BESIDE, 10**9, 10**8).policy, note="word " * 900)
    shown = policies(policy(ACTIVE, ON), Judged(noted, 10**9, 10**8), wrong)
    assert len(shown.text) <= TEXT_UNITS
    crowded = answer(texts=("long " * 900,) * 9, answer="long " * 2000)
    assert len(review(crowded).text) <= TEXT_UNITS


@pytest.mark.parametrize("figures", [FIGURES, NOTHING], ids=["figures", "nothing"])
def test_the_picture_is_the_same_png_each_time(figures: Statistics) -> None:
    picture = stats_picture(figures, 7)
    assert picture.startswith(b"\x89PNG") and len(picture) > 10_000
    assert picture == stats_picture(figures, 7)

"""Where a message may hold more than one request, by its form, and which of its parts count."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoff.core.limits import MESSAGE_CHARACTERS
from handoff.core.model import Action, Feelings, IntentScore, Parse, Reason
from handoff.core.policy import Policy, Signals, decide, requests_of
from handoff.core.requests import MOST_PARTS, Part, cuts, share_a_subject

POLICY = Policy()


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("I want a refund and also change my address", ["I want a refund", "change my address"]),
        ("Where is it? And cancel 10043.", ["Where is it?", "cancel 10043."]),
        ("1) refund me 2) send the invoice", ["refund me", "send the invoice"]),
        ("cancel it; also, where is the other one", ["cancel it", "where is the other one"]),
        ("delete my account\nsend me my invoice", ["delete my account", "send me my invoice"]),
        ("send me the invoice + track 10042", ["send me the invoice", "track 10042"]),
        ("I want a refund", []),
        ("my name and address", []),
        ("thanks, bye", []),
        ("", []),
        ("👍", []),
    ],
)
def test_where_a_message_is_cut(text: str, parts: list[str]) -> None:
    assert [cut.text for cut in cuts(text)] == parts


@pytest.mark.parametrize(
    ("text", "joined", "shaped", "aside"),
    [
        ("It is late, and where is it now?", True, True, False),
        ("It is late, because it came broken", False, False, True),
        ("It is late, I've reset my password", False, False, True),
        ("It is late, I don't want a refund", False, False, True),
        ("It is late, the card was declined", False, False, False),
        ("It is late. Also the card was declined", True, False, False),
        ("It is late, I'd like my money", False, True, False),
        ("It is late. Could you send it", False, True, False),
        ("I want a refund and an invoice", True, True, False),
        ("It is late, order 10042 it is", False, False, False),
    ],
)
def test_the_form_of_the_last_part(text: str, joined: bool, shaped: bool, aside: bool) -> None:
    last = cuts(text)[-1]
    assert (last.joined, last.shaped, last.aside) == (joined, shaped, aside)


@given(st.text(st.sampled_from("ab ,.;?!+-\nand also1)")) | st.text())
def test_parts_stand_in_the_message_and_are_few(text: str) -> None:
    found = cuts(text)
    assert len(found) != 1 and len(found) <= MOST_PARTS
    assert all(cut.text in text and cut.text.strip() for cut in found)


def test_a_long_message_is_cut_quickly() -> None:
    """Nobody may keep the desk busy with one message: forms are read in linear time."""
    for unit in ("and ", "please, ", "a, ", "also also ", "I have ", "(1) "):
        cuts((unit * MESSAGE_CHARACTERS)[:MESSAGE_CHARACTERS])


def test_intents_share_a_subject_by_the_words_of_their_names() -> None:
    assert share_a_subject("get_refund", "track_refund")
    assert share_a_subject("faq/delivery", "delivery_options")
    assert not share_a_subject("get_refund", "get_invoice")
    assert not share_a_subject("", "")


# --- what the policy makes of them ---------------------------------------------------------------


def parse(*ranking: tuple[str, float]) -> Parse:
    return Parse(tuple(IntentScore(*score) for score in ranking), novelty=0.05)


REFUND = Part("I want a refund", parse(("get_refund", 0.97)), shaped=True)
ADDRESS = Part("change my address", parse(("edit_account", 0.95)), joined=True, shaped=True)
GIFTS = Part("do you wrap gifts for me", parse(("out_of_scope", 0.95)), joined=True, shaped=True)
VAGUE = Part(
    "and do that other thing too",
    parse(("out_of_scope", 0.5), ("edit_account", 0.45)),
    joined=True,
    shaped=True,
)
TOLD = Part("my card was declined", parse(("payment_issue", 0.97)))
BOTH = Signals(parse(("get_refund", 0.6), ("edit_account", 0.3)), Feelings(0.1, 0.02, 0.01, 0.04))


def of(*parts: Part) -> Signals:
    return replace(BOTH, parts=parts)


def test_two_requests_are_served_in_their_order() -> None:
    verdict = decide(of(REFUND, ADDRESS), POLICY)
    assert (verdict.action, verdict.requests) == (
        Action.ANSWER,
        ("I want a refund", "change my address"),
    )


@pytest.mark.parametrize(
    "parts",
    [
        (TOLD, replace(REFUND, joined=False)),
        (replace(ADDRESS, aside=True), REFUND),
        (REFUND, replace(REFUND, text="give me my money", joined=True)),
        (REFUND, replace(ADDRESS, parse=parse(("track_refund", 0.9)), joined=False)),
        (REFUND, replace(ADDRESS, parse=parse(("thank", 0.9)))),
        (REFUND, replace(GIFTS, text="call it off")),
        (REFUND, replace(GIFTS, shaped=False)),
        (REFUND,),
    ],
    ids=["reason", "aside", "same", "related", "courtesy", "short", "told", "one"],
)
def test_one_request_stays_one(parts: tuple[Part, ...]) -> None:
    assert requests_of(of(*parts), POLICY) == ()


def test_what_is_joined_to_a_report_makes_the_report_a_request() -> None:
    joined = replace(REFUND, joined=True)
    assert requests_of(of(TOLD, joined), POLICY) == (TOLD, joined)


def test_a_part_that_needs_a_person_takes_the_whole_message_there() -> None:
    person = replace(ADDRESS, parse=parse(("contact_human_agent", 0.9)))
    verdict = decide(of(REFUND, person), POLICY)
    assert verdict.action is Action.HAND_OFF
    assert verdict.findings[0].reason is Reason.PERSON_REQUESTED
    unknown = decide(of(REFUND, GIFTS), POLICY)
    assert unknown.action is Action.HAND_OFF
    assert unknown.findings[0].reason is Reason.OUT_OF_SCOPE


def test_a_part_that_could_be_settled_by_a_question_is_served_last() -> None:
    clear = replace(ADDRESS, parse=parse(("get_invoice", 0.9)))
    verdict = decide(of(replace(VAGUE, joined=False), clear), POLICY)
    assert verdict.requests == (clear.text, VAGUE.text)
    again = replace(of(replace(VAGUE, joined=False), clear), asked_back=2)
    assert decide(again, POLICY).action is Action.HAND_OFF


def test_nothing_is_cut_in_a_form_or_in_another_language() -> None:
    for fields in ({"awaiting_slot": "order"}, {"pressed": True}, {"language": "es"}):
        assert requests_of(replace(of(REFUND, ADDRESS), **fields), POLICY) == ()

"""The first policy: a table of cases, and what must hold whatever the figures are."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoff.core.limits import PolicyLimits
from handoff.core.model import Action, BotLine, Feelings, IntentScore, Parse, Reason
from handoff.core.policy import PRIORITY, Desk, Signals, decide, judge_turn

LIMITS, DESK = PolicyLimits(), Desk()
CALM = Feelings(0.1, 0.05, 0.02)


def parse(*ranking: tuple[str, float]) -> Parse:
    return Parse(tuple(IntentScore(*score) for score in ranking), model="m")


SURE = Signals(parse(("track_order", 0.95), ("get_refund", 0.03)), CALM)
UNSURE = replace(SURE, parse=parse(("track_order", 0.44)))
ASKS = Feelings(0.1, 0.05, 0.6)
ANGRY = Feelings(0.9, 0.75, 0.02)

CASES = [
    ("understood and calm", SURE, []),
    ("just below the confidence", UNSURE, [Reason.NOT_UNDERSTOOD]),
    ("just at the confidence", replace(SURE, parse=parse(("track_order", 0.45))), []),
    ("nothing understood at all", replace(SURE, parse=Parse()), [Reason.NOT_UNDERSTOOD]),
    (
        "an intent for the unknown, however sure",
        replace(SURE, parse=parse(("out_of_scope", 0.92), ("track_order", 0.07))),
        [Reason.OUT_OF_SCOPE],
    ),
    (
        "Rasa's own fallback",
        replace(SURE, parse=parse(("nlu_fallback", 0.7), ("track_order", 0.6))),
        [Reason.OUT_OF_SCOPE],
    ),
    (
        "torn between two intents",
        replace(SURE, parse=parse(("a", 0.50), ("b", 0.45))),
        [Reason.AMBIGUOUS],
    ),
    ("sure enough although close", replace(SURE, parse=parse(("a", 0.7), ("b", 0.69))), []),
    ("far enough apart", replace(SURE, parse=parse(("a", 0.55), ("b", 0.45))), []),
    ("one intent alone", replace(SURE, parse=parse(("a", 0.5))), []),
    (
        "asks for a person by intent",
        replace(SURE, parse=parse(("contact_human_agent", 0.5))),
        [Reason.PERSON_REQUESTED],
    ),
    (
        "asks for a person by intent, as sure as the bot needs to answer",
        replace(SURE, parse=parse(("contact_human_agent", 0.45))),
        [Reason.PERSON_REQUESTED],
    ),
    ("asks for a person by feeling", replace(SURE, feelings=ASKS), [Reason.PERSON_REQUESTED]),
    (
        "asks twice, told once",
        replace(SURE, parse=parse(("contact_human_agent", 0.9)), feelings=ASKS),
        [Reason.PERSON_REQUESTED],
    ),
    (
        "an intent people must take",
        replace(SURE, parse=parse(("complaint", 0.9))),
        [Reason.SENSITIVE_INTENT],
    ),
    ("angry", replace(SURE, feelings=ANGRY), [Reason.ANGRY]),
    ("almost angry", replace(SURE, feelings=replace(ANGRY, angry=0.74)), []),
    (
        "mood falling",
        replace(SURE, mood=(0.5, 0.7), feelings=replace(CALM, negative=0.8)),
        [Reason.MOOD_FALLING],
    ),
    ("bad but not falling", replace(SURE, mood=(0.8, 0.8), feelings=Feelings(0.8)), []),
    ("falling but not bad", replace(SURE, mood=(0.1, 0.2), feelings=Feelings(0.4)), []),
    ("too short for a mood", replace(SURE, mood=(0.5,), feelings=Feelings(0.9)), []),
    ("said it twice before", replace(SURE, repeats=2), [Reason.CUSTOMER_REPEATS]),
    ("said it once before", replace(SURE, repeats=1), []),
    ("answers the bot's own question", replace(UNSURE, awaiting_slot="order_id"), []),
    ("pressed a button", replace(UNSURE, pressed=True, feelings=ANGRY, repeats=9), []),
    (
        "pressed the button for a person",
        replace(SURE, pressed=True, parse=parse(("contact_human_agent", 1.0))),
        [Reason.PERSON_REQUESTED],
    ),
    (
        "asks for a person in a form",
        replace(UNSURE, awaiting_slot="order_id", feelings=ASKS),
        [Reason.PERSON_REQUESTED],
    ),
    (
        "means a person in a form, however unsure",
        replace(SURE, awaiting_slot="order_id", parse=parse(("contact_human_agent", 0.3))),
        [Reason.PERSON_REQUESTED],
    ),
    (
        "must go to people in a form, however unsure",
        replace(SURE, awaiting_slot="order_id", parse=parse(("complaint", 0.3))),
        [Reason.SENSITIVE_INTENT],
    ),
    (
        "everything at once, weightiest three",
        replace(UNSURE, feelings=Feelings(0.9, 0.9, 0.9), mood=(0.5, 0.7), repeats=5),
        [Reason.PERSON_REQUESTED, Reason.ANGRY, Reason.MOOD_FALLING],
    ),
    (
        "assistant gone",
        Signals(None, CALM, unavailable_why="refused"),
        [Reason.BOT_UNAVAILABLE],
    ),
]


@pytest.mark.parametrize(("signals", "reasons"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_cases(signals, reasons):
    verdict = decide(signals, LIMITS, DESK)
    assert [finding.reason for finding in verdict.findings] == reasons
    assert verdict.action is (Action.HAND_OFF if reasons else Action.ANSWER)


def test_a_finding_carries_its_figures():
    (finding,) = decide(UNSURE, LIMITS, DESK).findings
    assert (finding.value, finding.limit, finding.detail) == (0.44, 0.45, "track_order")
    (gone,) = decide(Signals(None, CALM, unavailable_why="refused"), LIMITS, DESK).findings
    assert gone.detail == "refused"


def test_the_evidence_holds_all_signals_and_limits():
    evidence = decide(UNSURE, LIMITS, DESK).evidence
    assert evidence["signals"]["parse"]["ranking"][0]["confidence"] == 0.44
    assert evidence["limits"]["confidence"] == LIMITS.confidence


def test_what_a_desk_sets_per_intent_is_obeyed():
    desk = Desk(frozenset({"help"}), frozenset({"track_order"}))
    assert decide(SURE, LIMITS, desk).findings[0].reason is Reason.SENSITIVE_INTENT
    complaint = replace(SURE, parse=parse(("complaint", 0.9)))
    assert decide(complaint, LIMITS, desk).action is Action.ANSWER


@pytest.mark.parametrize(
    ("lines", "said_before", "reason"),
    [
        ([BotLine("yes")], 0, None),
        ([BotLine("yes")], 1, None),
        ([BotLine("yes")], 2, Reason.BOT_REPEATS),
        ([], 0, Reason.BOT_UNAVAILABLE),
        ([], 5, Reason.BOT_UNAVAILABLE),
    ],
)
def test_what_the_bot_would_say_is_judged(lines, said_before, reason):
    verdict = judge_turn(lines, said_before, LIMITS)
    assert [f.reason for f in verdict.findings] == ([reason] if reason else [])
    assert verdict.action is (Action.HAND_OFF if reason else Action.ANSWER)


def test_a_silent_turn_says_why():
    assert judge_turn([], 0, LIMITS, "timed out").findings[0].detail == "timed out"
    assert judge_turn([], 0, LIMITS).findings[0].detail == "it said nothing"


share = st.floats(0, 1)
intents = st.sampled_from(["track_order", "complaint", "contact_human_agent", "faq"])
rankings = st.lists(
    st.builds(IntentScore, intents, share), max_size=4, unique_by=lambda s: s.intent
).map(lambda scores: tuple(sorted(scores, key=lambda s: -s.confidence)))
some_signals = st.builds(
    Signals,
    parse=st.one_of(st.none(), st.builds(Parse, ranking=rankings)),
    feelings=st.builds(Feelings, share, share, share),
    mood=st.lists(share, max_size=5).map(tuple),
    repeats=st.integers(0, 5),
    awaiting_slot=st.sampled_from([None, "order_id"]),
    pressed=st.booleans(),
)
some_limits = st.builds(
    PolicyLimits, confidence=share, margin=share, angry=share, asks_for_person=share
)


@given(some_signals, some_limits)
def test_the_same_signals_give_the_same_verdict(signals, limits):
    assert decide(signals, limits, DESK) == decide(signals, limits, DESK)


@given(some_signals, some_limits)
def test_findings_are_few_sorted_distinct_and_the_cause_of_the_action(signals, limits):
    verdict = decide(signals, limits, DESK)
    ranks = [PRIORITY.index(finding.reason) for finding in verdict.findings]
    assert len(ranks) <= 3
    assert ranks == sorted(set(ranks))
    assert (verdict.action is Action.HAND_OFF) == bool(verdict.findings)


@given(some_signals, st.floats(LIMITS.asks_for_person, 1))
def test_an_explicit_request_is_always_granted(signals, asked):
    feelings = replace(signals.feelings, asks_for_person=asked)
    verdict = decide(replace(signals, feelings=feelings, pressed=False), LIMITS, DESK)
    assert verdict.action is Action.HAND_OFF
    expected = Reason.PERSON_REQUESTED if signals.parse else Reason.BOT_UNAVAILABLE
    assert verdict.findings[0].reason is expected


@given(some_signals, st.floats(LIMITS.person_intent, 1))
def test_an_intent_that_means_a_person_is_always_granted(signals, confidence):
    asked = replace(signals, parse=parse(("contact_human_agent", confidence)))
    verdict = decide(asked, LIMITS, DESK)
    assert verdict.findings[0].reason is Reason.PERSON_REQUESTED


@given(some_signals, some_limits)
def test_the_bot_never_promises_a_person_who_was_not_asked(signals, limits):
    """Its answers to these intents say that a colleague takes over: one must have been called."""
    if decide(signals, limits, DESK).action is Action.ANSWER and signals.parse:
        best = signals.parse.ranking[0].intent if signals.parse.ranking else ""
        assert best not in DESK.person_intents | DESK.human_intents


@given(some_signals, some_limits, share)
def test_more_anger_never_keeps_a_customer_with_the_bot(signals, limits, more):
    before = decide(signals, limits, DESK)
    angry = max(signals.feelings.angry, more)
    angrier = replace(signals, feelings=replace(signals.feelings, angry=angry))
    if before.action is Action.HAND_OFF:
        assert decide(angrier, limits, DESK).action is Action.HAND_OFF


@given(some_signals, some_limits)
def test_every_finding_passed_its_limit(signals, limits):
    below = {Reason.NOT_UNDERSTOOD, Reason.AMBIGUOUS}
    for finding in decide(signals, limits, DESK).findings:
        if finding.reason in below:
            assert finding.value < finding.limit
        else:
            assert finding.value >= finding.limit

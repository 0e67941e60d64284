"""The policy: a table of cases, and what must hold whatever the figures are."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoff.core.limits import PolicyLimits
from handoff.core.model import Action, BotLine, Feelings, Finding, IntentScore, Parse, Reason
from handoff.core.moves import LastSaid, Move
from handoff.core.policy import (
    SHIPPED_RISK,
    Desk,
    Policy,
    Reply,
    Signals,
    decide,
    judge_turn,
    likely_intents,
    risk_figures,
    rules_of,
)
from handoff.core.requests import Part
from handoff.core.risk import SIGNALS, RiskModel

POLICY, LIMITS, DESK = Policy(), PolicyLimits(), Desk()
NUMBER = ({"entity": "order_id", "value": "10042"},)
CALM = Feelings(0.1, 0.03, 0.01, 0.04)


def parse(*ranking: tuple[str, float], novelty: float = 0.05) -> Parse:
    return Parse(tuple(IntentScore(*score) for score in ranking), novelty=novelty, model="m")


SURE = Signals(parse(("track_order", 0.95), ("get_refund", 0.03)), CALM)
UNSURE = replace(SURE, parse=parse(("track_order", 0.44)))
LOST = replace(SURE, parse=parse(("track_order", 0.14), novelty=0.6))
UNKNOWN = replace(SURE, parse=parse(("out_of_scope", 0.92), ("track_order", 0.07), novelty=0.9))
TORN = replace(SURE, parse=parse(("track_order", 0.50), ("get_refund", 0.45)))
ASKS = replace(CALM, asks_for_person=0.6)
FURIOUS = Feelings(0.97, 0.92, 0.01, 0.5)
UPSET = Feelings(0.95, 0.85, 0.05, 0.9)

ANSWER, CLARIFY, HAND_OFF = Action.ANSWER, Action.CLARIFY, Action.HAND_OFF

CASES = [
    ("understood and calm", SURE, ANSWER, None),
    ("just at the confidence", replace(SURE, parse=parse(("track_order", 0.45))), ANSWER, None),
    ("one likely intent, not sure enough", UNSURE, CLARIFY, Reason.NOT_UNDERSTOOD),
    ("torn between two", TORN, CLARIFY, Reason.AMBIGUOUS),
    (
        "unknown, but something known is likely too",
        replace(SURE, parse=parse(("out_of_scope", 0.6), ("track_order", 0.3))),
        CLARIFY,
        Reason.OUT_OF_SCOPE,
    ),
    (
        "known, but it may as well be nothing known",
        replace(SURE, parse=parse(("track_order", 0.55), ("out_of_scope", 0.4))),
        CLARIFY,
        Reason.AMBIGUOUS,
    ),
    ("nothing likely", LOST, HAND_OFF, Reason.NOT_UNDERSTOOD),
    ("nothing understood at all", replace(SURE, parse=Parse()), HAND_OFF, Reason.NOT_UNDERSTOOD),
    ("an intent for the unknown", UNKNOWN, HAND_OFF, Reason.OUT_OF_SCOPE),
    (
        "Rasa's own fallback",
        replace(SURE, parse=parse(("nlu_fallback", 0.7), ("track_order", 0.1), novelty=0.7)),
        HAND_OFF,
        Reason.OUT_OF_SCOPE,
    ),
    (
        "many likely intents",
        replace(SURE, parse=parse(("a", 0.46), ("b", 0.18), ("c", 0.18), ("d", 0.18))),
        HAND_OFF,
        Reason.NOT_UNDERSTOOD,
    ),
    ("torn, and the last line was a question", replace(TORN, just_asked=True), HAND_OFF, None),
    ("torn, and asked often enough", replace(TORN, asked_back=2), HAND_OFF, None),
    ("torn and upset: no question", replace(TORN, feelings=UPSET), HAND_OFF, None),
    (
        "asks for a person by intent",
        replace(SURE, parse=parse(("contact_human_agent", 0.45))),
        HAND_OFF,
        Reason.PERSON_REQUESTED,
    ),
    (
        "may mean a person: not asked about, passed on",
        replace(SURE, parse=parse(("contact_human_agent", 0.3))),
        HAND_OFF,
        Reason.NOT_UNDERSTOOD,
    ),
    (
        "unknown, and most likely of what is known a complaint: not asked about, passed on",
        replace(SURE, parse=parse(("out_of_scope", 0.5), ("complaint", 0.31), ("faq", 0.19))),
        HAND_OFF,
        Reason.OUT_OF_SCOPE,
    ),
    (
        "asks for a person by feeling",
        replace(SURE, feelings=ASKS),
        HAND_OFF,
        Reason.PERSON_REQUESTED,
    ),
    (
        "an intent people must take",
        replace(SURE, parse=parse(("complaint", 0.9))),
        HAND_OFF,
        Reason.SENSITIVE_INTENT,
    ),
    ("danger", replace(SURE, safety=("caught fire",)), HAND_OFF, Reason.SAFETY),
    ("the law", replace(SURE, legal=("my lawyer",)), HAND_OFF, Reason.LEGAL),
    (
        "danger as it was read",
        replace(SURE, feelings=replace(CALM, danger=LIMITS.danger, legal=0.0)),
        HAND_OFF,
        Reason.SAFETY,
    ),
    (
        "the law as it was read",
        replace(SURE, feelings=replace(CALM, danger=0.0, legal=LIMITS.legal)),
        HAND_OFF,
        Reason.LEGAL,
    ),
    (
        "words of danger that tell of none",
        replace(SURE, safety=("bleeding",), feelings=replace(CALM, danger=0.14, legal=0.34)),
        ANSWER,
        None,
    ),
    ("furious", replace(SURE, feelings=FURIOUS), HAND_OFF, Reason.ANGRY),
    ("said it three times before", replace(SURE, repeats=3), HAND_OFF, Reason.CUSTOMER_REPEATS),
    (
        "thanks for the fourth time",
        replace(SURE, repeats=3, parse=parse(("thank", 0.95))),
        ANSWER,
        None,
    ),
    (
        "thanks that are none",
        replace(SURE, feelings=replace(CALM, negative=0.6), parse=parse(("thank", 0.95))),
        HAND_OFF,
        Reason.NOT_MEANT,
    ),
    (
        "praise that mocks, whatever the assistant makes of it",
        replace(SURE, feelings=replace(CALM, praise=LIMITS.praise, irony=LIMITS.irony)),
        HAND_OFF,
        Reason.NOT_MEANT,
    ),
    (
        "praise that swears",
        replace(
            UNKNOWN,
            parse=parse(("out_of_scope", 0.7), ("thank", 0.2)),
            feelings=replace(FURIOUS, precedent=0.04, praise=LIMITS.praise, irony=0.39),
        ),
        ANSWER,
        None,
    ),
    (
        "praise with a question that nobody taught the bot",
        replace(UNKNOWN, feelings=replace(CALM, praise=0.9, irony=0.1)),
        HAND_OFF,
        Reason.OUT_OF_SCOPE,
    ),
    (
        "praise and fury in one message",
        replace(SURE, feelings=replace(CALM, angry=0.99, praise=0.98, irony=0.27)),
        HAND_OFF,
        Reason.ANGRY,
    ),
    (
        "swearing that praises nothing",
        replace(UNKNOWN, feelings=replace(FURIOUS, praise=0.34, irony=0.1)),
        HAND_OFF,
        Reason.ANGRY,
    ),
    (
        "thanks with a trace of trouble",
        replace(SURE, feelings=replace(CALM, negative=0.59), parse=parse(("thank", 0.95))),
        ANSWER,
        None,
    ),
    (
        "a displeased no is a no",
        replace(SURE, feelings=replace(CALM, negative=0.9), parse=parse(("deny", 0.95))),
        ANSWER,
        None,
    ),
    (
        "gives the bot the number it asked for",
        replace(
            LOST,
            awaiting_slot="order_id",
            parse=replace(parse(("track_order", 0.14)), entities=NUMBER),
        ),
        ANSWER,
        None,
    ),
    (
        "tells the bot what it asked for, in any words",
        replace(LOST, awaiting_slot="reason", takes_any_text=True),
        ANSWER,
        None,
    ),
    (
        "says yes to the bot, however unsure",
        replace(SURE, awaiting_slot="confirmed", parse=parse(("affirm", 0.3))),
        ANSWER,
        None,
    ),
    (
        "asks the waiting bot something it was never taught",
        replace(UNKNOWN, awaiting_slot="order_id"),
        HAND_OFF,
        Reason.OUT_OF_SCOPE,
    ),
    (
        "says to the waiting bot what it does not understand",
        replace(LOST, awaiting_slot="order_id"),
        HAND_OFF,
        Reason.NOT_UNDERSTOOD,
    ),
    (
        "asks the waiting bot another thing it knows",
        replace(SURE, awaiting_slot="order_id"),
        ANSWER,
        None,
    ),
    (
        "pressed a button",
        replace(LOST, pressed=True, feelings=FURIOUS, repeats=9, safety=("bleeding",)),
        ANSWER,
        None,
    ),
    (
        "pressed the button for a person",
        replace(SURE, pressed=True, parse=parse(("contact_human_agent", 1.0))),
        HAND_OFF,
        Reason.PERSON_REQUESTED,
    ),
    (
        "asks for a person in a form",
        replace(LOST, awaiting_slot="order_id", feelings=ASKS),
        HAND_OFF,
        Reason.PERSON_REQUESTED,
    ),
    (
        "means a person in a form, however unsure",
        replace(SURE, awaiting_slot="order_id", parse=parse(("contact_human_agent", 0.3))),
        HAND_OFF,
        Reason.PERSON_REQUESTED,
    ),
    (
        "assistant gone",
        Signals(None, CALM, unavailable_why="refused"),
        HAND_OFF,
        Reason.BOT_UNAVAILABLE,
    ),
]


@pytest.mark.parametrize(
    ("signals", "action", "reason"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_cases(signals, action, reason):
    verdict = decide(signals, POLICY)
    assert verdict.action is action
    if reason is not None:
        assert verdict.findings[0].reason is reason
    if action is ANSWER:
        assert not any(finding.is_rule for finding in verdict.findings)


def replied(said: LastSaid, move: Move, wordless: bool = False, **others) -> Signals:
    """Return the signals of a short reply to what the bot said last."""
    asked = said in (LastSaid.OPTIONS, LastSaid.WORDS)
    fields = {"just_asked": asked, "asked_back": int(asked), **others}
    return replace(UNKNOWN, move=move, wordless=wordless, last_said=said, **fields)


OPTIONS, WORDS, QUESTION = LastSaid.OPTIONS, LastSaid.WORDS, LastSaid.QUESTION
ANSWERED, CLOSING, NOTHING = LastSaid.ANSWER, LastSaid.CLOSING, LastSaid.NOTHING
FORM = {"awaiting_slot": "confirm", "parse": parse(("deny", 0.95))}

REPLIES = [
    ("no to options", replied(OPTIONS, Move.REFUSE), CLARIFY, Reply.OTHER_WORDS),
    ("none of these", replied(OPTIONS, Move.REJECT), CLARIFY, Reply.OTHER_WORDS),
    ("no again", replied(WORDS, Move.REFUSE), HAND_OFF, None),
    ("no to an answer", replied(ANSWERED, Move.REFUSE), CLARIFY, Reply.NOT_IT),
    ("that's wrong", replied(ANSWERED, Move.REJECT), CLARIFY, Reply.NOT_IT),
    ("asked often enough", replied(ANSWERED, Move.REJECT, asked_back=2), HAND_OFF, None),
    ("anything else? no", replied(CLOSING, Move.REFUSE), ANSWER, Reply.FAREWELL),
    ("anything else? that's wrong", replied(CLOSING, Move.REJECT), CLARIFY, Reply.NOT_IT),
    ("no thanks, I'm done", replied(OPTIONS, Move.DONE), ANSWER, Reply.FAREWELL),
    ("done after an answer", replied(ANSWERED, Move.DONE), ANSWER, Reply.FAREWELL),
    ("no to a form", replied(ANSWERED, Move.REFUSE, **FORM), ANSWER, None),
    ("👎 to a form", replied(ANSWERED, Move.REFUSE, True, **FORM), ANSWER, None),
    ("👍 to an answer", replied(ANSWERED, Move.AGREE, True), ANSWER, Reply.GLAD),
    ("👍 to several options", replied(OPTIONS, Move.AGREE, True), CLARIFY, Reply.CHOOSE),
    ("yes to several options", replied(OPTIONS, Move.AGREE), CLARIFY, Reply.CHOOSE),
    ("👍 as the first message", replied(NOTHING, Move.AGREE, True), ANSWER, Reply.PROMPT),
    ("? as the first message", replied(NOTHING, Move.CONFUSION, True), ANSWER, Reply.PROMPT),
    ("? to an answer", replied(ANSWERED, Move.CONFUSION, True), CLARIFY, Reply.UNCLEAR),
    ("? to other words", replied(WORDS, Move.CONFUSION, True), HAND_OFF, None),
    ("😢 to an answer", replied(ANSWERED, Move.SADNESS, True), CLARIFY, Reply.SORRY),
    ("🐢 to an answer", replied(ANSWERED, Move.NOTHING, True), ANSWER, Reply.PROMPT),
    ("🐢 to a form", replied(ANSWERED, Move.NOTHING, True, **FORM), CLARIFY, Reply.AGAIN),
    ("😡", replied(ANSWERED, Move.ANGER, True), HAND_OFF, None),
    ("😡 to a form", replied(ANSWERED, Move.ANGER, True, **FORM), HAND_OFF, None),
]


@pytest.mark.parametrize(
    ("signals", "action", "reply"), [r[1:] for r in REPLIES], ids=[r[0] for r in REPLIES]
)
def test_what_follows_from_a_short_reply(signals, action, reply):
    verdict = decide(signals, POLICY)
    assert (verdict.action, verdict.reply) == (action, reply)


def test_a_no_in_words_the_desk_does_not_know_is_read_by_its_intent():
    """`deny` is what the assistant says of it; what names an order corrects a number instead."""
    no = replace(SURE, parse=parse(("deny", 0.9)))
    asked = {"just_asked": True, "asked_back": 1}
    assert decide(replace(no, last_said=ANSWERED), POLICY).reply is Reply.NOT_IT
    assert decide(replace(no, last_said=OPTIONS, **asked), POLICY).reply is Reply.OTHER_WORDS
    assert decide(replace(no, last_said=CLOSING), POLICY).reply is None
    corrected = replace(
        no, last_said=ANSWERED, parse=replace(parse(("deny", 0.9)), entities=NUMBER)
    )
    assert decide(corrected, POLICY).reply is None
    desk = replace(DESK, refusal_intents=frozenset())
    assert decide(replace(no, last_said=ANSWERED), replace(POLICY, desk=desk)).reply is None


def test_a_foreign_message_that_was_not_understood_is_not_asked_about():
    assert decide(TORN, POLICY).action is CLARIFY
    verdict = decide(replace(TORN, language="es"), POLICY)
    assert verdict.action is HAND_OFF
    assert [f.reason for f in verdict.findings][:2] == [Reason.FOREIGN_LANGUAGE, Reason.AMBIGUOUS]
    assert verdict.findings[0].detail == "es"


def test_a_question_offers_the_likely_intents_and_nothing_that_is_no_topic():
    assert decide(TORN, POLICY).options == ("track_order", "get_refund")
    thanks = replace(SURE, parse=parse(("track_order", 0.4), ("thank", 0.3), ("complaint", 0.2)))
    assert decide(thanks, POLICY).options == ("track_order",)


def test_where_nothing_was_understood_and_nobody_is_needed_other_words_are_asked_for():
    sure_of_it = replace(POLICY, risk=RiskModel(-6.0))
    verdict = decide(UNKNOWN, sure_of_it)
    assert (verdict.action, verdict.options) == (CLARIFY, ())
    assert decide(replace(UNKNOWN, just_asked=True), sure_of_it).action is HAND_OFF


def test_a_rule_carries_its_figures():
    (asked,) = decide(replace(SURE, feelings=ASKS), POLICY).findings
    assert (asked.value, asked.limit, asked.is_rule) == (0.6, LIMITS.asks_for_person, True)
    (gone,) = decide(Signals(None, CALM, unavailable_why="refused"), POLICY).findings
    assert gone.detail == "refused"


def test_what_adds_to_the_risk_carries_its_figure_what_is_typical_and_its_weight():
    model = RiskModel(-3.0, {"negative": 1.0, "repeats": 2.0}, {"negative": 0.5, "repeats": 0.0})
    upset = replace(SURE, feelings=replace(CALM, negative=0.9), repeats=2)
    verdict = decide(upset, replace(POLICY, risk=model))
    repeats, negative = verdict.findings
    assert repeats == Finding(Reason.CUSTOMER_REPEATS, 2, 0.0, "repeats", 4.0)
    assert (negative.value, negative.limit, negative.reason) == (0.9, 0.5, Reason.NEGATIVE)
    assert negative.weight == pytest.approx(2.197, abs=1e-3)  # ln(0.9 / 0.1)
    assert verdict.risk == pytest.approx(0.9607, abs=1e-4)  # 1 / (1 + e^-3.197)


def test_an_answered_message_keeps_what_spoke_for_a_person():
    model = RiskModel(-5.0, {"negative": 1.0}, {"negative": 0.5})
    verdict = decide(
        replace(SURE, feelings=replace(CALM, negative=0.9)), replace(POLICY, risk=model)
    )
    assert verdict.action is ANSWER
    assert [finding.reason for finding in verdict.findings] == [Reason.NEGATIVE]


def test_a_share_next_to_nothing_is_no_reason():
    model = RiskModel(-1.0, {"asks": 1.0, "repeats": 0.1}, {"asks": 0.001, "repeats": 0.0})
    hardly = replace(SURE, feelings=replace(CALM, asks_for_person=0.099), repeats=1)
    verdict = decide(hardly, replace(POLICY, risk=model))
    assert [finding.reason for finding in verdict.findings] == [Reason.CUSTOMER_REPEATS]
    assert verdict.risk == pytest.approx(0.9473, abs=1e-3)  # it counts all the same


def test_a_torn_message_is_asked_about_while_its_whole_risk_is_below_the_limit():
    """What the bot understood may lower the risk: feelings alone do not outvote what is shown."""
    model = RiskModel(-2.2, {"anger": 0.5, "doubt": 0.5}, {"anger": 0.03, "doubt": 0.9})
    torn = replace(TORN, feelings=replace(CALM, angry=0.1))
    verdict = decide(torn, replace(POLICY, risk=model))
    assert verdict.risk is not None and verdict.limit is not None
    assert verdict.action is CLARIFY and verdict.risk < verdict.limit
    without = replace(model, weights={"anger": 0.5})
    assert decide(torn, replace(POLICY, risk=without)).action is HAND_OFF


def test_the_evidence_holds_all_signals_and_names_the_policy():
    evidence = decide(UNSURE, replace(POLICY, id="p1")).evidence
    assert evidence["signals"]["parse"]["ranking"][0]["confidence"] == 0.44
    assert evidence["policy"] == "p1"


def test_what_a_desk_sets_per_intent_is_obeyed():
    desk = Desk(frozenset({"help"}), frozenset({"track_order"}))
    assert decide(SURE, replace(POLICY, desk=desk)).findings[0].reason is Reason.SENSITIVE_INTENT
    complaint = replace(SURE, parse=parse(("complaint", 0.9)))
    assert decide(complaint, replace(POLICY, desk=desk)).action is ANSWER


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
    assert verdict.action is (HAND_OFF if reason else ANSWER)


def test_a_silent_turn_says_why():
    assert judge_turn([], 0, LIMITS, "timed out").findings[0].detail == "timed out"
    assert judge_turn([], 0, LIMITS).findings[0].detail == "it said nothing"


def test_the_shipped_risk_knows_its_signals():
    assert set(SHIPPED_RISK.weights) <= set(SIGNALS)
    assert set(SHIPPED_RISK.weights) == set(SHIPPED_RISK.typical)
    assert all(weight > 0 for weight in SHIPPED_RISK.weights.values())


share = st.floats(0, 1)
intents = st.sampled_from(["track_order", "complaint", "contact_human_agent", "faq", "thank"])
rankings = st.lists(
    st.builds(IntentScore, intents, share), max_size=4, unique_by=lambda s: s.intent
).map(lambda scores: tuple(sorted(scores, key=lambda s: -s.confidence)))
some_signals = st.builds(
    Signals,
    parse=st.one_of(
        st.none(), st.builds(Parse, ranking=rankings, novelty=st.one_of(st.none(), share))
    ),
    feelings=st.builds(Feelings, share, share, share, *[st.one_of(st.none(), share)] * 5),
    mood=st.lists(share, max_size=5).map(tuple),
    repeats=st.integers(0, 5),
    awaiting_slot=st.sampled_from([None, "order_id"]),
    takes_any_text=st.booleans(),
    pressed=st.booleans(),
    asked_back=st.integers(0, 3),
    just_asked=st.booleans(),
    safety=st.sampled_from([(), ("caught fire",)]),
    legal=st.sampled_from([(), ("lawyer",)]),
    free=share,
    move=st.none() | st.sampled_from(Move),
    wordless=st.booleans(),
    last_said=st.sampled_from(LastSaid),
    language=st.sampled_from(["", "es"]),
    parts=st.lists(
        st.builds(
            Part,
            st.sampled_from(["I want a refund", "where?"]),
            st.builds(Parse, ranking=rankings),
            *[st.booleans()] * 4,
        ),
        max_size=3,
    ).map(tuple),
)
weights = st.dictionaries(st.sampled_from(sorted(SIGNALS)), st.floats(0, 3))
models = st.builds(
    lambda offset, weights, typical: RiskModel(
        offset, weights, {name: float(typical) for name in weights}
    ),
    st.floats(-6, 3),
    weights,
    st.floats(0.01, 0.99),
)
some_policies = st.builds(
    Policy,
    limits=st.builds(
        PolicyLimits, confidence=share, likely=share, angry=share, asks_for_person=share, risk=share
    ),
    risk=models,
)


@given(some_signals, some_policies)
def test_the_same_signals_give_the_same_verdict(signals, policy):
    assert decide(signals, policy) == decide(signals, policy)


@given(some_signals, some_policies)
def test_findings_are_few_by_weight_distinct_and_the_cause_of_the_action(signals, policy):
    verdict = decide(signals, policy)
    found = verdict.findings
    assert len(found) <= 3
    assert [f.weight for f in found] == sorted((f.weight for f in found), reverse=True)
    assert len({f.reason for f in found}) == len(found)
    if verdict.action is ANSWER:
        assert not any(finding.is_rule for finding in found)
    if verdict.action is CLARIFY:
        assert found and all(finding.is_rule for finding in found)


@given(some_signals, some_policies)
def test_a_conversation_is_handed_over_by_a_rule_or_by_its_risk(signals, policy):
    verdict = decide(signals, policy)
    if verdict.action is HAND_OFF and not any(f.is_rule for f in verdict.findings):
        assert verdict.risk is not None and verdict.limit is not None
        assert verdict.risk >= verdict.limit
    if verdict.action is ANSWER:
        assert verdict.risk is not None and verdict.limit is not None
        assert verdict.risk < verdict.limit


@given(some_signals, st.floats(LIMITS.asks_for_person, 1))
def test_an_explicit_request_is_always_granted(signals, asked):
    feelings = replace(signals.feelings, asks_for_person=asked)
    verdict = decide(replace(signals, feelings=feelings, pressed=False), POLICY)
    assert verdict.action is HAND_OFF
    expected = Reason.PERSON_REQUESTED if signals.parse else Reason.BOT_UNAVAILABLE
    assert verdict.findings[0].reason is expected


@given(some_signals, st.floats(LIMITS.person_intent, 1))
def test_an_intent_that_means_a_person_is_always_granted(signals, confidence):
    asked = replace(signals, parse=parse(("contact_human_agent", confidence)))
    verdict = decide(asked, POLICY)
    assert verdict.findings[0].reason is Reason.PERSON_REQUESTED


@given(some_signals, some_policies)
def test_praise_never_breaks_a_reply_to_the_bots_question(signals, policy):
    praised = replace(signals.feelings, praise=1.0, irony=0.0, angry=0.9)
    answered = replace(signals, feelings=praised, awaiting_slot="order_id", takes_any_text=True)
    decide(answered, policy)
    assert "anger" not in risk_figures(answered, policy) or signals.pressed


@given(some_signals, some_policies)
def test_danger_and_the_law_go_to_a_person(signals, policy):
    """As they were read; words decide alone where nobody has read the message."""
    read, limits = signals.feelings, policy.limits
    danger = bool(signals.safety) if read.danger is None else read.danger >= limits.danger
    legal = bool(signals.legal) if read.legal is None else read.legal >= limits.legal
    if (danger or legal) and not signals.pressed:
        assert decide(signals, policy).action is HAND_OFF


@given(some_signals, some_policies)
def test_the_bot_never_promises_a_person_who_was_not_asked(signals, policy):
    """Its answers to these intents say that a colleague takes over: one must have been called."""
    if decide(signals, policy).action is ANSWER and signals.parse:
        best = signals.parse.ranking[0].intent if signals.parse.ranking else ""
        assert best not in policy.desk.person_intents | policy.desk.human_intents


@given(some_signals, some_policies, share)
def test_more_anger_never_keeps_a_customer_with_the_bot(signals, policy, more):
    before = decide(signals, policy)
    angry = max(signals.feelings.angry, more)
    angrier = replace(signals, feelings=replace(signals.feelings, angry=angry))
    if before.action is HAND_OFF:
        assert decide(angrier, policy).action is HAND_OFF


@given(some_signals, some_policies, share)
def test_busy_agents_never_get_a_conversation_that_free_ones_would_not(signals, policy, free):
    busy = decide(replace(signals, free=min(free, signals.free)), policy)
    idle = decide(replace(signals, free=max(free, signals.free)), policy)
    if busy.action is HAND_OFF:
        assert idle.action is HAND_OFF


@given(some_signals, some_policies)
def test_the_limit_stays_between_floor_and_ceiling(signals, policy):
    limit = decide(signals, policy).limit
    if limit is not None:
        assert policy.limits.risk_floor <= limit <= policy.limits.risk_ceiling


@given(some_signals, some_policies)
def test_the_bots_own_question_is_never_asked_twice_in_a_row(signals, policy):
    verdict = decide(signals, policy)
    if verdict.action is CLARIFY:
        assert not signals.pressed
        if verdict.reply is None:
            assert not signals.just_asked
            assert signals.asked_back < policy.limits.questions


@given(some_signals, some_policies)
def test_whoever_was_asked_for_other_words_is_not_asked_for_them_again(signals, policy):
    lost = (Move.REFUSE, Move.REJECT, Move.SADNESS, Move.CONFUSION)
    asked = replace(signals, last_said=LastSaid.WORDS, awaiting_slot=None, pressed=False)
    for move in lost:
        assert decide(replace(asked, move=move, wordless=True), policy).action is HAND_OFF


@given(some_signals, some_policies)
def test_short_replies_cannot_ask_for_ever(signals, policy):
    """Whatever is replied: past the most questions of an episode only a no to options is asked."""
    often = replace(signals, asked_back=policy.limits.questions)
    verdict = decide(often, policy)
    if verdict.action is CLARIFY:
        assert verdict.reply in (Reply.OTHER_WORDS, Reply.AGAIN)


@given(some_signals, some_policies)
def test_a_foreign_language_is_told_and_never_a_reason_by_itself(signals, policy):
    foreign = decide(replace(signals, language="es", pressed=False), policy)
    native = decide(replace(signals, language="", pressed=False), policy)
    told = [f.reason for f in foreign.findings]
    if foreign.action is HAND_OFF:
        assert Reason.FOREIGN_LANGUAGE in told or len(told) == 3
        assert len(told) > 1 or native.action is HAND_OFF
    else:
        assert Reason.FOREIGN_LANGUAGE not in told
    if native.action is ANSWER:
        assert foreign.action is ANSWER


@given(some_signals, some_policies)
def test_options_are_likely_known_and_few(signals, policy):
    verdict = decide(signals, policy)
    likely = {score.intent for score in likely_intents(signals, policy)}
    assert set(verdict.options) <= likely
    assert len(verdict.options) <= policy.limits.options


@given(some_signals, some_policies)
def test_every_rule_passed_its_limit(signals, policy):
    for finding in rules_of(signals, policy):
        assert finding.value >= finding.limit


@given(some_signals)
def test_figures_are_those_of_known_signals(signals):
    figures = risk_figures(signals, POLICY)
    assert set(figures) <= set(SIGNALS)
    assert all(value >= 0 for value in figures.values())
    if signals.pressed:
        assert figures == {}

"""Policies, signals and decisions as JSON, there and back, for any figures.

What a whole desk stores, and what is said of changes, is in `tests/app/test_replay.py`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoff.core.costs import Costs
from handoff.core.errors import DecisionNotReplayable
from handoff.core.evidence import (
    ID_DIGITS,
    before_speaking,
    evidence_of,
    named,
    policy_body,
    policy_from,
    replay,
    signals_from,
)
from handoff.core.limits import PolicyLimits
from handoff.core.model import Action, BotLine, Decision, Feelings, IntentScore, Parse
from handoff.core.moves import LastSaid, Move
from handoff.core.policy import (
    POLICY_VERSION,
    Desk,
    Policy,
    Signals,
    Verdict,
    decide,
    judge_turn,
)
from handoff.core.requests import Part
from handoff.core.risk import SIGNALS, RiskModel

NOW = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)

part = st.floats(0, 1)
names = st.sampled_from(["track_order", "complaint", "out_of_scope", "contact_human_agent", "x"])
parses = st.builds(
    Parse,
    ranking=st.lists(st.builds(IntentScore, names, part), max_size=4).map(
        lambda scores: tuple(sorted(scores, key=lambda score: -score.confidence))
    ),
    novelty=st.none() | part,
    model=st.just("m"),
)
signals = st.builds(
    Signals,
    parse=st.none() | parses,
    feelings=st.builds(Feelings, part, part, part, *[st.none() | part] * 5),
    mood=st.lists(part, max_size=4).map(tuple),
    repeats=st.integers(0, 4),
    awaiting_slot=st.none() | st.just("order_number"),
    takes_any_text=st.booleans(),
    pressed=st.booleans(),
    asked_back=st.integers(0, 3),
    just_asked=st.booleans(),
    safety=st.sampled_from([(), ("caught fire",)]),
    free=part,
    move=st.none() | st.sampled_from(Move),
    wordless=st.booleans(),
    last_said=st.sampled_from(LastSaid),
    language=st.sampled_from(["", "de"]),
    parts=st.lists(
        st.builds(Part, st.sampled_from(["I want a refund", "why?"]), parses, *[st.booleans()] * 4),
        max_size=3,
    ).map(tuple),
)
weights = st.dictionaries(st.sampled_from(sorted(SIGNALS)), st.floats(0, 3), max_size=5)
policies = st.builds(
    lambda offset, by, limit, missed: named(
        Policy(
            PolicyLimits(risk=limit),
            Desk(human_intents=frozenset({"complaint", "x"}), legal_phrases=("lawyer*",)),
            RiskModel(offset, by, dict.fromkeys(by, 0.1)),
            Costs(missed=missed),
        )
    ),
    st.floats(-6, 2),
    weights,
    part,
    st.floats(0.1, 50),
)


def through_json(value):
    return json.loads(json.dumps(value))


def decision_of(verdict: Verdict, evidence: dict | None = None) -> Decision:
    """Return the decision as a database gives it back."""
    stored = through_json(evidence or evidence_of(verdict))
    return Decision(
        "d", "m-1", "c", verdict.action, verdict.findings, stored, POLICY_VERSION, "m", NOW
    )


@given(policies)
def test_a_policy_comes_back_under_the_same_id(policy):
    again = policy_from(through_json(policy_body(policy)))
    assert again == policy
    assert named(again).id == policy.id
    assert len(policy.id) == ID_DIGITS


def test_the_name_says_nothing_and_every_figure_does():
    policy = named(Policy())
    assert named(replace(policy, id="another")) == policy
    changed = [
        replace(policy, limits=replace(policy.limits, **{field.name: 0.123}))
        for field in fields(PolicyLimits)
    ]
    changed += [
        replace(policy, costs=replace(policy.costs, **{field.name: 0.123}))
        for field in fields(Costs)
    ]
    changed += [
        replace(policy, desk=replace(policy.desk, safety_phrases=("flood",))),
        replace(policy, desk=replace(policy.desk, courtesy_intents=frozenset())),
        replace(policy, risk=replace(policy.risk, offset=-2.601)),
        replace(policy, risk=replace(policy.risk, weights={"anger": 1.0})),
    ]
    ids = [named(one).id for one in changed]
    assert len({policy.id, *ids}) == len(changed) + 1


def test_the_order_of_intents_makes_no_other_policy():
    one = Policy(desk=Desk(human_intents=frozenset(["b", "a", "c"])))
    other = Policy(desk=Desk(human_intents=frozenset(["c", "b", "a"])))
    assert named(one).id == named(other).id


@given(signals)
def test_signals_come_back_to_the_last_bit(some):
    assert signals_from(through_json(asdict(some))) == some


@given(signals, policies)
def test_any_decision_replays_to_itself(some, policy):
    verdict = decide(some, policy)
    again = replay(decision_of(verdict), policy)
    assert (again.same, again.changed) == (True, ())
    assert again.verdict == verdict


@given(signals, policies, st.integers(0, 3), st.sampled_from(["", "it timed out"]))
def test_a_handoff_after_the_bots_turn_replays_as_one(some, policy, said_before, why):
    verdict = decide(some, policy)
    lines = [] if why else [BotLine("See our help page.")]
    judged = judge_turn(lines, said_before, policy.limits, why)
    ended = replace(verdict, action=judged.action, findings=judged.findings)
    if verdict.action is not Action.ANSWER or judged.action is not Action.HAND_OFF:
        return
    decision = decision_of(ended, {**evidence_of(ended), "turn": judged.evidence})
    assert before_speaking(decision) is Action.ANSWER
    again = replay(decision, policy)
    assert (again.same, again.verdict.findings) == (True, judged.findings)


SURE = Signals(Parse((IntentScore("track_order", 0.95),), novelty=0.02), Feelings(0.6, 0.5, 0.1))
POLICY = named(Policy(PolicyLimits(risk=0.5), risk=RiskModel(-1, {"mood": 1.0}, {"mood": 0.1})))


def test_a_changed_limit_is_told_with_what_comes_of_it():
    decision = decision_of(decide(SURE, POLICY))
    lower = named(replace(POLICY, limits=replace(POLICY.limits, risk=0.3)))
    assert replay(decision, lower).changed == (
        "action: answer then, hand_off now",
        "limit: 0.5 then, 0.3 now",
    )


def test_another_version_of_the_rules_is_told_only_where_something_changed():
    decision = replace(decision_of(decide(SURE, POLICY)), policy_version="2")
    assert replay(decision, POLICY).same
    lower = named(replace(POLICY, limits=replace(POLICY.limits, risk=0.4)))
    first, *others = replay(decision, lower).changed
    assert first == f"rules: version 2 then, {POLICY_VERSION} now"
    assert "limit: 0.5 then, 0.4 now" in others


@pytest.mark.parametrize(
    "evidence",
    [
        {},
        {"intent": "track_order", "confidence": 0.4},
        {"signals": asdict(SURE)},
        {"signals": {**asdict(SURE), "sentiment": 0.4}, "outcome": {}},
        {"signals": {**asdict(SURE), "feelings": {"anger": 0.4}}, "outcome": {}},
        {"signals": {**asdict(SURE), "mood": None}, "outcome": {}},
    ],
    ids=["none", "version 2", "no outcome", "unknown signal", "other feelings", "no mood"],
)
def test_evidence_of_another_form_is_refused(evidence):
    decision = replace(decision_of(decide(SURE, POLICY)), evidence=through_json(evidence))
    with pytest.raises(DecisionNotReplayable, match="m-1"):
        replay(decision, POLICY)


def test_decisions_of_version_4_know_no_short_replies_and_replay_all_the_same():
    """What was stored then held neither the signals nor the figure of the outcome."""
    decision = replace(decision_of(decide(SURE, POLICY)), policy_version="4")
    for name in ("move", "wordless", "last_said", "language", "parts"):
        del decision.evidence["signals"][name]
    for name in ("reply", "requests"):
        del decision.evidence["outcome"][name]
    again = replay(decision, POLICY)
    assert (again.same, again.changed) == (True, ())


def test_an_outcome_without_its_figures_is_refused():
    decision = decision_of(decide(SURE, POLICY))
    del decision.evidence["outcome"]["limit"]
    with pytest.raises(DecisionNotReplayable, match="m-1"):
        replay(decision, POLICY)

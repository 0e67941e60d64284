"""A decision can be made again from what is stored about it: nothing else went into it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from handoff.app.policies import policy_of
from handoff.core.errors import DecisionNotReplayable
from handoff.core.evidence import named, policy_from, replay
from handoff.core.limits import PolicyLimits
from handoff.core.model import Action, BotLine, Decision, Reason
from handoff.core.policy import POLICY_VERSION, Policy
from handoff.core.risk import RiskModel
from tests.fakes import UNKNOWN, FakeDesk, understood

SAME = [BotLine("Please look at our help page.")]


CALM = RiskModel(-3.0, {"negative": 0.5, "doubt": 0.2}, {"negative": 0.1, "doubt": 0.1})
POLICY = named(Policy(PolicyLimits(risk=0.25), risk=CALM))


@pytest.fixture
def desk() -> FakeDesk:
    desk = FakeDesk()
    desk.take_turn.configured = POLICY
    desk.assistant.parses["complaint"] = understood("complaint", 0.9, ("track_order", 0.05))
    desk.assistant.parses["which one"] = understood("track_order", 0.5, ("get_refund", 0.4))
    desk.assistant.answers |= {"one": SAME, "two": SAME, "three": SAME, "silence": []}
    return desk


async def decided(desk: FakeDesk, *texts: str) -> list[Decision]:
    """Let a customer write these and return what was decided, as a database gives it back."""
    ids = [(await desk.ask(text)).message.id for text in texts]
    async with desk.store() as work:
        found = [d for id in ids for d in await work.decisions.of_message(id)]
    assert len(found) == len(texts)
    return [replace(d, evidence=json.loads(json.dumps(d.evidence))) for d in found]


@pytest.mark.parametrize(
    "texts",
    [
        ["where is my order?"],
        [UNKNOWN],
        ["this makes me furious"],
        ["human please"],
        ["complaint"],
        ["the kettle caught fire"],
        ["which one", "which one"],
        ["a question", "a question", "a question"],
        ["this is bad", "this is bad indeed", "I am furious"],
        ["one", "two", "three"],
        ["silence"],
    ],
    ids=" / ".join,
)
async def test_a_stored_decision_replays_to_itself(desk: FakeDesk, texts: list[str]) -> None:
    for decision in await decided(desk, *texts):
        async with desk.store() as work:
            policy = policy_of(await work.policies.get(decision.evidence["policy"]))
        again = replay(decision, policy)
        assert (again.same, again.changed) == (True, ())
        judged = again.verdict
        assert (judged.action, judged.findings) == (decision.action, decision.findings)
        assert judged.risk == decision.evidence["outcome"]["risk"]


async def test_what_another_policy_would_have_done_is_told_figure_by_figure(desk) -> None:
    (decision,) = await decided(desk, "this is bad")
    stricter = named(replace(POLICY, limits=PolicyLimits(risk=0.5, risk_ceiling=0.03)))
    again = replay(decision, stricter)
    assert not again.same
    assert again.verdict.action is Action.HAND_OFF
    assert again.changed[0] == "action: answer then, hand_off now"
    assert again.changed[1:] == ("limit: 0.25 then, 0.03 now",)


async def test_a_change_of_the_rules_is_named_first(desk) -> None:
    (decision,) = await decided(desk, UNKNOWN)
    older = replace(decision, policy_version="2", findings=())
    again = replay(older, POLICY)
    assert again.changed == (f"rules: version 2 then, {POLICY_VERSION} now", "the reasons")
    assert again.verdict.findings[0].reason is Reason.NOT_UNDERSTOOD


@pytest.mark.parametrize("gone", ["signals", "outcome"])
async def test_evidence_of_an_older_form_is_refused_in_a_sentence(desk, gone: str) -> None:
    (decision,) = await decided(desk, "hello")
    del decision.evidence[gone]
    with pytest.raises(DecisionNotReplayable, match=f"{decision.message_id} cannot be made again"):
        replay(decision, POLICY)


async def test_a_policy_comes_back_from_what_is_stored_of_it(desk) -> None:
    await desk.ask("hello")
    async with desk.store() as work:
        (stored,) = await work.policies.latest()
    assert policy_from(json.loads(json.dumps(stored.body))) == POLICY
    assert stored.id == POLICY.id

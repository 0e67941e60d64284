"""`handoff explain`: what is stored about a message, and whether it is decided the same again."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from handoff.app.explain import Explain, Explanation
from handoff.app.switch_policy import Move, SwitchPolicy
from handoff.bootstrap.policy_jobs import exit_code, explained_as_json, explained_in_words
from handoff.core.errors import Ambiguous, NotDecided, NotFound
from handoff.core.evidence import named
from handoff.core.limits import PolicyLimits
from handoff.core.model import Action, Author, Decision, Finding, Message, Reason
from handoff.core.policy import POLICY_VERSION, Policy
from handoff.core.risk import RiskModel
from tests.fakes import ANA, LEA, FakeDesk, understood

MODEL = RiskModel(-3.0, {"negative": 0.5, "repeats": 1.0}, {"negative": 0.1, "repeats": 0.0})
POLICY = named(Policy(PolicyLimits(risk=0.15, asks_for_person=0.6), risk=MODEL))


class ExplainedDesk(FakeDesk):
    def __init__(self) -> None:
        super().__init__()
        self.take_turn.configured = POLICY
        self.explain = Explain(self.store)

    async def told(self, text: str) -> str:
        """Ask, and return the explanation as the command prints it."""
        return explained_in_words(await self.explain((await self.ask(text)).message.id))

    async def decided(self, text: str, **changed) -> list[Explanation]:
        """Ask, and return the explanations after this was changed about the stored decision."""
        received = await self.ask(text)
        async with self.store() as work:
            (made,) = await work.decisions.of_message(received.message.id)
            table = await work.decisions._unit.write(Decision)  # type: ignore[attr-defined]
            table.rows[(made.id,)] = replace(made, **changed)
            await work.commit()
        return await self.explain(received.message.id)


@pytest.fixture
def desk() -> ExplainedDesk:
    return ExplainedDesk()


async def test_why_a_person_was_asked(desk):
    desk.assistant.parses["so bad"] = understood("track_order", 0.9, ("get_refund", 0.05))
    received = await desk.ask("so bad")
    (one,) = await desk.explain(received.message.id)
    assert one.replayed and one.replayed.same and exit_code([one]) == 0
    assert explained_in_words([one]).splitlines() == [
        f"Message {received.message.id}, 2024-05-01 12:00:00 UTC",
        "  so bad",
        "A person was asked. Why:",
        "  1. The message sounds negative: 70 % (usually 10 %)",
        "Risk that a person is needed: 19 %, the limit is 15 %.",
        "Likely meant: track order 90 %.",
        f"Policy {POLICY.id}, rules version {POLICY_VERSION}, model fake-model.",
        "Decided again from what was stored: the same, to the last bit.",
    ]


async def test_why_the_bot_answered(desk):
    told = await desk.told("hello")
    assert "The bot answered. Nothing in particular stands out." in told
    assert "Risk that a person is needed: 5 %, the limit is 15 %." in told


async def test_a_rule_says_so(desk):
    told = await desk.told("human please")
    assert "  1. The customer asked for a person: 90 % sure, 60 % is enough" in told
    assert "A rule decided before the risk was looked at." in told


async def test_why_the_bot_asked_back(desk):
    desk.assistant.parses["the money"] = understood("get_refund", 0.5, ("pay_order", 0.4))
    told = await desk.told("the money")
    assert "The bot asked what was meant. Why:" in told
    assert "Likely meant: get refund 50 %, pay order 40 %." in told


async def test_what_the_bots_turn_led_to_is_replayed_too(desk):
    desk.assistant.answers["hello"] = []
    told = await desk.told("hello")
    assert "1. The bot was unavailable: it said nothing" in told
    assert "the same, to the last bit" in told


async def test_the_policy_of_that_day_is_used_whatever_decides_now(desk):
    received = await desk.ask("so bad")
    await SwitchPolicy(desk.store, desk.clock, desk.bell).move(Move(0.3, 0.6), LEA, at_once=True)
    (one,) = await desk.explain(received.message.id)
    assert one.policy and one.policy.id == POLICY.id
    assert one.replayed and one.replayed.same


async def test_the_beginning_of_an_id_will_do_unless_it_fits_several(desk):
    received = await desk.ask("hello")
    (one,) = await desk.explain(received.message.id[:12])
    assert one.message.id == received.message.id
    async with desk.store() as work:
        for seq, id in ((90, "feed1"), (91, "feed2")):
            line = Message(
                id, received.conversation_id, 1, seq, Author.BOT, "x", desk.clock.now()
            )  # fmt: skip
            await work.messages.add(line)
        await work.commit()
    with pytest.raises(Ambiguous, match="More than one message begins with feed: feed1, feed2"):
        await desk.explain("feed")
    for nobody in ("nobody", "%", ""):
        with pytest.raises(NotFound, match="There is no message"):
            await desk.explain(nobody)


async def test_what_was_not_decided_is_told_in_one_sentence(desk):
    waiting = await desk.write("hello")
    with pytest.raises(NotDecided, match=f"message {waiting.message.id}: it still waits"):
        await desk.explain(waiting.message.id)
    id = await desk.with_ana()
    late = await desk.ask("anybody there?")
    with pytest.raises(NotDecided, match="a person had the conversation"):
        await desk.explain(late.message.id)
    await desk.say(id, ANA, "I am here", "tg:1:1")
    line = (await desk.lines(id))[-1]
    with pytest.raises(NotDecided, match="its author is “agent”, and only what customers write"):
        await desk.explain(line.id)


async def test_other_rules_are_named_with_what_came_out(desk):
    explained = await desk.decided("so bad", policy_version="2.5", action=Action.ANSWER)
    told = explained_in_words(explained)
    assert exit_code(explained) == 1
    assert told.splitlines()[-5:] == [
        "Decided again from what was stored: not the same.",
        f"  • rules: version 2.5 then, {POLICY_VERSION} now",
        "  • action: answer then, hand_off now",
        "It came out as: a person was asked.",
        "  • The message sounds negative: 70 % (usually 10 %)",
    ]


async def test_a_decision_of_the_first_schema_is_told_and_not_replayed(desk):
    """It holds signals and limits, and neither the outcome nor the policy."""
    old = {"signals": {"parse": None}, "limits": {"angry": 0.75}}
    finding = Finding(Reason.ANGRY, 0.9, 0.75)
    explained = await desk.decided(
        "hello", policy_version="2", evidence=old, findings=(finding,), action=Action.HAND_OFF
    )
    told = explained_in_words(explained)
    assert exit_code(explained) == 2
    assert "  1. The customer sounds angry: 90 %, the limit is 75 %" in told
    assert told.splitlines()[-1] == (
        f"The decision about message {explained[0].message.id} cannot be made again from its "
        "evidence: rules of version 2 kept neither their policy nor their outcome."
    )


async def test_a_policy_that_is_not_stored_is_named(desk):
    received = await desk.ask("hello")
    async with desk.store() as work:
        (made,) = await work.decisions.of_message(received.message.id)
    changed = {**made.evidence, "policy": "feedfeed"}
    (one,) = await desk.decided("hello again", evidence=changed)
    assert one.replayed is None
    assert "there is no policy feedfeed." in one.refusal


async def test_as_json_it_holds_every_figure(desk):
    received = await desk.ask("so bad")
    found = json.loads(json.dumps(explained_as_json(await desk.explain(received.message.id))))
    (made,) = found["decisions"]
    assert (found["message"], found["text"]) == (received.message.id, "so bad")
    assert (made["action"], made["policy"], made["same"]) == ("hand_off", POLICY.id, True)
    assert made["limit"] == 0.15 <= made["risk"]
    (reason,) = made["reasons"]
    assert (reason["reason"], reason["value"], reason["limit"]) == ("negative", 0.7, 0.1)
    assert reason["words"].startswith("The message sounds negative")

"""`handoff explain`: what is stored about a message, and whether it is decided the same again."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from rich.cells import cell_len

from handoff.app.explain import Explain, Explanation
from handoff.app.switch_policy import Move, SwitchPolicy
from handoff.bootstrap.policy_jobs import (
    decided_as_json,
    decided_in_words,
    exit_code,
    explained_as_json,
    explained_in_words,
)
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
        "Risk that a person is needed: 18.6 %, the limit is 15 %.",
        "Likely meant: track order 90 %.",
        f"Policy {POLICY.id}, rules version {POLICY_VERSION}, model fake-model.",
        "Decided again from what was stored: the same, to the last bit.",
    ]


async def test_why_the_bot_answered(desk):
    told = await desk.told("hello")
    assert "The bot answered. Nothing in particular stands out." in told
    assert "Risk that a person is needed: 4.7 %, the limit is 15 %." in told


async def test_what_spoke_for_a_person_is_told_where_the_bot_answered(desk):
    findings = (Finding(Reason.NEGATIVE, 0.3, 0.1, "negative", 0.7),)
    told = explained_in_words(await desk.decided("hello", findings=findings)).splitlines()
    assert told[2:4] == [
        "The bot answered. What spoke for a person:",
        "  1. The message sounds negative: 30 % (usually 10 %)",
    ]


@pytest.mark.parametrize("version", ["1", "2", "2.5", "3", "unknown"])
async def test_rules_that_kept_nothing_about_an_answer_say_so(desk, version):
    told = explained_in_words(await desk.decided("hello", policy_version=version))
    assert "The bot answered. Nothing was kept about what spoke for a person." in told


@pytest.mark.parametrize("version", ["4", "10"])
async def test_rules_that_keep_it_found_nothing(desk, version):
    told = explained_in_words(await desk.decided("hello", policy_version=version))
    assert "The bot answered. Nothing in particular stands out." in told


async def test_where_a_person_was_asked_below_the_limit_the_reasons_decided(desk):
    desk.assistant.parses["do you gift wrap?"] = understood("out_of_scope", 0.9, ("faq", 0.05))
    told = await desk.told("do you gift wrap?")
    assert "A person was asked. Why:" in told
    assert (
        "Risk that a person is needed: 4.7 %, below the limit of 15 %: "
        "the reasons above decided, not the risk."
    ) in told


async def test_a_risk_close_below_its_limit_is_told_apart_from_it(desk):
    outcome = {"action": "hand_off", "options": [], "risk": 0.1496, "limit": 0.15}
    finding = Finding(Reason.NOT_UNDERSTOOD, 0.2, 0.45, "faq")
    explained = await desk.decided(
        "hello", action=Action.HAND_OFF, findings=(finding,), evidence={"outcome": outcome}
    )
    assert "needed: 14.96 %, below the limit of 15.00 %: " in explained_in_words(explained)


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
    id = await desk.handed_over()
    for event in ("unclaimed", "claimed"):
        late = await desk.ask(f"anybody there? {event}")
        with pytest.raises(NotDecided, match="a person had been asked for already"):
            await desk.explain(late.message.id)
        if event == "unclaimed":
            await desk.claim(id, ANA)
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


# --- without an id -------------------------------------------------------------------------------


async def test_the_newest_decided_messages_are_listed(desk):
    desk.assistant.parses["the money"] = understood("get_refund", 0.5, ("pay_order", 0.4))
    asked = []
    for number, text in enumerate(("hello", "the money", "human please\n" + "now " * 30)):
        asked.append((await desk.ask(text, key=f"customer {number}")).message.id)
        desk.clock.advance(60)
    await desk.write("nothing is decided about this one", key="somebody else")
    decided = await desk.explain.newest()
    assert [one.message.id for one in decided] == asked[::-1]
    lines = decided_in_words(decided, 80).splitlines()
    assert (
        lines[0]
        == "Decided last, newest first; times are UTC. In brackets what spoke for a person."
    )
    assert lines[1:-1] == [
        f"{asked[2][:8]}  2024-05-01 12:02  asked a person (asked for a person)  "
        "human please now no…",
        f"{asked[1][:8]}  2024-05-01 12:01  asked what was meant (ambiguous)     the money",
        f"{asked[0][:8]}  2024-05-01 12:00  answered                             hello",
    ]
    assert lines[-1] == "Why: `handoff explain` with the characters a line begins with."
    (again,) = await desk.explain(lines[3].split()[0])
    assert again.message.id == asked[0]
    assert [one.message.id for one in await desk.explain.newest(1)] == asked[2:]


async def test_a_list_is_cut_by_what_a_terminal_shows(desk):
    """A wide character takes two columns; some text is shown however narrow the terminal is."""
    await desk.ask("退款" * 40)
    for width, columns in ((70, 70), (10, 58)):
        line = decided_in_words(await desk.explain.newest(), width).splitlines()[1]
        assert "退款退款退款" in line and line.endswith("…")
        assert columns - 1 <= cell_len(line) <= columns


async def test_a_desk_without_messages_says_so(desk):
    assert decided_in_words(await desk.explain.newest(), 80) == (
        "Nothing has been decided about any message yet."
    )
    assert decided_as_json([]) == {"decided": []}


async def test_the_list_as_json_is_one_object(desk):
    received = await desk.ask("human please")
    (one,) = json.loads(json.dumps(decided_as_json(await desk.explain.newest())))["decided"]
    assert one == {
        "message": received.message.id,
        "text": "human please",
        "at": "2024-05-01T12:00:00+00:00",
        "action": "hand_off",
        "reason": "person_requested",
    }

"""How the desk decides, at the console: everybody reads it, leads change it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from handoff.app.policies import policy_of, propose
from handoff.core.evidence import named
from handoff.core.limits import PolicyLimits
from handoff.core.model import PolicyStatus, StoredPolicy
from handoff.core.policy import Policy
from handoff.core.risk import RiskModel
from tests.console.desk import Desk
from tests.fakes import ANA, LEA, RITA

CALM = RiskModel(-3.0, {"negative": 0.5}, {"negative": 0.1})
POLICY = named(Policy(PolicyLimits(risk=0.27, risk_floor=0.05, risk_ceiling=0.6), risk=CALM))
EAGER = named(replace(POLICY, limits=replace(POLICY.limits, risk=0.1)))


@pytest.fixture
async def proposed(desk: Desk) -> Desk:
    """Return a desk with a policy in the shadow that has judged two messages."""
    desk.take_turn.configured = POLICY
    await desk.take_turn.adopt()
    async with desk.store() as work:
        await propose(work, EAGER, desk.clock.now(), "refit", "from what was resolved", {})
        await work.commit()
    for text in ("hello <3 [a](b)", "this is bad"):
        await desk.ask(text)
    return desk


async def active(desk: Desk) -> StoredPolicy:
    async with desk.store() as work:
        found, _ = await work.policies.in_use()
    assert found
    return found


async def test_everybody_reads_it_and_a_lead_switches_it_on(proposed: Desk) -> None:
    desk = proposed
    await desk.writes(ANA.id, 0, "/policy")
    shown = await desk.sees(0, "When a person is asked")
    for part in (
        "Always on request, and for danger, the law, anger and “complaint”",
        "From a risk of 27 %",
        "never falls below 5 % and never rises above 60 %",
        "A missed handoff costs 5, a needless one 1",
        "What counts most, heaviest first: negative",
        f"Policy {EAGER.id}",
        "It has judged 2 messages and disagreed on 1 (50 %).",
        "“this is bad”  The bot answered; it would have asked a person.",
        "The message sounds negative: 70 % (usually 10 %)",
    ):
        assert part in shown["text"]
    for person in (ANA, RITA):
        for button in ("Switch on", "Drop"):
            refused = await desk.press(person.id, shown, button)
            assert refused["show_alert"] and refused["text"] == "This needs the role lead."
    assert (await active(desk)).id == POLICY.id
    pressed = await desk.press(LEA.id, shown, "Switch on")
    assert pressed["text"] == f"The policy {EAGER.id} decides from the next message on."
    stored = await active(desk)
    assert (stored.id, stored.changed_by) == (EAGER.id, "Lea")
    # The message still stands there with its buttons: they must not bring anything back.
    for button, wanted in (("Switch on", "switched on"), ("Drop", "dropped")):
        late = await desk.press(LEA.id, shown, button)
        assert late["show_alert"]
        assert late["text"] == f"The policy {EAGER.id} cannot be {wanted}: it is active."
    told = await desk.topic("Learning digest")
    await desk.sees(told, f"Lea switched on the policy {EAGER.id}.")


async def test_a_lead_drops_what_is_in_the_shadow(proposed: Desk) -> None:
    desk = proposed
    await desk.writes(LEA.id, 0, "/policy")
    shown = await desk.sees(0, "In the shadow")
    await desk.press(LEA.id, shown, "Drop")
    async with desk.store() as work:
        dropped = await work.policies.get(EAGER.id)
    assert (dropped.status, dropped.changed_by) == (PolicyStatus.RETIRED, "Lea")
    late = await desk.press(LEA.id, shown, "Switch on")
    assert late["show_alert"] and late["text"].endswith("cannot be switched on: it is retired.")
    await desk.writes(ANA.id, 0, "/policy")
    await desk.sees(0, "No other policy runs in the shadow.")


async def test_floor_and_ceiling_are_moved_by_leads_only(proposed: Desk) -> None:
    desk = proposed
    await desk.writes(ANA.id, 0, "/limits 0.1 0.5")
    await desk.sees(0, "This needs the role lead.")
    for wrong, said in (
        ("/limits", "Limit 27 %: from this risk on a person is asked"),
        ("/limits low high", "“low” is not a percentage, such as 5% or 0.05."),
        ("/limits 10% 50% 30% 20%", "To move the limit as well: /limits 5% 60% 27%"),
        ("/limits 70% 50%", "the floor 70 % lies above the ceiling 50 %"),
        ("/limits 1 60", "“1” may mean 1 % or 100 %: write 1% or 0.01"),
        ("/limits 5% 60%", "⚠️ These are the limits already."),
    ):
        await desk.writes(LEA.id, 0, wrong)
        await desk.sees(0, said)
    assert (await active(desk)).id == POLICY.id
    await desk.writes(LEA.id, 0, "/limits 0,02 0.5")
    await desk.sees(0, "From the next message on: floor 2 %, ceiling 50 %, limit 27 %")
    limits = policy_of(await active(desk)).limits
    assert (limits.risk_floor, limits.risk_ceiling, limits.risk) == (0.02, 0.5, 0.27)
    await desk.writes(LEA.id, 0, "/limits 2 % 50 % 12.5%")
    await desk.sees(0, "floor 2 %, ceiling 50 %, limit 12.5 %")
    await desk.writes(LEA.id, 0, "/limits 2 50 10")
    await desk.sees(0, "limit 10 %")
    digest = await desk.topic("Learning digest")
    await desk.sees(digest, "floor 2 %, ceiling 50 %, limit 12.5 %.")
    desk.assistant.heard.clear()
    received = await desk.ask("this is bad", key="lou")
    handoff = await desk.handoff(received.conversation_id)
    assert desk.assistant.heard == []
    card = await desk.sees(await desk.topic("lou"), "Why a person")
    assert handoff.findings[0].value == 0.7
    assert "The message sounds negative: 70 % (usually 10 %)" in card["text"]
    assert "Risk that a person is needed: 18.6 %, the limit is 10 %" in card["text"]

"""Which policy decides: settings adopted, a shadow beside it, and leads who switch and move."""

from __future__ import annotations

import asyncio
import math
import re
from dataclasses import replace

import pytest

from handoff.adapters import memory
from handoff.adapters.memory import MemoryStore
from handoff.app.policies import SETTINGS, between, policy_of, propose
from handoff.app.switch_policy import (
    Move,
    ReadPolicies,
    SwitchPolicy,
    read_shares,
    share_in_words,
)
from handoff.core.costs import Costs, limit_at_costs
from handoff.core.errors import BadLimits, NotAllowed, NotFound, PolicyConflict, SameLimits
from handoff.core.evidence import named, replay
from handoff.core.limits import PolicyLimits
from handoff.core.model import Action, Decision, PolicyStatus, Reason, ShadowVerdict, StoredPolicy
from handoff.core.policy import Desk, Policy
from handoff.core.risk import RiskModel
from tests.fakes import ANA, LEA, RITA, UNKNOWN, FakeDesk

CALM = RiskModel(-3.0, {"negative": 0.5}, {"negative": 0.1})
"""A message of these tests that is `bad` (negative 0.7 against 0.1) has a risk of 0.19."""

POLICY = named(Policy(PolicyLimits(risk=0.27), risk=CALM))
EAGER = named(replace(POLICY, limits=replace(POLICY.limits, risk=0.1)))
ACTIVE, SHADOW, RETIRED = PolicyStatus.ACTIVE, PolicyStatus.SHADOW, PolicyStatus.RETIRED


class PolicyDesk(FakeDesk):
    """A desk with what this test needs to do with policies."""

    def __init__(self, configured: Policy = POLICY, store: MemoryStore | None = None) -> None:
        super().__init__(store)
        self.take_turn.configured = configured
        self.switch = SwitchPolicy(self.store, self.clock, self.bell)
        self.read = ReadPolicies(self.store)

    async def propose(self, policy: Policy, note: str = "a try", **figures: float) -> StoredPolicy:
        self.clock.advance(1)
        async with self.store() as work:
            stored = await propose(work, policy, self.clock.now(), "refit", note, figures)
            await work.commit()
        return stored

    async def statuses(self) -> dict[str, PolicyStatus]:
        async with self.store() as work:
            return {policy.id: policy.status for policy in await work.policies.latest()}

    async def active(self) -> StoredPolicy:
        async with self.store() as work:
            active, _ = await work.policies.in_use()
        assert active
        return active

    async def decision(self, text: str, key: str = "kim") -> Decision:
        received = await self.ask(text, key=key)
        async with self.store() as work:
            (decision,) = await work.decisions.of_message(received.message.id)
        return decision

    async def disagreements(self, policy: Policy) -> list[ShadowVerdict]:
        async with self.store() as work:
            return await work.shadows.disagreements(policy.id)


@pytest.fixture
async def desk() -> PolicyDesk:
    desk = PolicyDesk()
    await desk.take_turn.adopt()
    return desk


# --- what the settings say -----------------------------------------------------------------------


async def test_the_first_start_stores_what_the_settings_describe(desk):
    active = await desk.active()
    assert policy_of(active) == POLICY
    assert (active.status, active.made_by, active.note) == (ACTIVE, SETTINGS, "as shipped")
    decision = await desk.decision("hello")
    assert decision.evidence["policy"] == POLICY.id
    assert await desk.statuses() == {POLICY.id: ACTIVE}


async def test_a_restart_with_the_same_settings_changes_nothing_whatever_the_limit(desk):
    """To the odds and back the last bit may change, and so would the id."""
    for risk in (0.07, 0.13, 0.22, 0.29):
        await desk.switch.move(Move(0.05, 0.6, risk), LEA, at_once=True)
        before = await desk.active()
        again = PolicyDesk(POLICY, desk.store)
        await again.take_turn.adopt()
        assert await desk.active() == before


async def test_changed_settings_keep_what_was_learned_and_moved(desk):
    learned = replace(CALM, offset=-2.5)
    await desk.propose(named(replace(POLICY, risk=learned)))
    await desk.switch.switch_on((await desk.read.in_use())[1].policy.id, LEA)
    await desk.switch.move(Move(0.02, 0.5), LEA, at_once=True)
    costs = Costs(missed=9.0, needless=1.0, late=0.5)
    settings = Policy(PolicyLimits(confidence=0.6), Desk(human_intents=frozenset({"x"})), CALM)
    again = PolicyDesk(named(replace(settings, costs=costs)), desk.store)
    await again.take_turn.adopt()
    now = await desk.active()
    policy = policy_of(now)
    assert (policy.risk, policy.costs) == (learned, costs)
    assert policy.desk.human_intents == {"x"}
    limits = policy.limits
    assert (limits.confidence, limits.risk_floor, limits.risk_ceiling) == (0.6, 0.02, 0.5)
    assert limits.risk == limit_at_costs(0.27, Costs(), costs) < 0.27
    assert (now.made_by, now.note) == (SETTINGS, "changed settings")


async def test_settings_that_are_set_back_bring_the_policy_back(desk):
    other = named(replace(POLICY, limits=replace(POLICY.limits, confidence=0.6)))
    for configured, wanted in ((other, other), (POLICY, POLICY)):
        await PolicyDesk(configured, desk.store).take_turn.adopt()
        assert (await desk.active()).id == wanted.id
    assert await desk.statuses() == {POLICY.id: ACTIVE, other.id: RETIRED}


async def test_a_shadow_is_brought_in_line_with_changed_settings(desk):
    await desk.propose(EAGER, cost=0.3)
    limits = replace(POLICY.limits, confidence=0.6)
    await PolicyDesk(named(replace(POLICY, limits=limits)), desk.store).take_turn.adopt()
    active, shadow = await desk.read.in_use()
    assert active and shadow
    assert policy_of(shadow.policy).limits == replace(limits, risk=0.1)
    assert shadow.policy.figures == {"cost": 0.3}
    assert (await desk.statuses())[EAGER.id] is RETIRED


async def test_two_processes_that_start_at_once_store_one_policy(desk):
    store = MemoryStore()
    desks = [PolicyDesk(POLICY, store) for _ in range(5)]
    await asyncio.gather(*(one.take_turn.adopt() for one in desks))
    assert await desks[0].statuses() == {POLICY.id: ACTIVE}


# --- in the shadow -------------------------------------------------------------------------------


async def test_a_shadow_judges_every_message_and_decides_none(desk):
    await desk.propose(EAGER)
    assert (await desk.decision("hello")).action is Action.ANSWER
    assert (await desk.decision("this is bad")).action is Action.ANSWER
    assert await desk.handoffs() == []
    _, shadow = await desk.read.in_use()
    assert (shadow.policy.id, shadow.judged, shadow.disagreed) == (EAGER.id, 2, 1)
    (wrong,) = await desk.read.disagreements(EAGER.id)
    assert wrong.message.text == "this is bad"
    assert (wrong.done, wrong.verdict.action) == (Action.ANSWER, Action.HAND_OFF)
    assert wrong.verdict.findings[0].reason is Reason.NEGATIVE
    assert wrong.verdict.findings[0].value == 0.7


async def test_a_disagreement_holds_what_the_shadow_came_to(desk):
    """Its risk and limit are not stored: they follow from the signals and its policy."""
    await desk.propose(EAGER)
    made = await desk.decision("this is bad")
    (wrong,) = await desk.read.disagreements(EAGER.id)
    assert wrong.again and wrong.again.findings == wrong.verdict.findings
    assert (wrong.again.risk, wrong.again.limit) == (made.evidence["outcome"]["risk"], 0.1)
    async with desk.store() as work:
        table = await work.decisions._unit.write(Decision)  # type: ignore[attr-defined]
        table.rows[(made.id,)] = replace(made, policy_version="3")
        await work.commit()
    (wrong,) = await desk.read.disagreements(EAGER.id)
    assert wrong.again is None


async def test_what_the_bots_turn_led_to_is_no_disagreement(desk):
    """Silence is noticed after the policies have spoken: both had let the bot answer."""
    desk.assistant.answers["hello"] = []
    await desk.propose(EAGER)
    assert (await desk.decision("hello")).action is Action.HAND_OFF
    _, shadow = await desk.read.in_use()
    assert (shadow.judged, shadow.disagreed) == (1, 0)


async def test_a_new_proposal_takes_the_place_of_the_one_before(desk):
    await desk.propose(EAGER, "first", cost=0.3)
    other = between(POLICY, 0.1, 0.2)
    stored = await desk.propose(other, "second", cost=0.2)
    assert (stored.status, stored.made_by, stored.note) == (SHADOW, "refit", "second")
    assert stored.figures == {"cost": 0.2}
    expected = {POLICY.id: ACTIVE, EAGER.id: RETIRED, other.id: SHADOW}
    assert await desk.statuses() == expected
    again = await desk.propose(EAGER, "third", cost=0.1)
    assert (again.status, again.note, again.figures) == (SHADOW, "third", {"cost": 0.1})
    assert (await desk.statuses())[other.id] is RETIRED


async def test_what_decides_or_is_proposed_already_is_not_proposed(desk):
    assert (await desk.propose(POLICY)).status is ACTIVE
    assert await desk.statuses() == {POLICY.id: ACTIVE}
    first = await desk.propose(EAGER, "first")
    assert await desk.propose(EAGER, "second") == first


# --- switching -----------------------------------------------------------------------------------


async def test_a_policy_switched_on_elsewhere_decides_the_very_next_message(desk):
    await desk.propose(EAGER)
    assert (await desk.decision("this is bad")).action is Action.ANSWER
    # Another process on the same database.
    other = SwitchPolicy(desk.store, desk.clock, desk.bell)
    await other.switch_on(EAGER.id, LEA)
    decision = await desk.decision("this is bad", key="lou")
    assert (decision.action, decision.evidence["policy"]) == (Action.HAND_OFF, EAGER.id)
    assert await desk.statuses() == {POLICY.id: RETIRED, EAGER.id: ACTIVE}
    active = await desk.active()
    assert (active.changed_by, active.made_by) == ("Lea", "refit")
    assert active.changed_at == desk.clock.now()


async def test_a_decision_outlives_the_policy_that_made_it(desk):
    decision = await desk.decision("this is bad")
    await desk.propose(EAGER)
    await desk.switch.switch_on(EAGER.id, LEA)
    async with desk.store() as work:
        stored = await work.policies.get(decision.evidence["policy"])
    assert stored.status is RETIRED
    assert replay(decision, policy_of(stored)).same
    assert not replay(decision, EAGER).same


async def test_a_retired_policy_is_the_way_back(desk):
    await desk.propose(EAGER)
    await desk.switch.switch_on(EAGER.id, LEA)
    await desk.switch.switch_on(POLICY.id, LEA)
    assert await desk.statuses() == {POLICY.id: ACTIVE, EAGER.id: RETIRED}
    with pytest.raises(PolicyConflict, match=f"{POLICY.id} cannot be switched on: it is active"):
        await desk.switch.switch_on(POLICY.id, LEA)
    with pytest.raises(PolicyConflict, match="it is retired"):
        await desk.switch.switch_on(EAGER.id, LEA, (SHADOW,))
    with pytest.raises(NotFound):
        await desk.switch.switch_on("nobody", LEA)


async def test_the_way_back_keeps_the_settings_of_today(desk):
    await desk.propose(EAGER)
    await desk.switch.switch_on(EAGER.id, LEA)
    humans = Desk(human_intents=frozenset({"complaint", "recall"}))
    await PolicyDesk(named(replace(POLICY, desk=humans)), desk.store).take_turn.adopt()
    stored = await desk.switch.switch_on(POLICY.id, LEA)
    assert policy_of(stored) == named(replace(POLICY, desk=humans))
    assert stored.note == f"{POLICY.id} under the settings of today"


async def test_dropping_takes_it_out_of_the_shadow_and_keeps_what_it_said(desk):
    await desk.propose(EAGER)
    await desk.decision("this is bad")
    dropped = await desk.switch.drop(EAGER.id, LEA)
    assert (dropped.status, dropped.changed_by) == (RETIRED, "Lea")
    await desk.decision("so bad")
    assert len(await desk.disagreements(EAGER)) == 1
    for id in (EAGER.id, POLICY.id):
        with pytest.raises(PolicyConflict, match="cannot be dropped"):
            await desk.switch.drop(id, LEA)


@pytest.mark.parametrize("person", [ANA, RITA], ids=lambda person: person.name)
async def test_only_a_lead_changes_which_policy_decides(desk, person):
    await desk.propose(EAGER)
    before = await desk.statuses()
    for change in (
        desk.switch.switch_on(EAGER.id, person),
        desk.switch.drop(EAGER.id, person),
        desk.switch.move(Move(0.1, 0.5), person),
        desk.switch.move(Move(0.1, 0.5), person, at_once=True),
    ):
        with pytest.raises(NotAllowed, match="role lead"):
            await change
    assert await desk.statuses() == before
    assert await desk.owed_items() == []


async def test_every_change_is_told_to_the_leads(desk):
    await desk.propose(EAGER)
    await desk.switch.switch_on(EAGER.id, LEA)
    await desk.switch.move(Move(0.05, 0.5), LEA)
    _, shadow = await desk.read.in_use()
    await desk.switch.drop(shadow.policy.id, LEA)
    assert [payload["text"] for _, payload in await desk.owed_items()] == [
        f"Lea switched on the policy {EAGER.id}.",
        f"Lea put the policy {shadow.policy.id} into the shadow: "
        "floor 5 %, ceiling 50 %, limit 10 %.",
        f"Lea dropped the policy {shadow.policy.id} from the shadow.",
    ]


# --- floor and ceiling ---------------------------------------------------------------------------


async def test_limits_go_into_the_shadow_or_hold_at_once(desk):
    stored = await desk.switch.move(Move(0.02, 0.5, 0.1), LEA)
    assert (stored.status, stored.made_by) == (SHADOW, "Lea")
    assert stored.note == "limits moved"
    assert (await desk.decision("this is bad")).action is Action.ANSWER
    stored = await desk.switch.move(Move(0.02, 0.5, 0.1), LEA, at_once=True)
    assert (stored.status, (await desk.active()).id) == (ACTIVE, stored.id)
    assert (await desk.decision("this is bad", key="lou")).action is Action.HAND_OFF
    assert await desk.statuses() == {POLICY.id: RETIRED, stored.id: ACTIVE}


async def test_a_limit_outside_the_new_bounds_moves_to_the_nearest(desk):
    lower = policy_of(await desk.switch.move(Move(0.05, 0.1), LEA, at_once=True))
    assert lower.limits.risk == 0.1
    higher = policy_of(await desk.switch.move(Move(0.4, 0.6), LEA, at_once=True))
    assert higher.limits.risk == 0.4


async def test_a_shadow_does_not_move_floor_and_ceiling_back(desk):
    await desk.propose(EAGER)
    await desk.switch.move(Move(0.15, 0.5), LEA, at_once=True)
    _, shadow = await desk.read.in_use()
    limits = policy_of(shadow.policy).limits
    assert (limits.risk_floor, limits.risk_ceiling, limits.risk) == (0.15, 0.5, 0.15)
    assert (await desk.statuses())[EAGER.id] is RETIRED


async def test_a_shadow_that_has_become_the_active_one_goes(desk):
    await desk.propose(EAGER)
    await desk.switch.move(Move(0.4, 0.6), LEA, at_once=True)
    _, shadow = await desk.read.in_use()
    assert shadow is None


@pytest.mark.parametrize(
    ("move", "why"),
    [
        (Move(0.6, 0.05), "the floor 60 % lies above the ceiling 5 %"),
        (Move(0.05, 0.6, 0.7), "the limit 70 % lies above the ceiling 60 %"),
        (Move(0.05, 0.6, 0.025), "the limit 2.5 % lies below the floor 5 %"),
        (Move(-0.1, 0.6), "the floor has to lie between 0 % and 100 %; -0.1 means -10 %"),
        (Move(0.1, 60), "the ceiling has to lie between 0 % and 100 %; 60 means 6000 %"),
        (Move(0.1, 0.6, math.nan), "the limit nan is not a number"),
    ],
    ids=str,
)
async def test_limits_that_make_no_sense_are_refused_in_a_sentence(desk, move, why):
    for at_once in (False, True):
        with pytest.raises(BadLimits, match=f"These limits cannot be set: {why}."):
            await desk.switch.move(move, LEA, at_once)
    assert await desk.statuses() == {POLICY.id: ACTIVE}


async def test_limits_that_hold_already_are_refused_in_a_sentence(desk):
    for at_once in (False, True):
        with pytest.raises(SameLimits, match=r"^These are the limits already\.$"):
            await desk.switch.move(Move(0.05, 0.6), LEA, at_once)
    assert await desk.statuses() == {POLICY.id: ACTIVE}


async def test_a_second_proposal_says_what_it_took_out_of_the_shadow(desk):
    await desk.propose(EAGER)
    stored = await desk.switch.move(Move(0.05, 0.5), LEA)
    *_, (_, payload) = await desk.owed_items()
    assert payload["text"] == (
        f"Lea put the policy {stored.id} into the shadow: floor 5 %, ceiling 50 %, limit 27 %. "
        f"The policy {EAGER.id}, which ran there until now, is retired."
    )
    assert (await desk.statuses())[EAGER.id] is RETIRED
    # The same once more changes nothing, and takes nothing out.
    await desk.switch.move(Move(0.05, 0.5), LEA)
    *_, (_, payload) = await desk.owed_items()
    assert payload["text"].endswith("limit 27 %.")


@pytest.mark.parametrize(
    ("written", "shares"),
    [
        ("0.05 0.6", [0.05, 0.6]),
        ("0,05 ,6", [0.05, 0.6]),
        ("5% 60%", [0.05, 0.6]),
        ("5 % 60 %", [0.05, 0.6]),
        ("5.1% 60% 12,5%", [0.051, 0.6, 0.125]),
        ("5 60 12.5", [0.05, 0.6, 0.125]),
        ("5 60%", [0.05, 0.6]),
        ("1% 0% 100%", [0.01, 0.0, 1.0]),
        ("0.5% 60%", [0.005, 0.6]),
        ("0.01 0.5 0", [0.01, 0.5, 0.0]),
        ("0 60", [0.0, 0.6]),
        ("150%", [1.5]),
        ("", []),
    ],
)
def test_limits_are_read_as_people_write_them(written, shares):
    assert read_shares(written) == shares


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("1 60", "“1” may mean 1 % or 100 %: write 1% or 0.01 for the one, 100% for the other"),
        (
            "0.02 1,0",
            "“1,0” may mean 1 % or 100 %: write 1% or 0.01 for the one, 100% for the other",
        ),
        ("0.5 60", "“0.5” may mean 50 % or 0.5 %: write 50% or 0.5%"),
        ("5% 0,6", "“0,6” may mean 60 % or 0.6 %: write 60% or 0.6%"),
        ("low 60%", "“low” is not a percentage, such as 5% or 0.05"),
        ("nan inf", "“nan” is not a percentage, such as 5% or 0.05"),
        ("-5% 60%", "“-5%” is not a percentage, such as 5% or 0.05"),
        ("5e-2 0.6", "“5e-2” is not a percentage, such as 5% or 0.05"),
        ("٥ ٦", "“٥” is not a percentage, such as 5% or 0.05"),
        ("9" * 4000, "is not a percentage, such as 5% or 0.05"),
    ],
)
def test_what_may_mean_two_things_is_refused(written, why):
    with pytest.raises(BadLimits, match=re.escape(f"{why}.")):
        read_shares(written)


@pytest.mark.parametrize(
    ("share", "words"),
    [(0.05, "5 %"), (0.125, "12.5 %"), (0.1436, "14.4 %"), (0.0, "0 %"), (1.0, "100 %")],
)
def test_a_limit_is_told_as_a_percentage(share, words):
    assert share_in_words(share) == words


async def test_before_the_desk_has_run_there_is_nothing_to_move():
    with pytest.raises(NotFound, match="active policy"):
        await PolicyDesk().switch.move(Move(0.1, 0.5), LEA)


# --- what a turn costs ---------------------------------------------------------------------------


async def test_a_turn_asks_for_the_policies_once_and_adopts_nothing_again(desk, monkeypatch):
    asked, in_use = 0, memory._Policies.in_use

    async def counted(self):
        nonlocal asked
        asked += 1
        return await in_use(self)

    monkeypatch.setattr(memory._Policies, "in_use", counted)
    await desk.ask("hello")
    assert asked == 1
    await desk.ask(UNKNOWN)
    assert asked == 2

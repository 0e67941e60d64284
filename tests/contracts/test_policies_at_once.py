"""Several processes adopt, propose and switch at the same moment: one policy decides after it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from handoff.adapters.doorbell import LocalDoorbell
from handoff.app.policies import propose
from handoff.app.retrying import retry_stale
from handoff.app.switch_policy import Move, SwitchPolicy
from handoff.core.errors import PolicyConflict
from handoff.core.evidence import named
from handoff.core.limits import PolicyLimits
from handoff.core.model import PolicyStatus
from handoff.core.policy import Policy
from handoff.ports import Store
from tests.fakes import LEA, FakeClock, FakeDesk

POLICY = named(Policy(PolicyLimits(risk=0.25, risk_floor=0.05, risk_ceiling=0.6)))


def with_risk(risk: float) -> Policy:
    return named(replace(POLICY, limits=replace(POLICY.limits, risk=risk)))


async def started(*stores: Store) -> list[FakeDesk]:
    """Return desks that have adopted their settings, all at once."""
    desks = [FakeDesk(store) for store in stores]
    for desk in desks:
        desk.take_turn.configured = POLICY
    await asyncio.gather(*(desk.take_turn.adopt() for desk in desks))
    return desks


async def in_use(store: Store) -> dict[PolicyStatus, list[str]]:
    """Return the ids of the policies by status."""
    found: dict[PolicyStatus, list[str]] = {status: [] for status in PolicyStatus}
    async with store() as work:
        for policy in await work.policies.latest(100):
            found[policy.status].append(policy.id)
    return found


async def test_gateways_that_start_at_once_adopt_one_policy(store: Store, other: Store) -> None:
    await started(store, other, store, other)
    assert await in_use(store) == {
        PolicyStatus.ACTIVE: [POLICY.id],
        PolicyStatus.SHADOW: [],
        PolicyStatus.RETIRED: [],
    }


async def test_proposals_made_at_once_leave_one_in_the_shadow(store: Store, other: Store) -> None:
    await started(store)
    wanted = [with_risk(risk / 100) for risk in range(10, 16)]

    async def propose_one(at: Store, policy: Policy) -> None:
        async def attempt() -> None:
            async with at() as work:
                await propose(work, policy, FakeClock().now(), "refit", "", {})
                await work.commit()

        await retry_stale(attempt)

    await asyncio.gather(
        *(propose_one((store, other)[n % 2], policy) for n, policy in enumerate(wanted))
    )
    found = await in_use(other)
    assert found[PolicyStatus.ACTIVE] == [POLICY.id]
    assert len(found[PolicyStatus.SHADOW]) == 1
    assert len(found[PolicyStatus.RETIRED]) == len(wanted) - 1


async def test_of_switching_on_and_dropping_at_once_one_wins(store: Store, other: Store) -> None:
    await started(store)
    beside = with_risk(0.1)
    async with store() as work:
        await propose(work, beside, FakeClock().now(), "refit", "", {})
        await work.commit()
    switches = [SwitchPolicy(one, FakeClock(), LocalDoorbell()) for one in (store, other)]
    done = await asyncio.gather(
        switches[0].switch_on(beside.id, LEA, (PolicyStatus.SHADOW,)),
        switches[1].drop(beside.id, LEA),
        return_exceptions=True,
    )
    (refused,) = [one for one in done if isinstance(one, BaseException)]
    assert isinstance(refused, PolicyConflict)
    found = await in_use(store)
    switched_on = not isinstance(done[0], BaseException)
    assert found[PolicyStatus.ACTIVE] == [beside.id if switched_on else POLICY.id]
    assert found[PolicyStatus.SHADOW] == []


async def test_limits_moved_at_once_leave_one_policy_that_decides(
    store: Store, other: Store
) -> None:
    await started(store)
    moves = [Move(0.05, ceiling / 100) for ceiling in range(40, 46)]
    switches = [SwitchPolicy(one, FakeClock(), LocalDoorbell()) for one in (store, other)]
    await asyncio.gather(
        *(switches[n % 2].move(move, LEA, at_once=True) for n, move in enumerate(moves))
    )
    found = await in_use(other)
    assert len(found[PolicyStatus.ACTIVE]) == 1
    assert len(found[PolicyStatus.RETIRED]) == len(moves)

"""Which policy decides, and which one runs beside it in the shadow.

Every function works inside the caller's unit of work. At most one policy is active and at most one
in the shadow; the store refuses a second one, so that of two who change them at once one is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from handoff.core.costs import limit_at_costs, within
from handoff.core.errors import NotFound, PolicyConflict
from handoff.core.evidence import named, policy_body, policy_from
from handoff.core.model import PolicyStatus, StoredPolicy
from handoff.core.policy import FORMER_LIMIT, FORMER_RISK, STARTS, Policy
from handoff.ports import Work

SETTINGS = "settings"
"""Who made a policy that came about because a setting was changed."""


async def adopt(work: Work, configured: Policy, now: datetime) -> Policy:
    """Return the policy that decides, storing it first where it is a new one.

    Settings say what the desk is (intents, phrases, costs, fixed limits). What was learned or moved
    by a lead (the risk model, its limit, floor and ceiling) stays as it is in the active policy. A
    policy in the shadow is brought in line as well, so that it is compared like with like.
    """
    active, shadow = await work.policies.in_use()
    wanted = named(keep_learned(configured, policy_of(active)) if active else configured)
    note = "changed settings" if active else "as shipped"
    await switch_on(work, wanted, now, SETTINGS, note)
    if shadow is not None:
        await follow(work, keep_learned(configured, policy_of(shadow)), now, SETTINGS)
    return wanted


def policy_of(stored: StoredPolicy) -> Policy:
    """Return a stored policy, under the id it was stored with."""
    return replace(policy_from(stored.body), id=stored.id)


def keep_learned(configured: Policy, learned: Policy) -> Policy:
    """Return the configured policy with what another one has learned or was told by a lead.

    A risk model to start with was not learned: before another assistant it is another one.
    """
    costs, limits = configured.costs, learned.limits
    # Only where they differ: to the odds and back may change the last bit, and so the id.
    same = costs == learned.costs
    former = learned.risk == FORMER_RISK and limits.risk == FORMER_LIMIT
    kept = configured.limits.risk if former else limits.risk
    limits = replace(
        configured.limits,
        risk=kept if same else limit_at_costs(kept, learned.costs, costs),
        risk_floor=limits.risk_floor,
        risk_ceiling=limits.risk_ceiling,
    )
    risk = configured.risk if learned.risk in STARTS else learned.risk
    return replace(configured, limits=limits, risk=risk)


def between(policy: Policy, floor: float, ceiling: float) -> Policy:
    """Return the policy with this floor and ceiling, its own limit held between them."""
    risk = within(policy.limits.risk, floor, ceiling)
    limits = replace(policy.limits, risk=risk, risk_floor=floor, risk_ceiling=ceiling)
    return named(replace(policy, limits=limits))


async def propose(
    work: Work,
    policy: Policy,
    now: datetime,
    made_by: str,
    note: str,
    figures: Mapping[str, float],
) -> StoredPolicy:
    """Put a policy into the shadow in place of the one that is there, and return it.

    One that decides or runs in the shadow already is returned as it is, and nothing is changed.
    """
    wanted = named(policy)
    active, shadow = await work.policies.in_use()
    for stored in (active, shadow):
        if stored is not None and stored.id == wanted.id:
            return stored
    if shadow is not None:
        await _set_status(work, shadow, PolicyStatus.RETIRED, now, made_by)
    return await _put(work, wanted, PolicyStatus.SHADOW, now, made_by, note, dict(figures))


async def follow(work: Work, changed: Policy, now: datetime, made_by: str) -> None:
    """Put a changed policy in place of the one in the shadow; none where it came to the active."""
    active, shadow = await work.policies.in_use()
    wanted = named(changed)
    if shadow is None:
        return
    if active is not None and active.id == wanted.id:
        await _set_status(work, shadow, PolicyStatus.RETIRED, now, made_by)
    else:
        await propose(work, wanted, now, made_by, shadow.note, shadow.figures)


async def switch_on(
    work: Work, policy: Policy, now: datetime, made_by: str, note: str
) -> StoredPolicy:
    """Make a policy the active one and return it; the one before is kept as retired."""
    before, _ = await work.policies.in_use()
    if before is not None and before.id == policy.id:
        return before
    if before is not None:
        await _set_status(work, before, PolicyStatus.RETIRED, now, made_by)
    return await _put(work, policy, PolicyStatus.ACTIVE, now, made_by, note)


async def switch_on_stored(work: Work, id: str, now: datetime, made_by: str) -> StoredPolicy:
    """Make a stored policy the active one and return what decides now.

    One that was made under other settings is brought in line with those of today first: it is then
    stored under another id.

    Raises:
        NotFound: there is no such policy.
        PolicyConflict: it decides already.
    """
    stored = await work.policies.get(id)
    active, _ = await work.policies.in_use()
    if stored.status is PolicyStatus.ACTIVE:
        raise PolicyConflict(id=id, wanted="switched on", status=stored.status.value)
    wanted = policy_of(stored)
    if active is not None:
        wanted = named(keep_learned(policy_of(active), wanted))
    if wanted.id != id and stored.status is PolicyStatus.SHADOW:
        await _set_status(work, stored, PolicyStatus.RETIRED, now, made_by)
    note = stored.note if wanted.id == id else f"{id} under the settings of today"
    return await switch_on(work, wanted, now, made_by, note)


async def drop(work: Work, id: str, now: datetime, made_by: str) -> StoredPolicy:
    """Take a policy out of the shadow; raise `PolicyConflict` when it is not there."""
    stored = await work.policies.get(id)
    if stored.status is not PolicyStatus.SHADOW:
        raise PolicyConflict(id=id, wanted="dropped", status=stored.status.value)
    await _set_status(work, stored, PolicyStatus.RETIRED, now, made_by)
    return stored


async def _put(
    work: Work,
    policy: Policy,
    status: PolicyStatus,
    now: datetime,
    made_by: str,
    note: str,
    figures: dict[str, float] | None = None,
) -> StoredPolicy:
    """Give a policy a status, storing it where it is a new one."""
    try:
        stored = await work.policies.get(policy.id)
    except NotFound:
        stored = StoredPolicy(
            id=policy.id,
            body=policy_body(policy),
            status=status,
            created_at=now,
            changed_at=now,
            made_by=made_by,
            changed_by=made_by,
            note=note,
            figures=figures or {},
        )
        await work.policies.add(stored)
    else:
        if figures is not None:
            stored.note, stored.figures = note, figures
        await _set_status(work, stored, status, now, made_by)
    return stored


async def _set_status(
    work: Work, stored: StoredPolicy, status: PolicyStatus, now: datetime, made_by: str
) -> None:
    stored.status, stored.changed_at, stored.changed_by = status, now, made_by
    await work.policies.save(stored)

"""What `handoff explain` and `handoff policy` do, and how they tell it."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from handoff.adapters.clock import WallClock
from handoff.adapters.doorbell import LocalDoorbell
from handoff.app.explain import Explain, Explanation
from handoff.app.policies import policy_of
from handoff.app.switch_policy import (
    Disagreement,
    Judged,
    Move,
    ReadPolicies,
    SwitchPolicy,
)
from handoff.bootstrap.parts import open_store
from handoff.core.errors import NotFound
from handoff.core.limits import REASONS_SHOWN
from handoff.core.model import Person, PolicyStatus, Role, StoredPolicy
from handoff.core.reasons_in_words import (
    DONE,
    NOTHING_STANDS_OUT,
    WOULD_DO,
    disagreements_of,
    heaviest,
    human,
    percent,
    reason_of,
    risk_against,
    why,
)
from handoff.ports import Store
from handoff.settings import Settings

SAME, DIFFERENT, UNKNOWN = 0, 1, 2
"""Exit codes of `handoff explain`."""


def whoever_has_the_shell() -> Person:
    """Return the user of this shell as a lead: the database is theirs to change anyway."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # A container's user without an entry in the password file.
        name = str(os.getuid())
    return Person(0, f"{name} (command line)", frozenset({Role.LEAD}))


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S %Z}"


# --- explain -------------------------------------------------------------------------------------


async def explain_message(settings: Settings, beginning: str) -> list[Explanation]:
    """Return why a message was answered or handed over; see `Explain`."""
    async with open_store(settings) as store:
        return await Explain(store)(beginning)


def exit_code(explained: Sequence[Explanation]) -> int:
    """Return 0 when all came out the same, 1 when one did not, 2 when one cannot be replayed."""
    if any(one.replayed is None for one in explained):
        return UNKNOWN
    return SAME if all(one.replayed and one.replayed.same for one in explained) else DIFFERENT


def explained_in_words(explained: Sequence[Explanation]) -> str:
    """Return explanations of one message as text."""
    return "\n\n".join("\n".join(_explained(one)) for one in explained)


def _explained(one: Explanation) -> Iterator[str]:
    message, decision = one.message, one.decision
    yield f"Message {message.id}, {_moment(message.created_at)}"
    yield from (f"  {line}" for line in message.text.splitlines())
    reasons = [why(finding) for finding in decision.findings[:REASONS_SHOWN]]
    yield f"{DONE[decision.action]}. {'Why:' if reasons else f'{NOTHING_STANDS_OUT}.'}"
    yield from (f"  {number}. {reason}" for number, reason in enumerate(reasons, 1))
    outcome = decision.evidence.get("outcome", {})
    if outcome.get("risk") is not None:
        yield f"{risk_against(outcome['risk'], outcome['limit'])}."
    elif outcome:
        yield "A rule decided before the risk was looked at."
    if one.likely:
        likely = (f"{human(score.intent)} {percent(score.confidence)}" for score in one.likely)
        yield f"Likely meant: {', '.join(likely)}."
    policy = one.policy.id if one.policy else "unknown"
    model = f", model {decision.model}" if decision.model else ""
    yield f"Policy {policy}, rules version {decision.policy_version}{model}."
    yield from _replayed(one)


def _replayed(one: Explanation) -> Iterator[str]:
    replayed = one.replayed
    if replayed is None:
        yield one.refusal
    elif replayed.same:
        yield "Decided again from what was stored: the same, to the last bit."
    else:
        yield "Decided again from what was stored: not the same."
        yield from (f"  • {change}" for change in replayed.changed)
        yield f"It came out as: {DONE[replayed.verdict.action].lower()}."
        yield from (f"  • {why(finding)}" for finding in replayed.verdict.findings)


def explained_as_json(explained: Sequence[Explanation]) -> dict[str, Any]:
    """Return explanations of one message as JSON values."""
    message = explained[0].message
    return {
        "message": message.id,
        "text": message.text,
        "at": message.created_at.isoformat(),
        "decisions": [_explained_as_json(one) for one in explained],
    }


def _explained_as_json(one: Explanation) -> dict[str, Any]:
    decision, replayed = one.decision, one.replayed
    outcome = decision.evidence.get("outcome", {})
    return {
        "decision": decision.id,
        "at": decision.created_at.isoformat(),
        "action": decision.action.value,
        "reasons": [
            {
                "reason": finding.reason.value,
                "value": finding.value,
                "limit": finding.limit,
                "weight": finding.weight,
                "detail": finding.detail,
                "words": why(finding),
            }
            for finding in decision.findings
        ],
        "risk": outcome.get("risk"),
        "limit": outcome.get("limit"),
        "likely": {score.intent: score.confidence for score in one.likely},
        "policy": one.policy.id if one.policy else None,
        "rules": decision.policy_version,
        "model": decision.model,
        "same": replayed.same if replayed else None,
        "changed": list(replayed.changed) if replayed else [],
        "refusal": one.refusal,
    }


# --- policies ------------------------------------------------------------------------------------


async def list_policies(settings: Settings) -> str:
    """Return the policies made last, those in use first."""
    async with open_store(settings) as store:
        read = ReadPolicies(store)
        in_use = [judged for judged in await read.in_use() if judged]
        known = {judged.policy.id for judged in in_use}
        others = [j for j in await read.latest() if j.policy.id not in known]
    if not in_use:
        return "No policy is stored yet: the desk stores one when it starts."
    return "\n".join("\n".join(_listed(judged)) for judged in (*in_use, *others))


_STATUS = {
    PolicyStatus.ACTIVE: "active",
    PolicyStatus.SHADOW: "in the shadow",
    PolicyStatus.RETIRED: "retired",
}


def _listed(judged: Judged) -> Iterator[str]:
    stored = judged.policy
    limits, risk = policy_of(stored).limits, policy_of(stored).risk
    yield (
        f"{stored.id}  {_STATUS[stored.status]} since {_moment(stored.changed_at)}, "
        f"by {stored.changed_by}"
    )
    yield f"  made {_moment(stored.created_at)} by {stored.made_by}: {stored.note or 'no note'}"
    yield (
        f"  limit {percent(limits.risk)}, floor {percent(limits.risk_floor)}, "
        f"ceiling {percent(limits.risk_ceiling)}; counts most: {heaviest(risk)}"
    )
    if stored.figures:
        figures = (f"{human(name)} {value:.4g}" for name, value in stored.figures.items())
        yield f"  measured: {', '.join(figures)}"
    if judged.judged or stored.status is PolicyStatus.SHADOW:
        yield f"  {disagreements_of(judged.judged, judged.disagreed)}"


async def list_disagreements(settings: Settings, id: str, limit: int) -> str:
    """Return where a policy (without an id the one in the shadow) disagreed, newest first."""
    async with open_store(settings) as store:
        read = ReadPolicies(store)
        judged = await _one(store, read, id)
        found = await read.disagreements(judged.policy.id, limit)
    head = f"Policy {judged.policy.id}. {disagreements_of(judged.judged, judged.disagreed)}"
    return "\n".join([head, *(line for one in found for line in _disagreement(one))])


async def _one(store: Store, read: ReadPolicies, id: str) -> Judged:
    if id:
        async with store() as work:
            policy = await work.policies.get(id)
            return Judged(policy, *await work.shadows.counts(id))
    _, shadow = await read.in_use()
    if shadow is None:
        raise NotFound(what="policy in", id="the shadow")
    return shadow


def _disagreement(one: Disagreement) -> Iterator[str]:
    text = " ".join(one.message.text.split())
    yield f"{one.message.id}  {_moment(one.message.created_at)}  “{text}”"
    yield f"  {DONE[one.done]}; it would have {WOULD_DO[one.verdict.action]}"
    yield f"  {reason_of(one.verdict.findings)}"


async def move_limits(settings: Settings, to: Move, at_once: bool) -> str:
    """Make a policy with other limits; return what came of it."""
    async with open_store(settings) as store:
        switch = SwitchPolicy(store, WallClock(), LocalDoorbell())
        stored = await switch.move(to, whoever_has_the_shell(), at_once)
    return _now(stored)


async def switch_on_policy(settings: Settings, id: str) -> str:
    """Let a stored policy decide; return what came of it."""
    async with open_store(settings) as store:
        switch = SwitchPolicy(store, WallClock(), LocalDoorbell())
        return _now(await switch.switch_on(id, whoever_has_the_shell()))


async def drop_policy(settings: Settings, id: str) -> str:
    """Take a policy out of the shadow; return what came of it."""
    async with open_store(settings) as store:
        switch = SwitchPolicy(store, WallClock(), LocalDoorbell())
        return _now(await switch.drop(id, whoever_has_the_shell()))


def _now(stored: StoredPolicy) -> str:
    return {
        PolicyStatus.ACTIVE: f"The policy {stored.id} decides from the next message on.",
        PolicyStatus.SHADOW: f"The policy {stored.id} runs in the shadow from the next message "
        f"on; `handoff policy switch-on {stored.id}` lets it decide.",
        PolicyStatus.RETIRED: f"The policy {stored.id} is out of the shadow.",
    }[stored.status]

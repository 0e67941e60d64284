"""What `handoff explain` and `handoff policy` do, and how they tell it."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from rich.text import Text

from handoff.adapters.clock import WallClock
from handoff.adapters.doorbell import LocalDoorbell
from handoff.app.explain import Decided, Explain, Explanation
from handoff.app.policies import policy_of
from handoff.app.switch_policy import (
    Disagreement,
    Judged,
    Move,
    ReadPolicies,
    SwitchPolicy,
    retired_by,
)
from handoff.bootstrap.parts import open_store
from handoff.core.errors import NotFound
from handoff.core.limits import REASONS_SHOWN
from handoff.core.model import Action, Decision, Finding, Person, PolicyStatus, Role, StoredPolicy
from handoff.core.reasons_in_words import (
    DONE,
    NOTHING_STANDS_OUT,
    SHORT,
    WOULD_DO,
    disagreements_of,
    heaviest,
    human,
    percent,
    reason_of,
    risk_against,
    risks,
    share_in_words,
    why,
)
from handoff.ports import Store
from handoff.settings import Settings

SAME, DIFFERENT, UNKNOWN = 0, 1, 2
"""Exit codes of `handoff explain`."""

ID_SHOWN = 8
"""How many characters of an id a list shows; `handoff explain` takes them for the whole."""

TEXT_COLUMNS = 20
"""Columns of a message's text that a list shows however narrow the terminal is."""

ANSWERS_KEPT_FROM = 4
"""First version of the rules that kept, where the bot answered, what spoke for a person."""


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
    yield f"{DONE[decision.action]}. {_introduction(decision)}"
    reasons = [why(finding) for finding in decision.findings[:REASONS_SHOWN]]
    yield from (f"  {number}. {reason}" for number, reason in enumerate(reasons, 1))
    yield from _risk(decision)
    if one.likely:
        likely = (f"{human(score.intent)} {percent(score.confidence)}" for score in one.likely)
        yield f"Likely meant: {', '.join(likely)}."
    policy = one.policy.id if one.policy else "unknown"
    model = f", model {decision.model}" if decision.model else ""
    yield f"Policy {policy}, rules version {decision.policy_version}{model}."
    yield from _replayed(one)


def _introduction(decision: Decision) -> str:
    """Return what leads to the reasons, or says that there are none."""
    answered = decision.action is Action.ANSWER
    if decision.findings:
        return "What spoke for a person:" if answered else "Why:"
    if answered and not _keeps_answers(decision.policy_version):
        return "Nothing was kept about what spoke for a person."
    return f"{NOTHING_STANDS_OUT}."


def _keeps_answers(rules: str) -> bool:
    try:
        return float(rules) >= ANSWERS_KEPT_FROM
    except ValueError:
        return False


def _risk(decision: Decision) -> Iterator[str]:
    outcome = decision.evidence.get("outcome", {})
    risk, limit = outcome.get("risk"), outcome.get("limit")
    if not outcome:
        return
    if risk is None:
        yield "A rule decided before the risk was looked at."
    else:
        yield f"{risk_against(risk, limit, decision.action, bool(decision.findings))}."


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


async def newest_decided(settings: Settings, last: int) -> list[Decided]:
    """Return the messages decided last, newest first."""
    async with open_store(settings) as store:
        return await Explain(store).newest(last)


_DID = {
    Action.ANSWER: "answered",
    Action.CLARIFY: "asked what was meant",
    Action.HAND_OFF: "asked a person",
}


def decided_in_words(decided: Sequence[Decided], width: int) -> str:
    """Return decided messages as text, a line each that is cut to so many columns."""
    if not decided:
        return "Nothing has been decided about any message yet."
    did = max(len(_did(one.decision)) for one in decided)
    return "\n".join(
        [
            "Decided last, newest first; times are UTC. In brackets what spoke for a person.",
            *(_decided(one, did, width) for one in decided),
            "Why: `handoff explain` with the characters a line begins with.",
        ]
    )


def _decided(one: Decided, did: int, width: int) -> str:
    """Return a decided message as one line, with `did` columns for what was done."""
    message = one.message
    line = f"{message.id[:ID_SHOWN]}  {message.created_at:%Y-%m-%d %H:%M}  "
    line += f"{_did(one.decision):{did}}  "
    return line + _cut(message.text, max(TEXT_COLUMNS, width - len(line)))


def _did(decision: Decision) -> str:
    """Return what was done, with the first reason for a person in brackets."""
    if not decision.findings:
        return _DID[decision.action]
    reason = decision.findings[0].reason.value
    return f"{_DID[decision.action]} ({SHORT.get(reason, human(reason))})"


def _cut(text: str, columns: int) -> str:
    """Return a text as one line of so many columns at most: a wide character takes two."""
    line = Text(" ".join(text.split()))
    line.truncate(columns, overflow="ellipsis")
    return line.plain


def decided_as_json(decided: Sequence[Decided]) -> dict[str, Any]:
    """Return decided messages as JSON values."""
    return {
        "decided": [
            {
                "message": one.message.id,
                "text": one.message.text,
                "at": one.message.created_at.isoformat(),
                "action": one.decision.action.value,
                "reason": one.decision.findings[0].reason.value if one.decision.findings else None,
            }
            for one in decided
        ]
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
        f"  limit {share_in_words(limits.risk)}, floor {share_in_words(limits.risk_floor)}, "
        f"ceiling {share_in_words(limits.risk_ceiling)}; counts most: {heaviest(risk)}"
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
    outcome = one.decision.evidence.get("outcome")
    done = _figures(outcome["risk"], outcome["limit"]) if outcome else ""
    would = _figures(one.again.risk, one.again.limit) if one.again else ""
    yield f"  {DONE[one.done]}{done}"
    yield f"  It would have {WOULD_DO[one.verdict.action]}{would}"
    yield f"  {reason_of(_reasons(one))}"


def _figures(risk: float | None, limit: float | None) -> str:
    if risk is None or limit is None:
        return ": by a rule, whatever the risk"
    value, enough = risks(risk, limit)
    return f": risk {value}, limit {enough}"


def _reasons(one: Disagreement) -> Sequence[Finding]:
    """Return what spoke for a person: as the other policy had it, or else as this one did.

    What the bot's turn led to is not among it: neither policy had seen that turn.
    """
    told_before_turn = one.done is one.decision.action
    return one.verdict.findings or (one.decision.findings if told_before_turn else ())


async def move_limits(settings: Settings, to: Move, at_once: bool) -> str:
    """Make a policy with other limits; return what came of it."""
    async with open_store(settings) as store:
        _, before = await ReadPolicies(store).in_use()
        switch = SwitchPolicy(store, WallClock(), LocalDoorbell())
        stored = await switch.move(to, whoever_has_the_shell(), at_once)
    retired = "" if at_once or before is None else retired_by(stored, before.policy)
    return f"{_now(stored)} {retired}." if retired else _now(stored)


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

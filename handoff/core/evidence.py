"""Decisions as data, there and back: what is stored is all that is needed to decide again. Pure.

Python writes a float to JSON with as many digits as bring the same float back, so a decision made
again from stored evidence is the same to the last bit, or the program or the policy has changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from handoff.core.costs import Costs
from handoff.core.errors import DecisionNotReplayable
from handoff.core.limits import PolicyLimits
from handoff.core.model import Action, BotLine, Decision, Feelings, Finding, IntentScore, Parse
from handoff.core.moves import LastSaid, Move
from handoff.core.policy import POLICY_VERSION, Desk, Policy, Signals, Verdict, decide, judge_turn
from handoff.core.requests import Part
from handoff.core.risk import RiskModel

ID_DIGITS = 12
"""Hexadecimal digits of a policy's id."""


SINCE_VERSION_5: dict[str, Any] = {"reply": None, "requests": []}
"""What stands for figures of an outcome that older decisions do not hold."""


def policy_body(policy: Policy) -> dict[str, Any]:
    """Return a policy as JSON values, without its id."""
    desk = {name: _as_json(value) for name, value in asdict(policy.desk).items()}
    return {
        "limits": asdict(policy.limits),
        "desk": desk,
        "risk": {
            "offset": policy.risk.offset,
            "weights": dict(policy.risk.weights),
            "typical": dict(policy.risk.typical),
        },
        "costs": asdict(policy.costs),
    }


def policy_from(body: Mapping[str, Any]) -> Policy:
    """Return the policy a body describes, under the id that follows from its content."""
    desk = {name: _as_desk(name, value) for name, value in body["desk"].items()}
    return named(
        Policy(
            limits=PolicyLimits(**body["limits"]),
            desk=Desk(**desk),
            risk=RiskModel(**body["risk"]),
            costs=Costs(**body["costs"]),
        )
    )


def _as_json(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    return sorted(value) if isinstance(value, frozenset) else list(value)


def _as_desk(name: str, value: Any) -> Any:
    if isinstance(value, bool):
        return value
    return frozenset(value) if name.endswith("_intents") else tuple(value)


def named(policy: Policy) -> Policy:
    """Return the policy under the id that follows from its content."""
    body = json.dumps(policy_body(policy), sort_keys=True, separators=(",", ":"))
    return replace(policy, id=hashlib.sha256(body.encode()).hexdigest()[:ID_DIGITS])


def signals_from(stored: Mapping[str, Any]) -> Signals:
    """Return the signals as they stand in a decision's evidence."""
    parse = _parse_from(stored["parse"]) if stored["parse"] is not None else None
    read: dict[str, Any] = {name: tuple(stored[name]) for name in ("mood", "safety", "legal")}
    # Signals before version 5 of the rules say nothing about short replies.
    read["move"] = Move(stored["move"]) if stored.get("move") else None
    read["last_said"] = LastSaid(stored.get("last_said", ""))
    parts = stored.get("parts", ())
    read["parts"] = tuple(Part(**{**part, "parse": _parse_from(part["parse"])}) for part in parts)
    return Signals(**{**stored, **read, "parse": parse, "feelings": Feelings(**stored["feelings"])})


def _parse_from(stored: Mapping[str, Any]) -> Parse:
    ranking = tuple(IntentScore(**score) for score in stored["ranking"])
    return Parse(**{**stored, "ranking": ranking, "entities": tuple(stored["entities"])})


def evidence_of(verdict: Verdict) -> dict[str, Any]:
    """Return what is stored of a verdict besides its action and findings."""
    outcome = {
        "action": verdict.action.value,
        "options": list(verdict.options),
        "risk": verdict.risk,
        "limit": verdict.limit,
        "reply": verdict.reply,
        "requests": list(verdict.requests),
    }
    return {**verdict.evidence, "outcome": outcome}


def before_speaking(decision: Decision) -> Action:
    """Return what was decided before the bot spoke; its turn may have led to a handoff after."""
    return Action.ANSWER if "turn" in decision.evidence else decision.action


@dataclass(frozen=True, slots=True)
class Replayed:
    """A decision made again: the same to the last bit, or what differs.

    `changed` names what is not as it was: the version of the rules, a figure of the outcome.
    """

    verdict: Verdict
    same: bool
    changed: tuple[str, ...] = ()


def replay(decision: Decision, policy: Policy) -> Replayed:
    """Decide again from stored evidence alone.

    Raises:
        DecisionNotReplayable: the evidence is of a form that this program no longer reads.
    """
    try:
        verdict = decide(signals_from(decision.evidence["signals"]), policy)
        now = evidence_of(verdict)["outcome"]
        outcome = {**SINCE_VERSION_5, **decision.evidence["outcome"]}
        was = {name: outcome[name] for name in now}
        turn = decision.evidence.get("turn")
    except (KeyError, TypeError) as error:
        raise DecisionNotReplayable(id=decision.message_id, why=repr(error)) from None
    again = _judged_again(verdict, turn, policy) if turn else verdict
    now["action"], was["action"] = again.action.value, decision.action.value
    changed = [
        f"{name}: {was[name]} then, {now[name]} now" for name in now if was[name] != now[name]
    ]
    if _plain(again.findings) != _plain(decision.findings):
        changed.append("the reasons")
    if changed and decision.policy_version != POLICY_VERSION:
        changed.insert(0, f"rules: version {decision.policy_version} then, {POLICY_VERSION} now")
    return Replayed(again, not changed, tuple(changed))


def _judged_again(verdict: Verdict, turn: Mapping[str, Any], policy: Policy) -> Verdict:
    """Return the verdict after the bot's turn was looked at, as `judge_turn` judged it."""
    lines = [BotLine("")] * turn["lines"]
    judged = judge_turn(lines, turn["said_before"], policy.limits, turn["why_silent"])
    if judged.action is not Action.HAND_OFF:
        return verdict
    return replace(verdict, action=judged.action, findings=judged.findings)


def _plain(findings: tuple[Finding, ...]) -> list[tuple[Any, ...]]:
    return [(f.reason.value, f.value, f.limit, f.detail, f.weight) for f in findings]

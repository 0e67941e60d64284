"""How the desk decides, for everybody who works there: pure functions, like `views`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, tzinfo

from agent_console.callbacks import Do
from agent_console.richtext import Rich, one_line
from agent_console.views import View, date_time, key, plain, view_of
from handoff.app.policies import policy_of
from handoff.app.switch_policy import Disagreement, Judged
from handoff.core.model import StoredPolicy
from handoff.core.policy import Policy
from handoff.core.reasons_in_words import (
    DONE,
    WOULD_DO,
    disagreements_of,
    heaviest,
    percent,
    reason_of,
)

SHOWN = 5
"""How many disagreements `/policy` shows."""

SAID_UNITS = 160
"""Longest customer text shown of a disagreement, in UTF-16 units."""

REASON_UNITS = 240
"""Longest reason shown of a disagreement, in UTF-16 units."""

NOTHING_STORED = "No policy is stored yet: the desk stores one when it starts."
LIMITS_WANTED = (
    "/limits takes the floor and the ceiling of the risk limit, such as /limits 0.05 0.6, and, "
    "if it is to move as well, the limit: /limits 0.05 0.6 0.3"
)


def policies(
    active: Judged | None,
    shadow: Judged | None,
    wrong: Sequence[Disagreement] = (),
    zone: tzinfo = UTC,
) -> View:
    """Return the active policy in plain words, the one in the shadow, and where it disagreed."""
    if active is None:
        return plain(NOTHING_STORED)
    rich = Rich().line("When a person is asked", "bold")
    _active(rich, policy_of(active.policy))
    rich.line(f"Policy {active.policy.id}, {_since(active.policy, zone)}", "italic")
    if shadow is None:
        return view_of(rich.line().line("No other policy runs in the shadow."))
    rich.line().line("In the shadow", "bold")
    rich.line(f"Policy {shadow.policy.id}, {_since(shadow.policy, zone)}", "italic")
    if shadow.policy.note:
        rich.line(one_line(shadow.policy.note, 300))
    _difference(rich, policy_of(active.policy), policy_of(shadow.policy))
    rich.line(disagreements_of(shadow.judged, shadow.disagreed))
    for one in wrong:
        _disagreement(rich, one)
    id = shadow.policy.id
    return view_of(rich, ((key("Switch on", Do.SWITCH_ON, id), key("Drop", Do.DROP, id)),))


def _since(policy: StoredPolicy, zone: tzinfo) -> str:
    return f"since {date_time(policy.changed_at, zone)}, by {one_line(policy.changed_by, 80)}"


def _active(rich: Rich, policy: Policy) -> None:
    limits, costs = policy.limits, policy.costs
    floor, ceiling = percent(limits.risk_floor), percent(limits.risk_ceiling)
    rich.line("• On request, for danger, the law and anger, and when the bot is of no help")
    rich.add("• From a risk of ").add(percent(policy.risk_limit(1.0)), "bold")
    rich.line(", from a higher one while few people are free")
    rich.line(f"That limit never falls below {floor} and never rises above {ceiling}.")
    rich.line(
        f"A missed handoff costs {costs.missed:g}, a needless one {costs.needless:g}, "
        f"each turn too late {costs.late:g}."
    )
    rich.add("What counts most: ").line(heaviest(policy.risk))


def _difference(rich: Rich, active: Policy, shadow: Policy) -> None:
    """Append what is different about the one in the shadow."""
    rich.line(
        f"Risk {percent(shadow.risk_limit(1.0))}, floor {percent(shadow.limits.risk_floor)}, "
        f"ceiling {percent(shadow.limits.risk_ceiling)}."
    )
    if shadow.risk != active.risk:
        rich.add("What counts most: ").line(heaviest(shadow.risk))


def _disagreement(rich: Rich, one: Disagreement) -> None:
    rich.add(f"• “{one_line(one.message.text, SAID_UNITS)}”  ")
    rich.line(f"{DONE[one.done]}; it would have {WOULD_DO[one.verdict.action]}.")
    rich.line(f"   {one_line(reason_of(one.verdict.findings), REASON_UNITS)}", "italic")


def limits_moved(stored: StoredPolicy) -> View:
    """Return what a lead is told whose limits hold from the next message on."""
    limits = policy_of(stored).limits
    return plain(
        f"From the next message on: floor {percent(limits.risk_floor)}, "
        f"ceiling {percent(limits.risk_ceiling)}, limit {percent(limits.risk)} "
        f"(policy {stored.id})."
    )

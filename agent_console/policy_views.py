"""How the desk decides, for everybody who works there: pure functions, like `views`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, tzinfo

from agent_console.callbacks import Do
from agent_console.richtext import Rich, one_line
from agent_console.views import View, date_time, key, plain, view_of
from handoff.app.policies import policy_of
from handoff.app.switch_policy import Disagreement, Judged, limits_in_words
from handoff.core.model import StoredPolicy
from handoff.core.policy import Policy
from handoff.core.reasons_in_words import (
    DONE,
    WOULD_DO,
    disagreements_of,
    heaviest,
    human,
    reason_of,
    share_in_words,
)

SHOWN = 5
"""How many disagreements `/policy` shows."""

SAID_UNITS = 160
"""Longest customer text shown of a disagreement, in UTF-16 units."""

REASON_UNITS = 240
"""Longest reason shown of a disagreement, in UTF-16 units."""

NOTHING_STORED = "No policy is stored yet: the desk stores one when it starts."

CAUSES_UNITS = 600
"""Longest list of what always needs a person, in UTF-16 units."""


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
    floor, ceiling = share_in_words(limits.risk_floor), share_in_words(limits.risk_ceiling)
    _always(rich, policy)
    rich.add("• From a risk of ").add(share_in_words(policy.risk_limit(1.0)), "bold")
    rich.line(", from a higher one while few people are free")
    rich.line(f"That limit never falls below {floor} and never rises above {ceiling}.")
    rich.line(
        f"A missed handoff costs {costs.missed:g}, a needless one {costs.needless:g}, "
        f"each turn too late {costs.late:g}."
    )
    rich.line(f"What counts most, heaviest first: {heaviest(policy.risk)}")


def _always(rich: Rich, policy: Policy) -> None:
    """Append what calls a person whatever the risk."""
    intents = (f"“{human(intent)}”" for intent in sorted(policy.desk.human_intents))
    *most, last = ("danger", "the law", "anger", *intents)
    causes = one_line(f"{', '.join(most)} and {last}", CAUSES_UNITS)
    rich.line(f"• Always on request, and for {causes}")
    customer, bot = policy.limits.customer_repeats + 1, policy.limits.bot_repeats + 1
    rich.line(
        f"• Always when a customer says the same thing {customer} times, when the bot would for "
        f"the {_ordinal(bot)} time, and when the bot does not answer"
    )
    rich.line(
        "• When a message is new to the bot or the bot is unsure what is meant, "
        "unless asking the customer may settle it"
    )


def _ordinal(number: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if number % 100 in (11, 12, 13) else ending}"


def _difference(rich: Rich, active: Policy, shadow: Policy) -> None:
    """Append what is different about the one in the shadow."""
    rich.line(_sentence(limits_in_words(shadow)))
    if shadow.risk != active.risk:
        rich.line(f"What counts most, heaviest first: {heaviest(shadow.risk)}")


def _disagreement(rich: Rich, one: Disagreement) -> None:
    rich.add(f"• “{one_line(one.message.text, SAID_UNITS)}”  ")
    rich.line(f"{DONE[one.done]}; it would have {WOULD_DO[one.verdict.action]}.")
    rich.line(f"   {one_line(reason_of(one.verdict.findings), REASON_UNITS)}", "italic")


def limits_moved(stored: StoredPolicy) -> View:
    """Return what a lead is told whose limits hold from the next message on."""
    words = limits_in_words(policy_of(stored))
    return plain(f"From the next message on: {words} (policy {stored.id}).")


def limits_now(active: Judged | None, zone: tzinfo = UTC) -> View:
    """Return the limits in force, and how a lead moves them."""
    if active is None:
        return plain(NOTHING_STORED)
    policy = policy_of(active.policy)
    limits = policy.limits
    floor, ceiling, limit = (
        share_in_words(share)
        for share in (limits.risk_floor, limits.risk_ceiling, policy.risk_limit(1.0))
    )
    rich = Rich().line("The limits of the risk", "bold")
    rich.add(f"Limit {limit}", "bold").add(": from this risk on a person is asked, ")
    rich.line("from a higher one while few people are free")
    rich.add(f"Floor {floor}", "bold").line(": the limit never falls below it")
    rich.add(f"Ceiling {ceiling}", "bold").line(": the limit never rises above it")
    rich.line(f"Policy {active.policy.id}, {_since(active.policy, zone)}", "italic")
    written = f"/limits {floor} {ceiling}".replace(" %", "%")
    rich.line().add("To move floor and ceiling: ").line(written, "code")
    rich.add("To move the limit as well: ").line(f"{written} {limit}".replace(" %", "%"), "code")
    return view_of(rich.line("5% may also be written 0.05."))


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."

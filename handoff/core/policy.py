"""The first policy: signals and limits in, action with reasons and evidence out. Pure.

Parse, then decide, then speak: `decide` runs before the bot acts, `judge_turn` looks at what the
bot would say before the customer sees it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from handoff.core.limits import REASONS_SHOWN, PolicyLimits
from handoff.core.model import Action, BotLine, Feelings, Finding, IntentScore, Parse, Reason

POLICY_VERSION = "2"
"""Grows when the same signals may lead to another decision."""

PRIORITY = tuple(Reason)
"""Reasons in the order in which an agent should read them: the order of `Reason`'s members."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What this desk has set per intent.

    `person_intents` mean "a person, please", `human_intents` must be taken by a person, and
    `unknown_intents` mean that no other intent fits: a trained one, or Rasa's FallbackClassifier.
    `courtesy_intents` are said again and again by content customers: repeating them is no sign
    that the bot does not help.
    """

    person_intents: frozenset[str] = frozenset({"contact_human_agent"})
    human_intents: frozenset[str] = frozenset({"complaint"})
    unknown_intents: frozenset[str] = frozenset({"out_of_scope", "nlu_fallback"})
    courtesy_intents: frozenset[str] = frozenset({"greet", "goodbye", "thank", "affirm", "deny"})


@dataclass(frozen=True, slots=True)
class Signals:
    """All a decision looks at.

    `mood` holds the probability of negative of the customer's earlier messages of this episode,
    oldest first. `repeats` counts earlier messages that say the same as this one. `awaiting_slot`
    is set while the bot waits for a piece of data, `pressed` when the customer pressed a button the
    bot had offered. `parse` is None when the assistant could not be reached.
    """

    parse: Parse | None
    feelings: Feelings
    mood: tuple[float, ...] = ()
    repeats: int = 0
    awaiting_slot: str | None = None
    pressed: bool = False
    unavailable_why: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome: what to do, why (weightiest first), and every figure it rests on."""

    action: Action
    findings: tuple[Finding, ...]
    evidence: dict[str, Any]


def decide(signals: Signals, limits: PolicyLimits, desk: Desk) -> Verdict:
    """Say whether the bot may answer this message, before it does anything."""
    if signals.parse is None:
        found = [Finding(Reason.BOT_UNAVAILABLE, 1, 1, signals.unavailable_why)]
    else:
        found = [
            *_requests(signals, limits, desk),
            *_feelings(signals, limits),
            *_understanding(signals, limits, desk),
            *_repetition(signals, limits, desk),
        ]
    return _verdict(found, {"signals": asdict(signals), "limits": asdict(limits)})


def judge_turn(
    lines: Sequence[BotLine], said_before: int, limits: PolicyLimits, why_silent: str = ""
) -> Verdict:
    """Say whether the bot's turn may be shown; `said_before`: how often it has said the same."""
    evidence = {"lines": len(lines), "said_before": said_before}
    if not lines:
        why = why_silent or "it said nothing"
        return _verdict([Finding(Reason.BOT_UNAVAILABLE, 1, 1, why)], evidence)
    if said_before >= limits.bot_repeats:
        repeats = Finding(Reason.BOT_REPEATS, said_before, limits.bot_repeats)
        return _verdict([repeats], evidence)
    return _verdict([], evidence)


def _verdict(found: Iterable[Finding], evidence: dict[str, Any]) -> Verdict:
    findings = tuple(sorted(found, key=lambda f: PRIORITY.index(f.reason)))
    action = Action.HAND_OFF if findings else Action.ANSWER
    return Verdict(action, findings[:REASONS_SHOWN], evidence)


def _best(signals: Signals) -> IntentScore:
    ranking = signals.parse.ranking if signals.parse else ()
    return ranking[0] if ranking else IntentScore("", 0.0)


def _requests(signals: Signals, limits: PolicyLimits, desk: Desk) -> Iterable[Finding]:
    """An explicit request is always granted; some intents always need a person."""
    best = _best(signals)
    asked = signals.feelings.asks_for_person
    enough = _enough(signals, limits.person_intent, limits)
    if best.intent in desk.person_intents and best.confidence >= enough:
        yield Finding(Reason.PERSON_REQUESTED, best.confidence, enough, best.intent)
    elif asked >= limits.asks_for_person and not signals.pressed:
        yield Finding(Reason.PERSON_REQUESTED, asked, limits.asks_for_person)
    enough = _enough(signals, limits.confidence, limits)
    if best.intent in desk.human_intents and best.confidence >= enough:
        yield Finding(Reason.SENSITIVE_INTENT, best.confidence, enough, best.intent)


def _enough(signals: Signals, limit: float, limits: PolicyLimits) -> float:
    """Return the confidence at which an intent that means a person counts.

    Never above the one at which the bot would answer: its answer to such an intent promises a
    person, and nobody would come. A reply to its own question or button it answers at any.
    """
    answers_anyway = signals.awaiting_slot or signals.pressed
    return 0.0 if answers_anyway else min(limit, limits.confidence)


def _feelings(signals: Signals, limits: PolicyLimits) -> Iterable[Finding]:
    """Anger now, or a mood that is bad and getting worse."""
    if signals.pressed:
        return
    if signals.feelings.angry >= limits.angry:
        yield Finding(Reason.ANGRY, signals.feelings.angry, limits.angry)
    recent = (*signals.mood, signals.feelings.negative)[-limits.mood_messages :]
    if len(recent) < limits.mood_messages:
        return
    level, rise = sum(recent) / len(recent), recent[-1] - recent[0]
    if level >= limits.mood_level and rise >= limits.mood_rise:
        yield Finding(Reason.MOOD_FALLING, level, limits.mood_level, f"{rise:+.2f}")


def _understanding(signals: Signals, limits: PolicyLimits, desk: Desk) -> Iterable[Finding]:
    """Unknown, unsure or torn between two; an answer to the bot's own question is none of these."""
    if signals.awaiting_slot or signals.pressed:
        return
    best = _best(signals)
    ranking = signals.parse.ranking if signals.parse else ()
    known = [s for s in ranking if s.intent not in desk.unknown_intents]
    first, second = (*known[:2], *[IntentScore("", 0.0)] * 2)[:2]
    if best.intent in desk.unknown_intents:
        # It had to be surer than the best of the intents that are known.
        yield Finding(Reason.OUT_OF_SCOPE, best.confidence, first.confidence, first.intent)
        return
    if best.confidence < limits.confidence:
        yield Finding(Reason.NOT_UNDERSTOOD, best.confidence, limits.confidence, best.intent)
        return
    margin = first.confidence - second.confidence
    if margin < limits.margin and best.confidence < limits.ambiguous_below:
        yield Finding(Reason.AMBIGUOUS, margin, limits.margin, f"{first.intent} / {second.intent}")


def is_courtesy(parse: Parse | None, desk: Desk) -> bool:
    """Say whether a message is one of those that may be said, and answered, any number of times."""
    return bool(parse and parse.ranking and parse.ranking[0].intent in desk.courtesy_intents)


def _repetition(signals: Signals, limits: PolicyLimits, desk: Desk) -> Iterable[Finding]:
    """The customer keeps saying the same thing."""
    if signals.pressed or is_courtesy(signals.parse, desk):
        return
    if signals.repeats >= limits.customer_repeats:
        yield Finding(Reason.CUSTOMER_REPEATS, signals.repeats, limits.customer_repeats)

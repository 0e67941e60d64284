"""Why a message was answered or handed over, and whether the same would be decided again."""

from __future__ import annotations

from dataclasses import dataclass

from handoff.app.policies import policy_of
from handoff.core.errors import Ambiguous, DecisionNotReplayable, NotDecided, NotFound
from handoff.core.evidence import Replayed, replay
from handoff.core.model import (
    Author,
    Decision,
    Feelings,
    IntentScore,
    Message,
    MessageStatus,
    StoredPolicy,
)
from handoff.core.policy import Signals, likely_intents
from handoff.ports import Store, Work

AMBIGUOUS_SHOWN = 5
"""How many messages are named when the beginning of an id fits several."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision with all it rests on.

    `likely` are the intents that may well have been meant. `replayed` is what came out when the
    decision was made again from stored evidence; where that is not possible it is None, and
    `refusal` says why.
    """

    message: Message
    decision: Decision
    policy: StoredPolicy | None = None
    replayed: Replayed | None = None
    likely: tuple[IntentScore, ...] = ()
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Decided:
    """A message and what was decided about it."""

    message: Message
    decision: Decision


@dataclass(slots=True)
class Explain:
    """Load what is stored about a message and decide again from it."""

    store: Store

    async def __call__(self, beginning: str) -> list[Explanation]:
        """Return the decisions about the one message whose id begins so, oldest first.

        Raises:
            NotFound: there is no such message.
            Ambiguous: there are several.
            NotDecided: it is no customer's line, or nothing was decided about it.
        """
        async with self.store() as work:
            message = await _message(work, beginning)
            decisions = await work.decisions.of_message(message.id)
            if not decisions:
                raise NotDecided(id=message.id, why=_why_not(message))
            return [await _explained(work, message, decision) for decision in decisions]

    async def newest(self, limit: int = 20) -> list[Decided]:
        """Return the messages decided last with what was decided, newest first."""
        async with self.store() as work:
            return [
                Decided(await work.messages.get(decision.message_id), decision)
                for decision in await work.decisions.latest(limit)
            ]


async def _message(work: Work, beginning: str) -> Message:
    fitting = await work.messages.beginning_with(beginning, AMBIGUOUS_SHOWN) if beginning else []
    if not fitting:
        raise NotFound(what="message", id=beginning or "without an id")
    if len(fitting) > 1:
        ids = ", ".join(message.id for message in fitting)
        raise Ambiguous(what="message", beginning=beginning, ids=ids)
    return fitting[0]


def _why_not(message: Message) -> str:
    if message.author is not Author.CUSTOMER:
        return (
            f"its author is “{message.author.value}”, and only what customers write is decided on"
        )
    if message.status is MessageStatus.RECEIVED:
        return "it still waits for its turn"
    # Whether or not somebody had claimed the conversation by then.
    return "a person had been asked for already, so that the bot left it to the agents"


async def _explained(work: Work, message: Message, decision: Decision) -> Explanation:
    policy = None
    try:
        policy = await _policy(work, decision)
        replayed = replay(decision, policy_of(policy))
    except DecisionNotReplayable as error:
        return Explanation(message, decision, policy, refusal=str(error))
    except (KeyError, TypeError) as error:
        why = f"its policy is of a form that this program no longer reads ({error!r})"
        refusal = str(DecisionNotReplayable(id=message.id, why=why))
        return Explanation(message, decision, policy, refusal=refusal)
    likely = likely_intents(Signals(message.parse, Feelings()), policy_of(policy))
    return Explanation(message, decision, policy, replayed, likely)


async def _policy(work: Work, decision: Decision) -> StoredPolicy:
    """Return the policy a decision was made by; `DecisionNotReplayable` where it is not known."""
    evidence, id = decision.evidence, decision.message_id
    if "policy" not in evidence or "outcome" not in evidence:
        version = decision.policy_version
        why = f"rules of version {version} kept neither their policy nor their outcome"
        raise DecisionNotReplayable(id=id, why=why)
    try:
        return await work.policies.get(evidence["policy"])
    except NotFound as error:
        raise DecisionNotReplayable(id=id, why=str(error).rstrip(".").lower()) from None

"""Gathering what one resolved handoff holds, inside the caller's unit of work."""

from __future__ import annotations

import re

from handoff.core.evidence import signals_from
from handoff.core.mining import Episode
from handoff.core.model import Author, Conversation, Decision, Handoff, Message
from handoff.core.policy import Desk, answers_the_bot
from handoff.ports import Work

_PLACEHOLDER = re.compile(r"Customer \S{1,6}")
"""The name `app.receive` gives to customers who gave none."""


async def collect(work: Work, handoff: Handoff, desk: Desk) -> Episode:
    """Return the episode of a handoff with everything mining looks at, by this desk's intents."""
    conversation = await work.conversations.get(handoff.conversation_id)
    lines = await work.messages.of_episode(handoff.conversation_id, handoff.episode)
    decisions: list[Decision] = []
    for line in lines:
        if line.author is Author.CUSTOMER:
            decisions += await work.decisions.of_message(line.id)
    at = next((d.message_id for d in decisions if d.id == handoff.decision_id), "")
    return Episode(
        handoff=handoff,
        lines=tuple(lines),
        at=at,
        given_data=frozenset(d.message_id for d in decisions if _gave_data(d, desk)),
        names=_names(conversation, handoff, lines),
    )


def _gave_data(decision: Decision, desk: Desk) -> bool:
    """Say by the stored evidence whether a message answered a question of the bot's form.

    Up to version 3 of the rules whatever came then was let through as an answer.
    """
    seen = decision.evidence.get("signals") or {}
    if not seen.get("awaiting_slot") or "takes_any_text" not in seen:
        return bool(seen.get("awaiting_slot"))
    return answers_the_bot(signals_from(seen), desk)


def _names(conversation: Conversation, handoff: Handoff, lines: list[Message]) -> tuple[str, ...]:
    names = {handoff.claimed_by_name, conversation.assignee_name}
    names |= {line.author_name for line in lines if line.author is not Author.BOT}
    names.add(conversation.customer_name)
    return tuple(sorted(n for n in names if n and not _PLACEHOLDER.fullmatch(n)))

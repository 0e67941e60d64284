"""Gathering what one resolved handoff holds, inside the caller's unit of work."""

from __future__ import annotations

import re

from handoff.core.mining import Episode
from handoff.core.model import Author, Conversation, Decision, Handoff, Message
from handoff.ports import Work

_PLACEHOLDER = re.compile(r"Customer \S{1,6}")
"""The name `app.receive` gives to customers who gave none."""


async def collect(work: Work, handoff: Handoff) -> Episode:
    """Return the episode of a handoff with everything mining looks at."""
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
        given_data=_slot_values(decisions),
        names=_names(conversation, handoff, lines),
    )


def _slot_values(decisions: list[Decision]) -> frozenset[str]:
    """Return the messages that answered a question of the bot's form, by the stored evidence."""
    signals = ((d.message_id, d.evidence.get("signals") or {}) for d in decisions)
    return frozenset(id for id, seen in signals if seen.get("awaiting_slot"))


def _names(conversation: Conversation, handoff: Handoff, lines: list[Message]) -> tuple[str, ...]:
    names = {handoff.claimed_by_name, conversation.assignee_name}
    names |= {line.author_name for line in lines if line.author is not Author.BOT}
    names.add(conversation.customer_name)
    return tuple(sorted(n for n in names if n and not _PLACEHOLDER.fullmatch(n)))

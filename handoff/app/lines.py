"""Adding lines to a conversation, and owing the console what it must show."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from handoff.core.model import (
    Author,
    Conversation,
    Handoff,
    Message,
    OutboxItem,
    OutboxKind,
    new_id,
)
from handoff.ports import Work

FIRST, NEXT, LAST = 0, 1, 2
"""Priorities of outgoing items: what people wait for, what informs, what is only nice to have."""


def conversation_topic(conversation_id: str) -> str:
    """Return the key of the console topic of a conversation."""
    return f"conversation:{conversation_id}"


async def add_line(
    work: Work,
    conversation: Conversation,
    author: Author,
    text: str,
    now: datetime,
    episode: int | None = None,
    **fields: Any,
) -> Message:
    """Append a line, of the conversation's episode unless told; the caller saves the
    conversation."""
    conversation.last_seq += 1
    conversation.updated_at = now
    message = Message(
        id=new_id(),
        conversation_id=conversation.id,
        episode=episode or conversation.episode,
        seq=conversation.last_seq,
        author=author,
        text=text,
        created_at=now,
        **fields,
    )
    await work.messages.add(message)
    return message


async def owe(
    work: Work,
    kind: OutboxKind,
    payload: dict[str, Any],
    dedupe_key: str,
    now: datetime,
    topic: str = "",
    priority: int = NEXT,
) -> bool:
    """Put an item into the outbox; False when it was owed already."""
    item = OutboxItem(
        id=new_id(),
        kind=kind,
        payload=payload,
        dedupe_key=dedupe_key,
        created_at=now,
        not_before=now,
        topic=topic,
        priority=priority,
    )
    return await work.outbox.put(item)


async def owe_relay(work: Work, message: Message, now: datetime) -> None:
    """Owe the agents a customer's line."""
    topic = conversation_topic(message.conversation_id)
    payload = {"message_id": message.id}
    await owe(work, OutboxKind.RELAY, payload, f"relay:{message.id}", now, topic, FIRST)


async def owe_card(work: Work, handoff: Handoff, now: datetime) -> None:
    """Owe the agents the card of a handoff, first shown or brought up to date."""
    topic = conversation_topic(handoff.conversation_id)
    payload = {"handoff_id": handoff.id}
    await owe(work, OutboxKind.CARD, payload, f"card:{new_id()}", now, topic, FIRST)


async def owe_notice(
    work: Work, conversation_id: str, text: str, dedupe_key: str, now: datetime
) -> None:
    """Owe the agents a line of plain text in the topic of a conversation."""
    topic = conversation_topic(conversation_id)
    await owe(work, OutboxKind.NOTICE, {"text": text}, f"notice:{dedupe_key}", now, topic)

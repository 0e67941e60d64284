"""A customer's message arrives: store it before anything else happens."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from handoff.app.clarify import pressed
from handoff.app.lines import add_line, owe_relay
from handoff.app.retrying import retry_stale
from handoff.core.lifecycle import Event, apply
from handoff.core.limits import HISTORY_LINES
from handoff.core.model import Author, Button, Conversation, Message, MessageStatus, State, new_id
from handoff.core.text import as_context, check_key, check_text
from handoff.ports import Clock, Doorbell, Store, Work

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Inbound:
    """A message as a channel delivers it. `client_id` makes a repeated delivery harmless.

    `context` is what the page sent along, any JSON. What cannot be kept of it is left out: a
    customer's words are worth more.
    """

    channel: str
    customer_key: str
    text: str
    client_id: str | None = None
    customer_name: str = ""
    context: Any = None


@dataclass(frozen=True, slots=True)
class Received:
    """What was stored. `known` says that this very message had been stored before."""

    conversation_id: str
    message: Message
    known: bool = False


@dataclass(slots=True)
class Receive:
    """Store a message; whoever owns the conversation gets it.

    The bot's answer is `TakeTurn`'s work: a message in state `RECEIVED` is owed a decision, and the
    sweep pays that debt when this process dies in between.
    """

    store: Store
    clock: Clock
    bell: Doorbell

    async def __call__(self, inbound: Inbound) -> Received:
        text = check_text(inbound.text)
        check_key(inbound.customer_key, "A sender")
        if inbound.client_id is not None:
            check_key(inbound.client_id, "A message identifier")
        context = context_of(inbound)
        received = await retry_stale(lambda: self._store(inbound, text, context))
        self.bell.ring(received.conversation_id)
        self.bell.ring("outbox")
        return received

    async def _store(self, inbound: Inbound, text: str, context: dict[str, Any] | None) -> Received:
        now = self.clock.now()
        async with self.store() as work:
            conversation = await conversation_of(work, inbound, now)
            if inbound.client_id is not None:
                known = await work.messages.by_client_id(conversation.id, inbound.client_id)
                if known is not None:
                    return Received(conversation.id, known, known=True)
            apply(conversation, Event.CUSTOMER_WROTE)
            owed = conversation.state is State.BOT
            button = await self._pressed(work, conversation, text)
            message = await add_line(
                work,
                conversation,
                Author.CUSTOMER,
                button.title if button and button.payload == text else text,
                now,
                client_id=inbound.client_id,
                author_name=conversation.customer_name,
                status=MessageStatus.RECEIVED if owed else MessageStatus.DONE,
                buttons=(button,) if button else (),
                context=context,
            )
            if not owed:
                await owe_relay(work, message, now)
            await work.conversations.save(conversation)
            await work.commit()
        return Received(conversation.id, message)

    async def _pressed(self, work: Work, conversation: Conversation, text: str) -> Button | None:
        """Return the button the customer chose; from here on nobody reads its payload as words."""
        start = max(0, conversation.last_seq - HISTORY_LINES)
        lines = await work.messages.after(conversation.id, start, HISTORY_LINES)
        same = [line for line in lines if line.episode == conversation.episode]
        before = [line for line in lines if line.episode == conversation.episode - 1]
        if not any(line.author is Author.CUSTOMER for line in before):
            # A greeting that nobody answered was closed for its silence; its buttons still count.
            same = [*before, *same]
        return pressed(text, same, conversation.asking)


async def conversation_of(work: Work, inbound: Inbound, now: datetime) -> Conversation:
    """Return the conversation of whoever sent this, made where there is none yet."""
    found = await work.conversations.find(inbound.channel, inbound.customer_key)
    if found is not None:
        return found
    conversation = Conversation(
        id=new_id(),
        channel=inbound.channel,
        customer_key=inbound.customer_key,
        customer_name=inbound.customer_name or f"Customer {inbound.customer_key[:6]}",
        created_at=now,
        updated_at=now,
    )
    await work.conversations.add(conversation)
    return conversation


def context_of(inbound: Inbound) -> dict[str, Any] | None:
    """Return what the page sent along as far as it can be kept."""
    try:
        return as_context(inbound.context)
    except ValueError as error:
        log.warning("metadata sent over %s was left out: %s", inbound.channel, error)
        return None

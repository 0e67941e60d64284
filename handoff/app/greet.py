"""A widget opens the chat: the assistant greets, and nobody has written anything."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass

from handoff.app.clarify import named_intent, pressed
from handoff.app.lines import add_line
from handoff.app.receive import Inbound, context_of, conversation_of
from handoff.app.retrying import retry_stale
from handoff.app.take_turn import TakeTurn, passed_along
from handoff.core.errors import AssistantUnavailable
from handoff.core.limits import HISTORY_LINES, MESSAGE_CHARACTERS
from handoff.core.model import Author, BotLine, Conversation, Message, State
from handoff.core.text import check_key
from handoff.ports import Assistant, Clock, Doorbell, Store, Work

OPENINGS = frozenset({"get_started", "greet", "session_start", "start"})
"""Intents that widgets open a chat with, unless the owner names others."""

SESSION_START = "session_start"
"""The intent by which Rasa starts a session, whatever its domain tells."""

_JSON = re.compile(r"/[^{@]+(\{.*\})", re.DOTALL)

log = logging.getLogger(__name__)


def opening(text: str, intents: frozenset[str]) -> str:
    """Return what the assistant is sent when a widget opens the chat with `text`, or nothing.

    A widget sends `/intent` or `/intent{json}`, and only intents of the owner's choice count. The
    answer is written anew, so that nothing but the intent and an object gets through; an object
    longer than a message may be is left out.
    """
    intent = named_intent(text.strip())
    if intent not in intents:
        return ""
    if len(text) > MESSAGE_CHARACTERS:
        return f"/{intent}"
    found = _JSON.fullmatch(text.strip())
    try:
        given = json.loads(found[1]) if found else {}
        return f"/{intent}{json.dumps(given, allow_nan=False)}" if given else f"/{intent}"
    except (ValueError, RecursionError):
        return f"/{intent}"


@dataclass(slots=True)
class Greet:
    """Let the assistant greet whoever has not written yet; no message, no decision, no episode.

    What it says is stored as the bot's lines, so that the buttons in it work, in the episode that
    the customer's first message will belong to, which is also what Rasa remembers it under. While a
    person has the conversation, or once the customer has written in this episode, it does nothing.
    """

    store: Store
    clock: Clock
    bell: Doorbell
    assistant: Assistant
    take_turn: TakeTurn
    intents: frozenset[str] = OPENINGS

    async def opens(self, inbound: Inbound) -> bool:
        """Say whether this only opens the chat: no word of the customer's, and no button's."""
        if not opening(inbound.text, self.intents):
            return False
        async with self.store() as work:
            conversation = await work.conversations.find(inbound.channel, inbound.customer_key)
            before = await _said(work, conversation) if conversation else []
        asking = conversation is not None and conversation.asking
        return pressed(inbound.text.strip(), before, asking) is None

    async def __call__(self, inbound: Inbound) -> str | None:
        """Greet; return the conversation where something was said, else None."""
        check_key(inbound.customer_key, "A sender")
        payload = opening(inbound.text, self.intents)
        try:
            known = (await self.assistant.domain()).intents | {SESSION_START}
            if named_intent(payload) not in known:
                return None
            conversation = await retry_stale(lambda: self._conversation(inbound))
            async with self.take_turn.alone(conversation.id):
                said = await self._greeted(conversation.id, inbound, payload)
        except AssistantUnavailable as error:
            log.warning("a customer was not greeted: %s", error)
            return None
        self.bell.ring(conversation.id)
        return conversation.id if said else None

    async def _conversation(self, inbound: Inbound) -> Conversation:
        async with self.store() as work:
            conversation = await conversation_of(work, inbound, self.clock.now())
            await work.commit()
        return conversation

    async def _greeted(self, conversation_id: str, inbound: Inbound, payload: str) -> bool:
        async with self.store() as work:
            conversation = await work.conversations.get(conversation_id)
            written = [m for m in await _said(work, conversation) if m.author is Author.CUSTOMER]
        if conversation.state not in (State.BOT, State.CLOSED) or written:
            return False
        episode = next_episode(conversation)
        sender, context = f"{conversation.id}-{episode}", context_of(inbound)
        lines = await self.assistant.respond(
            sender, payload, passed_along(conversation, episode, context)
        )
        awaiting = await self.take_turn.awaited(sender) if lines else None
        return await retry_stale(lambda: self._store(conversation_id, episode, lines, awaiting))

    async def _store(
        self, conversation_id: str, episode: int, lines: Sequence[BotLine], awaiting: str | None
    ) -> bool:
        """Store what was said, unless a person has taken over or another episode began."""
        async with self.store() as work:
            conversation = await work.conversations.get(conversation_id)
            owned = conversation.state in (State.BOT, State.CLOSED)
            if not owned or next_episode(conversation) != episode or not lines:
                return False
            for line in lines:
                await add_line(
                    work,
                    conversation,
                    Author.BOT,
                    line.text,
                    self.clock.now(),
                    episode,
                    buttons=line.buttons,
                    image=line.image,
                    extra=line.extra,
                )
            if conversation.state is State.BOT:
                conversation.awaiting_slot = awaiting
            await work.conversations.save(conversation)
            await work.commit()
        return True


def next_episode(conversation: Conversation) -> int:
    """Return the episode that the customer's next message belongs to."""
    return conversation.episode + (conversation.state is State.CLOSED)


async def _said(work: Work, conversation: Conversation) -> list[Message]:
    """Return the last lines of the episode that the customer's next message belongs to."""
    start = max(0, conversation.last_seq - HISTORY_LINES)
    lines = await work.messages.after(conversation.id, start, HISTORY_LINES)
    return [line for line in lines if line.episode == next_episode(conversation)]

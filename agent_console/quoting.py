"""What an agent's reply quotes, as far as the customer may read it.

A topic holds more than the conversation: cards, notes, notices. Only what the customer has already
seen goes back to them in a quote; for everything else the agent is told.
"""

from __future__ import annotations

from dataclasses import dataclass

from telegram import Message

from agent_console.richtext import cut, quote
from handoff.core.model import CUSTOMER_SEES
from handoff.core.model import Message as Line
from handoff.core.text import without_quotes
from handoff.ports import Store, Work

QUOTE_UNITS = 300
"""Longest quote that goes to the customer, in UTF-16 units; a longer one is cut."""

LOOK_BACK = 500
"""How many lines of the conversation are searched for a quoted text."""


@dataclass(frozen=True, slots=True)
class Quoting:
    """Finds out what a message quotes."""

    store: Store

    async def of(self, message: Message, conversation_id: str) -> tuple[str, bool]:
        """Return what to put before the text for the customer, and whether a quote was kept back.

        A reply without a chosen part quotes the whole line it answers.
        """
        if message.external_reply or message.reply_to_story:
            return "", True
        original = message.reply_to_message
        if original is None or original.message_id == message.message_thread_id:
            return "", False  # Telegram lets everything in a topic reply to the topic's beginning
        part = message.quote.text.strip() if message.quote else ""
        async with self.store() as work:
            line = await self._line(work, conversation_id, original)
            words = part or (original.text or "").strip()
            if line is not None:
                said = without_quotes(line.text) or line.text
                quoted = part if part and part in line.text else said
            else:
                quoted = words if await self._seen(work, conversation_id, words) else ""
        if not quoted.strip():
            return "", True
        return f"{quote(cut(quoted.strip(), QUOTE_UNITS))}\n\n", False

    async def _line(self, work: Work, conversation_id: str, original: Message) -> Line | None:
        """Return the line of the customer or for the customer that a message shows."""
        key = f"tg:{original.chat.id}:{original.message_id}"
        for line in (
            await work.messages.by_console_id(conversation_id, original.message_id),
            await work.messages.by_client_id(conversation_id, key),
        ):
            if line is not None and line.author in CUSTOMER_SEES:
                return line
        return None

    async def _seen(self, work: Work, conversation_id: str, words: str) -> bool:
        """Say whether the customer has seen these words: part of a long line, or of a card."""
        conversation = await work.conversations.get(conversation_id)
        start = max(0, conversation.last_seq - LOOK_BACK)
        lines = await work.messages.after(conversation_id, start, LOOK_BACK)
        return bool(words) and any(
            words in line.text for line in lines if line.author in CUSTOMER_SEES
        )

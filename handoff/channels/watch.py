"""Looking for new lines: at once when the bell rings, and every second for other processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from handoff.core.model import CUSTOMER_SEES, Author, Message
from handoff.ports import Doorbell, Work

LOOK_SECONDS = 1.0
"""Longest time between two looks, in seconds: another process cannot ring this one's bell."""


async def looks(
    bell: Doorbell, key: str, seconds: float = LOOK_SECONDS
) -> AsyncGenerator[None, None]:
    """Yield at once, then whenever `key` rings, and at the latest after `seconds`.

    Listening begins before each yield, so what happens while the caller looks is not missed.
    Close the iterator (`contextlib.aclosing`) when leaving it early.
    """
    while True:
        listening = asyncio.ensure_future(bell.wait(key, seconds))
        try:
            await asyncio.sleep(0)
            yield
            await listening
        finally:
            listening.cancel()


async def lines_after(work: Work, conversation_id: str, seq: int) -> list[Message]:
    """Return every line after `seq` in order, notes included: the cursor must pass them too."""
    found: list[Message] = []
    while page := await work.messages.after(conversation_id, seq):
        found += page
        seq = page[-1].seq
    return found


def shown(message: Message) -> bool:
    """Say whether the customer may see this line."""
    return message.author in CUSTOMER_SEES


def for_customer(message: Message) -> bool:
    """Say whether a line is one the customer sees and did not write."""
    return shown(message) and message.author is not Author.CUSTOMER

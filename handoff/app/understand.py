"""Ask an assistant what many texts mean, a few at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from handoff.core.errors import AssistantUnavailable
from handoff.core.model import IntentScore, Parse
from handoff.ports import Assistant

CONCURRENT_PARSES = 4
"""Messages in the assistant at once: while one is being classified the next is already read."""

TRIES = 3
"""How often a message is tried before the whole reading is given up."""

REPORTED_EVERY = 500
"""Messages between two reports of progress."""


async def parse_all(
    assistant: Assistant, texts: Sequence[str], progress: Callable[[str], None] | None = None
) -> list[Parse]:
    """Return what the assistant understood, in order; each different text is asked once.

    Raises:
        AssistantUnavailable: a text was not understood in `TRIES` tries.
    """
    different = dict.fromkeys(texts)
    waiting = iter(different)
    found: dict[str, Parse] = {}

    async def work() -> None:
        for text in waiting:
            found[text] = await _parse(assistant, text)
            if progress and len(found) % REPORTED_EVERY == 0:
                progress(f"{len(found)} of {len(different)} messages understood")

    workers = [asyncio.create_task(work()) for _ in range(CONCURRENT_PARSES)]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    return [found[text] for text in texts]


async def best_intents(
    assistant: Assistant, texts: Sequence[str], progress: Callable[[str], None] | None = None
) -> list[IntentScore]:
    """Return the best intent for each text, as `parse_all` does."""
    return [parse.best for parse in await parse_all(assistant, texts, progress)]


async def _parse(assistant: Assistant, text: str) -> Parse:
    for _ in range(TRIES - 1):
        try:
            return await assistant.parse(text)
        except AssistantUnavailable:
            continue
    return await assistant.parse(text)

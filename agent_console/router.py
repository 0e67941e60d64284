"""What a text in the console means: a command, or words for the customer. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

_COMMAND = re.compile(r"/([A-Za-z0-9_]{1,32})(?:@(\w+))?(?:\s+|$)")


@dataclass(frozen=True, slots=True)
class Words:
    """Text meant for the customer."""

    text: str


@dataclass(frozen=True, slots=True)
class Command:
    """A command with what stands after it."""

    name: str
    rest: str


def read(text: str, bot_name: str) -> Words | Command | None:
    """Say what `text` means; None when it is a command for another bot.

    Two slashes send a text that begins with one. Something like `/usr/bin is full`, which cannot
    be a command, is treated as one with an unknown name: better to ask than to send by mistake.
    """
    if text.startswith("//"):
        return Words(text[1:])
    if not text.startswith("/"):
        return Words(text)
    match = _COMMAND.match(text)
    if match is None:
        return Command(text[1:].split(maxsplit=1)[0][:32] if text[1:].split() else "", "")
    if match[2] and match[2].lower() != bot_name.lower():
        return None
    return Command(match[1].lower(), text[match.end() :].strip())

"""What customer text may be, and how it is made safe for those who would read it as syntax."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any

from handoff.core.errors import EmptyText, InvalidKey, TextTooLong, UnreadableText
from handoff.core.limits import CONTEXT_BYTES, CONTEXT_LEVELS, KEY_CHARACTERS, MESSAGE_CHARACTERS

_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|[\r\n]+")
"""Between two sentences: after an end mark, or at a line break."""

_QUOTED = re.compile(r"^>[^\n]*(?:\n+|$)", re.MULTILINE)
"""A quoted line, as the console passes quotes on."""


def check_text(text: str) -> str:
    """Return `text` without surrounding white space, or raise the refusal that names its fault.

    Line breaks and tabs are text; other control characters and lone surrogates are not.
    """
    trimmed = text.strip()
    if not trimmed:
        raise EmptyText()
    if len(trimmed) > MESSAGE_CHARACTERS:
        raise TextTooLong(limit=MESSAGE_CHARACTERS, length=len(trimmed))
    for character in trimmed:
        if unicodedata.category(character) in ("Cc", "Cs") and character not in "\n\t\r":
            raise UnreadableText(what=f"U+{ord(character):04X}")
    return trimmed


def check_key(key: str, what: str) -> str:
    """Return an identifier given by a channel, or raise `InvalidKey`."""
    if not 0 < len(key) <= KEY_CHARACTERS or not key.isprintable():
        raise InvalidKey(what=what, limit=KEY_CHARACTERS)
    return key


def as_context(sent: Any) -> dict[str, Any] | None:
    """Return what a page sent along with a message as an object, None where there is nothing.

    Whatever is no object comes under the name `metadata`, since Rasa keeps objects only.

    Raises:
        ValueError: it is not JSON (NaN, bytes), larger than `CONTEXT_BYTES`, or nested more deeply
            than `CONTEXT_LEVELS`.
    """
    context = sent if isinstance(sent, dict) or sent is None else {"metadata": sent}
    if _levels(context, CONTEXT_LEVELS + 1) > CONTEXT_LEVELS:
        raise ValueError(f"it is nested more than {CONTEXT_LEVELS} deep")
    try:
        size = len(json.dumps(context, allow_nan=False))
    except TypeError as error:
        raise ValueError(str(error)) from None
    if size > CONTEXT_BYTES:
        raise ValueError(f"{size} bytes of JSON, {CONTEXT_BYTES} are allowed")
    return context or None


def _levels(value: Any, most: int) -> int:
    """Return how deeply lists and objects are nested, counted up to `most`."""
    inside = value.values() if isinstance(value, dict) else value
    if most == 0 or not isinstance(value, dict | list):
        return 0
    return 1 + max((_levels(part, most - 1) for part in inside), default=0)


def without_quotes(text: str) -> str:
    """Return what was said itself: lines that begin with `>` repeat what somebody said before."""
    return _QUOTED.sub("", text).strip()


def sentences(text: str) -> list[str]:
    """Return the sentences of a message in order, divided after end marks and at line breaks."""
    return [part.strip() for part in _SENTENCE_END.split(text) if part.strip()]


def plain_for_assistant(text: str) -> str:
    """Return `text` so that Rasa reads it as words.

    Rasa takes a message beginning with `/` for an intent named by its sender
    (`YAMLStoryReader.unpack_regex_message`), which would let a customer trigger any intent or
    restart the conversation.
    """
    plain = text.strip()
    while plain.startswith("/"):
        # Rasa strips every kind of white space, so a no-break space must not shield a slash.
        plain = plain.lstrip("/").strip()
    return plain or "?"

"""What customer text may be, and how it is made safe for those who would read it as syntax."""

from __future__ import annotations

import re
import unicodedata

from handoff.core.errors import EmptyText, InvalidKey, TextTooLong, UnreadableText
from handoff.core.limits import KEY_CHARACTERS, MESSAGE_CHARACTERS

_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|[\r\n]+")
"""Between two sentences: after an end mark, or at a line break."""


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

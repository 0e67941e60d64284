"""Text for Telegram: plain characters with entities counted in UTF-16 units, cut and split well."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field

TEXT_UNITS = 4096
"""Longest message text, in UTF-16 units (Bot API)."""

CAPTION_UNITS = 1024
"""Longest caption, in UTF-16 units (Bot API)."""

TOPIC_NAME_UNITS = 128
"""Longest name of a forum topic (Bot API)."""

ALERT_UNITS = 200
"""Longest answer to a callback query (Bot API)."""

_JOINER = "\u200d"


@dataclass(frozen=True, slots=True)
class Entity:
    """A span of formatted text: Bot API type, offset and length in UTF-16 units, perhaps a link."""

    type: str
    offset: int
    length: int
    url: str | None = None


@dataclass(slots=True)
class Rich:
    """A text under construction. Nothing in it is ever read as markup."""

    text: str = ""
    entities: list[Entity] = field(default_factory=list)
    units: int = 0

    def add(self, text: str, *types: str, url: str | None = None) -> Rich:
        """Append `text`, formatted by the entity types given."""
        length = utf16_len(text)
        if length:
            self.entities += [Entity(kind, self.units, length, url) for kind in types]
        self.text += text
        self.units += length
        return self

    def line(self, text: str = "", *types: str) -> Rich:
        """Append `text` and a line break outside the formatting."""
        return self.add(text, *types).add("\n")


def as_plain(text: str, entities: Iterable[Entity], start: int = 0) -> str:
    """Return `text` from index `start` on as plain characters that keep what formatting said.

    The address of a formatted link stands in brackets behind its words, and the lines of a quote
    begin with `>`, with a blank line before what follows it.
    """
    index = _indexes(text)
    added: list[tuple[int, int, str]] = []
    spans = {(e.type, e.url, index(e.offset), index(e.offset + e.length)) for e in entities}
    for kind, url, begin, end in _joined_spans(spans):
        begin = max(begin, start)
        words = text[begin:end]
        if not words.strip():
            continue
        if kind == "text_link" and url and _address(url) != _address(words):
            behind = begin + len(words.rstrip())
            added.append((behind, 0, f" ({url.removeprefix('mailto:').removeprefix('tel:')})"))
        elif kind in ("blockquote", "expandable_blockquote"):
            behind = begin + len(words.rstrip("\n"))
            if begin > start and text[begin - 1] != "\n":
                added.append((begin, 1, "\n"))
            lines = [begin, *(begin + m.end() for m in re.finditer("\n", text[begin:behind]))]
            added += [(line, 2, "> ") for line in lines]
            rest = text[behind:]
            if rest.strip():
                breaks = len(rest) - len(rest.lstrip("\n"))
                added.append((behind, 1, "\n" * max(0, 2 - breaks)))
    plain, last = "", start
    for at, _, extra in sorted(added):
        plain += text[last:at] + extra
        last = at
    return plain + text[last:]


def _indexes(text: str):
    """Return a function from an offset in UTF-16 units to an index of `text`."""
    indexes = [i for i, c in enumerate(text) for _ in range(2 if ord(c) > 0xFFFF else 1)]
    return lambda offset: indexes[offset] if 0 <= offset < len(indexes) else len(text)


def _joined_spans(
    spans: Iterable[tuple[str, str | None, int, int]],
) -> list[tuple[str, str | None, int, int]]:
    """Return spans in order; those of one kind and address that touch each other are one.

    Telegram cuts a link or a quote in two where other formatting begins or ends inside it.
    """
    joined: list[tuple[str, str | None, int, int]] = []
    for kind, url, begin, end in sorted(spans, key=lambda s: (s[0], s[1] or "", s[2], s[3])):
        if joined and joined[-1][:2] == (kind, url) and begin <= joined[-1][3]:
            begin, end = joined[-1][2], max(end, joined.pop()[3])
        joined.append((kind, url, begin, end))
    return joined


def _address(text: str) -> str:
    """Return what makes two ways to write an address the same."""
    return re.sub(r"^(?:https?://|mailto:|tel:)", "", text.strip().casefold()).rstrip("/")


def quote(text: str) -> str:
    """Return `text` with every line marked as quoted."""
    return "\n".join(f"> {line}" for line in text.split("\n"))


def utf16_len(text: str) -> int:
    """Return the length in UTF-16 code units."""
    return len(text) + sum(ord(character) > 0xFFFF for character in text)


def one_line(text: str, units: int) -> str:
    """Return `text` on one line, cut to so many units."""
    return cut(" ".join(text.split()), units)


def cut(text: str, units: int) -> str:
    """Return `text`, or its beginning and an ellipsis where it is longer than so many units."""
    if utf16_len(text) <= units:
        return text
    kept = text[: _last_break(text, 0, units - 1)]
    return (kept.rstrip() if utf16_len(kept) < units else "") + "…"


def split(text: str, units: int = TEXT_UNITS) -> list[str]:
    """Cut `text` into pieces of at most so many units (at least 2) that join to it again.

    A piece ends after a line break or a blank where one stands in its last quarter, else between
    two characters as a reader sees them.
    """
    pieces, start = [], 0
    while start < len(text):
        end = _last_break(text, start, units)
        if end < len(text):
            end = _at_word(text, start, end)
        pieces.append(text[start:end])
        start = end
    return pieces


def _last_break(text: str, start: int, units: int) -> int:
    """Return the last index up to which `text[start:]` fits, not inside a visible character."""
    end, used = start, 0
    while end < len(text):
        used += 2 if ord(text[end]) > 0xFFFF else 1
        if used > units:
            break
        end += 1
    for index in range(end, start, -1):
        if not _joined(text, index):
            return index
    return max(end, start + 1)


def _at_word(text: str, start: int, end: int) -> int:
    """Return a better end in the last quarter of the piece: after a line break, else a blank."""
    earliest = start + (end - start) * 3 // 4
    for blank in "\n", " ":
        found = text.rfind(blank, earliest, end)
        if found >= 0 and not _joined(text, found + 1):
            return found + 1
    return end


def _joined(text: str, index: int) -> bool:
    """Say whether the characters before and at `index` are seen as one."""
    if not 0 < index < len(text):
        return False
    before, after = text[index - 1], text[index]
    if before == _JOINER or after == _JOINER or (before, after) == ("\r", "\n"):
        return True
    if unicodedata.category(after) in ("Mn", "Mc", "Me") or "\U0001f3fb" <= after <= "\U0001f3ff":
        return True
    return _is_flag_letter(after) and _flag_letters_before(text, index) % 2 == 1


def _is_flag_letter(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _flag_letters_before(text: str, index: int) -> int:
    count = 0
    while index > count and _is_flag_letter(text[index - count - 1]):
        count += 1
    return count

"""Text as Telegram keeps it: UTF-16 lengths, entities checked and found, blanks trimmed."""

from __future__ import annotations

import re
from typing import Any

from .errors import bad_request

TEXT_LIMIT = 4096
"""UTF-16 units in a message text."""
CAPTION_LIMIT = 1024
"""UTF-16 units in a caption."""
TOPIC_NAME_LIMIT = 128
"""UTF-16 units in a topic's name."""
CALLBACK_ANSWER_LIMIT = 200
"""UTF-16 units in the answer to a button press."""

Entity = dict[str, Any]

_GIVEN_TYPES = {
    "bold", "italic", "underline", "strikethrough", "spoiler", "blockquote",
    "expandable_blockquote", "code", "pre", "text_link", "text_mention", "custom_emoji",
}  # fmt: skip
_FOUND_TYPES = {
    "mention", "hashtag", "cashtag", "bot_command", "url", "email", "phone_number",
    "bank_card_number",
}  # fmt: skip
_EXTRA_FIELD = {
    "text_link": "url",
    "text_mention": "user",
    "custom_emoji": "custom_emoji_id",
}
_FOUND = (
    ("url", re.compile(r"\b(?:https?://[^\s<>\"]*[^\s<>\".,;:!?)\]]|"
                       r"(?:[\w-]+\.)+(?:com|org|net|io|dev|shop|app|de|eu|uk)\b(?:/[^\s<>\"]*)?)")),
    ("email", re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b")),
    ("mention", re.compile(r"(?<![\w@])@[A-Za-z]\w{2,31}\b")),
    ("hashtag", re.compile(r"(?<![\w#])#\w*[^\W\d]\w*")),
    ("bot_command", re.compile(r"(?<![\w/<>])/[A-Za-z0-9_]{1,64}(?:@[A-Za-z]\w{2,31})?"
                               r"(?![\w/<>])")),
)  # fmt: skip


def utf16_length(text: str) -> int:
    """Length in UTF-16 code units, the unit of every Telegram offset."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def clean_text(text: str, entities: list[Entity]) -> tuple[str, list[Entity]]:
    """Trim blanks at both ends and drop carriage returns, moving `entities` along.

    Raises ApiError (400) when an entity does not fit the text as it was given.
    """
    check_entities(text, entities)
    if "\r" in text:
        text, entities = _without_carriage_returns(text, entities)
    trimmed = text.lstrip(" \n\t")
    cut = len(text) - len(trimmed)
    trimmed = trimmed.rstrip(" \n\t")
    moved = [_clip(e, -cut, utf16_length(trimmed)) for e in entities]
    return trimmed, [e for e in moved if e["length"] > 0]


def _without_carriage_returns(text: str, entities: list[Entity]) -> tuple[str, list[Entity]]:
    kept = []
    for entity in entities:
        start, end = entity["offset"], entity["offset"] + entity["length"]
        before = _slice16(text, 0, start).count("\r")
        inside = _slice16(text, start, end).count("\r")
        kept.append({**entity, "offset": start - before, "length": entity["length"] - inside})
    return text.replace("\r", ""), kept


def _clip(entity: Entity, shift: int, total: int) -> Entity:
    start = max(0, entity["offset"] + shift)
    end = min(total, entity["offset"] + shift + entity["length"])
    return {**entity, "offset": start, "length": max(0, end - start)}


def _slice16(text: str, start: int, end: int) -> str:
    raw = text.encode("utf-16-le", "surrogatepass")
    return raw[start * 2 : end * 2].decode("utf-16-le", "surrogatepass")


def check_entities(text: str, entities: list[Entity]) -> None:
    """Refuse (400) an entity outside the text or one that cuts a character in two."""
    total = utf16_length(text)
    borders = _character_borders(text)
    for entity in entities:
        start, end = entity["offset"], entity["offset"] + entity["length"]
        if start < 0 or entity["length"] < 0 or start > total:
            raise bad_request(f"entity begins after the end of the text at UTF-16 offset {start}")
        if end > total:
            raise bad_request(
                f"entity beginning at UTF-16 offset {start} ends after the end of the text "
                f"at UTF-16 offset {end}"
            )
        if start not in borders:
            raise bad_request(f"entity begins in a middle of a UTF-16 symbol at offset {start}")
        if end not in borders:
            raise bad_request(f"entity ends in a middle of a UTF-16 symbol at offset {end}")


def _character_borders(text: str) -> set[int]:
    borders, position = {0}, 0
    for character in text:
        position += 2 if ord(character) > 0xFFFF else 1
        borders.add(position)
    return borders


def read_entities(raw: Any) -> list[Entity]:
    """The caller's `entities` as Telegram reads them: known types only, known fields only.

    Types that Telegram finds by itself are dropped. Raises ApiError (400) on anything else.
    """
    if raw is None:
        return []
    if not isinstance(raw, list):
        raise bad_request("can't parse entities: Object expected as an array")
    entities = [_read_entity(item) for item in raw]
    return [e for e in entities if e is not None]


def _read_entity(item: Any) -> Entity | None:
    if not isinstance(item, dict):
        raise bad_request("can't parse MessageEntity: expected an Object")
    kind, offset, length = item.get("type"), item.get("offset"), item.get("length")
    if not _is_int(offset) or not _is_int(length):
        raise bad_request("can't parse MessageEntity: field offset and length must be Numbers")
    if kind in _FOUND_TYPES:
        return None
    if kind not in _GIVEN_TYPES:
        raise bad_request("can't parse MessageEntity: Unsupported type specified")
    entity: Entity = {"type": kind, "offset": offset, "length": length}
    extra = _EXTRA_FIELD.get(kind)
    if extra:
        if not item.get(extra):
            raise bad_request(f"can't parse MessageEntity: Can't find field \"{extra}\"")
        entity[extra] = item[extra]
    if kind == "pre" and item.get("language"):
        entity["language"] = str(item["language"])
    if kind == "text_link" and not re.match(r"(?:\w+://)?[^\s/]+\.[^\s]+|tg://", str(item["url"])):
        raise bad_request(f"entity URL '{item['url']}' is invalid: Wrong HTTP URL")
    return entity


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def find_entities(text: str, given: list[Entity]) -> list[Entity]:
    """`given` plus the links, mentions, hashtags and commands Telegram marks by itself."""
    taken = [
        (e["offset"], e["offset"] + e["length"])
        for e in given
        if e["type"] in ("code", "pre", "text_link", "text_mention", "custom_emoji")
    ]
    found = list(given)
    for kind, pattern in _FOUND:
        for match in pattern.finditer(text):
            start = utf16_length(text[: match.start()])
            end = start + utf16_length(match.group())
            if all(end <= a or start >= b for a, b in taken):
                found.append({"type": kind, "offset": start, "length": end - start})
                taken.append((start, end))
    return sorted(found, key=lambda e: (e["offset"], -e["length"], e["type"]))

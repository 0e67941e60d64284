"""What a button carries: an opaque `v1:action:id:version`, at most 64 bytes.

`id` names a record, `version` the stage of it that the button was drawn for. Some actions need to
say which of several choices was meant: they carry it as a fifth part, a page number or the short
digest of an intent's name.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

DATA_BYTES = 64
"""Longest callback data (Bot API)."""

_FORM = re.compile(r"v1:([a-z_]{1,10}):([0-9a-zA-Z-]{1,36}):(\d{1,6})(?::([0-9a-z]{1,8}))?")


class BadCallback(ValueError):
    """The data of a button that this console did not make, or makes no longer."""


class Do(StrEnum):
    """What a button does; the value stands in its data."""

    CLAIM = "claim"
    RELEASE = "release"
    BOT = "bot"
    RESOLVE = "resolve"
    REOPEN = "reopen"
    TRUTH = "truth"
    PICK = "pick"
    NEW_TOPIC = "newtopic"
    DO_NOT_LEARN = "nolearn"
    NEEDED = "needed"
    NOT_NEEDED = "needless"
    CHANGE = "change"
    ACCEPT = "accept"
    ACCEPT_AS = "acceptas"
    PICK_LABEL = "picklabel"
    REJECT = "reject"
    LEARN = "learn"
    SEND_AGAIN = "sendagain"
    SWITCH_ON = "policyon"
    DROP = "policydrop"


@dataclass(frozen=True, slots=True)
class Callback:
    """A decoded button: what to do, to which record, drawn for which stage, with which choice."""

    do: Do
    id: str
    version: int = 0
    choice: str = ""

    def encode(self) -> str:
        """Return the callback data; raise `BadCallback` when a part has not the right form."""
        data = f"v1:{self.do.value}:{self.id}:{self.version}"
        if self.choice:
            data += f":{self.choice}"
        if len(data.encode()) > DATA_BYTES or not _FORM.fullmatch(data):
            raise BadCallback(f"a button cannot carry {data!r}")
        return data


def decode(data: object) -> Callback:
    """Return what `data` means; raise `BadCallback` on anything this console does not make."""
    match = _FORM.fullmatch(data) if isinstance(data, str) and data.isascii() else None
    if match is None:
        raise BadCallback("malformed")
    try:
        do = Do(match[1])
    except ValueError:
        raise BadCallback("unknown") from None
    return Callback(do, match[2], int(match[3]), match[4] or "")


def digest(intent: str) -> str:
    """Return the short form of an intent's name that fits into a button: 8 hexadecimal digits."""
    return f"{zlib.crc32(intent.encode()):08x}"


def intent_of(choice: str, intents: Iterable[str]) -> str:
    """Return the one intent with this digest; raise `BadCallback` when it is known no longer."""
    found = {intent for intent in intents if digest(intent) == choice}
    if len(found) != 1:
        raise BadCallback("stale")
    return found.pop()

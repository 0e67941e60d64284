"""What Rasa's two channels share: which widgets are let in, as whom, and what they send."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import jwt
from pydantic import BaseModel, ConfigDict

from handoff.app import phrases
from handoff.app.greet import OPENINGS
from handoff.core.errors import DeskError
from handoff.core.limits import KEY_CHARACTERS

WIDGET_BYTES = 1_000_000
"""Largest message of a widget, in bytes, as python-socketio has it and so Rasa."""

_BETWEEN_PARAGRAPHS = re.compile(r"\n(?:[^\S\n]*\n)+")


class NotSigned(DeskError):
    """This needs a valid token signed with the key of this desk: Authorization: Bearer, or auth."""

    status = 401


class FromWidget(BaseModel):
    """What a widget sends with a message. Rasa reads the fields it knows and no others.

    `customData` is what rasa-webchat calls its metadata.
    """

    model_config = ConfigDict(extra="ignore", strict=True)

    message: str | None = None
    metadata: Any = None
    customData: Any = None

    @property
    def words(self) -> str:
        """Return the message, empty where there is none, as text a customer can have written.

        Rasa takes any characters, and what was pasted from a document may hold odd ones.
        """
        return "".join(map(_readable, self.message or "")).strip()

    @property
    def context(self) -> Any:
        """Return metadata and `customData` in one; of a name in both the metadata's value."""
        sent, data = self.metadata, self.customData
        if sent is None or data is None:
            return data if sent is None else sent
        if isinstance(sent, dict) and isinstance(data, dict):
            return {**data, **sent}
        return {"metadata": sent, "customData": data}


def _readable(character: str) -> str:
    kind = unicodedata.category(character)
    if kind == "Cs":
        return "\N{REPLACEMENT CHARACTER}"
    return " " if kind == "Cc" and character not in "\n\t\r" else character


@dataclass(frozen=True, slots=True)
class Senders:
    """Who a widget's customer is.

    Without a key it is whoever the widget names. With one (Rasa's `jwt_key` and `jwt_method`) each
    client shows a token, and a token that names a subject opens the conversations of this subject
    alone: its claim `sub`, or `user.username` as in the tokens of Rasa's own API.
    """

    jwt_key: str = field(default="", repr=False)
    jwt_method: str = "HS256"

    def check(self) -> None:
        """Raise ValueError, with a sentence that tells nothing of it, for a key that is none."""
        if not self.jwt_key:
            return
        try:
            jwt.get_algorithm_by_name(self.jwt_method).prepare_key(self.jwt_key)
        except (jwt.PyJWTError, ValueError, TypeError):
            raise ValueError(f"it is no key that {self.jwt_method} checks tokens with") from None

    def subject(self, token: object) -> str:
        """Return whose token this is, empty where it names nobody or none is asked for.

        Raises:
            NotSigned: a token is asked for, and this is none, or not a valid one.
        """
        if not self.jwt_key:
            return ""
        if not isinstance(token, str):
            raise NotSigned()
        signed = token.removeprefix("Bearer ").strip()
        try:
            claims = jwt.decode(signed, self.jwt_key, algorithms=[self.jwt_method])
        except (jwt.PyJWTError, ValueError):
            # Neither the token nor why it is wrong: the one opens a conversation, the other helps
            # whoever forges.
            raise NotSigned() from None
        user = claims.get("user")
        named = user.get("username") if isinstance(user, Mapping) else None
        return str(claims.get("sub") or named or "")

    def key(self, sender: str, subject: str) -> str:
        """Return under what key the desk keeps this sender's conversation.

        Within one subject each sender is a customer of its own, as without tokens. A subject whose
        client sends it as the sender too keeps it as its key. What a client without a subject calls
        itself never meets the name of one: no subject's key begins with a colon.
        """
        if not self.jwt_key:
            return _storable(sender)
        whose = quote(subject, safe="@+ ", errors="surrogatepass")
        if subject and sender in ("", subject):
            return _storable(whose)
        return _storable(f"{whose}:{quote(sender, errors='surrogatepass')}")


def _storable(sender: str) -> str:
    """Return a sender as the desk can keep it; Rasa takes any text of any length."""
    if 0 < len(sender) <= KEY_CHARACTERS and sender.isprintable():
        return sender
    return "sha256:" + hashlib.sha256(sender.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class WidgetOptions:
    """What the owner decides about Rasa's channels.

    `origins` are whose pages may use them (`*`: any), `openings` the intents a widget may open the
    chat with. `acknowledgement` answers a customer of the REST channel while a person has the
    conversation and nothing else is to be said; empty, nothing does.
    """

    origins: tuple[str, ...] = ()
    senders: Senders = Senders()
    openings: frozenset[str] = OPENINGS
    acknowledgement: str = phrases.PASSED_ON


def message_id(context: Any, channel: str) -> str | None:
    """Return the sender's own identifier of a message, in the name space of its channel.

    It is `metadata.message_id`; what could be none is somebody else's field of that name.
    """
    given = context.get("message_id") if isinstance(context, Mapping) else None
    if isinstance(given, bool) or not isinstance(given, str | int):
        return None
    own = f"{channel}:{given}"
    return own if len(own) <= KEY_CHARACTERS and own.isprintable() and given != "" else None


def paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a line, none of them empty; Rasa makes a message of each."""
    found = (part.rstrip() for part in _BETWEEN_PARAGRAPHS.split(text.strip()))
    return [part for part in found if part]

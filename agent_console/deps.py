"""What the console is given, and what its parts share."""

from __future__ import annotations

import re
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, tzinfo
from typing import Any

from agent_console.richtext import Entity
from agent_console.views import Key, Rows, View
from handoff.core.model import Person
from handoff.ports import Clock, Doorbell, Store

OUTBOX = "outbox"
"""The doorbell that rings when something is owed to Telegram."""

CONVERSATION = "conversation:"
"""Beginning of the key of a conversation's topic; the rest is its id."""

REVIEW, DIGEST = "review", "digest"
"""Keys of the topics of the nightly learning."""


@dataclass(slots=True)
class ConsoleDeps:
    """Everything the console needs from outside.

    `api_url` is the Bot API server without `/bot`, `per_minute` the calls a minute the group's
    budget allows. `group_given` says that somebody has set the group's number. `request_learning`
    asks for a learning run and returns a sentence to show.
    `shown_fields` are the names of what a card tells of that which the customer's page sent along.
    `send_seconds` is the longest wait for an answer to a call, `poll_seconds` the length of a long
    poll, both in seconds.
    """

    store: Store
    clock: Clock
    bell: Doorbell
    people: Mapping[int, Person]
    group_id: int
    token: str = field(repr=False)
    api_url: str
    per_minute: int
    known_intents: Callable[[], Sequence[str]]
    request_learning: Callable[[], Awaitable[str]]
    zone: tzinfo = UTC
    shown_fields: Sequence[str] = ()
    group_given: bool = True
    send_seconds: float = 10.0
    poll_seconds: int = 20

    def redacted(self, text: str) -> str:
        """Return `text` without the bot's token, whole or in the form of an address."""
        text = text.replace(self.token, "TOKEN")
        return re.sub(r"/bot\d+:[\w-]+", "/botTOKEN", text)

    def sentence(self, error: BaseException) -> str:
        """Return an error as one line for the log, without the token."""
        return self.redacted(f"{type(error).__name__}: {error}")

    def trace(self, error: BaseException) -> str:
        """Return an error with its traceback, without the token."""
        return self.redacted("".join(traceback.format_exception(error)))


def view_payload(view: View) -> dict[str, Any]:
    """Return a view as the part of an outbox payload that `payload_view` reads."""
    payload: dict[str, Any] = {"text": view.text}
    if view.entities:
        payload["entities"] = [asdict(entity) for entity in view.entities]
    if view.rows:
        payload["buttons"] = [[[k.text, k.data] for k in row] for row in view.rows]
    return payload


def payload_view(payload: Mapping[str, Any]) -> View:
    """Return the view that an outbox payload carries."""
    entities = tuple(Entity(**entity) for entity in payload.get("entities", ()))
    rows: Rows = tuple(
        tuple(Key(text, data) for text, data in row) for row in payload.get("buttons", ())
    )
    return View(payload["text"], entities, rows)


def conversation_of(topic_key: str) -> str | None:
    """Return the id of the conversation a topic key belongs to, or None."""
    if not topic_key.startswith(CONVERSATION):
        return None
    return topic_key.removeprefix(CONVERSATION)

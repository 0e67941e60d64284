"""The page's own channel: sessions, messages, and a stream of events that resumes.

`POST /v1/chat/sessions`, `POST` and `GET /v1/chat/{session}/messages`,
`GET /v1/chat/{session}/events`. A session is the customer's key: whoever knows it reads the
conversation, so it is made here, unguessable, and never logged.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse

from handoff.app.receive import Inbound
from handoff.channels.http import Ascii, Strict, cursor, read_json
from handoff.channels.turns import Turns
from handoff.channels.watch import lines_after, looks, shown
from handoff.core.errors import DeskError
from handoff.core.model import Author, Conversation, Message, State, new_id
from handoff.core.text import check_key
from handoff.ports import Clock, Doorbell, Store

CHANNEL = "web"
PREFIX = "/v1/chat"
STATIC = Path(__file__).parent / "static"

HEARTBEAT_SECONDS = 10.0
"""A silent stream says so often that it is alive, in seconds. Proxies close silent streams, and the
widget takes one that was silent for longer than two of these for dead and connects again."""

RETRY_MILLISECONDS = 1000
"""How soon a browser should connect again by itself, in milliseconds."""

CONTENT_SECURITY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src * data:; object-src 'none'; "
    "base-uri 'none'; form-action 'none'"
)
"""What the shop's page may load. Inline styles are for browsers before Safari 16.4, in which the
widget cannot make its style sheet by script alone."""


class UnknownSession(DeskError):
    """This chat session is not known here. Start a new one."""

    status = 404


class NewMessage(Strict):
    """What the customer sends; `client_id` makes sending it again harmless.

    `metadata` is any JSON that the assistant's actions, and the agents, shall know.
    """

    text: str
    client_id: str | None = None
    metadata: Any = None


class NoFields(Strict):
    """A body without any field."""


@dataclass(slots=True)
class PageChannel:
    """The endpoints of the page and of the widget."""

    store: Store
    clock: Clock
    bell: Doorbell
    turns: Turns
    _streams: Counter[str] = field(default_factory=Counter)
    _hung_up: bool = False

    def hang_up(self) -> None:
        """End every event stream; browsers connect again by themselves."""
        self._hung_up = True
        for conversation_id in list(self._streams):
            self.bell.ring(conversation_id)

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter()
        router.add_api_route(f"{PREFIX}/sessions", self.open_session, methods=["POST"])
        messages = f"{PREFIX}/{{session}}/messages"
        router.add_api_route(messages, self.send, methods=["POST"])
        router.add_api_route(messages, self.read, methods=["GET"])
        router.add_api_route(f"{PREFIX}/{{session}}/events", self.events, methods=["GET"])
        for path, name in (
            ("/", "shop.html"),
            ("/shop.css", "shop.css"),
            ("/widget.js", "widget.js"),
        ):
            router.add_api_route(path, _file(name), methods=["GET", "HEAD"])
        return router

    async def open_session(self, request: Request) -> JSONResponse:
        """Make a conversation and return its session; the only place where one is made."""
        if request.headers.get("content-length", "0") != "0":
            await read_json(request, NoFields)
        id, now, session = new_id(), self.clock.now(), secrets.token_urlsafe(32)
        conversation = Conversation(
            id=id,
            channel=CHANNEL,
            customer_key=session,
            customer_name=f"Visitor {id[:4]}",
            created_at=now,
            updated_at=now,
        )
        async with self.store() as work:
            await work.conversations.add(conversation)
            await work.commit()
        return JSONResponse({"session": session}, status_code=201)

    async def send(self, session: str, request: Request) -> JSONResponse:
        """Store a message and answer 202; the bot's turn goes on in the background."""
        await self._conversation(session)
        body = await read_json(request, NewMessage)
        client_id = None
        if body.client_id is not None:
            client_id = f"{CHANNEL}:{check_key(body.client_id, 'A client_id')}"
        inbound = Inbound(CHANNEL, session, body.text, client_id, context=body.metadata)
        received = await self.turns.receive(inbound)
        self.turns.start(received)
        return JSONResponse(
            {"id": received.message.id, "seq": received.message.seq, "known": received.known},
            status_code=202,
        )

    async def read(self, session: str, after: str | None = None) -> Ascii:
        """Return the lines after `after`, who owns the conversation, and the new cursor."""
        seen = cursor(after)
        conversation = await self._conversation(session)
        async with self.store() as work:
            lines = await lines_after(work, conversation.id, seen)
        return Ascii(
            {
                "messages": [as_json(line) for line in lines if shown(line)],
                "after": lines[-1].seq if lines else seen,
                "owner": self._owner(conversation),
            }
        )

    async def events(
        self, session: str, request: Request, after: str | None = None
    ) -> StreamingResponse:
        """Stream lines after Last-Event-ID (or `after`), and every change of owner or typing."""
        seen = cursor(request.headers.get("last-event-id") or after)
        conversation = await self._conversation(session)
        return StreamingResponse(
            self._stream(conversation.id, seen),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    async def _stream(self, conversation_id: str, seen: int) -> AsyncIterator[str]:
        """Lines first, then the owner, so that "Ana has joined" stands before she writes."""
        yield f"retry: {RETRY_MILLISECONDS}\n\n"
        told, spoke = "", time.monotonic()
        async with self._counted(conversation_id) as looking:
            async for _ in looking:
                if self._hung_up:
                    return
                async with self.store() as work:
                    conversation = await work.conversations.get(conversation_id)
                    lines = await lines_after(work, conversation_id, seen)
                out = ""
                for line in lines:
                    seen = line.seq
                    if shown(line):
                        out += f"id: {seen}\n" + event("message", as_json(line))
                owner = event("owner", self._owner(conversation))
                if owner != told:
                    told, out = owner, out + owner
                if not out and time.monotonic() - spoke >= HEARTBEAT_SECONDS:
                    # An event, since a browser keeps comments from the page.
                    out = event("alive", {})
                if out:
                    spoke = time.monotonic()
                    yield out

    @asynccontextmanager
    async def _counted(self, conversation_id: str) -> AsyncIterator[AsyncIterator[None]]:
        """Look for news of a conversation, known to `hang_up` while it goes on."""
        self._streams[conversation_id] += 1
        try:
            async with aclosing(looks(self.bell, conversation_id)) as looking:
                yield looking
        finally:
            self._streams -= Counter((conversation_id,))

    def _owner(self, conversation: Conversation) -> dict[str, Any]:
        person = conversation.assignee_name if conversation.state is State.AGENT else ""
        typing = self.turns.typing(conversation.id)
        return {"state": conversation.state.value, "person": person, "typing": typing}

    async def _conversation(self, session: str) -> Conversation:
        async with self.store() as work:
            found = await work.conversations.find(CHANNEL, session)
        if found is None:
            raise UnknownSession()
        return found


def _file(name: str):
    """Return an endpoint that serves one of the page's own files."""

    async def serve() -> FileResponse:
        headers = {
            "Cache-Control": "no-cache",
            "Content-Security-Policy": CONTENT_SECURITY,
            "X-Content-Type-Options": "nosniff",
        }
        if name == "widget.js":
            headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        return FileResponse(STATIC / name, headers=headers)

    return serve


def as_json(message: Message) -> dict[str, Any]:
    """Return a line as the page reads it."""
    line: dict[str, Any] = {
        "seq": message.seq,
        "author": message.author.value,
        "name": message.author_name if message.author is Author.AGENT else "",
        "text": message.text,
        "at": message.created_at.isoformat(),
        "buttons": [{"title": b.title, "payload": b.payload} for b in message.buttons],
        "image": message.image,
        **(message.extra or {}),
    }
    if message.author is Author.CUSTOMER:
        line["buttons"] = []  # the one that was chosen is no choice any more
        if message.client_id:
            line["client_id"] = message.client_id.removeprefix(f"{CHANNEL}:")
    return line


def event(name: str, data: dict[str, Any]) -> str:
    """Return a server-sent event; JSON without line breaks, so that no text can end it early."""
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"


class HideSessions(logging.Filter):
    """Takes sessions out of the access log: knowing one is reading the conversation."""

    _session = re.compile(rf"({re.escape(PREFIX)}/)(?!sessions\b)[^/?\s]+")

    def filter(self, record: logging.LogRecord) -> bool:
        """Replace the session in the message and in its arguments; keep every record."""
        record.msg = self._hide(record.msg)
        if isinstance(record.args, tuple):
            record.args = tuple(self._hide(argument) for argument in record.args)
        return True

    def _hide(self, value: Any) -> Any:
        return self._session.sub(r"\1…", value) if isinstance(value, str) else value

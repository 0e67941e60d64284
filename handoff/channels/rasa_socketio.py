"""Rasa's Socket.IO channel, with and without session persistence, so that existing widgets work.

Faithful to `rasa/core/channels/socketio.py` of Rasa 3.6: `session_request` → `session_confirm`,
`user_uttered` → `bot_uttered`; a client that asks for no session is known by its connection. What
the desk adds: lines of agents and of the desk come as `bot_uttered` too, `metadata` says whose they
are, and lines written while nobody was connected are delivered with the next connection.

A line counts as delivered once a client has answered a ping that was sent after it. Every client of
the protocol answers pings, in order, while none of Rasa's acknowledges an event. So what went to a
connection that had just died is sent again to the next one of its session, and to no other.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import defaultdict, deque
from collections.abc import Coroutine
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Any

import socketio
from engineio.exceptions import SocketIsClosedError
from engineio.packet import PING, PONG, Packet
from fastapi import APIRouter
from pydantic import field_validator
from starlette.types import ASGIApp

from handoff.app.receive import Inbound
from handoff.app.retrying import retry_stale
from handoff.channels.http import checked
from handoff.channels.turns import Turns
from handoff.channels.watch import for_customer, lines_after, looks
from handoff.channels.widgets import (
    WIDGET_BYTES,
    FromWidget,
    NotSigned,
    WidgetOptions,
    message_id,
    paragraphs,
)
from handoff.core.errors import DeskError, EmptyText
from handoff.core.model import Author, Conversation, Message, new_id
from handoff.ports import Doorbell, Store

CHANNEL = "socketio"
PATH = "/socket.io"
NAMESPACE = "/"

PING_SECONDS = 10
"""How often a client must show that it is there, and how long it may take, in seconds. Shorter
than the protocol's default: a line waits for so long on a connection that is dead but not known to
be so."""

log = logging.getLogger(__name__)


class SessionRequest(FromWidget):
    """Asks for a session, or for the one the client had before."""

    session_id: Any = None


class UserUttered(FromWidget):
    """A message of a session, or of the connection where none is named."""

    session_id: Any = None

    @field_validator("metadata", mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        """Return metadata, which Rasa also takes as JSON text; any other text is metadata too."""
        try:
            return json.loads(value) if isinstance(value, str) else value
        except (ValueError, RecursionError):
            return value


@dataclass(slots=True)
class _Connection:
    """A client: its session, and how far each conversation's lines have reached it.

    `emitted` is the last line handed to the connection, by conversation; `pings` holds, for each
    ping that is not answered yet, what had been emitted before it.
    """

    sid: str
    subject: str
    named: str = ""
    keys: set[str] = field(default_factory=set)
    emitted: dict[str, int] = field(default_factory=dict)
    pings: deque[dict[str, int]] = field(default_factory=deque)
    answered: dict[str, int] = field(default_factory=dict)


class RasaSocketChannel:
    """A Socket.IO server; one task a customer pushes new lines to each of its connections."""

    def __init__(
        self,
        store: Store,
        bell: Doorbell,
        turns: Turns,
        options: WidgetOptions | None = None,
    ) -> None:
        self._store = store
        self._bell = bell
        self._turns = turns
        self._options = options or WidgetOptions()
        self._connections: dict[str, _Connection] = {}
        self._present: defaultdict[str, dict[str, _Connection]] = defaultdict(dict)
        self._pushing: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._greeting: set[asyncio.Task[None]] = set()
        # Handlers run one after the other, so that two quick messages are stored as sent. Origins
        # are not this server's business, as in Rasa: `cors.Cors` stands before it.
        self.server = socketio.AsyncServer(
            async_mode="asgi",
            cors_allowed_origins=[],
            async_handlers=False,
            max_http_buffer_size=WIDGET_BYTES,
            ping_interval=PING_SECONDS,
            ping_timeout=PING_SECONDS,
        )
        self.server.on("connect", self._on_connect)
        self.server.on("disconnect", self._on_disconnect)
        self.server.on("session_request", self._on_session_request)
        self.server.on("user_uttered", self._on_user_uttered)

    def around(self, app: ASGIApp) -> ASGIApp:
        """Return `app` with this server at `PATH`, with or without a slash at its end."""
        return socketio.ASGIApp(self.server, app, socketio_path=PATH)

    def router(self) -> APIRouter:
        """Return the health route of Rasa's blueprint."""
        router = APIRouter(prefix="/webhooks/socketio")
        for end in ("", "/"):
            router.add_api_route(end, self.health, methods=["GET"])
        return router

    async def health(self) -> dict[str, str]:
        """Say that the channel is there."""
        return {"status": "ok"}

    async def hang_up(self) -> None:
        """Disconnect every client; they connect again by themselves."""
        for sid in list(self._connections):
            await self.server.disconnect(sid)

    async def close(self) -> None:
        """End every push, and let what is being noted be noted."""
        ended = [*self._pushing.values(), *self._greeting]
        for task in ended:
            task.cancel()
        await asyncio.gather(*ended, *self._tasks, return_exceptions=True)

    def present(self, session: str) -> bool:
        """Say whether any client of this session is connected to this process."""
        return bool(self._present.get(session))

    # --- what clients send -----------------------------------------------------------------------

    async def _on_connect(self, sid: str, environ: dict[str, Any], auth: Any = None) -> bool:
        try:
            token = auth.get("token") if isinstance(auth, dict) else None
            subject = self._options.senders.subject(token)
        except NotSigned:
            return False
        self._connections[sid] = _Connection(sid, subject)
        self._hear_pongs(self._connections[sid])
        return True

    async def _on_disconnect(self, sid: str, reason: str = "") -> None:
        connection = self._connections.pop(sid, None)
        for key in connection.keys if connection else ():
            self._present[key].pop(sid, None)
            if not self._present[key]:
                del self._present[key]

    async def _on_session_request(self, sid: str, data: Any = None) -> dict[str, Any]:
        try:
            asked = checked({} if data is None else data, SessionRequest).session_id
        except DeskError as error:
            return await self._refuse(sid, error)
        connection = self._connections[sid]
        confirmed = new_id() if asked in (None, "") else asked
        connection.named = str(confirmed)
        await self.server.emit("session_confirm", confirmed, to=sid)
        await self._push_to(self._enter(connection, connection.named))
        return {"session_id": confirmed}

    async def _on_user_uttered(self, sid: str, data: Any = None) -> dict[str, Any]:
        try:
            uttered = checked(data, UserUttered)
        except DeskError as error:
            return await self._refuse(sid, error)
        connection = self._connections[sid]
        session = uttered.session_id or connection.named or connection.subject or sid
        key = self._enter(connection, str(session))
        client_id = message_id(uttered.context, CHANNEL)
        inbound = Inbound(CHANNEL, key, uttered.words, client_id, context=uttered.context)
        if not inbound.text:
            # So rasa-webchat opens the chat where its owner set no payload: nobody need hear.
            return {"error": str(EmptyText())}
        greeting = await self._turns.greet(inbound)
        if greeting is not None:
            waiting = asyncio.create_task(self._when_greeted(greeting, key))
            self._greeting.add(waiting)
            waiting.add_done_callback(self._greeting.discard)
            return {}
        try:
            received = await self._turns.receive(inbound)
        except DeskError as error:
            # Widgets know no other event, and the customer wants to know.
            said = {"text": str(error), "metadata": {"author": Author.SYSTEM.value, "name": ""}}
            await self.server.emit("bot_uttered", said, to=sid)
            return await self._refuse(sid, error)
        self._turns.start(received)
        await self._push_to(key)
        return {"id": received.message.id, "seq": received.message.seq}

    async def _when_greeted(self, greeting: asyncio.Task[str | None], key: str) -> None:
        if await greeting:
            await self._push_to(key)

    async def _refuse(self, sid: str, error: DeskError) -> dict[str, Any]:
        refusal = {"error": str(error)}
        await self.server.emit("refused", refusal, to=sid)
        return refusal

    def _enter(self, connection: _Connection, session: str) -> str:
        """Let a connection hear of a session; return the key of its customer."""
        key = self._options.senders.key(session, connection.subject)
        connection.keys.add(key)
        self._present[key][connection.sid] = connection
        return key

    # --- what clients are sent -------------------------------------------------------------------

    async def _push_to(self, key: str) -> None:
        """See that a task pushes to this customer, once there is a conversation."""
        if key in self._pushing:
            # The push that goes on looks at once whether whoever came has missed something.
            self._bell.ring(self._pushing[key].get_name())
            return
        async with self._store() as work:
            conversation = await work.conversations.find(CHANNEL, key)
        if conversation is None or key in self._pushing:
            return
        task = asyncio.create_task(self._push(key, conversation.id), name=conversation.id)
        self._pushing[key] = task
        task.add_done_callback(lambda done: self._pushed(key, done))

    def _pushed(self, key: str, task: asyncio.Task[None]) -> None:
        if self._pushing.get(key) is task:
            del self._pushing[key]
        if not task.cancelled() and task.exception() is not None:
            log.error("pushing lines failed; they come with the next connection or message")

    async def _push(self, key: str, conversation_id: str) -> None:
        """Push what is new for as long as somebody is there."""
        async with aclosing(looks(self._bell, conversation_id)) as looking:
            async for _ in looking:
                if not self.present(key):
                    # In one step with the check: whoever comes now finds no push and starts one.
                    self._pushing.pop(key, None)
                    return
                async with self._store() as work:
                    conversation = await work.conversations.get(conversation_id)
                    there = list(self._present.get(key, {}).values())
                    begin = min((_start(c, conversation) for c in there), default=0)
                    # Whoever was there may have gone while the database was asked.
                    lines = await lines_after(work, conversation_id, begin) if there else []
                for connection in there:
                    await self._emit(connection, conversation, lines)

    async def _emit(
        self, connection: _Connection, conversation: Conversation, lines: list[Message]
    ) -> None:
        """Emit what is new to this connection, then ask whether it has arrived."""
        start = _start(connection, conversation)
        connection.emitted.setdefault(conversation.id, start)
        asks = False
        for line in lines:
            if line.seq <= start:
                continue
            if for_customer(line):
                asks = True
                for payload in as_bot_uttered(line):
                    await self.server.emit("bot_uttered", payload, to=connection.sid)
            connection.emitted[conversation.id] = line.seq
        if asks and connection.sid in self._connections:
            # One that has closed in this moment asks for its lines when it connects again.
            with suppress(SocketIsClosedError):
                await self.server.eio.send_packet(self._below(connection), Packet(PING))

    # --- what has arrived ------------------------------------------------------------------------

    def _below(self, connection: _Connection) -> Any:
        """Return the name of the Engine.IO connection below."""
        return self.server.manager.eio_sid_from_sid(connection.sid, NAMESPACE)

    def _hear_pongs(self, connection: _Connection) -> None:
        """Note what each ping asks about, and what its answer therefore says has arrived."""
        transport = self.server.eio.sockets[self._below(connection)]
        send, receive = transport.send, transport.receive
        if transport.last_ping:
            connection.pings.append({})  # one is under way and asks about nothing

        async def send_noting(packet: Packet) -> None:
            if packet.packet_type == PING:
                connection.pings.append(dict(connection.emitted))
            await send(packet)

        async def receive_noting(packet: Packet) -> None:
            if packet.packet_type == PONG and connection.pings:
                self._arrived(connection, connection.pings.popleft())
            await receive(packet)

        transport.send, transport.receive = send_noting, receive_noting

    def _arrived(self, connection: _Connection, reached: dict[str, int]) -> None:
        for conversation_id, seq in reached.items():
            if seq > connection.answered.get(conversation_id, 0):
                connection.answered[conversation_id] = seq
                self._hold(self._mark(conversation_id, seq))

    async def _mark(self, conversation_id: str, seq: int) -> None:
        async def attempt() -> None:
            async with self._store() as work:
                conversation = await work.conversations.get(conversation_id)
                if seq > conversation.delivered_seq:
                    conversation.delivered_seq = seq
                    await work.conversations.save(conversation)
                    await work.commit()

        await retry_stale(attempt)

    def _hold(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._let_go)

    def _let_go(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a mark was not moved; its lines come again with the next connection")


def _start(connection: _Connection, conversation: Conversation) -> int:
    """Return the last line this connection has, or needs not be given."""
    return connection.emitted.get(conversation.id, conversation.delivered_seq)


def as_bot_uttered(line: Message) -> list[Any]:
    """Return the `bot_uttered` payloads of a line as Rasa's output channel sends them."""
    payloads: list[Any] = [{"text": paragraph} for paragraph in paragraphs(line.text)]
    if line.buttons:
        payloads = payloads or [{"text": ""}]
        for payload in payloads:
            payload["quick_replies"] = []
        payloads[-1]["quick_replies"] = [
            {"content_type": "text", "title": b.title, "payload": b.payload} for b in line.buttons
        ]
    if line.image:
        payloads.append({"attachment": {"type": "image", "payload": {"src": line.image}}})
    for name, value in (line.extra or {}).items():
        if name == "attachment":
            payloads.append({"attachment": value})
        else:
            # Rasa hands it to `emit` as arguments, so that `data` is what the client gets.
            payloads.append(value.get("data", value) if isinstance(value, dict) else value)
    who = {"author": line.author.value, "name": line.author_name, "seq": line.seq}
    return [_with(who, payload) if isinstance(payload, dict) else payload for payload in payloads]


def _with(who: dict[str, Any], payload: dict[str, Any]) -> dict[str, Any]:
    own = payload.get("metadata")
    return {**payload, "metadata": {**who, **own} if isinstance(own, dict) else who}

"""Rasa's Socket.IO channel with session persistence, so that existing chat widgets work.

Faithful to `rasa/core/channels/socketio.py` of Rasa 3.6: `session_request` → `session_confirm`,
`user_uttered` → `bot_uttered`. What the desk adds: lines of agents and of the desk come as
`bot_uttered` too, `metadata` says whose they are, lines written while nobody was connected are
delivered with the next connection, and a bad payload is answered by `refused` `{"error": …}`.
"""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import aclosing
from typing import Any

import socketio
from fastapi import APIRouter

from handoff.app.receive import Inbound
from handoff.app.retrying import retry_stale
from handoff.channels.http import MESSAGE_BODY_BYTES, Strict, WrongField, checked
from handoff.channels.rasa_rest import message_id
from handoff.channels.turns import Turns
from handoff.channels.watch import for_customer, lines_after, looks
from handoff.core.errors import DeskError
from handoff.core.model import Conversation, Message, new_id
from handoff.core.text import check_key
from handoff.ports import Doorbell, Store

CHANNEL = "socketio"
PATH = "/socket.io"
NAMESPACE = "/"

PING_SECONDS = 10
"""How often a client must show that it is there, and how long it may take, in seconds. Shorter
than the protocol's default: a line sent to a connection that is dead but not known to be so is
not sent again, for Rasa's protocol has no acknowledgement."""

log = logging.getLogger(__name__)


class SessionRequest(Strict):
    """Asks for a session, or for the one the client had before."""

    session_id: str | None = None


class UserUttered(Strict):
    """A message. `customData` is what rasa-webchat adds; the desk has no use for it."""

    message: str
    session_id: str | None = None
    metadata: dict[str, Any] | str | None = None
    customData: Any = None


class RasaSocketChannel:
    """A Socket.IO server; each session is a room, and one task a room pushes its lines."""

    def __init__(self, store: Store, bell: Doorbell, turns: Turns) -> None:
        self._store = store
        self._bell = bell
        self._turns = turns
        self._pushing: dict[str, asyncio.Task[None]] = {}
        # Handlers run one after the other, so that two quick messages are stored as sent.
        self.server = socketio.AsyncServer(
            async_mode="asgi",
            cors_allowed_origins="*",
            async_handlers=False,
            max_http_buffer_size=MESSAGE_BODY_BYTES,
            ping_interval=PING_SECONDS,
            ping_timeout=PING_SECONDS,
        )
        self.server.on("session_request", self._on_session_request)
        self.server.on("user_uttered", self._on_user_uttered)

    def app(self) -> socketio.ASGIApp:
        """Return the ASGI application to mount at `PATH`."""
        return socketio.ASGIApp(self.server, socketio_path=PATH)

    def router(self) -> APIRouter:
        """Return the health route of Rasa's blueprint."""
        router = APIRouter(prefix="/webhooks/socketio")
        router.add_api_route("/", self.health, methods=["GET"])
        return router

    async def health(self) -> dict[str, str]:
        """Say that the channel is there."""
        return {"status": "ok"}

    async def hang_up(self) -> None:
        """Disconnect every client; they connect again by themselves."""
        if NAMESPACE not in self.server.manager.rooms:
            return
        for sid, _ in list(self.server.manager.get_participants(NAMESPACE, None)):
            await self.server.disconnect(sid)

    async def close(self) -> None:
        """End every push."""
        tasks = list(self._pushing.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _on_session_request(self, sid: str, data: Any = None) -> dict[str, Any]:
        try:
            asked = checked({} if data is None else data, SessionRequest)
            session = asked.session_id if asked.session_id is not None else new_id()
            check_key(session, "A session_id")
        except DeskError as error:
            return await self._refuse(sid, error)
        await self._enter(sid, session)
        await self.server.emit("session_confirm", session, to=sid)
        await self._push_to(session)
        return {"session_id": session}

    async def _on_user_uttered(self, sid: str, data: Any = None) -> dict[str, Any]:
        try:
            uttered = checked(data, UserUttered)
            kept = await self.server.get_session(sid)
            session = uttered.session_id or kept.get("session_id")
            if not session:
                raise WrongField(field="session_id", why="send session_request first")
            client_id = message_id(_metadata(uttered.metadata), CHANNEL)
            inbound = Inbound(CHANNEL, session, uttered.message, client_id)
            received = await self._turns.receive(inbound)
        except DeskError as error:
            return await self._refuse(sid, error)
        await self._enter(sid, session)
        self._turns.start(received)
        await self._push_to(session)
        return {"id": received.message.id, "seq": received.message.seq}

    async def _refuse(self, sid: str, error: DeskError) -> dict[str, Any]:
        refusal = {"error": str(error)}
        await self.server.emit("refused", refusal, to=sid)
        return refusal

    async def _enter(self, sid: str, session: str) -> None:
        await self.server.save_session(sid, {"session_id": session})
        await self.server.enter_room(sid, _room(session))

    async def _push_to(self, session: str) -> None:
        """See that a task pushes to this session, once it has a conversation."""
        if session in self._pushing:
            return
        async with self._store() as work:
            conversation = await work.conversations.find(CHANNEL, session)
        if conversation is None or session in self._pushing:
            return
        task = asyncio.create_task(self._push(session, conversation.id))
        self._pushing[session] = task
        task.add_done_callback(lambda done: self._pushed(session, done))

    def _pushed(self, session: str, task: asyncio.Task[None]) -> None:
        if self._pushing.get(session) is task:
            del self._pushing[session]
        if not task.cancelled() and task.exception() is not None:
            log.error("pushing lines failed; they come with the next connection or message")

    async def _push(self, session: str, conversation_id: str) -> None:
        """Push what is new for as long as somebody is in the room."""
        async with aclosing(looks(self._bell, conversation_id)) as looking:
            async for _ in looking:
                if not self.present(session):
                    # In one step with the check: whoever comes now finds no push and starts one.
                    self._pushing.pop(session, None)
                    return
                async with self._store() as work:
                    conversation = await work.conversations.get(conversation_id)
                    lines = await lines_after(work, conversation_id, conversation.delivered_seq)
                await self._deliver(session, conversation, lines)

    async def _deliver(
        self, session: str, conversation: Conversation, lines: list[Message]
    ) -> None:
        """Emit the lines in order, then move the mark: a crash in between repeats, never loses."""
        reached = 0
        for line in lines:
            if not self.present(session):
                break
            if for_customer(line):
                for payload in as_bot_uttered(line):
                    await self.server.emit("bot_uttered", payload, room=_room(session))
            reached = line.seq
        if reached:
            await retry_stale(lambda: self._mark(conversation.id, reached))

    async def _mark(self, conversation_id: str, seq: int) -> None:
        async with self._store() as work:
            conversation = await work.conversations.get(conversation_id)
            if seq > conversation.delivered_seq:
                conversation.delivered_seq = seq
                await work.conversations.save(conversation)
                await work.commit()

    def present(self, session: str) -> bool:
        """Say whether any client of this session is connected to this process."""
        members = self.server.manager.get_participants(NAMESPACE, _room(session))
        return any(True for _ in members)


def _room(session: str) -> str:
    """Return the room of a session; never the name of the room that every client has to itself."""
    return f"session:{session}"


def _metadata(given: dict[str, Any] | str | None) -> dict[str, Any] | None:
    """Return metadata, which Rasa also takes as JSON text."""
    if not isinstance(given, str):
        return given
    try:
        value = json.loads(given or "null")
    except (ValueError, RecursionError):
        raise WrongField(field="metadata", why="it is not JSON") from None
    if value is not None and not isinstance(value, dict):
        raise WrongField(field="metadata", why="an object with named fields is expected")
    return value


def as_bot_uttered(line: Message) -> list[dict[str, Any]]:
    """Return the `bot_uttered` payloads of a line as Rasa's output channel sends them."""
    payloads: list[dict[str, Any]] = []
    if line.text:
        payloads = [{"text": paragraph} for paragraph in line.text.strip().split("\n\n")]
    if line.buttons:
        payloads = payloads or [{"text": ""}]
        for payload in payloads:
            payload["quick_replies"] = []
        payloads[-1]["quick_replies"] = [
            {"content_type": "text", "title": b.title, "payload": b.payload} for b in line.buttons
        ]
    if line.image:
        payloads.append({"attachment": {"type": "image", "payload": {"src": line.image}}})
    who = {"author": line.author.value, "name": line.author_name, "seq": line.seq}
    return [{**payload, "metadata": who} for payload in payloads]

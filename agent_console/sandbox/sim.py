"""The /sim interface: a test, or the page, plays the people and reads what they see."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from . import people
from .errors import SimError
from .faults import read_fault
from .limits import LIMITS, changed_limits
from .model import Message
from .people import Fields
from .server import Sandbox
from .state import is_service
from .views import chat_view, message_view, overview, user_view

LONGEST_WAIT = 60.0
BODY_LIMIT = 20 * 1024 * 1024
Handler = Callable[[Request], Awaitable[Response]]


class Query:
    """Query parameters read strictly: unknown or mistyped ones are a SimError (400)."""

    def __init__(self, request: Request, allowed: set[str]) -> None:
        self._values = request.query_params
        unknown = sorted(set(self._values) - allowed)
        if unknown:
            raise SimError(400, f"Unknown parameter {unknown[0]!r}; known: {sorted(allowed)}.")

    def text(self, name: str) -> str | None:
        """The value, or None."""
        return self._values.get(name)

    def number(self, name: str, default: int | None = None) -> int | None:
        """A whole number, or `default` when left out."""
        raw = self._values.get(name)
        if raw is None:
            return default
        try:
            return int(raw)
        except ValueError:
            raise SimError(400, f"The parameter {name!r} must be a whole number.") from None

    def seconds(self, name: str, default: float) -> float:
        """A waiting time, from 0 to a minute."""
        raw = self._values.get(name)
        try:
            value = default if raw is None else float(raw)
        except ValueError:
            value = -1.0
        if not 0 <= value <= LONGEST_WAIT:
            raise SimError(400, f"The parameter {name!r} must be from 0 to {LONGEST_WAIT:.0f}.")
        return value


async def read_json(request: Request) -> Any:
    """The body as JSON. Raises SimError 415 (other type), 413 (too long) or 400 (broken)."""
    # A page of another origin can post a form without asking, but not JSON: this keeps it out.
    if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
        raise SimError(415, "Send JSON with the header Content-Type: application/json.")
    body = await request.body()
    if len(body) > BODY_LIMIT:
        raise SimError(413, "The body is longer than 20 MB.")
    try:
        value = json.loads(body)
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise SimError(400, "The body is not valid JSON in UTF-8.") from None
    return value


class SimRoutes:
    """The handlers of /sim, each for one path."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._world = sandbox.world

    def routes(self) -> list[Route]:
        """All routes under /sim."""
        deeds: dict[str, Callable[[Any, Any], Any]] = {
            "users": people.add_person,
            "chats": people.add_group,
            "chats/upgrade": people.upgrade_group,
            "chats/topics": people.set_forum,
            "privacy": people.set_privacy,
            "members": people.change_member,
            "block": people.set_blocked,
            "messages": people.write,
            "photos": people.send_photo,
            "edit": people.edit,
            "delete": people.delete,
            "react": people.react,
            "read": people.mark_read,
            "topics": people.create_topic,
        }
        for deed in ("close", "reopen", "delete"):
            deeds[f"topics/{deed}"] = partial(people.change_topic, deed=deed)
        looks: dict[str, Handler] = {
            "users": self.users,
            "chats": self.chats,
            "overview": self.overview,
            "messages": self.messages,
            "changes": self.changes,
            "wait": self.wait,
            "calls": self.calls,
            "updates": self.updates,
            "faults": self.list_faults,
            "limits": self.list_limits,
        }
        routes = [Route(f"/sim/{p}", self._deed(f), methods=["POST"]) for p, f in deeds.items()]
        routes += [Route(f"/sim/{p}", f, methods=["GET"]) for p, f in looks.items()]
        return [
            *routes,
            Route("/sim/press", self.press, methods=["POST"]),
            Route("/sim/faults", self.add_fault, methods=["POST"]),
            Route("/sim/faults", self.clear_faults, methods=["DELETE"]),
            Route("/sim/limits", self.set_limits, methods=["POST"]),
            Route("/sim/clock", self.advance_clock, methods=["POST"]),
            Route("/sim/files/{file_id}", self.file, methods=["GET"]),
        ]

    def _deed(self, function: Callable[[Any, Any], Any]) -> Handler:
        async def handler(request: Request) -> Response:
            body = await read_json(request)
            result = function(self._world, body)
            self._sandbox.save()
            return JSONResponse(result)

        return handler

    async def users(self, request: Request) -> Response:
        """All people by number, without the bot and the anonymous account."""
        Query(request, set())
        people_only = [u for u in self._world.users.values() if not u.is_bot]
        # A state file gives them back in any order; the page starts as the first of them.
        return JSONResponse([user_view(u) for u in sorted(people_only, key=lambda u: u.id)])

    async def chats(self, request: Request) -> Response:
        """All chats with members and topics."""
        Query(request, set())
        return JSONResponse([chat_view(self._world, c) for c in self._world.chats.values()])

    async def overview(self, request: Request) -> Response:
        """One person's list of chats and topics with unread counts."""
        query = Query(request, {"user_id"})
        user = people.person(self._world, query.number("user_id", 0) or 0)
        place = {"epoch": self._sandbox.epoch, "change": self._world.change_number}
        return JSONResponse({**overview(self._world, user), **place})

    async def messages(self, request: Request) -> Response:
        """The messages of one topic, oldest first: after `after`, the last `limit` of them."""
        query = Query(request, {"chat_id", "topic_id", "after", "limit"})
        chat_id, topic_id = query.number("chat_id"), query.number("topic_id", 0) or 0
        if chat_id is None:
            raise SimError(400, "The parameter 'chat_id' is needed.")
        if topic_id:
            people.topic_in(self._world, chat_id, topic_id)
        elif chat_id not in self._world.chats and chat_id not in self._world.users:
            raise SimError(404, f"There is no chat {chat_id}.")
        after, limit = query.number("after", 0) or 0, query.number("limit", 1000) or 0
        if limit < 1:
            raise SimError(400, "The parameter 'limit' must be at least 1.")
        found = [m for m in self._world.messages_of(chat_id, topic_id) if m.id > after]
        return JSONResponse([message_view(self._world, m) for m in found[-limit:]])

    async def press(self, request: Request) -> Response:
        """Press a button and wait up to `wait` seconds (10) for the bot's answer."""
        body = await read_json(request)
        seconds = body.get("wait", 10) if isinstance(body, dict) else 10
        number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
        if not number or not 0 <= seconds <= LONGEST_WAIT:
            raise SimError(400, "The field 'wait' must be a number of seconds from 0 to 60.")
        callback = people.press(self._world, body)
        self._sandbox.save()
        await self._sandbox.wait_until(lambda: callback.answer is not None, seconds)
        answer = callback.answer or {"text": "", "show_alert": False, "url": ""}
        answered = {"query_id": callback.id, "answered": callback.answer is not None}
        return JSONResponse({**answered, **answer})

    async def changes(self, request: Request) -> Response:
        """Changes after number `after`, waiting up to `timeout` seconds for the first."""
        query = Query(request, {"after", "timeout", "epoch"})
        world, after = self._world, query.number("after", 0) or 0
        epoch = query.text("epoch")
        oldest = world.changes[0]["n"] if world.changes else 1
        stale = epoch is not None and epoch != self._sandbox.epoch
        if stale or after > world.change_number or after < oldest - 1:
            place = {"epoch": self._sandbox.epoch, "last": world.change_number}
            return JSONResponse({**place, "reset": True, "changes": []})
        await self._sandbox.wait_until(
            lambda: world.change_number > after, query.seconds("timeout", 0.0), hang_up(request)
        )
        found = [self._with_message(c) for c in world.changes if c["n"] > after]
        last = found[-1]["n"] if found else after
        body = {"epoch": self._sandbox.epoch, "last": last, "reset": False, "changes": found}
        return JSONResponse(body)

    def _with_message(self, change: dict[str, Any]) -> dict[str, Any]:
        if change["kind"] not in ("message", "edit", "reaction"):
            return change
        message = self._world.messages.get((change["chat_id"], change["message_id"]))
        return {**change, "message": message_view(self._world, message) if message else None}

    async def wait(self, request: Request) -> Response:
        """The first message that fits, waited for up to `timeout` seconds (10); 408 if none."""
        names = {"chat_id", "topic_id", "contains", "from_id", "after", "timeout"}
        query = Query(request, names)
        seconds = query.seconds("timeout", 10.0)
        wanted = {
            "chat_id": query.number("chat_id"),
            "topic_id": query.number("topic_id"),
            "sender_id": query.number("from_id"),
        }
        contains, after = query.text("contains") or "", query.number("after", 0) or 0

        def first() -> Message | None:
            for message in self._world.messages.values():
                fits = all(v is None or getattr(message, k) == v for k, v in wanted.items())
                if fits and message.id > after and contains in self._words(message):
                    return message
            return None

        await self._sandbox.wait_until(lambda: first() is not None, seconds, hang_up(request))
        message = first()
        if message is None:
            raise SimError(408, f"No message with {contains!r} came within {seconds:g} s.")
        return JSONResponse(message_view(self._world, message))

    def _words(self, message: Message) -> str:
        view = message_view(self._world, message)
        return view["service"] if is_service(message) else view["text"]

    async def calls(self, request: Request) -> Response:
        """Bot API calls after number `after`, only `method` if given, only the last `limit`."""
        query = Query(request, {"after", "method", "limit"})
        after, limit = query.number("after", 0) or 0, query.number("limit", 1000) or 1000
        method = (query.text("method") or "").lower()
        found = [
            call
            for call in self._sandbox.calls
            if call["n"] > after and (not method or call["method"].lower() == method)
        ]
        return JSONResponse(found[-limit:])

    async def updates(self, request: Request) -> Response:
        """Updates the bot has not confirmed."""
        Query(request, set())
        return JSONResponse([update.body() for update in self._world.pending_updates()])

    async def list_faults(self, request: Request) -> Response:
        """Faults still to come."""
        Query(request, set())
        return JSONResponse([fault.view() for fault in self._sandbox.faults.waiting])

    async def add_fault(self, request: Request) -> Response:
        """Ask for a fault."""
        fault = read_fault(await read_json(request))
        self._sandbox.faults.waiting.append(fault)
        return JSONResponse(fault.view())

    async def clear_faults(self, request: Request) -> Response:
        """Forget all faults still to come."""
        Query(request, set())
        self._sandbox.faults.waiting.clear()
        return JSONResponse([])

    async def list_limits(self, request: Request) -> Response:
        """The limits that hold now."""
        Query(request, set())
        return JSONResponse(asdict(self._sandbox.meter.limits))

    async def set_limits(self, request: Request) -> Response:
        """Choose a set of limits by `mode`, change single figures, or both."""
        body = await read_json(request)
        if not isinstance(body, dict):
            raise SimError(400, "The body must be a JSON object.")
        meter, mode = self._sandbox.meter, body.pop("mode", None)
        if mode is not None and mode not in LIMITS:
            raise SimError(400, f"The mode must be one of {', '.join(LIMITS)}.")
        try:
            meter.limits = changed_limits(LIMITS[mode] if mode else meter.limits, body)
        except ValueError as error:
            raise SimError(400, f"The limits were refused: {error}.") from None
        return JSONResponse(asdict(meter.limits))

    async def advance_clock(self, request: Request) -> Response:
        """Move the clock forward by `advance` seconds."""
        fields = Fields(await read_json(request), {"advance"})
        seconds = fields.number("advance")
        if seconds < 0:
            raise SimError(400, "The clock cannot go back.")
        self._world.clock.advance(seconds)
        self._sandbox.signal.notify()
        return JSONResponse({"now": self._world.clock.now()})

    async def file(self, request: Request) -> Response:
        """The bytes of a photo or document."""
        stored = self._world.files.get(request.path_params["file_id"])
        if stored is None:
            raise SimError(404, "There is no such file.")
        headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "private, max-age=3600"}
        if stored.kind != "photo":
            headers["Content-Disposition"] = "attachment"
        mime = stored.mime if stored.kind == "photo" else "application/octet-stream"
        return Response(self._world.blobs[stored.id], media_type=mime, headers=headers)


async def hang_up(request: Request) -> None:
    """Done when the client closes the connection (its body having been read)."""
    await request.body()
    while True:
        event = await request.receive()
        if event["type"] == "http.disconnect":
            return
        await asyncio.sleep(0)

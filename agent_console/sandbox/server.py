"""One running sandbox: the world, its limits and faults, the list of calls, and who waits."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import bot_updates
from .clock import Clock
from .errors import ApiError, too_many_requests
from .faults import Faults
from .limits import LIMITS, Limits, Meter
from .methods import METERED, METHODS
from .params import Params
from .state import DEFAULT_GROUP_ID, DEFAULT_PEOPLE, World, new_world
from .storage import StateFile

CALLS_KEPT = 20_000
LONGEST_POLL = 50
"""Seconds; Telegram's server caps `timeout` there."""
TERMINATED = (
    "Conflict: terminated by other getUpdates request; "
    "make sure that only one bot instance is running"
)


@dataclass
class Settings:
    """How a sandbox is set up; every field is an argument of `create_sandbox`."""

    token: str = "1:SIM"
    state: Path | str | None = None
    """File that keeps everything over a restart; None keeps it in memory."""
    limits: str | Limits = "relaxed"
    group_id: int | None = DEFAULT_GROUP_ID
    group_title: str = "Support desk"
    bot_username: str = "handoff_desk_bot"
    bot_name: str = "Handoff Desk"
    people: tuple[Any, ...] = DEFAULT_PEOPLE
    clock: Clock = field(default_factory=Clock)
    conflict_delay: float = 3.0
    """Seconds by which a second 409 within as many seconds is delayed, as Telegram does."""
    webhook_retry: float = 1.0
    """Factor on Telegram's waits between webhook retries (0, 2, 4, 8 … 60 s)."""

    def bot_id(self) -> int:
        """The number before the token's colon. Raises ValueError on a malformed token."""
        number, colon, secret = self.token.partition(":")
        if not number.isdigit() or not colon or not secret:
            raise ValueError("the token must look like 123456:secret")
        return int(number)


class Signal:
    """Wakes everybody who waits for the next change."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def notify(self) -> None:
        """Wake all who wait now."""
        self._event.set()
        self._event = asyncio.Event()

    def wait(self) -> Awaitable[bool]:
        """Becomes done at the next `notify` after this call."""
        return self._event.wait()


class Sandbox:
    """Joins the pure parts; the HTTP layer calls it, everything runs in one event loop."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        limits = settings.limits
        if isinstance(limits, str):
            if limits not in LIMITS:
                raise ValueError(f"limits must be one of {', '.join(LIMITS)}, not {limits!r}")
            limits = LIMITS[limits]
        self.file = StateFile(Path(settings.state)) if settings.state else None
        self.world = self._open_world()
        self.signal = Signal()
        self.world.on_change = self.signal.notify
        self.meter = Meter(limits, settings.clock)
        self.faults = Faults()
        self.calls: deque[dict[str, Any]] = deque(maxlen=CALLS_KEPT)
        self.call_number = 0
        self.epoch = secrets.token_hex(4)
        """Changes are numbered anew after a restart; a new epoch tells the page."""
        self._poll: asyncio.Future[str] | None = None
        self._last_conflict = float("-inf")

    def _open_world(self) -> World:
        settings = self.settings
        bot_id = settings.bot_id()
        stored = self.file.bot_id() if self.file else None
        if stored not in (None, bot_id):
            raise ValueError(f"{settings.state} belongs to bot {stored}, the token to bot {bot_id}")
        world = new_world(
            bot_id,
            settings.clock,
            settings.people if stored is None else (),
            settings.group_id,
            settings.group_title,
            settings.bot_username,
            settings.bot_name,
        )
        if self.file and stored is not None:
            self.file.load(world)
        elif self.file:
            self.file.save(world)
        return world

    def save(self) -> None:
        """Write what changed to the state file, before anybody is told it happened."""
        if self.file:
            self.file.save(self.world)
        else:
            self.world.dirty.clear()

    # --- Bot API -----------------------------------------------------------------------------

    def run(self, name: str, params: Params) -> Any:
        """Do one Bot API method (lower case) and return its result. Raises ApiError."""
        method = METHODS.get(name)
        if method is None:
            raise ApiError(404, "Not Found")
        chat_id = params.number("chat_id")
        if name in METERED:
            wait = self.meter.wait_needed(chat_id)
            if wait:
                raise too_many_requests(wait)
        result = method(self.world, params)
        if name in METERED:
            self.meter.record(chat_id)
        return result

    def log_call(self, method: str, params: Params, status: int, detail: dict[str, Any]) -> None:
        """Append to the list of calls that /sim/calls shows."""
        self.call_number += 1
        call = {
            "n": self.call_number,
            "time": self.world.clock.now(),
            "method": method,
            "params": params.loggable(),
            "status": status,
            **detail,
        }
        self.calls.append(call)

    async def get_updates(self, params: Params, gone: Awaitable[Any]) -> list[dict[str, Any]]:
        """getUpdates; `gone` becomes done when the caller hangs up. Raises ApiError (409)."""
        world = self.world
        if world.webhook.url:
            raise ApiError(
                409,
                "Conflict: can't use getUpdates method while webhook is active; "
                "use deleteWebhook to delete the webhook first",
            )
        bot_updates.remember_allowed(world, params)
        self.end_poll(TERMINATED)
        offset = params.number("offset")
        limit = min(100, max(1, params.number("limit", 100)))
        seconds = min(LONGEST_POLL, max(0, params.number("timeout")))
        bot_updates.confirm(world, offset)
        self.save()
        ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._poll = ended
        try:
            await self.wait_until(
                lambda: bool(ended.done() or bot_updates.fetch(world, offset, limit)),
                seconds,
                gone,
            )
            if ended.done():
                await self._conflict(ended.result())
            return bot_updates.fetch(world, offset, limit)
        finally:
            if self._poll is ended:
                self._poll = None

    def end_poll(self, words: str) -> None:
        """End a waiting getUpdates with a 409 in these words."""
        if self._poll is not None and not self._poll.done():
            self._poll.set_result(words)
            self.signal.notify()

    async def _conflict(self, words: str) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._last_conflict < self.settings.conflict_delay:
            await asyncio.sleep(self.settings.conflict_delay)
        self._last_conflict = now
        raise ApiError(409, words)

    async def wait_until(
        self, done: Callable[[], bool], seconds: float, gone: Awaitable[Any] | None = None
    ) -> bool:
        """Wait until `done()` holds, looking again at every change.

        False after `seconds`, or as soon as `gone` is done.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        hang_up = asyncio.ensure_future(gone) if gone is not None else None
        try:
            while not done():
                left = deadline - loop.time()
                if left <= 0 or (hang_up is not None and hang_up.done()):
                    return False
                change = asyncio.ensure_future(self.signal.wait())
                watched = {change} if hang_up is None else {change, hang_up}
                await asyncio.wait(watched, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                change.cancel()
            return True
        finally:
            if hang_up is not None:
                hang_up.cancel()

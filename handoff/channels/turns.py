"""Bot turns that outlive the request that caused them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Coroutine
from typing import Any, TypeVar

from handoff.app.greet import Greet
from handoff.app.receive import Inbound, Receive, Received
from handoff.app.take_turn import TakeTurn
from handoff.channels.meters import Meters
from handoff.core.model import Action, MessageStatus
from handoff.ports import Doorbell, Store

DRAIN_SECONDS = 5.0
"""Longest wait at shutdown for turns that are under way, in seconds."""

log = logging.getLogger(__name__)

T = TypeVar("T")


class Turns:
    """Stores messages and takes the bot's turns as background tasks, each held until it ends.

    A turn that fails or dies with the process leaves its message owed; the sweep takes it again.
    """

    def __init__(
        self,
        store: Store,
        bell: Doorbell,
        receive: Receive,
        take_turn: TakeTurn,
        greet: Greet,
        meters: Meters,
    ) -> None:
        self._store = store
        self._bell = bell
        self._receive = receive
        self._take_turn = take_turn
        self._greet = greet
        self._meters = meters
        self._tasks: set[asyncio.Task[Any]] = set()
        self._running: Counter[str] = Counter()

    async def receive(self, inbound: Inbound) -> Received:
        """Store a message; raises as `Receive` does, and then nothing was stored."""
        received = await self._receive(inbound)
        if not received.known:
            self._meters.messages.labels(inbound.channel).inc()
        return received

    def start(self, received: Received) -> asyncio.Task[None] | None:
        """Begin the bot's turn when one is owed; return the task, which never raises."""
        if received.message.status is not MessageStatus.RECEIVED:
            return None
        return self._hold(self._turn(received.conversation_id, received.message.id))

    async def greet(self, inbound: Inbound) -> asyncio.Task[str | None] | None:
        """Begin the assistant's greeting where a widget only opens the chat; None for a message.

        The task never raises; it returns the conversation where something was said.
        """
        return self._hold(self._greeting(inbound)) if await self._greet.opens(inbound) else None

    def typing(self, conversation_id: str) -> bool:
        """Say whether the bot is at work on an answer in this process."""
        return self._running[conversation_id] > 0

    async def drain(self, seconds: float = DRAIN_SECONDS) -> None:
        """Let the turns end, at most so long; what is cut off is owed and the sweep pays it."""
        deadline = time.monotonic() + seconds
        while self._tasks and time.monotonic() < deadline:
            await asyncio.wait(self._tasks, timeout=deadline - time.monotonic())
        for task in self._tasks:
            task.cancel()

    def _hold(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _greeting(self, inbound: Inbound) -> str | None:
        try:
            return await self._greet(inbound)
        except Exception:
            # The edge of a background task, as below; a greeting is owed to nobody.
            log.exception("a customer was not greeted")
            return None

    async def _turn(self, conversation_id: str, message_id: str) -> None:
        self._running[conversation_id] += 1
        self._bell.ring(conversation_id)
        began = time.perf_counter()
        try:
            await self._take_turn(conversation_id, message_id)
        except Exception:
            # The edge of a background task: nobody awaits it, and the sweep tries again.
            log.exception("a bot turn failed; the sweep takes it again")
            self._meters.failed_turns.inc()
        else:
            self._meters.turn_seconds.observe(time.perf_counter() - began)
            self._hold(self._count(message_id))
        finally:
            self._running -= Counter((conversation_id,))
            self._bell.ring(conversation_id)

    async def _count(self, message_id: str) -> None:
        async with self._store() as work:
            for decision in await work.decisions.of_message(message_id):
                told = decision.findings if decision.action is not Action.ANSWER else ()
                reason = told[0].reason.value if told else ""
                self._meters.decisions.labels(decision.action.value, reason).inc()

"""What must happen although nobody asks: debts paid after a crash, silent conversations ended."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta

from handoff.app.lines import owe_notice
from handoff.app.take_turn import TakeTurn
from handoff.core.errors import StaleVersion
from handoff.core.lifecycle import Event, apply
from handoff.core.limits import IDLE_MINUTES, OWED_SECONDS
from handoff.core.model import Message
from handoff.ports import Clock, Doorbell, Store

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Sweep:
    """Run every few seconds by the scheduler; each part is harmless to repeat."""

    store: Store
    clock: Clock
    bell: Doorbell
    take_turn: TakeTurn
    reminder_minutes: int

    async def __call__(self) -> None:
        await self.pay_owed_turns(OWED_SECONDS)
        await self.end_idle_episodes()
        await self.remind_of_waiting()

    async def pay_owed_turns(self, older_than_seconds: float) -> int:
        """Decide about messages a dead process left undecided; return how many it could."""
        before = self.clock.now() - timedelta(seconds=older_than_seconds)
        async with self.store() as work:
            owed = await work.messages.owed(before)
        return sum([await self._pay(message) for message in owed])

    async def _pay(self, message: Message) -> bool:
        try:
            await self.take_turn(message.conversation_id, message.id)
        except Exception as error:
            # Whatever it is, the customer has waited long enough: a person must look.
            log.exception("a message could not be decided; a person gets it")
            return await self._hand_over(message, type(error).__name__)
        return True

    async def _hand_over(self, message: Message, why: str) -> bool:
        try:
            await self.take_turn.hand_over(message.conversation_id, message.id, why)
        except Exception:
            # One message that cannot even be handed over must not keep the others waiting.
            log.exception("a message could not be handed over; the next sweep tries again")
            return False
        return True

    async def end_idle_episodes(self) -> int:
        """Close conversations the bot owns that have been silent; return how many."""
        before = self.clock.now() - timedelta(minutes=IDLE_MINUTES)
        async with self.store() as work:
            idle = await work.conversations.idle_since(before)
        return sum([await self._close(conversation.id, before) for conversation in idle])

    async def _close(self, conversation_id: str, before) -> bool:
        async with self.store() as work:
            conversation = await work.conversations.get(conversation_id)
            if conversation.updated_at >= before:
                return False
            try:
                apply(conversation, Event.GO_IDLE)
                await work.conversations.save(conversation)
                await work.commit()
            except StaleVersion:
                return False
        return True

    async def remind_of_waiting(self) -> None:
        """Say once a period in the topic that a customer still waits for a person."""
        now = self.clock.now()
        async with self.store() as work:
            for handoff in await work.handoffs.open():
                if handoff.claimed_by is not None:
                    continue
                minutes = int((now - handoff.requested_at).total_seconds() // 60)
                periods = minutes // self.reminder_minutes
                if periods:
                    text = f"⏰ The customer has been waiting for {minutes} minutes."
                    key = f"waiting:{handoff.id}:{periods}"
                    await owe_notice(work, handoff.conversation_id, text, key, now)
            await work.commit()
        self.bell.ring("outbox")

"""What must happen although nobody asks: debts paid after a crash, silent conversations ended."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from handoff.app.lines import owe_notice
from handoff.app.take_turn import TakeTurn
from handoff.core.errors import AssistantUnavailable, StaleVersion
from handoff.core.handling import seconds_between
from handoff.core.lifecycle import Event, apply
from handoff.core.limits import (
    ASSISTANT_START_SECONDS,
    HISTORY_LINES,
    IDLE_MINUTES,
    OWED_SECONDS,
)
from handoff.core.model import Author, Conversation, Handoff, Message, MessageStatus, State
from handoff.ports import Clock, Doorbell, Store, Work

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.25
"""Pause between two looks for an assistant that is starting, in seconds."""


@dataclass(slots=True)
class Sweep:
    """Run every few seconds by the scheduler; each part is harmless to repeat."""

    store: Store
    clock: Clock
    bell: Doorbell
    take_turn: TakeTurn
    reminder_minutes: int
    _recovering: bool = False

    async def __call__(self) -> None:
        if not self._recovering:
            await self.pay_owed_turns(OWED_SECONDS)
        await self.end_idle_episodes()
        await self.remind_of_waiting()

    async def recover(self) -> int:
        """Pay what the process before left owed, at once when the assistant answers.

        The assistant often starts at the same time and takes longer: a restart must not hand over
        everybody it has interrupted, so it is waited for, `ASSISTANT_START_SECONDS` at most.
        """
        self._recovering = True
        try:
            async with asyncio.timeout(ASSISTANT_START_SECONDS):
                while not await self._assistant_answers():  # noqa: ASYNC110 - another process
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            log.warning("the assistant does not answer; people get what it is owed")
        finally:
            self._recovering = False
        return await self.pay_owed_turns(0)

    async def _assistant_answers(self) -> bool:
        try:
            return bool(await self.take_turn.assistant.status())
        except AssistantUnavailable:
            return False

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

    async def _close(self, conversation_id: str, before: datetime) -> bool:
        async with self.store() as work:
            conversation = await work.conversations.get(conversation_id)
            if conversation.state is not State.BOT or conversation.updated_at >= before:
                return False
            lines = await work.messages.of_episode(conversation_id, conversation.episode)
            if any(line.status is MessageStatus.RECEIVED for line in lines):
                # Somebody waits for an answer, however long: that is not silence.
                return False
            try:
                apply(conversation, Event.GO_IDLE)
                await work.conversations.save(conversation)
                await work.commit()
            except StaleVersion:
                return False
        return True

    async def remind_of_waiting(self) -> None:
        """Say once a period in the topic that a customer waits: for a person, or for an answer."""
        async with self.store() as work:
            for handoff in await work.handoffs.open():
                if handoff.claimed_by is None:
                    await self._remind_of_queue(work, handoff)
                else:
                    await self._remind_of_silence(work, handoff)
            await work.commit()
        self.bell.ring("outbox")

    async def _remind_of_queue(self, work: Work, handoff: Handoff) -> None:
        minutes, periods = self._waited(handoff.requested_at)
        if not periods:
            return
        text = f"⏰ The customer has been waiting for {minutes} minutes."
        if handoff.claimed_at is not None:
            text = f"⏰ Nobody has this conversation; it came to people {minutes} minutes ago."
        key = f"waiting:{handoff.id}:{periods}"
        await owe_notice(work, handoff.conversation_id, text, key, self.clock.now())

    async def _remind_of_silence(self, work: Work, handoff: Handoff) -> None:
        """The agent may have gone: whoever is there must see that the customer waits."""
        conversation = await work.conversations.get(handoff.conversation_id)
        unanswered = await _unanswered_since(work, conversation)
        minutes, periods = self._waited(unanswered) if unanswered else (0, 0)
        if not periods:
            return
        text = (
            f"⏰ The customer has been waiting for {minutes} minutes for an answer by "
            f"{handoff.claimed_by_name}. A lead can /release the conversation for others."
        )
        key = f"silent:{handoff.id}:{unanswered:%Y%m%d%H%M%S}:{periods}"
        await owe_notice(work, handoff.conversation_id, text, key, self.clock.now())

    def _waited(self, since: datetime) -> tuple[int, int]:
        """Return how many whole minutes, and whole periods, have passed."""
        minutes = int(seconds_between(since, self.clock.now()) // 60)
        return minutes, minutes // self.reminder_minutes


async def _unanswered_since(work: Work, conversation: Conversation) -> datetime | None:
    """Return since when a customer waits for a line by the agent, None when it is their turn.

    A person who has just joined gets the time of a full answer.
    """
    start = max(0, conversation.last_seq - HISTORY_LINES)
    lines = await work.messages.after(conversation.id, start)
    spoke = max((n for n, line in enumerate(lines) if line.author is Author.AGENT), default=-1)
    since = lines[spoke + 1 :]
    asked = [line.created_at for line in since if line.author is Author.CUSTOMER]
    joined = [line.created_at for line in since if line.author is Author.SYSTEM]
    return max([asked[0], *joined[-1:]]) if asked else None

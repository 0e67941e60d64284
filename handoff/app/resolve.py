"""The end of a handoff: resolve it, tell the truth about it, or open it again."""

from __future__ import annotations

from datetime import datetime

from handoff.app import phrases
from handoff.app.lines import add_line, conversation_topic, owe, owe_card
from handoff.app.ownership import ConsoleUseCase, load, require, require_owner
from handoff.app.retrying import retry_stale
from handoff.core.handling import begin_span, end_span
from handoff.core.lifecycle import Event, apply
from handoff.core.model import Author, Handoff, OutboxKind, Person, Role, Truth, new_id
from handoff.ports import Work


class Resolve(ConsoleUseCase):
    """Close a conversation. The card then asks the agent for the truth."""

    async def __call__(self, conversation_id: str, person: Person) -> None:
        require(person, Role.AGENT)
        await retry_stale(lambda: self._resolve(conversation_id, person))
        self.done(conversation_id)

    async def _resolve(self, conversation_id: str, person: Person) -> None:
        now = self.clock.now()
        async with self.store() as work:
            conversation, handoff = await load(work, conversation_id)
            if not person.may(Role.LEAD):
                require_owner(conversation, person)
            apply(conversation, Event.RESOLVE)
            handoff.ended_at, handoff.outcome = now, "resolved"
            end_span(handoff, now)
            text = phrases.naming(phrases.CLOSED, person.name)
            await add_line(work, conversation, Author.SYSTEM, text, now)
            await work.handoffs.save(handoff)
            await owe_card(work, handoff, now)
            await work.conversations.save(conversation)
            await work.commit()


class Reopen(ConsoleUseCase):
    """Take a conversation back after resolving it by mistake."""

    async def __call__(self, conversation_id: str, person: Person) -> None:
        require(person, Role.AGENT)
        await retry_stale(lambda: self._reopen(conversation_id, person))
        self.done(conversation_id)

    async def _reopen(self, conversation_id: str, person: Person) -> None:
        now = self.clock.now()
        async with self.store() as work:
            conversation, handoff = await load(work, conversation_id)
            apply(conversation, Event.REOPEN)
            conversation.assignee, conversation.assignee_name = person.id, person.name
            handoff.claimed_by, handoff.claimed_by_name = person.id, person.name
            begin_span(handoff, now)
            handoff.ended_at, handoff.outcome = None, ""
            text = phrases.naming(phrases.REOPENED, person.name)
            await add_line(work, conversation, Author.SYSTEM, text, now)
            await work.handoffs.save(handoff)
            await owe_card(work, handoff, now)
            await _owe_topic(work, conversation_id, False, now)
            await work.conversations.save(conversation)
            await work.commit()


class TellTruth(ConsoleUseCase):
    """Record what the conversation was about and whether the handoff was needed.

    Either part may come first. What it was about may be changed until the learning job has read it,
    whether it was needed at any time: statistics and the nightly refit read that anew. When both
    are known the topic is closed.
    """

    async def __call__(
        self,
        handoff_id: str,
        person: Person,
        truth: Truth | None = None,
        intent: str | None = None,
        needed: bool | None = None,
    ) -> Handoff:
        require(person, Role.AGENT)
        handoff = await retry_stale(
            lambda: self._record(handoff_id, truth, intent, needed),
        )
        self.done(handoff.conversation_id)
        return handoff

    async def _record(
        self, handoff_id: str, truth: Truth | None, intent: str | None, needed: bool | None
    ) -> Handoff:
        now = self.clock.now()
        async with self.store() as work:
            handoff = await self._own(work, handoff_id)
            if truth is not None and not handoff.mined:
                handoff.truth = truth
                handoff.truth_intent = intent if truth is Truth.INTENT else None
            if needed is not None:
                handoff.needed = needed
            await work.handoffs.save(handoff)
            await owe_card(work, handoff, now)
            if handoff.truth is not None and handoff.needed is not None and handoff.ended_at:
                await _owe_topic(work, handoff.conversation_id, True, now)
            await work.commit()
        return handoff

    async def _own(self, work: Work, handoff_id: str) -> Handoff:
        """Return a handoff as it is after its conversation was saved.

        Whoever changes it at the same time (a card being sent, the learning job) has either ended
        before or meets a `StaleVersion`: nobody writes back what the other has replaced.
        """
        handoff = await work.handoffs.get(handoff_id)
        conversation = await work.conversations.get(handoff.conversation_id)
        await work.conversations.save(conversation)
        return await work.handoffs.get(handoff_id)


async def _owe_topic(work: Work, conversation_id: str, closed: bool, now: datetime) -> None:
    topic = conversation_topic(conversation_id)
    key = f"topic:{new_id()}"
    await owe(work, OutboxKind.TOPIC_STATE, {"closed": closed}, key, now, topic)

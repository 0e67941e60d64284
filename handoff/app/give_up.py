"""An agent lets go of a conversation without resolving it."""

from __future__ import annotations

from handoff.app import phrases
from handoff.app.lines import add_line, owe_card
from handoff.app.ownership import ConsoleUseCase, load, require, require_owner
from handoff.app.retrying import retry_stale
from handoff.core.handling import end_span
from handoff.core.lifecycle import Event, apply
from handoff.core.model import Author, Person, Role, State


class Release(ConsoleUseCase):
    """Put a conversation back into the queue for another agent."""

    async def __call__(self, conversation_id: str, person: Person) -> None:
        require(person, Role.AGENT)
        await retry_stale(lambda: self._release(conversation_id, person))
        self.done(conversation_id)

    async def _release(self, conversation_id: str, person: Person) -> None:
        now = self.clock.now()
        async with self.store() as work:
            conversation, handoff = await load(work, conversation_id)
            if not person.may(Role.LEAD):
                require_owner(conversation, person)
            name = conversation.assignee_name
            apply(conversation, Event.RELEASE)
            handoff.claimed_by, handoff.claimed_by_name = None, ""
            end_span(handoff, now)
            text = phrases.naming(phrases.LEFT, name)
            await add_line(work, conversation, Author.SYSTEM, text, now)
            await work.handoffs.save(handoff)
            await owe_card(work, handoff, now)
            await work.conversations.save(conversation)
            await work.commit()


class ReturnToBot(ConsoleUseCase):
    """Give a conversation back to the bot; the handoff ends as `returned`."""

    async def __call__(self, conversation_id: str, person: Person) -> None:
        require(person, Role.AGENT)
        await retry_stale(lambda: self._return(conversation_id, person))
        self.done(conversation_id)

    async def _return(self, conversation_id: str, person: Person) -> None:
        now = self.clock.now()
        async with self.store() as work:
            conversation, handoff = await load(work, conversation_id)
            if conversation.state is State.AGENT and not person.may(Role.LEAD):
                require_owner(conversation, person)
            apply(conversation, Event.RETURN_TO_BOT)
            # A new episode: what led here (anger, repetition) must not hand over again at once.
            conversation.episode += 1
            handoff.ended_at, handoff.outcome = now, "returned"
            end_span(handoff, now)
            text = phrases.naming(phrases.BACK_TO_BOT, person.name)
            await add_line(work, conversation, Author.SYSTEM, text, now)
            await work.handoffs.save(handoff)
            await owe_card(work, handoff, now)
            await work.conversations.save(conversation)
            await work.commit()

"""An agent takes a waiting conversation. Of two at once exactly one gets it."""

from __future__ import annotations

from handoff.app import phrases
from handoff.app.lines import add_line, owe_card
from handoff.app.ownership import ConsoleUseCase, load, require
from handoff.app.retrying import retry_stale
from handoff.core.errors import AlreadyClaimed
from handoff.core.handling import begin_span
from handoff.core.lifecycle import Event, apply
from handoff.core.model import Author, Person, Role, State


class Claim(ConsoleUseCase):
    """Give a waiting conversation to `person`, and tell the customer who has joined."""

    async def __call__(self, conversation_id: str, person: Person) -> None:
        """Raise `AlreadyClaimed` or `IllegalTransition`; claiming twice is harmless."""
        require(person, Role.AGENT)
        await retry_stale(lambda: self._claim(conversation_id, person))
        self.done(conversation_id)

    async def _claim(self, conversation_id: str, person: Person) -> None:
        now = self.clock.now()
        async with self.store() as work:
            conversation, handoff = await load(work, conversation_id)
            if conversation.state is State.AGENT:
                if conversation.assignee == person.id:
                    return
                raise AlreadyClaimed(name=conversation.assignee_name)
            apply(conversation, Event.CLAIM)
            conversation.assignee, conversation.assignee_name = person.id, person.name
            handoff.claimed_at = handoff.claimed_at or now
            handoff.claimed_by, handoff.claimed_by_name = person.id, person.name
            begin_span(handoff, now)
            text = phrases.naming(phrases.JOINED, person.name)
            await add_line(work, conversation, Author.SYSTEM, text, now)
            await work.handoffs.save(handoff)
            await owe_card(work, handoff, now)
            await work.conversations.save(conversation)
            await work.commit()

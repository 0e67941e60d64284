"""An agent writes: to the customer, or a note that stays inside."""

from __future__ import annotations

from handoff.app.lines import add_line
from handoff.app.ownership import ConsoleUseCase, load, require, require_owner
from handoff.app.retrying import retry_stale
from handoff.core.model import Author, Message, Person, Role
from handoff.core.text import check_text


class Say(ConsoleUseCase):
    """Pass an agent's text on to the customer. `client_id` makes a repeated update harmless."""

    async def __call__(
        self, conversation_id: str, person: Person, text: str, client_id: str
    ) -> Message:
        """Raise `NotClaimed` or `NotYours` unless the person has the conversation."""
        require(person, Role.AGENT)
        checked = check_text(text)
        said = await retry_stale(lambda: self._say(conversation_id, person, checked, client_id))
        self.done(conversation_id)
        return said

    async def _say(
        self, conversation_id: str, person: Person, text: str, client_id: str
    ) -> Message:
        now = self.clock.now()
        async with self.store() as work:
            conversation, handoff = await load(work, conversation_id)
            known = await work.messages.by_client_id(conversation_id, client_id)
            if known is not None:
                return known
            require_owner(conversation, person)
            line = await add_line(
                work,
                conversation,
                Author.AGENT,
                text,
                now,
                client_id=client_id,
                author_name=person.name,
            )
            if handoff.first_response_at is None:
                handoff.first_response_at = now
                await work.handoffs.save(handoff)
            await work.conversations.save(conversation)
            await work.commit()
        return line


class Note(ConsoleUseCase):
    """Keep a line for colleagues; the customer never sees it. Any agent may leave one."""

    async def __call__(
        self, conversation_id: str, person: Person, text: str, client_id: str
    ) -> Message:
        require(person, Role.AGENT)
        checked = check_text(text)
        return await retry_stale(lambda: self._note(conversation_id, person, checked, client_id))

    async def _note(
        self, conversation_id: str, person: Person, text: str, client_id: str
    ) -> Message:
        async with self.store() as work:
            conversation = await work.conversations.get(conversation_id)
            known = await work.messages.by_client_id(conversation_id, client_id)
            if known is not None:
                return known
            line = await add_line(
                work,
                conversation,
                Author.NOTE,
                text,
                self.clock.now(),
                client_id=client_id,
                author_name=person.name,
            )
            await work.conversations.save(conversation)
            await work.commit()
        return line

"""Customers who were promised a person, while no person can be told of them."""

from __future__ import annotations

from handoff.app import phrases
from handoff.app.lines import add_line
from handoff.app.ownership import ConsoleUseCase
from handoff.app.retrying import retry_stale
from handoff.core.model import Author, State


class TellUnreached(ConsoleUseCase):
    """Tell each customer whom nobody has been shown that it may take longer, once."""

    async def __call__(self) -> None:
        async with self.store() as work:
            unseen = [h for h in await work.handoffs.open() if h.card_message_id is None]
        for handoff in unseen:
            if await retry_stale(lambda id=handoff.conversation_id: self._tell(id)):
                self.bell.ring(handoff.conversation_id)

    async def _tell(self, conversation_id: str) -> bool:
        async with self.store() as work:
            conversation = await work.conversations.get(conversation_id)
            handoff = await work.handoffs.latest(conversation_id)
            if conversation.state is not State.WAITING or handoff is None:
                return False
            lines = await work.messages.of_episode(conversation_id, conversation.episode)
            said = [line.text for line in lines if line.author is Author.SYSTEM]
            if handoff.card_message_id is not None or phrases.NOBODY_REACHED in said:
                return False
            text = phrases.NOBODY_REACHED
            await add_line(work, conversation, Author.SYSTEM, text, self.clock.now())
            await work.conversations.save(conversation)
            await work.commit()
        return True

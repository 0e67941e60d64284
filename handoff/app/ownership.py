"""What the use cases of the console share: loading a conversation with its open handoff."""

from __future__ import annotations

from dataclasses import dataclass

from handoff.core.errors import NotAllowed, NotClaimed, NotFound, NotYours
from handoff.core.model import Conversation, Handoff, Person, Role, State
from handoff.ports import Clock, Doorbell, Store, Work


@dataclass(slots=True)
class ConsoleUseCase:
    """Needs of every use case an agent triggers."""

    store: Store
    clock: Clock
    bell: Doorbell

    def done(self, conversation_id: str) -> None:
        """Wake the customer's channel and the console's sender."""
        self.bell.ring(conversation_id)
        self.bell.ring("outbox")


def require(person: Person, role: Role) -> None:
    """Raise `NotAllowed` unless `person` holds `role`."""
    if not person.may(role):
        raise NotAllowed(role=role.value)


def require_owner(conversation: Conversation, person: Person) -> None:
    """Raise unless `person` has the conversation: `NotYours`, or `NotClaimed` when nobody has."""
    if conversation.state is not State.AGENT:
        raise NotClaimed()
    if conversation.assignee != person.id:
        raise NotYours(name=conversation.assignee_name)


async def load(work: Work, conversation_id: str) -> tuple[Conversation, Handoff]:
    """Return a conversation and its latest handoff; raise `NotFound` when it never had one."""
    conversation = await work.conversations.get(conversation_id)
    handoff = await work.handoffs.latest(conversation_id)
    if handoff is None:
        raise NotFound(what="handoff of conversation", id=conversation_id)
    return conversation, handoff

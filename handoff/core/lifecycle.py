"""Who owns a conversation: a table of transitions, and the one function that applies it.

The shape (transitions are data, an illegal event raises and changes nothing) follows h11's
`_state.py`. The diagram in ARCHITECTURE.md is generated from `TRANSITIONS` by `mermaid`.
"""

from __future__ import annotations

from enum import StrEnum

from handoff.core.errors import IllegalTransition
from handoff.core.model import Conversation, State


class Event(StrEnum):
    """What can happen to the ownership of a conversation."""

    CUSTOMER_WROTE = "customer_wrote"
    HAND_OFF = "hand_off"
    CLAIM = "claim"
    RELEASE = "release"
    RESOLVE = "resolve"
    RETURN_TO_BOT = "return_to_bot"
    REOPEN = "reopen"
    GO_IDLE = "go_idle"


TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.BOT, Event.CUSTOMER_WROTE): State.BOT,
    (State.BOT, Event.HAND_OFF): State.WAITING,
    (State.BOT, Event.GO_IDLE): State.CLOSED,
    (State.WAITING, Event.CUSTOMER_WROTE): State.WAITING,
    (State.WAITING, Event.CLAIM): State.AGENT,
    (State.WAITING, Event.RETURN_TO_BOT): State.BOT,
    (State.AGENT, Event.CUSTOMER_WROTE): State.AGENT,
    (State.AGENT, Event.RELEASE): State.WAITING,
    (State.AGENT, Event.RESOLVE): State.CLOSED,
    (State.AGENT, Event.RETURN_TO_BOT): State.BOT,
    (State.CLOSED, Event.CUSTOMER_WROTE): State.BOT,
    (State.CLOSED, Event.REOPEN): State.AGENT,
}
"""Every legal step; a pair that is not here is illegal."""


def next_state(state: State, event: Event) -> State:
    """Return the state after `event`; raise `IllegalTransition` when the table has no such step."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransition(event=event.value, state=state.value) from None


def apply(conversation: Conversation, event: Event) -> None:
    """Move `conversation` on; an illegal event raises and changes nothing.

    A customer who writes into a closed conversation opens a new episode. Whenever no person owns
    the conversation any more, the assignee is forgotten. What the bot asked, and what it meant to
    come to later, ends with its ownership and is not there when it begins again.
    """
    state = next_state(conversation.state, event)
    if state is not conversation.state and State.BOT in (state, conversation.state):
        conversation.asking, conversation.pending = False, None
        if state is State.BOT:
            conversation.questions, conversation.awaiting_slot = 0, None
    if conversation.state is State.CLOSED and state is State.BOT:
        conversation.episode += 1
    if state is not State.AGENT:
        conversation.assignee, conversation.assignee_name = None, ""
    conversation.state = state


def mermaid() -> str:
    """Return the transition table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", f"    [*] --> {State.BOT}"]
    lines += [f"    {a} --> {b}: {event}" for (a, event), b in TRANSITIONS.items()]
    return "\n".join(lines) + "\n"

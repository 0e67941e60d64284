"""Who owns a conversation: every state times every event."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime

import pytest

from handoff.core.errors import IllegalTransition
from handoff.core.lifecycle import TRANSITIONS, Event, apply, mermaid, next_state
from handoff.core.model import Conversation, State

BOT, WAITING, AGENT, CLOSED = State.BOT, State.WAITING, State.AGENT, State.CLOSED
NO = None

TABLE = {
    # event:               (from BOT, from WAITING, from AGENT, from CLOSED)
    Event.CUSTOMER_WROTE: (BOT, WAITING, AGENT, BOT),
    Event.HAND_OFF: (WAITING, NO, NO, NO),
    Event.CLAIM: (NO, AGENT, NO, NO),
    Event.RELEASE: (NO, NO, WAITING, NO),
    Event.RESOLVE: (NO, NO, CLOSED, NO),
    Event.RETURN_TO_BOT: (NO, BOT, BOT, NO),
    Event.REOPEN: (NO, NO, NO, AGENT),
    Event.GO_IDLE: (CLOSED, NO, NO, NO),
}
CASES = [
    (state, event, targets[column])
    for event, targets in TABLE.items()
    for column, state in enumerate((BOT, WAITING, AGENT, CLOSED))
]


def conversation(state: State) -> Conversation:
    now = datetime(2024, 5, 1, tzinfo=UTC)
    person = (1001, "Ana") if state is AGENT else (None, "")
    return Conversation(
        "c", "web", "kim", "Kim", now, now, state, 3, 7, 9, 4, *person, awaiting_slot="order_id"
    )


OF_AGENTS = (Event.CLAIM, Event.RELEASE, Event.RESOLVE, Event.RETURN_TO_BOT, Event.REOPEN)


def test_what_an_agent_cannot_do_now_is_told_in_plain_words():
    refused = [(s, e) for s in State for e in OF_AGENTS if (s, e) not in TRANSITIONS]
    assert len(refused) == 14
    for state, event in refused:
        told = str(IllegalTransition(event=event.value, state=state.value))
        assert told.endswith(".") and "state" not in told and "_" not in told


def test_the_table_covers_every_state_and_event():
    assert {(state, event) for state, event, _ in CASES} == {(s, e) for s in State for e in Event}
    assert len(CASES) == len(State) * len(Event) == 32


@pytest.mark.parametrize(("state", "event", "target"), CASES)
def test_every_step(state, event, target):
    before, after = conversation(state), conversation(state)
    if target is None:
        with pytest.raises(IllegalTransition) as refused:
            apply(after, event)
        assert asdict(after) == asdict(before)
        assert refused.value.status == 409
        assert refused.value.facts["event"] == event and refused.value.facts["state"] == state
        return
    apply(after, event)
    assert after.state is target
    changed = {k for k, v in asdict(after).items() if v != asdict(before)[k]}
    assert changed <= {"state", "episode", "awaiting_slot", "assignee", "assignee_name"}


@pytest.mark.parametrize(("state", "event", "target"), [c for c in CASES if c[2] is not None])
def test_an_assignee_is_kept_only_while_a_person_owns_it(state, event, target):
    moved = conversation(state)
    apply(moved, event)
    kept = state is AGENT and target is AGENT
    assert (moved.assignee, moved.assignee_name) == ((1001, "Ana") if kept else (None, ""))


def test_a_new_episode_begins_when_a_customer_writes_into_a_closed_conversation():
    for state in State:
        moved = conversation(state)
        apply(moved, Event.CUSTOMER_WROTE)
        assert moved.episode == (4 if state is CLOSED else 3)
        assert moved.awaiting_slot == (None if state is CLOSED else "order_id")


def test_next_state_changes_nothing_and_agrees_with_the_table():
    for state, event, target in CASES:
        if target is None:
            assert (state, event) not in TRANSITIONS
        else:
            assert next_state(state, event) is target


def test_the_diagram_shows_every_step_once():
    lines = mermaid().splitlines()
    assert lines[:2] == ["stateDiagram-v2", "    [*] --> bot"]
    steps = {f"    {a} --> {t}: {e}" for a, e, t in CASES if t is not None}
    assert set(lines[2:]) == steps
    assert len(lines[2:]) == len(steps)


@pytest.mark.parametrize(("state", "event", "target"), [case for case in CASES if case[2]])
def test_what_the_bot_asked_and_promised_ends_with_its_ownership(state, event, target):
    of = conversation(state)
    of.asking, of.pending, of.questions = True, ("change my address",), 2
    apply(of, event)
    kept = state is target or BOT not in (state, target)
    assert (of.asking, bool(of.pending)) == (kept, kept)
    begins = target is BOT and state is not BOT
    assert (of.questions, of.awaiting_slot) == ((0, None) if begins else (2, "order_id"))

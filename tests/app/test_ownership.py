"""One owner at a time: claim, speak, let go, resolve, and what the sweep does about time."""

from __future__ import annotations

import asyncio

import pytest

from handoff.app import phrases
from handoff.core.errors import (
    AlreadyClaimed,
    DeskError,
    EmptyText,
    IllegalTransition,
    NotAllowed,
    NotClaimed,
    NotFound,
    NotYours,
)
from handoff.core.model import Author, Handoff, State
from tests.fakes import ANA, BO, LEA, RITA, FakeDesk


@pytest.fixture
def desk() -> FakeDesk:
    return FakeDesk()


async def only_handoff(desk: FakeDesk) -> Handoff:
    (handoff,) = await desk.handoffs()
    return handoff


async def test_a_claim_gives_the_conversation_to_one_person_and_tells_the_customer(desk):
    id = await desk.handed_over()
    desk.clock.advance(42)
    await desk.claim(id, ANA)
    conversation = await desk.conversation(id)
    assert (conversation.state, conversation.assignee) == (State.AGENT, ANA.id)
    assert (await desk.said(id))[-1] == phrases.JOINED.format(name="Ana")
    handoff = await only_handoff(desk)
    assert (handoff.claimed_at, handoff.claimed_by_name) == (desk.clock.now(), "Ana")


async def test_of_two_who_claim_at_once_exactly_one_gets_it_and_the_other_learns_who(desk):
    id = await desk.handed_over()
    results = await asyncio.gather(desk.claim(id, ANA), desk.claim(id, BO), return_exceptions=True)
    (refused,) = [r for r in results if r is not None]
    assert isinstance(refused, AlreadyClaimed)
    winner = (await desk.conversation(id)).assignee_name
    assert str(refused) == f"{winner} already has this conversation."
    assert len(await desk.said(id, Author.SYSTEM)) == 2


async def test_claiming_ones_own_conversation_again_changes_nothing(desk):
    id = await desk.with_ana()
    before = await desk.said(id)
    await desk.claim(id, ANA)
    assert await desk.said(id) == before


@pytest.mark.parametrize("person", [RITA])
async def test_without_the_role_nothing_is_possible(desk, person):
    id = await desk.with_ana()
    before = await desk.said(id)
    for attempt in (
        desk.claim(id, person),
        desk.say(id, person, "hello", "x1"),
        desk.note(id, person, "hello", "x2"),
        desk.release(id, person),
        desk.return_to_bot(id, person),
        desk.resolve(id, person),
        desk.reopen(id, person),
    ):
        with pytest.raises(NotAllowed, match="This needs the role agent"):
            await attempt
    assert await desk.said(id) == before


@pytest.mark.parametrize("state", State)
async def test_what_each_state_allows(desk, state):
    """Every use case in every state either works or refuses with a typed error and no change."""
    allowed = {
        State.BOT: set(),
        State.WAITING: {"claim", "return_to_bot"},
        State.AGENT: {"claim", "say", "release", "return_to_bot", "resolve"},
        State.CLOSED: {"reopen"},
    }
    names = ("claim", "say", "release", "return_to_bot", "resolve", "reopen")
    for number, name in enumerate(names):
        key = f"customer-{number}"
        id = await _in_state(desk, state, key)
        before = await desk.conversation(id)
        extra = ("hello", "s1") if name == "say" else ()
        if name in allowed[state]:
            await getattr(desk, name)(id, ANA, *extra)
        else:
            with pytest.raises((IllegalTransition, NotClaimed)):
                await getattr(desk, name)(id, ANA, *extra)
            assert await desk.conversation(id) == before


async def _in_state(desk: FakeDesk, state: State, key: str) -> str:
    """Return a conversation in this state that had a handoff before."""
    id = await desk.with_ana(key)
    if state is State.WAITING:
        await desk.release(id, ANA)
    elif state is State.CLOSED:
        await desk.resolve(id, ANA)
    elif state is State.BOT:
        await desk.return_to_bot(id, ANA)
    assert (await desk.conversation(id)).state is state
    return id


async def test_a_conversation_without_a_handoff_cannot_be_claimed(desk):
    id = (await desk.ask("hello")).conversation_id
    with pytest.raises(NotFound):
        await desk.claim(id, ANA)
    with pytest.raises(NotFound):
        await desk.claim("0" * 32, ANA)


async def test_only_the_owner_speaks(desk):
    id = await desk.handed_over()
    with pytest.raises(NotClaimed, match="claim it first"):
        await desk.say(id, ANA, "hello", "s0")
    await desk.claim(id, ANA)
    with pytest.raises(NotYours, match="belongs to Ana"):
        await desk.say(id, BO, "hello", "s1")
    with pytest.raises(EmptyText):
        await desk.say(id, ANA, " ", "s2")
    await desk.say(id, ANA, "hello\n<3", "s3")
    (line,) = [m for m in await desk.lines(id) if m.author is Author.AGENT]
    assert (line.text, line.author_name) == ("hello\n<3", "Ana")


async def test_a_repeated_update_says_it_once_and_the_first_answer_is_timed_once(desk):
    id = await desk.with_ana()
    desk.clock.advance(5)
    first = await desk.say(id, ANA, "hello", "tg:1")
    answered = (await only_handoff(desk)).first_response_at
    desk.clock.advance(5)
    again = await desk.say(id, ANA, "hello", "tg:1")
    await desk.say(id, ANA, "more", "tg:2")
    assert first.id == again.id
    assert await desk.said(id, Author.AGENT) == ["hello", "more"]
    assert (await only_handoff(desk)).first_response_at == answered == first.created_at


async def test_a_note_stays_inside_and_needs_no_claim(desk):
    id = await desk.handed_over()
    await desk.note(id, BO, "be careful", "n1")
    await desk.note(id, BO, "be careful", "n1")
    assert await desk.said(id, Author.NOTE) == ["be careful"]
    assert (await only_handoff(desk)).first_response_at is None


async def test_an_agents_line_wins_over_a_bot_that_comes_too_late(desk):
    id = await desk.with_ana()
    await desk.say(id, ANA, "I am here", "s1")
    desk.clock.advance(90 * 60)
    await desk.ask("where is my order?")
    await desk.sweep()
    assert desk.assistant.heard == []
    assert (await desk.conversation(id)).state is State.AGENT


async def test_release_puts_it_back_for_another(desk):
    id = await desk.with_ana()
    with pytest.raises(NotYours):
        await desk.release(id, BO)
    await desk.release(id, ANA)
    assert (await desk.said(id))[-1] == phrases.LEFT.format(name="Ana")
    assert (await desk.conversation(id)).assignee is None
    await desk.claim(id, BO)
    assert (await only_handoff(desk)).claimed_by == BO.id


async def test_a_lead_may_release_and_resolve_what_others_have(desk):
    id = await desk.with_ana()
    await desk.release(id, LEA)
    await desk.claim(id, BO)
    await desk.resolve(id, LEA)
    assert (await desk.conversation(id)).state is State.CLOSED


async def test_back_to_the_bot_without_what_led_to_the_person(desk):
    for _ in range(3):
        await desk.ask("my parcel is not here")
    id = (await only_handoff(desk)).conversation_id
    await desk.claim(id, ANA)
    await desk.return_to_bot(id, ANA)
    await desk.ask("my parcel is not here")
    assert (await desk.conversation(id)).state is State.BOT
    handoff = await only_handoff(desk)
    assert (handoff.outcome, handoff.ended_at) == ("returned", desk.clock.now())


async def test_resolve_ends_the_handoff_and_reopen_takes_it_back(desk):
    id = await desk.with_ana()
    await desk.resolve(id, ANA)
    assert (await only_handoff(desk)).outcome == "resolved"
    await desk.reopen(id, BO)
    handoff = await only_handoff(desk)
    assert (handoff.ended_at, handoff.outcome, handoff.claimed_by) == (None, "", BO.id)
    assert (await desk.conversation(id)).assignee == BO.id


async def test_a_refusal_changes_nothing(desk):
    id = await desk.with_ana()
    before = (await desk.conversation(id), await desk.said(id), await only_handoff(desk))
    for attempt in (desk.claim(id, BO), desk.resolve(id, BO), desk.return_to_bot(id, BO)):
        with pytest.raises(DeskError):
            await attempt
    after = (await desk.conversation(id), await desk.said(id), await only_handoff(desk))
    assert after == before


async def test_silence_ends_an_episode_of_the_bot_only(desk):
    silent = (await desk.ask("hello", key="silent")).conversation_id
    waiting = await desk.handed_over("waiting")
    with_ana = await desk.with_ana("with-ana")
    desk.clock.advance(59 * 60)
    await desk.ask("hello", key="talking")
    await desk.sweep()
    assert (await desk.conversation(silent)).state is State.BOT
    desk.clock.advance(2 * 60)
    await desk.sweep()
    await desk.sweep()
    assert (await desk.conversation(silent)).state is State.CLOSED
    assert (await desk.conversation(waiting)).state is State.WAITING
    assert (await desk.conversation(with_ana)).state is State.AGENT


async def test_the_topic_is_reminded_once_a_period_until_somebody_claims(desk):
    id = await desk.handed_over()
    await desk.owed_items()
    for _ in range(11):
        desk.clock.advance(60)
        await desk.sweep()
        await desk.sweep()
    assert await desk.owed_items() == [
        ("notice", {"text": f"⏰ The customer has been waiting for {m} minutes."}) for m in (5, 10)
    ]
    await desk.claim(id, ANA)
    async with desk.store() as work:
        before = await work.outbox.waiting()
    desk.clock.advance(600)
    await desk.sweep.remind_of_waiting()
    async with desk.store() as work:
        assert await work.outbox.waiting() == before

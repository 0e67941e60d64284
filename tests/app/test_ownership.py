"""One owner at a time: claim, speak, let go, resolve, and what the sweep does about time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from agent_console.senders import _keep_card_id
from handoff.app import phrases
from handoff.app.resolve import TellTruth
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
from handoff.core.model import Author, Conversation, Handoff, State
from handoff.ports import Store, Work
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
    await desk.say(id, ANA, "hello", "s1")
    async with desk.store() as work:
        before = await work.outbox.waiting()
    desk.clock.advance(600)
    await desk.sweep.remind_of_waiting()
    async with desk.store() as work:
        assert await work.outbox.waiting() == before


async def notices(desk: FakeDesk) -> list[object]:
    return [payload["text"] for kind, payload in await desk.owed_items() if kind == "notice"]


async def test_an_agent_who_has_gone_does_not_leave_the_customer_waiting_unseen(desk):
    """chatwoot#7204: the conversation is claimed, so no queue shows it; its topic must say so."""
    id = await desk.handed_over()
    desk.clock.advance(4 * 60)
    await desk.claim(id, ANA)
    desk.clock.advance(4 * 60)
    await desk.sweep()
    assert await notices(desk) == []
    desk.clock.advance(60)
    await desk.sweep()
    await desk.sweep()
    (said,) = await notices(desk)
    assert "5 minutes for an answer by Ana" in str(said)
    await desk.say(id, ANA, "here I am", "s1")
    desk.clock.advance(60 * 60)
    await desk.sweep()
    assert await notices(desk) == []
    await desk.write("and my other parcel?")
    desk.clock.advance(6 * 60)
    await desk.sweep()
    (said,) = await notices(desk)
    assert "6 minutes" in str(said)


async def test_a_released_conversation_is_not_said_to_have_waited_all_along(desk):
    id = await desk.with_ana()
    await desk.say(id, ANA, "hello", "s1")
    desk.clock.advance(40 * 60)
    await desk.release(id, ANA)
    await desk.sweep()
    (said,) = await notices(desk)
    assert said == "⏰ Nobody has this conversation; it came to people 40 minutes ago."


async def test_a_message_that_is_owed_an_answer_keeps_the_conversation_open(desk):
    """The desk was down for hours, and what it owes cannot be decided yet."""
    received = await desk.write("where is my order?")
    desk.clock.advance(3 * 3600)
    assert await desk.sweep.end_idle_episodes() == 0
    assert await desk.sweep.pay_owed_turns(30) == 1
    assert await desk.said(received.conversation_id, Author.BOT) != []


async def test_another_process_that_closed_a_conversation_first_does_not_stop_the_sweep(desk):
    first = (await desk.ask("hello", key="one")).conversation_id
    desk.clock.advance(2 * 3600)
    async with desk.store() as work:
        stale = [await work.conversations.get(first)]
    assert await desk.sweep.end_idle_episodes() == 1
    before = desk.clock.now()
    assert not await desk.sweep._close(stale[0].id, before)


async def test_the_truth_does_not_write_back_what_was_changed_meanwhile(desk):
    """A card that is sent anew while the agent taps: its id must not be lost (it came twice)."""
    id = await desk.with_ana()
    await desk.resolve(id, ANA)
    handoff = await only_handoff(desk)
    tell = TellTruth(desk.store, desk.clock, desk.bell)
    meeting = Meeting(desk.store, handoff.id)
    tell.store = meeting
    await tell(handoff.id, ANA, needed=True)
    found = await only_handoff(desk)
    assert (found.needed, found.card_message_id) == (True, 77)


class Meeting:
    """A store in which, once, a card's id is stored between the first read and the write."""

    def __init__(self, store: Store, handoff_id: str) -> None:
        self.store, self.handoff_id, self.met = store, handoff_id, False

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[Work]:
        async with self.store() as work:
            get = work.conversations.get

            async def meet(id: str) -> Conversation:
                found = await get(id)
                if not self.met:
                    self.met = True
                    await self._card_is_sent()
                return found

            work.conversations.get = meet  # type: ignore[method-assign]
            yield work

    async def _card_is_sent(self) -> None:
        async with self.store() as work:
            await _keep_card_id(work, self.handoff_id, 77)
            await work.commit()

"""The figures of a period, from what is stored."""

from __future__ import annotations

from datetime import timedelta

from handoff.app.report import Report
from tests.fakes import ANA, BO, FakeDesk

DAY = timedelta(days=1).total_seconds()


async def test_a_handoff_of_yesterday_that_goes_on_is_not_the_bots_success():
    desk = FakeDesk()
    id = await desk.with_ana("kim")
    desk.clock.advance(2 * DAY)
    await desk.write("are you still there?", key="kim")
    await desk.ask("where is my order?", key="lou")
    figures = await Report(desk.store, desk.clock)(1)
    assert (figures.episodes, figures.resolved_by_bot) == (2, 0.5)
    assert (figures.handoffs, figures.open_now) == (0, 1)
    await desk.resolve(id, ANA)
    figures = await Report(desk.store, desk.clock)(1)
    assert (figures.episodes, figures.resolved_by_bot, figures.open_now) == (2, 0.5, 0)


async def test_the_days_a_conversation_was_closed_are_no_handling():
    """300 s of work became 173 160 s when the conversation was opened again two days later."""
    desk = FakeDesk()
    id = await desk.with_ana()
    desk.clock.advance(300)
    await desk.resolve(id, ANA)
    desk.clock.advance(2 * DAY)
    await desk.reopen(id, BO)
    desk.clock.advance(60)
    await desk.resolve(id, BO)
    found = await Report(desk.store, desk.clock)(7)
    assert found.handling_seconds == 360


async def test_who_released_it_and_who_gave_it_back_counts_what_they_had():
    desk = FakeDesk()
    id = await desk.with_ana()
    desk.clock.advance(20)
    await desk.release(id, ANA)
    desk.clock.advance(1000)
    await desk.claim(id, BO)
    desk.clock.advance(30)
    await desk.return_to_bot(id, BO)
    found = await Report(desk.store, desk.clock)(7)
    assert found.handling_seconds == 50


async def test_a_clock_that_goes_back_makes_nothing_negative():
    desk = FakeDesk()
    id = await desk.handed_over()
    desk.clock.advance(-500)
    await desk.sweep.remind_of_waiting()
    waiting = await Report(desk.store, desk.clock)(7)
    await desk.claim(id, ANA)
    await desk.say(id, ANA, "hello", "tg:1:1")
    desk.clock.advance(-500)
    await desk.resolve(id, ANA)
    found = await Report(desk.store, desk.clock)(7)
    assert waiting.longest_wait_seconds == 0
    figures = (found.waiting_seconds, found.first_response_seconds, found.handling_seconds)
    assert figures == (0, 0, 0)
    texts = [str(payload.get("text", "")) for _, payload in await desk.owed_items()]
    assert not [text for text in texts if "-" in text and "waiting" in text]

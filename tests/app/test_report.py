"""The figures of a period, from what is stored."""

from __future__ import annotations

from datetime import timedelta

from handoff.app.report import Report
from tests.fakes import ANA, FakeDesk

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

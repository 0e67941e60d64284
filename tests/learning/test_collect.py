"""What is gathered of one handoff: above all which messages were mere data for the bot."""

from __future__ import annotations

from dataclasses import replace

import pytest

from handoff.core.mining import Episode
from handoff.core.policy import Desk
from handoff.learning.collect import _gave_data, collect
from tests.fakes import UNKNOWN, FakeDesk, understood

NUMBER = ({"entity": "order_id", "value": "10042"},)


@pytest.fixture
def desk() -> FakeDesk:
    return FakeDesk()


async def gathered(desk: FakeDesk) -> Episode:
    """Return what is collected of the newest handoff."""
    (handoff,) = await desk.handoffs()
    async with desk.store() as work:
        return await collect(work, handoff, Desk())


async def test_an_answer_to_the_bots_question_is_data_and_another_question_is_not(
    desk: FakeDesk,
) -> None:
    desk.assistant.slot = "order_id"
    await desk.ask("where is my order?")
    number = "the one ending in 42"
    desk.assistant.parses[number] = replace(understood("faq", 0.1), entities=NUMBER)
    data = await desk.ask(number)
    other = await desk.ask(f"do you sell {UNKNOWN}")
    episode = await gathered(desk)
    assert episode.given_data == {data.message.id}
    assert episode.at == other.message.id


async def test_up_to_version_3_every_such_message_was_data(desk: FakeDesk) -> None:
    desk.assistant.slot = "order_id"
    await desk.ask("where is my order?")
    other = (await desk.ask(UNKNOWN)).message.id
    async with desk.store() as work:
        (decision,) = await work.decisions.of_message(other)
    assert not _gave_data(decision, Desk())
    del decision.evidence["signals"]["takes_any_text"]
    assert _gave_data(decision, Desk())

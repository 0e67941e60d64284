"""The script of the public widgets against the whole desk: Rasa, the shop's model, the console."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

import pytest

from handoff.app.phrases import SOMETHING_ELSE
from tests.e2e.desk import ANA, Desk, running_desk
from tests.environment import require_rasa
from tests.widgets.public import Chatroom, OwnWidget, PublicWidget, RasaWebchat
from tests.widgets.test_public_widgets import Words, live_through, shop_with

pytestmark = [pytest.mark.slow, pytest.mark.rasa, pytest.mark.timeout(1200)]

GREETING = re.compile("welcome to Fernway|What can I help you with|Tell me what it is about")
WORDS = Words(
    order="is on its way",
    # Two things are told and none is asked for, so the desk asks which is meant.
    offer="my parcel has not arrived and my password does not work",
    choice=SOMETHING_ELSE,
    chosen="passing you on to a colleague",
    beyond="it is about my parcel",
    again=re.compile(r"order 10043 \(", re.IGNORECASE),
)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    require_rasa()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HANDOFF_CORS", "*")
        with running_desk(tmp_path_factory.mktemp("desk")) as running:
            yield running


class Colleague:
    """Ana at the console, in the topic of whoever asked last."""

    def __init__(self, desk: Desk) -> None:
        self._person = desk.person(ANA)
        self._known = {topic["topic_id"] for topic in self._person.topics()}
        self._topic = 0

    async def claim(self) -> None:
        await asyncio.to_thread(self._claim)

    def _claim(self) -> None:
        number = self._person.topic("my parcel")
        assert number not in self._known, "each customer has a topic"
        self._topic = number
        self._person.press(self._person.sees(number, "Waiting for a person"), "Claim")

    async def say(self, text: str) -> None:
        await asyncio.to_thread(self._person.write, self._topic, text)

    async def resolve(self) -> None:
        await asyncio.to_thread(self._person.write, self._topic, "/resolve")
        await asyncio.to_thread(self._person.sees, self._topic, "Resolved by Ana")


@pytest.mark.parametrize(
    "widget",
    [OwnWidget(), RasaWebchat(greeting=GREETING), Chatroom(greets=False)],
    ids=lambda widget: type(widget).__name__,
)
async def test_the_whole_script_with_the_shops_assistant(
    browser, desk: Desk, widget: PublicWidget
) -> None:
    widget.folder()
    context = await browser.new_context(viewport={"width": 1200, "height": 900})
    context.set_default_timeout(30_000)
    page = await context.new_page()
    async with shop_with(widget, desk.url) as shop:
        await live_through(widget, page, shop, Colleague(desk), WORDS)
    await context.close()

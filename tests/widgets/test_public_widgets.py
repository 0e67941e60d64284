"""The same script in every widget: what a customer of a shop lives through, in a real browser."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Protocol

import pytest
from playwright.async_api import Page
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from handoff.channels.widgets import WidgetOptions
from handoff.core.model import BotLine, Button
from handoff.web.app import create_app
from tests.fakes import ANA, FakeDesk
from tests.web.conftest import serving
from tests.web.proxy import network
from tests.widgets.public import (
    GREETING,
    Chatroom,
    ChatWidget,
    JQueryWidget,
    OwnWidget,
    PublicWidget,
    RasaWebchat,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

WIDGETS = {
    "own": OwnWidget(),
    "rasa-webchat": RasaWebchat(),
    "chat-widget": ChatWidget(),
    "chat-widget over REST": ChatWidget(rest=True, pushes=False),
    "chatroom": Chatroom(),
    "jquery": JQueryWidget(),
}


class Person(Protocol):
    """Whoever takes the conversation over."""

    async def claim(self) -> None: ...

    async def say(self, text: str) -> None: ...

    async def resolve(self) -> None: ...


class FakePerson:
    """Ana at a desk on fakes."""

    def __init__(self, desk: FakeDesk) -> None:
        self.desk, self.said = desk, 0

    async def conversation(self) -> str:
        return (await self.desk.handoffs())[-1].conversation_id

    async def claim(self) -> None:
        await self.desk.claim(await self.conversation(), ANA)

    async def say(self, text: str) -> None:
        self.said += 1
        await self.desk.say(await self.conversation(), ANA, text, f"s{self.said}")

    async def resolve(self) -> None:
        await self.desk.resolve(await self.conversation(), ANA)


@asynccontextmanager
async def shop_with(widget: PublicWidget, desk: str) -> AsyncIterator[str]:
    """Serve a shop's page with a widget; its address is of another origin than the desk's."""

    def page(_: Request) -> Response:
        return HTMLResponse(widget.html(desk))

    def own(request: Request) -> Response:
        return Response(widget.extra(desk)[request.url.path], media_type="text/javascript")

    shop = Starlette(
        routes=[
            Route("/", page),
            *(Route(path, own) for path in widget.extra(desk)),
            Mount("/widget", StaticFiles(directory=widget.folder())),
        ]
    )
    async with serving(shop) as address:  # type: ignore[arg-type]
        yield address.replace("127.0.0.1", "localhost")


LINK = "https://shop.example/track?order=10042"


@dataclass(frozen=True)
class Words:
    """What is said in a run of the script, and part of what comes back."""

    order: str
    offer: str
    choice: str
    chosen: str
    beyond: str
    again: str | re.Pattern[str]


async def live_through(
    widget: PublicWidget, page: Page, shop: str, person: Person, words: Words
) -> None:
    """Greeting, order, button, person, emoji, link, blank line, reload, absence, end, and again.

    `words.order` is part of what the assistant says of order 10042, `again` of order 10043;
    `offer` makes it offer `choice`, which it answers with `chosen`; it needs a person for `beyond`.
    """

    async def come_back() -> None:
        """Leave the shop and return to it, in the same tab."""
        await page.goto(shop)
        await widget.open(page)

    async def hear(text: str) -> None:
        """Read a line of the person: by itself, or with one of the next things one writes.

        What is written may be quicker than the person's line, which comes over the console.
        """
        for _ in range(0 if widget.pushes else 3):
            await widget.write(page, "anything new?")
            with suppress(AssertionError):
                await widget.sees(page, text, milliseconds=6000)
                return
        await widget.sees(page, text)

    await come_back()
    if widget.greets:
        await widget.sees(page, widget.greeting)
    await widget.write(page, "Where is my order 10042?")
    await widget.sees(page, words.order)
    await widget.write(page, words.offer)
    await widget.press(page, words.choice)
    await widget.sees(page, words.chosen)
    await widget.write(page, words.beyond)
    await widget.sees(page, "passing you on to a colleague")
    await person.claim()
    await hear("has joined")
    await person.say("Ana here 😀 日本語 مرحبا")
    await hear("Ana here 😀 日本語 مرحبا")
    await person.say(f"It is here: {LINK}\n\n\n\nAnything else?")
    await hear("Anything else?")
    await widget.sees(page, LINK)
    links = page.locator(widget.room).locator(f'a[href="{LINK}"]')
    assert bool(await links.count()) == widget.links
    assert await widget.empty_bubbles(page) == 0
    await page.reload()
    await widget.open(page)
    if widget.remembers:
        await widget.sees(page, "Ana here 😀 日本語 مرحبا")
    await page.goto("about:blank")
    await person.say("Written while you were away")
    await come_back()
    await hear("Written while you were away")
    await widget.write(page, "thank you, that is all")
    await person.resolve()
    if widget.pushes:
        await widget.sees(page, "has closed this conversation")
    await widget.write(page, "Where is order 10043?")
    await widget.sees(page, "has closed this conversation")
    await widget.sees(page, words.again)
    assert await widget.empty_bubbles(page) == 0


@pytest.mark.parametrize("name", WIDGETS)
async def test_the_whole_script(browser, name: str) -> None:
    widget = WIDGETS[name]
    widget.folder()
    desk = FakeDesk()
    desk.assistant.intents = frozenset({"greet", "start"})
    offer = (Button("Cancel it", "/cancel_order"), Button("No", "/no"))
    desk.assistant.answers |= {
        "/greet": [BotLine(GREETING)],
        "/start": [BotLine(GREETING)],
        "Where is my order 10042?": [BotLine("It left us.\n\n \n\nIt arrives on Friday.")],
        "stop order 10042": [BotLine("\n"), BotLine("Shall I do anything?", offer)],
        "/cancel_order": [BotLine("It is cancelled.")],
    }
    words = Words(
        order="It arrives on Friday.",
        offer="stop order 10042",
        choice="Cancel it",
        chosen="It is cancelled.",
        beyond="human please",
        again="About “Where is order 10043?”: yes.",
    )
    app = create_app(desk.services(widgets=WidgetOptions(origins=("*",))))
    context = await browser.new_context(viewport={"width": 1200, "height": 900})
    context.set_default_timeout(20_000)
    page = await context.new_page()
    async with serving(app) as address, shop_with(widget, address) as shop:
        person = FakePerson(desk)
        await live_through(widget, page, shop, person, words)
        assert "/cancel_order" in [text for _, text in desk.assistant.heard]
        # Everything the customer wrote was stored once, under one customer.
        said = [line.text for line in await desk.lines(await person.conversation())]
        for text in ("Where is my order 10042?", "Cancel it", "human please"):
            assert said.count(text) == 1
        await context.close()


@pytest.mark.parametrize("name", ["own", "rasa-webchat", "chat-widget"])
async def test_a_line_sent_into_a_dead_connection_is_shown_once(browser, name: str) -> None:
    """Nothing closes and nothing fails, the bytes just do not come; no clock is turned here."""
    widget = WIDGETS[name]
    widget.folder()
    desk = FakeDesk()
    app = create_app(desk.services(widgets=WidgetOptions(origins=("*",))))
    context = await browser.new_context(viewport={"width": 1200, "height": 900})
    context.set_default_timeout(20_000)
    page = await context.new_page()
    async with (
        serving(app) as address,
        network(address) as (between, near),
        shop_with(widget, near) as shop,
    ):
        person = FakePerson(desk)
        await page.goto(shop)
        await widget.open(page)
        await widget.write(page, "human please")
        await widget.sees(page, "passing you on to a colleague")
        await person.claim()
        await widget.sees(page, "has joined")
        between.die()
        for number in range(3):
            await person.say(f"sent into the dark {number}")
        for number in range(3):
            await widget.sees(page, f"sent into the dark {number}", milliseconds=60_000)
        await person.say("and again in the light")
        await widget.sees(page, "and again in the light")
        for number in range(3):
            await widget.sees(page, f"sent into the dark {number}")
        await context.close()

"""What the widget shows when connections die unheard, machines sleep, pages are gone back to."""

from __future__ import annotations

from datetime import datetime

import pytest
from playwright.async_api import expect
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route

from handoff.channels import page as channel
from tests.fakes import ANA
from tests.web.browsing import bubbles, chromium, open_chat, visit, write
from tests.web.conftest import serving
from tests.web.proxy import network

pytestmark = pytest.mark.browser

SOON = 30_000
"""Longest time until a line is there, in ms: a browser may try dead connections first."""


async def with_ana(page, desk) -> str:
    """Let Ana take the conversation of `page`; return it."""
    await open_chat(page)
    await write(page, "human please")
    await expect(bubbles(page, "system")).to_have_count(1)
    (handoff,) = await desk.handoffs()
    await desk.claim(handoff.conversation_id, ANA)
    await expect(bubbles(page, "system")).to_have_count(2)
    return handoff.conversation_id


async def test_a_line_sent_into_a_dead_connection_is_shown_once(context, address, desk):
    """Nothing closes, nothing fails: the bytes just do not come. Only silence tells."""
    async with network(address) as (between, near):
        page = await context.new_page()
        await page.clock.install()
        await page.goto(near)
        conversation = await with_ana(page, desk)
        await desk.say(conversation, ANA, "one", "s1")
        await expect(bubbles(page, "agent")).to_have_text(["one"])
        between.die()
        await desk.say(conversation, ANA, "two", "s2")
        await desk.say(conversation, ANA, "three", "s3")
        await page.wait_for_timeout(1500)
        assert await bubbles(page, "agent").all_inner_texts() == ["one"], "the connection is dead"
        await page.clock.fast_forward(30_000)
        await expect(bubbles(page, "agent")).to_have_text(["one", "two", "three"], timeout=SOON)
        await desk.say(conversation, ANA, "four", "s4")
        await expect(bubbles(page, "agent")).to_have_text(["one", "two", "three", "four"])
        await page.context.close()


async def test_a_quiet_stream_that_lives_is_left_alone(context, address, desk, monkeypatch):
    """The desk says that it is there more than twice within the time the widget waits."""
    assert channel.HEARTBEAT_SECONDS * 2 < 25
    monkeypatch.setattr(channel, "HEARTBEAT_SECONDS", 0.5)
    streams = 0

    def count(request) -> None:
        nonlocal streams
        streams += "/events" in request.url

    page = await context.new_page()
    page.on("request", count)
    await page.clock.install()
    await page.goto(address)
    await with_ana(page, desk)
    for _ in range(5):
        await page.clock.run_for(20_000)
        await page.wait_for_timeout(1600)  # two heartbeats of the desk, which keeps real time
    assert streams == 1


async def test_connections_that_are_cut_lose_and_double_nothing(context, address, desk):
    """Lines written before, while and after each cut come once and in order."""
    async with network(address) as (between, near):
        page = await visit(context, near)
        conversation = await with_ana(page, desk)
        said = []
        for number in range(9):
            said.append(f"line {number}")
            await desk.say(conversation, ANA, said[-1], f"s{number}")
            if number % 3 == 1:
                between.reset()
            if number % 3 == 2:
                await expect(bubbles(page, "agent")).to_have_text(said, timeout=20_000)
        assert between.opened >= 4, "the page has connected anew after each cut"
        await write(page, "thank you")
        await expect(bubbles(page, "customer")).to_have_text(["human please", "thank you"])
        await page.context.close()


async def test_what_is_sent_into_a_dead_connection_arrives_once(context, address, desk):
    """The customer's own message: no answer comes, the page gives up and sends it again."""
    async with network(address) as (between, near):
        page = await context.new_page()
        await page.clock.install()
        await page.goto(near)
        conversation = await with_ana(page, desk)
        between.die()
        await write(page, "are you there?")
        await page.wait_for_timeout(500)
        await page.clock.fast_forward(30_000)
        retry = page.get_by_role("button", name="Try again")
        arrived = page.locator(".lines:not(.waiting) .row.customer .text").nth(1)
        await expect(retry.or_(arrived).first).to_be_visible()
        await expect(arrived).to_have_text("are you there?")
        await expect(bubbles(page, "customer")).to_have_count(2)
        assert [line.text for line in await desk.lines(conversation)].count("are you there?") == 1
        await page.context.close()


async def test_a_machine_that_slept_asks_at_once_when_it_wakes(context, address, desk):
    """Timers stand still in sleep; the first look after it finds a clock that went on."""
    async with network(address) as (between, near):
        page = await context.new_page()
        await page.clock.install()
        await page.goto(near)
        conversation = await with_ana(page, desk)
        now = await page.evaluate("() => Date.now()")
        between.die()
        await desk.say(conversation, ANA, "good morning", "s1")
        # The clock alone goes on, no timer runs: this is what a page sees of a sleep.
        await page.clock.set_system_time(datetime.fromtimestamp(now / 1000 + 8 * 3600))
        await page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")
        await expect(bubbles(page, "agent")).to_have_text(["good morning"], timeout=SOON)
        await page.context.close()


@pytest.mark.parametrize("another", [False, True], ids=["the same", "another"])
async def test_a_page_gone_back_to_shows_what_came_meanwhile(address, desk, another):
    """Kept in the back/forward cache a page runs no script; `another`: a tab began anew."""
    html = f'<!doctype html><h1>Shop</h1><script src="{address}/widget.js"></script>'
    other = Starlette(
        routes=[
            Route("/", lambda _: HTMLResponse(html)),
            Route("/next", lambda _: HTMLResponse("<h1>Next</h1>")),
        ]
    )
    async with (
        serving(other) as shop,  # type: ignore[arg-type]
        chromium(without=["--disable-back-forward-cache"]) as browser,
    ):
        context = await browser.new_context()
        page = await visit(context, shop)
        conversation = await with_ana(page, desk)
        await page.evaluate(
            "() => addEventListener('pageshow', (event) => { window.kept = event.persisted; })"
        )
        await page.goto(f"{shop}/next")
        await desk.say(conversation, ANA, "while you looked elsewhere", "s1")
        if another:
            tab = await visit(context, shop)
            await open_chat(tab)
            await tab.get_by_role("button", name="New conversation").first.click()
            await tab.get_by_role("button", name="New conversation").last.click()
            await write(tab, "something new")
            await expect(bubbles(tab, "bot")).to_have_count(1)
        await page.go_back(wait_until="commit")  # it is not loaded again
        assert await page.evaluate("() => window.kept") is True, "it came out of the cache"
        if another:
            await expect(bubbles(page)).to_have_text(
                ["something new", "About “something new”: yes."]
            )
        else:
            await expect(bubbles(page, "agent")).to_have_text(["while you looked elsewhere"])
            await desk.say(conversation, ANA, "and now", "s2")
            await expect(bubbles(page, "agent")).to_have_count(2)

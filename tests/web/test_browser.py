"""The page in a real browser: what a customer sees and does."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playwright.async_api import expect
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route

from handoff.app import phrases
from handoff.core.model import Author, BotLine, Button
from tests.fakes import ANA, understood
from tests.web.browsing import bubbles, open_chat, visit, write
from tests.web.conftest import serving

pytestmark = pytest.mark.browser

QUESTION = "Where is my order 10042?"


async def test_a_question_is_answered_and_a_reload_keeps_the_history(context, address):
    page = await visit(context, address)
    problems: list[str] = []
    page.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    await open_chat(page)
    await write(page, QUESTION)
    await expect(bubbles(page, "bot")).to_have_text([f"About “{QUESTION}”: yes."])
    await expect(bubbles(page, "customer")).to_have_text([QUESTION])
    await page.reload()
    await expect(bubbles(page)).to_have_text([QUESTION, f"About “{QUESTION}”: yes."])
    assert problems == []


async def test_text_is_never_markup(context, address, desk):
    evil = "<b>bold</b> <3 <img src=x onerror=alert(1)> &amp;\nsecond line"
    desk.assistant.answers[evil] = [
        BotLine("<i>no</i> see https://shop.example/a?b=1. or javascript:alert(1)"),
    ]
    page = await visit(context, address)
    await open_chat(page)
    box = page.get_by_label("Your message")
    await box.press_sequentially(evil.split("\n")[0])
    await box.press("Shift+Enter")
    await box.press_sequentially(evil.split("\n")[1])
    await box.press("Enter")
    assert await bubbles(page, "customer").inner_text() == evil
    answer = bubbles(page, "bot")
    await expect(answer).to_contain_text("<i>no</i> see")
    links = answer.locator("a")
    await expect(links).to_have_text(["https://shop.example/a?b=1"])
    assert "noopener" in (await links.get_attribute("rel") or "")
    assert await page.locator(".lines b, .lines i, .lines img").count() == 0


async def test_a_chip_of_the_page_asks_its_question(context, address):
    page = await visit(context, address)
    await page.get_by_role("button", name="How do I get a refund?").first.click()
    await expect(bubbles(page, "bot")).to_have_text(["About “How do I get a refund?”: yes."])


async def test_a_person_joins_and_everybody_looks_different(context, address, desk):
    page = await visit(context, address)
    await open_chat(page)
    await write(page, "hello")
    await expect(bubbles(page, "bot")).to_have_count(1)
    await write(page, "human please")
    await expect(page.locator(".subtitle")).to_have_text("A colleague will be with you soon")
    (handoff,) = await desk.handoffs()
    await desk.claim(handoff.conversation_id, ANA)
    await expect(page.locator(".title")).to_have_text("You are talking to Ana")
    await desk.say(handoff.conversation_id, ANA, "Hi, Ana here.\n<3", "s1")
    await expect(bubbles(page, "agent")).to_have_text(["Hi, Ana here.\n<3"])
    colours = {
        await page.locator(f".lines .row.{author} .bubble").first.evaluate(
            "node => getComputedStyle(node).backgroundColor"
        )
        for author in ("customer", "bot", "agent", "system")
    }
    assert len(colours) == 4
    await desk.resolve(handoff.conversation_id, ANA)
    await expect(page.locator(".title")).to_have_text("Fernway assistant")


async def test_a_button_of_the_bot_is_pressed_once_and_shows_its_title(context, address, desk):
    offer = BotLine("Cancel it?", (Button("Yes, cancel", "/affirm"), Button("No", "/deny")))
    desk.assistant.answers["cancel"] = [offer]
    page = await visit(context, address)
    await open_chat(page)
    await write(page, "cancel")
    await page.get_by_role("button", name="Yes, cancel").click()
    await expect(bubbles(page, "bot")).to_have_count(2)
    assert desk.assistant.heard[-1][1] == "/affirm"
    await expect(bubbles(page, "customer")).to_have_text(["cancel", "Yes, cancel"])
    await expect(page.get_by_role("button", name="No", exact=True)).to_be_disabled()
    await page.reload()
    await expect(bubbles(page, "customer")).to_have_text(["cancel", "Yes, cancel"])
    await expect(page.get_by_role("button", name="Yes, cancel")).to_be_disabled()


def unsure(desk, text: str) -> None:
    """Make the assistant unsure what a text means, and know the order it is about."""
    parse = understood("track_order", 0.5, ("track_refund", 0.4))
    order = {"entity": "order_number", "value": "10042"}
    desk.assistant.parses[text] = replace(parse, entities=(order,))
    desk.assistant.answers['/track_order{"order_number": "10042"}'] = [BotLine("It is on its way.")]
    desk.take_turn.titles = lambda: {
        "track_order": "Where my order is",
        "track_refund": "Where my refund is",
    }


async def test_a_question_back_is_answered_by_keyboard(context, address, desk):
    """Tab to the choice, Enter; every choice is spent and the next thing can be typed at once."""
    unsure(desk, "what about 10042")
    page = await visit(context, address)
    await open_chat(page)
    await write(page, "what about 10042")
    choices = page.locator(".choices button")
    await expect(choices).to_have_text(
        ["Where my order is", "Where my refund is", phrases.SOMETHING_ELSE]
    )
    for _ in range(3):
        await page.keyboard.press("Shift+Tab")
    await expect(choices.first).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(bubbles(page, "bot")).to_have_text([phrases.DID_YOU_MEAN, "It is on its way."])
    for number in range(3):
        await expect(choices.nth(number)).to_be_disabled()
    await expect(page.get_by_label("Your message")).to_be_focused()
    mine = ["what about 10042", "Where my order is"]
    await expect(bubbles(page, "customer")).to_have_text(mine)
    await page.reload()
    await expect(bubbles(page, "customer")).to_have_text(mine)
    other = await visit(context, address)
    await open_chat(other)
    await expect(bubbles(other, "customer")).to_have_text(mine)


async def test_a_choice_that_was_lost_on_the_way_still_reads_as_its_title(context, address, desk):
    unsure(desk, "what about 10042")
    page = await visit(context, address)
    await open_chat(page)
    await write(page, "what about 10042")
    await expect(bubbles(page, "bot")).to_have_count(1)
    await page.route("**/messages", lambda route: route.abort())
    await page.get_by_role("button", name="Where my order is").click()
    await expect(page.locator(".row.failed .text")).to_have_text("Where my order is")
    await page.reload()
    # The stream that brings the bot's line sends again what failed: only after it the row rests.
    await expect(bubbles(page, "bot")).to_have_count(1)
    await expect(page.locator(".row.failed .text")).to_have_text("Where my order is")
    await page.unroute("**/messages")
    await page.get_by_role("button", name="Try again").click()
    await expect(bubbles(page, "bot")).to_have_text([phrases.DID_YOU_MEAN, "It is on its way."])
    await expect(bubbles(page, "customer")).to_have_text(["what about 10042", "Where my order is"])


@pytest.mark.parametrize("width", [1280, 390])
async def test_the_choices_fit_on_every_screen(browser, address, desk, width):
    unsure(desk, "what about 10042")
    desk.take_turn.titles = lambda: {"track_order": "W" * 40, "track_refund": "The rules for it"}
    context = await browser.new_context(viewport={"width": width, "height": 700})
    page = await visit(context, address)
    await open_chat(page)
    await write(page, "what about 10042")
    choices = page.locator(".choices button")
    await expect(choices).to_have_count(3)
    panel = await page.get_by_role("dialog").bounding_box()
    assert panel
    for number in range(3):
        box = await choices.nth(number).bounding_box()
        assert box and panel["x"] <= box["x"]
        assert box["x"] + box["width"] <= panel["x"] + panel["width"]
        assert box["height"] >= 24, "large enough for a finger (WCAG 2.5.8)"
    await context.close()


async def test_a_lost_request_is_sent_again_and_stored_once(context, address, desk):
    page = await visit(context, address)
    sent: list[str] = []

    async def bad_network(route):
        request = route.request
        if request.method != "POST":
            await route.abort()  # no news by the stream, so the page cannot know
        elif request.url.endswith("/messages"):
            sent.append(request.post_data_json["client_id"])
            await route.fetch()  # the desk gets it
            if len(sent) == 1:
                await route.abort()  # but the answer is lost
            else:
                await route.fulfill(status=202, json={})
        else:
            await route.continue_()

    await page.route("**/v1/chat/**", bad_network)
    await open_chat(page)
    await write(page, "hello")
    await page.get_by_role("button", name="Try again").click()
    await expect(page.locator(".waiting .meta")).to_have_text("Sent")
    await page.unroute("**/v1/chat/**")
    await expect(bubbles(page)).to_have_text(["hello", "About “hello”: yes."])
    assert len(sent) == 2
    assert len(set(sent)) == 1
    assert len(desk.assistant.heard) == 1


async def test_a_failed_message_says_so_and_can_be_tried_again(context, address, desk):
    page = await visit(context, address)
    await open_chat(page)
    await page.route("**/v1/chat/**", lambda route: route.abort())
    await write(page, "can you hear me?")
    await expect(page.locator(".row.failed")).to_contain_text("Not sent.")
    await page.unroute("**/v1/chat/**")
    await page.get_by_role("button", name="Try again").click()
    await expect(bubbles(page, "bot")).to_have_text(["About “can you hear me?”: yes."])
    await expect(page.locator(".row.failed")).to_have_count(0)
    await expect(bubbles(page, "customer")).to_have_count(1)


async def test_two_tabs_show_one_conversation(context, address):
    left, right = await visit(context, address), await visit(context, address)
    await open_chat(left)
    await open_chat(right)
    await write(left, "from the left")
    await expect(bubbles(right)).to_have_text(["from the left", "About “from the left”: yes."])
    await write(right, "from the right")
    await expect(bubbles(left, "customer")).to_have_text(["from the left", "from the right"])
    await expect(bubbles(right, "customer")).to_have_text(["from the left", "from the right"])


async def test_a_new_conversation_starts_empty_and_asks_first(context, address, desk):
    page = await visit(context, address)
    await open_chat(page)
    await write(page, "old question")
    await expect(bubbles(page, "bot")).to_have_count(1)
    await page.get_by_role("button", name="New conversation").first.click()
    await page.get_by_role("button", name="Keep it").click()
    await expect(bubbles(page, "bot")).to_have_count(1)
    await page.get_by_role("button", name="New conversation").first.click()
    await page.get_by_role("button", name="New conversation").last.click()
    await expect(bubbles(page)).to_have_count(0)
    await write(page, "new question")
    await expect(bubbles(page)).to_have_text(["new question", "About “new question”: yes."])


async def test_the_limit_is_shown_and_keeps_a_long_text_from_leaving(context, address, desk):
    page = await visit(context, address)
    await open_chat(page)
    box = page.get_by_label("Your message")
    await box.fill("🌿" * 4990)
    await expect(page.locator(".hint")).to_have_text("10 characters left")
    await box.fill("🌿" * 5001)
    await expect(page.locator(".hint")).to_contain_text("1 characters too many")
    await expect(page.get_by_label("Send message")).to_be_disabled()
    await box.press("Enter")
    assert desk.assistant.heard == []


async def test_keyboard_alone_is_enough(context, address):
    page = await visit(context, address)
    await page.get_by_label("Open chat").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("Your message")).to_be_focused()
    await page.keyboard.type("typed")
    await page.keyboard.press("Enter")
    await expect(bubbles(page, "bot")).to_have_count(1)
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await expect(page.get_by_label("Open chat")).to_be_focused()


async def test_a_closed_chat_counts_what_is_new(context, address, desk):
    page = await visit(context, address)
    await open_chat(page)
    await write(page, "human please")
    await expect(bubbles(page, "system")).to_have_count(1)
    await page.get_by_label("Close chat").click()
    (handoff,) = await desk.handoffs()
    await desk.claim(handoff.conversation_id, ANA)
    await desk.say(handoff.conversation_id, ANA, "Hello!", "s1")
    await expect(page.locator(".badge")).to_have_text("2")


async def test_a_session_the_desk_has_forgotten_is_replaced(context, address):
    page = await visit(context, address)
    await open_chat(page)
    await page.evaluate(
        "() => localStorage.setItem(`handoff-desk:${location.origin}/`, 'long-gone')"
    )
    await page.reload()
    await write(page, "anybody there?")
    await expect(bubbles(page)).to_have_text(["anybody there?", "About “anybody there?”: yes."])


async def test_any_shop_embeds_it_with_one_tag(context, address, desk):
    html = f'<!doctype html><h1>Other shop</h1><script src="{address}/widget.js" defer></script>'
    other = Starlette(routes=[Route("/", lambda _: HTMLResponse(html))])
    async with serving(other) as shop:  # type: ignore[arg-type]
        page = await visit(context, shop.replace("127.0.0.1", "localhost"))
        await open_chat(page)
        await write(page, "hello from elsewhere")
        await expect(bubbles(page, "bot")).to_have_text(["About “hello from elsewhere”: yes."])
        await page.context.close()


async def test_the_stream_comes_back_after_a_break(context, address, app, desk):
    page = await visit(context, address)
    await open_chat(page)
    await write(page, "human please")
    await expect(bubbles(page, "system")).to_have_count(1)
    (handoff,) = await desk.handoffs()
    await context.set_offline(True)
    await desk.claim(handoff.conversation_id, ANA)
    await desk.say(handoff.conversation_id, ANA, "while you were away", "s1")
    await context.set_offline(False)
    await expect(bubbles(page, "agent")).to_have_text(["while you were away"])
    assert await desk.said(handoff.conversation_id, Author.AGENT) == ["while you were away"]

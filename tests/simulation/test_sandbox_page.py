"""The page in a real browser: what a person playing an agent sees and does."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.simulation.server import GROUP, Bot, People

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no system Chromium on this machine"),
]
NASTY = "<img src=x onerror=alert(1)> <3 _*[x](y)"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Any, url: str) -> Iterator[Page]:
    """Ana's window; the test fails on any error in the browser's console."""
    window = browser.new_page(viewport={"width": 1280, "height": 800})
    problems: list[str] = []
    window.on("pageerror", lambda error: problems.append(str(error)))
    window.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)
    window.goto(f"{url}/?user=1001")
    yield window
    window.close()
    assert problems == []


def card(bot: Bot, text: str = "Customer waits") -> tuple[int, int]:
    thread = bot.ok("createForumTopic", chat_id=GROUP, name=NASTY)["message_thread_id"]
    keys = {"inline_keyboard": [[{"text": "Claim", "callback_data": "c"}]]}
    bold = [{"type": "bold", "offset": 0, "length": 8}]
    message = bot.ok(
        "sendMessage",
        chat_id=GROUP,
        message_thread_id=thread,
        text=text,
        entities=bold,
        reply_markup=keys,
    )
    return thread, message["message_id"]


def test_topic_appears_and_is_answered(page: Page, bot: Bot, people: People) -> None:
    thread, _ = card(bot, f"Customer {NASTY}")
    row = page.locator(f'.row[data-topic="{thread}"]')
    expect(row.locator(".title")).to_have_text(NASTY)
    expect(row.locator(".badge")).to_have_text("1")
    row.click()
    expect(page.locator(".bubble b").first).to_have_text("Customer")
    expect(page.locator(".bubble .body").first).to_contain_text(NASTY)
    assert page.locator("#messages .body img").count() == 0
    expect(row.locator(".badge")).to_have_count(0)
    page.fill("#text", "first line")
    page.press("#text", "Shift+Enter")
    page.type("#text", NASTY)
    page.press("#text", "Enter")
    expect(page.locator(".line-item.own .body")).to_contain_text(NASTY)
    assert bot.updates()[-1]["message"]["text"] == f"first line\n{NASTY}"


def test_button_shows_the_answer(page: Page, bot: Bot, people: People) -> None:
    thread, message_id = card(bot)
    page.click(f'.row[data-topic="{thread}"]')
    seen = bot.updates()[-1]["update_id"]
    for alert in (False, True):
        page.click(".keys button")
        update = bot.updates(offset=seen + 1, timeout=20)[0]
        seen, query = update["update_id"], update["callback_query"]
        words = f"Taken, alert {alert}"
        bot.ok("answerCallbackQuery", callback_query_id=query["id"], text=words, show_alert=alert)
        expect(page.locator("dialog[open] p" if alert else ".toast")).to_have_text(words)
    page.click("dialog[open] button")
    place = {"chat_id": GROUP, "message_id": message_id}
    bot.ok("editMessageText", **place, text="Claimed by Ana")
    expect(page.locator(".bubble .body")).to_contain_text("Claimed by Ana")
    expect(page.locator(".bubble .stamp")).to_contain_text("edited")
    expect(page.locator(".keys")).to_have_count(0)
    bot.ok("setMessageReaction", **place, reaction=[{"type": "emoji", "emoji": "👀"}])
    expect(page.locator(".reactions button")).to_have_text("👀")


def test_being_somebody_else_and_closing(page: Page, bot: Bot, people: People) -> None:
    thread, _ = card(bot)
    page.click(f'.row[data-topic="{thread}"]')
    expect(page.locator("#chat-menu")).to_be_hidden()
    page.click("#me")
    page.click('#people li[data-user="1004"]')
    expect(page.locator("#me-name")).to_have_text("Lea Lead")
    page.click("#chat-menu")
    page.click("text=Close topic")
    expect(page.locator("#messages .service").last).to_have_text("Lea Lead closed the topic")
    page.click("#me")
    page.click('#people li[data-user="1001"]')
    expect(page.locator("#closed")).to_be_visible()
    expect(page.locator("#composer")).to_be_hidden()
    bot.ok("deleteForumTopic", chat_id=GROUP, message_thread_id=thread)
    expect(page.locator(f'.row[data-topic="{thread}"]')).to_have_count(0)


def test_commands_and_private_chat(page: Page, bot: Bot, people: People) -> None:
    commands = [
        {"command": "claim", "description": "Take it"},
        {"command": "stats", "description": "Figures"},
    ]
    bot.ok("setMyCommands", commands=commands)
    page.click('.row[data-chat="1001"]')
    page.click("#start")
    expect(page.locator(".line-item.own .body")).to_contain_text("/start")
    page.fill("#text", "/st")
    expect(page.locator("#hints li")).to_have_count(1)
    page.press("#text", "Enter")
    expect(page.locator(".line-item.own .body").last).to_contain_text("/stats")
    assert [u["message"]["text"] for u in bot.updates()] == ["/start", "/stats"]


def test_phone(page: Page, bot: Bot, people: People) -> None:
    thread, _ = card(bot, "Customer " + "long " * 60)
    page.set_viewport_size({"width": 390, "height": 780})
    page.click(f'.row[data-topic="{thread}"]')
    expect(page.locator(".keys button")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.click("#back")
    expect(page.locator("#rows")).to_be_visible()

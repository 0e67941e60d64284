"""Several tabs with one conversation: what is under way in one while another begins anew."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable

import pytest
from playwright.async_api import BrowserContext, Page, Route, expect

from tests.fakes import ANA
from tests.web.browsing import bubbles, open_chat, visit, write

pytestmark = pytest.mark.browser

NEWS = re.compile(r"/v1/chat/[^/]+/(events|messages\?)")
"""What a page asks to learn of new lines: the stream, and the question after it broke off."""

LATE_EVENTS = """
addEventListener("storage", (event) => {
  if (!window.late) return;
  event.stopImmediatePropagation();
  window.late.push(event);
}, true);
window.deliverLate = async () => {
  const events = window.late;
  window.late = null;
  for (const event of events) {
    dispatchEvent(new StorageEvent("storage", event));
    await new Promise((next) => setTimeout(next));
  }
};
"""
"""Storage events wait in `window.late`, where it is a list, as they do while a tab is busy."""


class Held:
    """Requests of a page that stand still until `go` is set; then `answer` says what they get."""

    def __init__(self, answer: Callable[[Route], Awaitable[None]] = Route.continue_) -> None:
        self.asked = asyncio.Event()
        self.go = asyncio.Event()
        self._answer = answer

    async def __call__(self, route: Route) -> None:
        self.asked.set()
        await self.go.wait()
        await self._answer(route)


async def ask_for_unknown(route: Route) -> None:
    """Ask the desk for a session that it does not know, whatever the page asked for."""
    await route.continue_(url=re.sub(r"/chat/[^/]+", "/chat/long-gone", route.request.url))


async def two_tabs(context: BrowserContext, address: str) -> tuple[Page, Page]:
    """Two pages with open chats, and no conversation yet."""
    left, right = await visit(context, address), await visit(context, address)
    await open_chat(left)
    await open_chat(right)
    return left, right


async def say_hello(left: Page, right: Page) -> list[str]:
    """Begin the conversation of both tabs; return its texts."""
    await write(left, "hello")
    texts = ["hello", "About “hello”: yes."]
    await expect(bubbles(left)).to_have_text(texts)
    await expect(bubbles(right)).to_have_text(texts)
    return texts


async def begin_anew(page: Page) -> None:
    await page.get_by_role("button", name="New conversation").first.click()
    await page.get_by_role("button", name="New conversation").last.click()
    await expect(bubbles(page)).to_have_count(0)


def answered(*texts: str) -> list[str]:
    """What stands in a conversation where each of `texts` was answered before the next."""
    return [shown for text in texts for shown in (text, f"About “{text}”: yes.")]


async def cut_off(page: Page) -> None:
    """Keep news from a page: its stream breaks, and no other until `NEWS` is unrouted."""
    await page.route(NEWS, lambda route: route.abort())
    await page.evaluate("() => dispatchEvent(new Event('online'))")


def heard(desk) -> list[str]:
    return [text for _, text in desk.assistant.heard]


async def test_a_late_404_does_not_end_what_another_tab_has_begun(context, address, desk):
    left, right = await two_tabs(context, address)
    await say_hello(left, right)
    held = Held(ask_for_unknown)
    await right.route("**/messages", held, times=1)
    await write(right, "from the right")
    await held.asked.wait()
    await begin_anew(left)
    await write(left, "from the left")
    await expect(bubbles(right)).to_have_text([*answered("from the left"), "from the right"])
    held.go.set()
    for tab in (left, right):
        await expect(bubbles(tab)).to_have_text(answered("from the left", "from the right"))
    assert heard(desk) == ["hello", "from the left", "from the right"]


async def test_lines_read_late_are_not_shown_in_the_next_conversation(context, address, desk):
    """The page has the answer and reads its body while another tab begins anew."""
    await context.add_init_script(
        "const json = Response.prototype.json;"
        "Response.prototype.json = async function () {"
        "  const read = await json.call(this);"
        "  if (window.slow && this.url.includes('after=')) await window.slow();"
        "  return read;"
        "};"
    )
    left, right = await two_tabs(context, address)
    await write(left, "human please")
    await expect(bubbles(right, "system")).to_have_count(1)
    (handoff,) = await desk.handoffs()
    await desk.claim(handoff.conversation_id, ANA)
    await expect(bubbles(right, "system")).to_have_count(2)
    held = Held()
    await cut_off(right)
    await right.route("**/messages?after=*", held)
    await right.evaluate(
        "() => { window.reading = new Promise((reads) => {"
        "  window.slow = () => { reads(); return new Promise((go) => { window.go = go; }); };"
        "}); }"
    )
    await held.asked.wait()
    await desk.say(handoff.conversation_id, ANA, "for the old one", "s1")
    held.go.set()
    await right.evaluate("() => window.reading")
    await right.unroute(NEWS)
    await begin_anew(left)
    await write(left, "something new")
    await expect(bubbles(right)).to_have_text(answered("something new"))
    await right.evaluate("() => window.go()")
    await write(left, "and more")
    for tab in (left, right):
        await expect(bubbles(tab)).to_have_text(answered("something new", "and more"))


async def test_a_page_hidden_while_it_asks_for_news_opens_no_stream(context, address):
    page = await visit(context, address)
    await open_chat(page)
    await write(page, "hello")
    await expect(bubbles(page, "bot")).to_have_count(1)
    held = Held()
    await cut_off(page)
    await page.route("**/messages?after=*", held)
    await held.asked.wait()
    await page.unroute(NEWS)
    streams: list[str] = []
    page.on("request", lambda r: streams.append(r.url) if "/events" in r.url else None)
    show = (
        "hidden => { Object.defineProperty(document, 'hidden',"
        " {value: hidden, configurable: true});"
        " document.dispatchEvent(new Event('visibilitychange')); }"
    )
    await page.evaluate(show, True)
    async with page.expect_event("requestfinished", lambda r: "after=" in r.url):
        held.go.set()
    for _ in range(10):
        await page.evaluate("() => new Promise(requestAnimationFrame)")
    assert streams == []
    await page.evaluate(show, False)
    await write(page, "back again")
    await expect(bubbles(page)).to_have_text(answered("hello", "back again"))
    assert len(streams) == 1


@pytest.mark.parametrize("how", ["confirmed", "on its way", "not sent"])
async def test_a_line_under_way_is_sent_once_whoever_begins_anew(context, address, desk, how):
    """What the desk has stays where it was sent; what it has not goes to the new conversation."""
    left, right = await two_tabs(context, address)
    await say_hello(left, right)
    await cut_off(right)

    async def forward(route: Route) -> None:
        answer = await route.fetch()
        stored.set()
        await held.go.wait()
        await route.fulfill(response=answer)

    stored, held = asyncio.Event(), Held()
    if how == "not sent":
        await right.route("**/messages", lambda route: route.abort())
    elif how == "on its way":
        await right.route("**/messages", forward)
    await write(right, "from the right")
    if how == "confirmed":
        await expect(right.locator(".waiting .meta")).to_have_text("Sent")
    elif how == "on its way":
        await stored.wait()
    else:
        await expect(right.locator(".row.failed")).to_have_count(1)
    await begin_anew(left)
    await expect(right.locator(".lines:not(.waiting) .row")).to_have_count(0)
    held.go.set()
    await right.unroute_all(behavior="wait")
    await write(left, "from the left")
    await expect(bubbles(left)).to_contain_text(answered("from the left"))
    new = ["from the left", "from the right"] if how == "not sent" else ["from the left"]
    for _ in range(2):
        for tab in (left, right):
            await expect(bubbles(tab)).to_have_text(answered(*new))
        await right.reload()
    assert sorted(heard(desk)) == ["from the left", "from the right", "hello"]


async def test_a_page_loaded_again_does_not_send_again_what_was_confirmed(context, address, desk):
    left, right = await two_tabs(context, address)
    await say_hello(left, right)
    await cut_off(right)
    await write(right, "from the right")
    await expect(right.locator(".waiting .meta")).to_have_text("Sent")
    await right.goto("about:blank")
    await right.unroute(NEWS)
    await begin_anew(left)
    await write(left, "from the left")
    await expect(bubbles(left)).to_have_text(answered("from the left"))
    await right.goto(address)
    await write(right, "and more")
    for tab in (left, right):
        await expect(bubbles(tab)).to_have_text(answered("from the left", "and more"))
    assert heard(desk).count("from the right") == 1


async def test_what_a_tab_hears_late_does_not_part_it_from_the_others(context, address, desk):
    """A busy tab gets events of the past one by one; what counts is what is stored now."""
    await context.add_init_script(LATE_EVENTS)
    left, right = await two_tabs(context, address)
    await say_hello(left, right)
    await right.evaluate("() => { window.late = []; }")
    await begin_anew(left)
    await write(left, "from the left")
    await expect(bubbles(left)).to_have_text(answered("from the left"))
    await right.wait_for_function("() => window.late.some((event) => event.newValue)")
    await right.get_by_role("button", name="New conversation").first.click()
    await right.get_by_role("button", name="New conversation").last.click()
    await write(right, "from the right")
    await expect(bubbles(right, "bot").last).to_have_text("About “from the right”: yes.")
    await right.evaluate("() => window.deliverLate()")
    await write(left, "and more")
    await expect(bubbles(left, "bot").last).to_have_text("About “and more”: yes.")
    texts = await bubbles(left).all_inner_texts()
    await expect(bubbles(right)).to_have_text(texts)
    stored = "() => localStorage.getItem(`handoff-desk:${location.origin}/`)"
    assert await left.evaluate(stored) == await right.evaluate(stored)
    assert sorted(heard(desk)) == ["and more", "from the left", "from the right", "hello"]


async def test_two_tabs_that_begin_at_once_share_one_conversation(context, address, desk):
    left, right = await two_tabs(context, address)
    ways = {tab: Held() for tab in (left, right)}
    for tab, held in ways.items():
        await tab.route("**/sessions", held)
    await write(left, "from the left")
    await write(right, "from the right")
    for held in ways.values():
        await held.asked.wait()
    ways[left].go.set()
    await expect(bubbles(left)).to_have_text(answered("from the left"))
    ways[right].go.set()
    for tab in (left, right):
        await expect(bubbles(tab)).to_have_text(answered("from the left", "from the right"))
    assert len({sender for sender, _ in desk.assistant.heard}) == 1


async def test_a_line_sent_to_a_conversation_that_nobody_saw_is_sent_again(context, address, desk):
    """Two tabs stored a session in the same moment, before either knew; one of them counts."""
    await context.add_init_script(
        LATE_EVENTS + "const get = Storage.prototype.getItem;"
        "Storage.prototype.getItem = function (key) {"
        "  return window.late && this === localStorage ? null : get.call(this, key);"
        "};"
    )
    left, right = await two_tabs(context, address)
    await right.evaluate("() => { window.late = []; }")
    await left.route(NEWS, lambda route: route.abort())
    await write(left, "from the left")
    await expect(left.locator(".waiting .meta")).to_have_text("Sent")
    again = Held()
    await left.route("**/messages", again)
    await right.wait_for_function("() => window.late.length")
    await write(right, "from the right")
    await expect(bubbles(right)).to_have_text(answered("from the right"))
    await right.evaluate("() => window.deliverLate()")
    await left.unroute(NEWS)
    again.go.set()
    for tab in (left, right):
        await expect(bubbles(tab)).to_have_text(answered("from the right", "from the left"))


async def test_a_line_thrown_away_while_a_session_is_made_is_not_sent(context, address, desk):
    page = await visit(context, address)
    await open_chat(page)
    held = Held()
    await page.route("**/sessions", held)
    await write(page, "thrown away")
    await held.asked.wait()
    await begin_anew(page)
    held.go.set()
    await write(page, "something else")
    await expect(bubbles(page)).to_have_text(answered("something else"))
    assert heard(desk) == ["something else"]


async def test_a_line_that_the_desk_has_lost_with_the_session_is_sent_again(context, address, desk):
    """It was confirmed and never shown; then the desk came back without the conversation."""
    page = await visit(context, address)
    await open_chat(page)
    await write(page, "hello")
    await expect(bubbles(page, "bot")).to_have_count(1)
    held = Held(ask_for_unknown)
    await cut_off(page)
    await page.route("**/messages?after=*", held)
    await page.route("**/messages", lambda route: route.fulfill(status=202, json={}))
    await write(page, "are you there?")
    await expect(page.locator(".waiting .meta")).to_have_text("Sent")
    await held.asked.wait()
    await page.unroute("**/messages")
    await page.unroute(NEWS)
    held.go.set()
    await expect(bubbles(page)).to_have_text(answered("are you there?"))


async def test_what_was_read_of_one_conversation_says_nothing_of_the_next(context, address, desk):
    await context.add_init_script(LATE_EVENTS)
    left, right = await two_tabs(context, address)
    await right.get_by_label("Close chat").click()
    await say_hello(left, right)
    await right.evaluate("() => { window.late = []; }")
    await write(left, "human please")
    await expect(bubbles(right, "system")).to_have_count(1)
    await begin_anew(left)
    await write(left, "human please, again")
    await expect(bubbles(left)).to_have_count(2)
    await left.get_by_label("Close chat").click()
    await open_chat(right)  # reads the four lines of the conversation before
    await left.goto("about:blank")
    latest = (await desk.handoffs())[-1].conversation_id
    await desk.claim(latest, ANA)
    await desk.say(latest, ANA, "while you were away", "s1")
    await left.goto(address)
    await expect(left.locator(".badge")).to_have_text("2")


async def test_start_over_is_not_asked_any_more_once_another_tab_has_done_it(context, address):
    left, right = await two_tabs(context, address)
    await say_hello(left, right)
    await right.get_by_role("button", name="New conversation").first.click()
    question = right.get_by_role("group", name="Start a new conversation?")
    await expect(question).to_be_visible()
    await begin_anew(left)
    await write(left, "from the left")
    await expect(bubbles(right)).to_have_text(answered("from the left"))
    await expect(question).to_be_hidden()


BEHIND = (
    "Object.defineProperty(document, 'hidden', {value: true, configurable: true});"
    "document.dispatchEvent(new Event('visibilitychange'));"
)
IN_FRONT = BEHIND.replace("true", "false", 1)


async def test_tabs_opened_in_the_background_leave_connections_to_the_one_in_front(
    context, address, desk
):
    """A browser opens six connections to one host, and a stream keeps one."""
    front = await visit(context, address)
    await open_chat(front)
    for text in ("before them", "after them"):
        for _ in range(4):
            tab = await context.new_page()
            await tab.add_init_script(BEHIND)
            await tab.goto(address)
        await write(front, text)
        await expect(bubbles(front, "bot").last).to_have_text(f"About “{text}”: yes.")
    await tab.evaluate(IN_FRONT)
    await expect(bubbles(tab)).to_have_text(answered("before them", "after them"))


async def test_tabs_left_while_a_person_answers_leave_connections_to_the_one_in_front(
    context, address, desk
):
    """What comes while a tab is hidden stands in it when it is looked at."""
    front = await visit(context, address)
    await open_chat(front)
    await write(front, "human please")
    await expect(bubbles(front, "system")).to_have_count(1)
    (handoff,) = await desk.handoffs()
    await desk.claim(handoff.conversation_id, ANA)
    await desk.say(handoff.conversation_id, ANA, "line 0", "s0")
    for number in range(1, 8):
        await expect(bubbles(front, "agent").last).to_have_text(f"line {number - 1}")
        await write(front, f"from tab {number}")
        await front.evaluate(BEHIND)
        front = await visit(context, address)
        await open_chat(front)
        await desk.say(handoff.conversation_id, ANA, f"line {number}", f"s{number}")
    await expect(bubbles(front, "customer")).to_have_count(8)
    first = context.pages[0]
    await first.evaluate(IN_FRONT)
    await expect(bubbles(first, "agent")).to_have_text([f"line {n}" for n in range(8)])
    await expect(bubbles(first, "customer")).to_have_count(8)

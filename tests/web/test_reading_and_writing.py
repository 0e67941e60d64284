"""What customers of any script read and write in the widget, and who cannot see or use a mouse."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route

from handoff.core.model import BotLine, Button, Person, Role
from tests.fakes import ANA
from tests.web.browsing import bubbles, open_chat, visit, write
from tests.web.conftest import serving

pytestmark = pytest.mark.browser

HEBREW = "שלום, איפה ההזמנה 10042?"
ARABIC = "مرحبا، أين طلبي 10042؟"


async def side_of_first_word(page: Page, text) -> str:
    """Say at which side of its box the first letter of a text stands."""
    return await text.evaluate(
        "node => { const words = document.createRange(); const walk = document.createTreeWalker("
        "node, NodeFilter.SHOW_TEXT); words.setStart(walk.nextNode(), 0);"
        "words.setEnd(walk.currentNode, 1); const letter = words.getBoundingClientRect();"
        "const box = node.getBoundingClientRect();"
        "return letter.left + letter.right > box.left + box.right ? 'right' : 'left'; }"
    )


# ------------------------------------------------------------------------------ direction


@pytest.mark.parametrize("direction", ["ltr", "rtl"])
async def test_every_line_runs_in_its_own_direction(context, address, desk, direction):
    """Lines of one page, of one conversation, of one message: each as its own letters say."""
    desk.assistant.answers[HEBREW] = [
        BotLine("ההזמנה שלך בדרך.\nIn English: it is on its way.", (Button("תודה (1)", "/a"),))
    ]
    html = f'<!doctype html><html dir="{direction}"><script src="{address}/widget.js"></script>'
    other = Starlette(routes=[Route("/", lambda _: HTMLResponse(html))])
    async with serving(other) as shop:  # type: ignore[arg-type]
        page = await visit(context, shop)
        await open_chat(page)
        for text in (HEBREW, ARABIC, "Hello there, it is me (again)."):
            await write(page, text)
        await expect(bubbles(page, "bot")).to_have_count(3)
        mine = bubbles(page, "customer")
        assert [await side_of_first_word(page, mine.nth(n)) for n in range(3)] == [
            "right", "right", "left",
        ]  # fmt: skip
        answer = bubbles(page, "bot").first
        assert await side_of_first_word(page, answer) == "right"
        english = await answer.evaluate(
            "node => { const words = document.createRange(); const text = node.firstChild;"
            "const start = text.data.indexOf('In'); words.setStart(text, start);"
            "words.setEnd(text, start + 1); const letter = words.getBoundingClientRect();"
            "const box = node.getBoundingClientRect(); return letter.left - box.left; }"
        )
        assert english < 4, "a line of Latin letters begins at the left, whatever stands above it"
        choice = page.get_by_role("button", name="תודה (1)")
        assert await choice.evaluate("node => getComputedStyle(node).direction") == "rtl"
        box = page.get_by_label("Your message")
        for text, runs in ((ARABIC, "rtl"), ("Hello", "ltr"), (HEBREW, "rtl")):
            await box.fill(text)
            assert await box.evaluate("node => getComputedStyle(node).direction") == runs
        await page.context.close()


async def test_a_link_reads_from_left_to_right_inside_arabic(context, address, desk):
    where = "https://shop.example/track/10042?x=1"
    desk.assistant.answers["link"] = [BotLine(f"طلبك هنا: {where}، شكرا.")]
    page = await visit(context, address)
    await open_chat(page)
    await write(page, "link")
    link = bubbles(page, "bot").locator("a")
    await expect(link).to_have_attribute("href", where)
    style = await link.evaluate(
        "node => [getComputedStyle(node).direction, getComputedStyle(node).unicodeBidi]"
    )
    assert style == ["ltr", "isolate"]


@pytest.mark.parametrize(("direction", "launcher"), [("ltr", "right"), ("rtl", "left")])
@pytest.mark.parametrize("width", [1200, 360])
async def test_the_panel_is_laid_out_as_the_page_and_fits(
    browser, address, desk, direction, launcher, width
):
    html = f'<!doctype html><html dir="{direction}"><body><script src="{address}/widget.js">'
    other = Starlette(routes=[Route("/", lambda _: HTMLResponse(html + "</script>"))])
    long = "Donaudampfschifffahrtsgesellschaft" * 4 + " https://shop.example/" + "way/" * 60
    desk.assistant.answers["long"] = [BotLine(long, (Button("W" * 90, "/w"),))]
    async with serving(other) as shop:  # type: ignore[arg-type]
        context = await browser.new_context(viewport={"width": width, "height": 700})
        page = await visit(context, shop)
        button = await page.locator(".launcher").bounding_box()
        assert button
        assert ("right" if button["x"] > width / 2 else "left") == launcher
        await open_chat(page)
        await write(page, "long")
        await write(page, "x" * 400)
        await expect(bubbles(page, "bot")).to_have_count(2)
        wide = await page.evaluate(
            "() => { const root = document.querySelector('#handoff-desk').shadowRoot;"
            "const panel = root.querySelector('.panel').getBoundingClientRect();"
            "return [...root.querySelectorAll('.panel *')].filter((node) => {"
            "  const box = node.getBoundingClientRect();"
            "  return !node.closest('.hidden') && box.width > 1"
            "    && (box.left < panel.left - 1 || box.right > panel.right + 1);"
            "}).map((node) => node.className || node.nodeName); }"
        )
        assert wide == []
        assert await page.evaluate(
            "() => document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        )
        await context.close()


async def test_the_name_of_the_person_is_never_cut_off(browser, address, desk):
    """On a narrow phone it is the one word of the head line that says something."""
    context = await browser.new_context(viewport={"width": 320, "height": 640})
    page = await visit(context, address)
    await open_chat(page)
    await write(page, "human please")
    await expect(bubbles(page, "system")).to_have_count(1)
    (handoff,) = await desk.handoffs()
    await desk.claim(handoff.conversation_id, ANA)
    title = page.locator(".title")
    await expect(title).to_have_text("You are talking to Ana")
    assert await title.evaluate("node => node.scrollHeight <= node.clientHeight + 1")
    await context.close()


async def test_a_hebrew_name_turns_no_sentence_around(context, address, desk):
    noa = Person(1005, "נועה לוי", frozenset({Role.AGENT}))
    page = await visit(context, address)
    await open_chat(page)
    await write(page, "human please")
    await expect(bubbles(page, "system")).to_have_count(1)
    (handoff,) = await desk.handoffs()
    await desk.claim(handoff.conversation_id, noa)
    joined = bubbles(page, "system").last
    await expect(joined).to_contain_text("נועה לוי")
    name, has = await joined.evaluate(
        "node => ['נ', 'has'].map((words) => { const found = document.createRange();"
        "const text = node.firstChild; const start = text.data.indexOf(words);"
        "found.setStart(text, start); found.setEnd(text, start + 1);"
        "return found.getBoundingClientRect().left; })"
    )
    assert name < has, "the name stands before the words about it"
    await expect(page.locator(".title bdi bdi")).to_have_text("נועה לוי")


# ------------------------------------------------------------------------------ composing


async def test_enter_that_ends_a_composition_does_not_send(context, address, desk):
    """Japanese, Chinese, Korean: Enter takes the proposed word; the next Enter sends."""
    page = await visit(context, address)
    await open_chat(page)
    keyboard = await context.new_cdp_session(page)
    box = page.get_by_label("Your message")
    await box.focus()
    enter = {
        "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 229,
        "nativeVirtualKeyCode": 229,
    }  # fmt: skip
    await keyboard.send(
        "Input.imeSetComposition", {"text": "ちゅうもん", "selectionStart": 5, "selectionEnd": 5}
    )
    await keyboard.send("Input.dispatchKeyEvent", {"type": "rawKeyDown", **enter})
    await keyboard.send("Input.insertText", {"text": "注文"})
    await expect(box).to_have_value("注文")
    assert await bubbles(page, "customer").count() == 0
    await box.press("Enter")
    await expect(bubbles(page, "customer")).to_have_text(["注文"])
    assert [text for _, text in desk.assistant.heard] == ["注文"]


@pytest.mark.parametrize("key", ["Enter", "Escape"])
@pytest.mark.parametrize(
    "how", [{"isComposing": True, "keyCode": 13}, {"isComposing": False, "keyCode": 229}]
)
async def test_a_key_of_an_input_method_does_nothing_else(context, address, key, how):
    """Safari ends the composition before it reports the key: only the number 229 is left."""
    page = await visit(context, address)
    await open_chat(page)
    box = page.get_by_label("Your message")
    await box.fill("未確定")
    prevented = await box.evaluate(
        "(node, init) => !node.dispatchEvent(new KeyboardEvent('keydown',"
        "{...init, bubbles: true, composed: true, cancelable: true}))",
        {"key": key, **how},
    )
    assert not prevented
    await expect(page.get_by_role("dialog")).to_be_visible()
    await expect(box).to_have_value("未確定")
    assert await bubbles(page, "customer").count() == 0


# ------------------------------------------------------------------------------ what is shown


BLANK = ("", " ", "\n\n", "\t", "\u200b", "\u00a0\u2003\n", "\u2800", "\ufeff", "\u3164\n\u2060")


async def test_nothing_to_see_is_no_bubble(context, address, desk):
    blank = [BotLine(text) for text in BLANK]
    desk.assistant.answers["hello"] = [BotLine("before"), *blank, BotLine("after")]
    page = await visit(context, address)
    await open_chat(page)
    await write(page, "hello")
    await expect(bubbles(page, "bot")).to_have_text(["before", "after"])
    await expect(page.locator(".lines .row.bot")).to_have_count(2)
    assert await page.locator(".lines .bubble:not(:has(*))").count() == 0
    await page.reload()
    await expect(page.locator(".lines .row.bot")).to_have_count(2)


async def test_choices_without_words_have_no_bubble(context, address, desk):
    desk.assistant.answers["hello"] = [BotLine("\n", (Button("Yes", "/yes"),))]
    page = await visit(context, address)
    await open_chat(page)
    await write(page, "hello")
    await expect(page.locator(".lines .row.bot .choices button")).to_have_text(["Yes"])
    assert await page.locator(".lines .row.bot .bubble").count() == 0


async def test_blank_lines_around_a_text_are_left_out_and_those_inside_stay(context, address, desk):
    desk.assistant.answers["hello"] = [BotLine("\n \n  one\n\n\ntwo \n\n")]
    page = await visit(context, address)
    await open_chat(page)
    await write(page, "hello")
    await expect(bubbles(page, "bot")).to_have_count(1)
    assert await bubbles(page, "bot").evaluate("node => node.textContent") == "  one\n\n\ntwo"


async def test_a_picture_that_cannot_be_loaded_becomes_a_link(context, address, desk):
    where = f"{address}/no-such-picture.png"
    desk.assistant.answers["hello"] = [BotLine("", image=where)]
    page = await visit(context, address)
    await open_chat(page)
    await write(page, "hello")
    link = page.locator(".lines .row.bot .bubble a")
    await expect(link).to_have_text("Open the picture")
    await expect(link).to_have_attribute("href", where)


async def test_attachments_of_the_assistant_are_shown_or_can_be_opened(context, address, desk):
    picture = "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg'/>"
    desk.assistant.answers["hello"] = [
        BotLine("", extra={"attachment": {"type": "video", "payload": {"src": "https://a.example"}}}),
        BotLine("", extra={"attachment": {"type": "image", "payload": {"src": f"{address}/x"}}}),
        BotLine("", extra={"attachment": {"type": "file", "payload": {
            "url": "https://a.example/t.pdf", "title": "Terms <b>"}}}),
        BotLine("", extra={"attachment": {"type": "image", "payload": {"src": picture}}}),
        BotLine("", extra={"attachment": {"type": "file", "payload": {"src": "javascript:x()"}}}),
        BotLine("", extra={"attachment": 7, "custom": {"type": "carousel"}}),
        BotLine("the last"),
    ]  # fmt: skip
    page = await visit(context, address)
    await open_chat(page)
    await write(page, "hello")
    await expect(bubbles(page, "bot")).to_have_text(["the last"])
    links = page.locator(".lines .row.bot .bubble a")
    await expect(links).to_have_text(["Open the file", "Open the picture", "Terms <b>"])
    await expect(page.locator(".lines .row.bot")).to_have_count(4)


ADDRESSES = {
    "(see https://shop.example/a_(b).)": ["https://shop.example/a_(b)"],
    "[https://shop.example/x]": ["https://shop.example/x"],
    "HTTPS://SHOP.example/Y!": ["HTTPS://SHOP.example/Y"],
    "https://shop.example/注文。次": ["https://shop.example/注文。次"],
    "https://shop.example/order。": ["https://shop.example/order"],
    "«https://shop.example/q»": ["https://shop.example/q"],
    "https:// http://. https://[": [],
    "https://a.example https://b.example": ["https://a.example", "https://b.example"],
    "label (https://shop.example/a?b=(c))": ["https://shop.example/a?b=(c)"],
}


async def test_where_an_address_ends(context, address, desk):
    desk.assistant.answers["hello"] = [BotLine(text) for text in ADDRESSES]
    page = await visit(context, address)
    await open_chat(page)
    await write(page, "hello")
    await expect(bubbles(page, "bot")).to_have_text(list(ADDRESSES))
    for number, links in enumerate(ADDRESSES.values()):
        await expect(bubbles(page, "bot").nth(number).locator("a")).to_have_text(links)


async def test_what_an_agent_quotes_looks_like_a_quote(context, address, desk):
    page = await visit(context, address)
    await open_chat(page)
    await write(page, "human please")
    await expect(bubbles(page, "system")).to_have_count(1)
    (handoff,) = await desk.handoffs()
    await desk.claim(handoff.conversation_id, ANA)
    said = "> <b>where</b> is it?\n> שלום\n\nOn its way.\n\n3 > 2\n> see https://shop.example/a"
    await desk.say(handoff.conversation_id, ANA, said, "s1")
    agent = bubbles(page, "agent")
    await expect(agent.locator("blockquote")).to_have_text(
        ["<b>where</b> is it?\nשלום", "see https://shop.example/a"]
    )
    await expect(agent).to_contain_text("On its way.\n\n3 > 2", use_inner_text=True)
    assert await agent.locator("b").count() == 0


async def test_what_was_read_is_not_announced_again(context, address, desk):
    """The number on the button counts what came since the chat was last open, in any tab."""
    page = await visit(context, address)
    await open_chat(page)
    await write(page, "hello")
    await expect(bubbles(page, "bot")).to_have_count(1)
    await write(page, "human please")
    await expect(bubbles(page, "system")).to_have_count(1)
    await page.get_by_label("Close chat").click()
    await page.reload()
    await expect(page.locator(".lines .row")).to_have_count(4)
    await expect(page.locator(".badge")).to_be_hidden()
    await page.goto("about:blank")
    (handoff,) = await desk.handoffs()
    await desk.claim(handoff.conversation_id, ANA)
    await desk.say(handoff.conversation_id, ANA, "while you were away", "s1")
    await page.goto(address)
    await expect(page.locator(".badge")).to_have_text("2")
    await open_chat(page)
    await expect(page.locator(".badge")).to_be_hidden()


# ------------------------------------------------------------------------------ access


async def test_the_focus_goes_through_the_chat_in_the_order_it_is_seen(context, address, desk):
    desk.assistant.answers["hello"] = [
        BotLine("Which?", (Button("One", "/1"), Button("Two", "/2")))
    ]
    page = await visit(context, address)
    await open_chat(page)
    await write(page, "hello")
    await expect(page.locator(".choices button")).to_have_count(2)
    await page.get_by_label("Your message").fill("x")
    await page.get_by_label("New conversation").first.focus()
    order = []
    for _ in range(8):
        order.append(
            await page.evaluate(
                "() => { const at = document.querySelector('#handoff-desk').shadowRoot"
                ".activeElement; return at.getAttribute('aria-label') || at.textContent || at.id; }"
            )
        )
        await page.keyboard.press("Tab")
    assert order == [
        "New conversation", "Close chat", "Conversation", "One", "Two", "text", "Send message",
        "Open chat",
    ]  # fmt: skip


async def test_a_page_that_reopens_the_chat_leaves_the_focus_alone(context, address):
    page = await visit(context, address)
    await open_chat(page)
    await expect(page.get_by_label("Your message")).to_be_focused()
    await page.reload()
    await expect(page.get_by_role("dialog")).to_be_visible()
    assert await page.evaluate("() => document.activeElement === document.body")


async def test_a_screen_reader_hears_what_is_new_and_not_the_whole_history(context, address):
    page = await visit(context, address)
    await open_chat(page)
    await write(page, "hello")
    await expect(bubbles(page, "bot")).to_have_count(1)
    log = page.get_by_role("log")
    assert await log.get_attribute("aria-live") == "polite"
    await expect(log).not_to_have_attribute("aria-busy", "true")
    await page.route("**/events*", lambda route: None)
    await page.reload()
    await expect(log).to_have_attribute("aria-busy", "true")


ACCENTS = ["#ffd400", "#ff0000", "#777777", "#ffffff"]


@pytest.mark.parametrize("accent", ACCENTS)
async def test_every_text_can_be_read_on_its_ground_whatever_the_accent(
    context, address, desk, accent
):
    """WCAG 2 AA: a contrast of 4.5 for every text that is not switched off."""
    html = f'<!doctype html><body><script src="{address}/widget.js" data-accent="{accent}"'
    html += ' data-suggestions="One|Two"></script>'
    other = Starlette(routes=[Route("/", lambda _: HTMLResponse(html))])
    desk.assistant.answers["hello"] = [BotLine("See https://a.example", (Button("Yes", "/y"),))]
    async with serving(other) as shop:  # type: ignore[arg-type]
        page = await visit(context, shop)
        await page.emulate_media(reduced_motion="reduce")
        await open_chat(page)
        assert await too_faint(page) == []
        await write(page, "human please")
        await expect(bubbles(page, "system")).to_have_count(1)
        (handoff,) = await desk.handoffs()
        await desk.claim(handoff.conversation_id, ANA)
        await desk.say(handoff.conversation_id, ANA, "> quote\nhere", "s1")
        await expect(bubbles(page, "agent")).to_have_count(1)
        assert await too_faint(page) == []
        await desk.return_to_bot(handoff.conversation_id, ANA)
        await write(page, "hello")
        await expect(page.locator(".choices button")).to_have_count(1)
        await page.get_by_label("Your message").fill("z" * 5001)
        await page.get_by_label("New conversation").first.click()
        assert await too_faint(page) == []
        await page.context.close()


async def too_faint(page: Page) -> list[str]:
    """Return the texts of the widget whose contrast to what lies behind them is below 4.5."""
    return await page.evaluate(
        """() => {
  const parts = (colour) => {
    const found = colour.match(/[\\d.]+/g).map(Number);
    return found.length < 4 ? [...found, 1] : found;
  };
  const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3]));
  const bright = (rgb) => {
    const [r, g, b] = rgb.map((v) => v / 255)
      .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
  };
  const ground = (node) => {
    if (!node || node.nodeType !== 1) return [255, 255, 255];
    return over(parts(getComputedStyle(node).backgroundColor), ground(node.parentElement));
  };
  const bad = [];
  const root = document.querySelector("#handoff-desk").shadowRoot;
  const walk = document.createTreeWalker(root.querySelector(".panel"), NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const node = walk.currentNode.parentElement;
    const box = node.getBoundingClientRect();
    if (!walk.currentNode.data.trim() || box.width <= 1 || node.closest(":disabled")) continue;
    let opacity = 1;
    for (let up = node; up; up = up.parentElement) opacity *= getComputedStyle(up).opacity;
    const under = ground(node);
    const colour = parts(getComputedStyle(node).color);
    colour[3] *= opacity;
    const [a, b] = [bright(over(colour, under)), bright(under)];
    const contrast = Math.max(a, b) / Math.min(a, b);
    if (contrast < 4.5) bad.push(`${walk.currentNode.data} ${contrast.toFixed(2)}`);
  }
  return bad;
}"""
    )

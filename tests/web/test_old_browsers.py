"""The widget where newer things are missing: Safari 15, and two years of the other browsers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext, Page, expect
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route

from handoff.channels.page import STATIC
from handoff.core.model import BotLine, Button
from tests.fakes import ANA
from tests.web.browsing import bubbles, open_chat, visit, write
from tests.web.conftest import serving

pytestmark = pytest.mark.browser

YOUNGER = (
    "URL.canParse", "URL.parse", "AbortSignal.timeout", "AbortSignal.any", "structuredClone",
    "CSSStyleSheet.prototype.replaceSync", "CSSStyleSheet.prototype.replace",
    "Document.prototype.adoptedStyleSheets", "ShadowRoot.prototype.adoptedStyleSheets",
    "HTMLFormElement.prototype.requestSubmit", "Array.prototype.at", "String.prototype.at",
    "Array.prototype.findLast", "Array.prototype.toSorted", "Array.prototype.toReversed",
    "Array.prototype.with", "Array.fromAsync", "Object.hasOwn", "Object.groupBy", "Map.groupBy",
    "Promise.withResolvers", "Promise.try", "crypto.randomUUID", "Crypto.prototype.randomUUID",
    "Intl.Segmenter", "String.prototype.isWellFormed", "Set.prototype.union",
    "Element.prototype.checkVisibility", "Element.prototype.setHTMLUnsafe",
    "HTMLElement.prototype.showPopover", "navigator.locks", "requestIdleCallback", "scheduler",
    "CompressionStream", "ReadableStream.from", "Iterator", "AbortSignal.prototype.throwIfAborted",
    "AbortController.prototype.reason", "BroadcastChannel", "ElementInternals",
)  # fmt: skip
"""What came to Safari after version 15.0, as far as a page like this may be tempted to use it."""

TAKE_AWAY = """names => {
  for (const name of names) {
    const path = name.split(".");
    const last = path.pop();
    const owner = path.reduce((found, step) => found && found[step], window);
    if (owner) delete owner[last];
  }
  const Made = window.CSSStyleSheet;
  if (!Made.prototype.replaceSync)
    window.CSSStyleSheet = function () { throw new TypeError("Illegal constructor"); };
}"""


async def without(context: BrowserContext, *names: str) -> None:
    """Take functions away before any page of `context` runs a script."""
    await context.add_init_script(f"({TAKE_AWAY})({list(names)!r})")


async def look(page: Page) -> dict[str, object]:
    """Return what shows that the style sheet is in force."""
    return await page.locator(".panel").evaluate(
        "node => ({place: getComputedStyle(node).position, radius: getComputedStyle(node)"
        ".borderTopLeftRadius, accent: getComputedStyle(node.querySelector('header'))"
        ".backgroundColor})"
    )


async def one_conversation(context: BrowserContext, address: str, desk) -> dict[str, object]:
    """Talk about a link, a picture and a choice; return what the panel looks like."""
    desk.assistant.answers["link"] = [BotLine("See https://shop.example/a?b=1.")]
    desk.assistant.answers["picture"] = [BotLine("Here:", image=f"{address}/nothing.png")]
    desk.assistant.answers["choice"] = [BotLine("Which?", (Button("This one", "/this"),))]
    page = await visit(context, address)
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    await open_chat(page)
    for count, text in enumerate(("link", "picture", "choice"), 1):
        await write(page, text)
        await expect(bubbles(page, "bot")).to_have_count(count)
    assert await bubbles(page, "bot").nth(0).locator("a").get_attribute("href") == (
        "https://shop.example/a?b=1"
    )
    await page.get_by_role("button", name="This one").click()
    await expect(bubbles(page, "bot")).to_have_count(4)
    await page.get_by_label("Your message").fill("by the button")
    await page.get_by_label("Send message").click()
    await expect(bubbles(page, "bot").last).to_have_text("About “by the button”: yes.")
    await page.reload()
    await expect(bubbles(page, "bot")).to_have_count(5)
    assert problems == []
    return await look(page)


async def test_everything_works_without_what_came_after_safari_15(context, address, desk):
    await without(context, *YOUNGER)
    found = await one_conversation(context, address, desk)
    assert found == {"place": "fixed", "radius": "20px", "accent": "rgb(31, 92, 67)"}


@pytest.mark.parametrize("name", ["URL.canParse", "ShadowRoot.prototype.adoptedStyleSheets"])
async def test_one_missing_thing_alone_does_no_harm(context, address, desk, name):
    await without(context, name)
    found = await one_conversation(context, address, desk)
    assert found["place"] == "fixed"


async def test_a_line_that_cannot_be_built_is_shown_as_text_and_stops_nothing(
    context, address, desk
):
    """Whatever a browser lacks, only the line that needs it suffers."""
    await context.add_init_script(
        "const make = Document.prototype.createElement;"
        "Document.prototype.createElement = function (name, ...more) {"
        "  if (name === 'a' || name === 'img') throw new TypeError('not in this browser');"
        "  return make.call(this, name, ...more);"
        "};"
    )
    desk.assistant.answers["both"] = [
        BotLine("See https://shop.example/a.", (Button("Go on", "/go"),)),
        BotLine("", image=f"{address}/picture.png"),
        BotLine("The line after them."),
    ]
    page = await visit(context, address)
    await open_chat(page)
    await write(page, "both")
    shown = [
        "See https://shop.example/a.", "This message cannot be shown here.", "The line after them.",
    ]  # fmt: skip
    await expect(bubbles(page, "bot")).to_have_text(shown)
    await write(page, "human please")
    await expect(bubbles(page, "system")).to_have_count(1)
    (handoff,) = await desk.handoffs()
    await desk.claim(handoff.conversation_id, ANA)
    await desk.say(handoff.conversation_id, ANA, "Plain words of Ana", "s1")
    await expect(bubbles(page, "agent")).to_have_text(["Plain words of Ana"])
    await page.reload()
    await expect(bubbles(page, "bot")).to_have_text(shown)
    await expect(bubbles(page, "agent")).to_have_text(["Plain words of Ana"])


async def test_an_event_that_cannot_be_read_stops_nothing(context, address):
    page = await visit(context, address)

    async def spoil(route):
        answer = (
            'id: 1\nevent: message\ndata: {"seq": 1, "author"\n\n'
            "event: message\ndata: 7\n\nevent: message\ndata: null\n\n"
            'event: message\ndata: {"seq": 2, "author": "robot", "text": 5, "at": "?"}\n\n'
            'event: message\ndata: {"seq": 3, "author": "bot", "text": "after it", "at": null}\n\n'
        )
        await route.fulfill(status=200, content_type="text/event-stream", body=answer)

    await page.route("**/events*", spoil)
    await open_chat(page)
    await write(page, "hello")
    await expect(page.locator(".lines .row.bot .text")).to_have_text(["after it"])


async def test_a_page_that_forbids_inline_styles_still_dresses_it(context, address, desk):
    """Constructed sheets pass any policy; an old browser takes the nonce of the tag."""
    policy = f"default-src 'self'; connect-src *; script-src {address}; style-src 'nonce-n0nce'"
    html = f'<!doctype html><script src="{address}/widget.js" nonce="n0nce" defer></script>'
    strict = Starlette(
        routes=[
            Route("/", lambda _: HTMLResponse(html, headers={"Content-Security-Policy": policy}))
        ]
    )
    async with serving(strict) as shop:  # type: ignore[arg-type]
        for gone in ((), YOUNGER):
            await without(context, *gone)
            page = await visit(context, shop)
            await open_chat(page)
            assert (await look(page))["place"] == "fixed"


def test_the_script_uses_no_syntax_or_style_that_came_after_safari_15():
    """The words that would be taken for an error or left out silently."""
    script = Path(STATIC / "widget.js").read_text(encoding="utf-8")
    younger = {
        "a look-behind (Safari 16.4)": r"\(\?<[=!]",
        "a static block (Safari 16.4)": r"\bstatic\s*\{",
        "top-level await": r"^await\b",
        "color-mix (Safari 16.2)": r"color-mix\(",
        ":has (Safari 15.4)": r":has\(",
        "CSS nesting (Safari 16.5)": r"^\s*&(?!&)",
        "@layer, @container, @property (Safari 15.4 and later)": r"@(?:layer|container|property)\b",
        "subgrid (Safari 16)": r"\bsubgrid\b",
        "newer colours": r"\b(?:oklch|oklab|lab|lch|light-dark|color)\(",
    }
    found = [what for what, words in younger.items() if re.search(words, script, re.MULTILINE)]
    assert found == []

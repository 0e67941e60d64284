"""Public chat widgets as their users get them, each on a page of a shop of another origin.

What npm has is installed at its pinned version into a folder that git ignores. Widgets that npm
does not have are taken from a folder that an environment variable names.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

FOLDER = Path(__file__).parents[2] / "var" / "widgets"
"""Where packages from npm are unpacked."""

GREETING = "Hello, I am the shop’s assistant."
NPM_SECONDS = 180.0
SHOWN_MILLISECONDS = 15_000
"""How long a widget may take to show a line: some show one after the other, with pauses."""


def from_npm(package: str, version: str) -> Path:
    """Return the folder of a package, fetched once; skip the test where npm cannot have it."""
    folder = FOLDER / f"{package.replace('/', '-').strip('@')}-{version}"
    if (folder / "package" / "package.json").exists():
        return folder / "package"
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("There is no npm on this machine, so no public widget can be installed.")
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [npm, "pack", f"{package}@{version}", "--silent", "--pack-destination", str(folder)],
        capture_output=True,
        text=True,
        timeout=NPM_SECONDS,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"npm could not fetch {package}@{version}: {done.stderr.strip()[-300:]}")
    (packed,) = folder.glob("*.tgz")
    with tarfile.open(packed) as archive:
        archive.extractall(folder, filter="data")
    return folder / "package"


def from_folder(variable: str, what: str, holds: str) -> Path:
    """Return the folder an environment variable names; skip the test where it is not there."""
    given = os.environ.get(variable, "")
    if not given:
        pytest.skip(f"npm does not have {what}: set {variable} to its folder to test with it.")
    if not (Path(given) / holds).exists():
        pytest.fail(f"{variable} names no folder of {what}: there is no {holds} in it.")
    return Path(given)


@dataclass
class PublicWidget:
    """A widget on a page: how it is set up, and what a customer does with it.

    `pushes`: lines of people appear by themselves, else with the next message. `remembers`: what
    was said before stands there after a reload. `greets`: it opens the chat by itself, and the
    assistant answers with `greeting`. `links`: an address in a text can be clicked.
    """

    pushes: bool = True
    remembers: bool = True
    greets: bool = True
    links: bool = True
    greeting: str | re.Pattern[str] = GREETING
    room: str = ""
    bubble: str = ""

    def folder(self) -> Path:
        """Return the folder whose files the shop serves under `/widget/`."""
        raise NotImplementedError

    def html(self, desk: str) -> str:
        """Return the shop's page for a desk at this address."""
        raise NotImplementedError

    def extra(self, desk: str) -> dict[str, str]:
        """Return scripts of the shop's own, by path."""
        return {}

    async def open(self, page: Page) -> None:
        """Open the chat."""

    async def write(self, page: Page, text: str) -> None:
        """Write a message and send it."""
        raise NotImplementedError

    async def press(self, page: Page, title: str) -> None:
        """Press the choice of this title."""
        await page.locator(self.room).get_by_text(title, exact=True).last.click()

    async def sees(
        self, page: Page, text: str | re.Pattern[str], milliseconds: int = SHOWN_MILLISECONDS
    ) -> None:
        """Wait until a text stands in the chat, once."""
        found = page.locator(self.room).get_by_text(text)
        await expect(found).to_have_count(1, timeout=milliseconds)

    async def empty_bubbles(self, page: Page) -> int:
        """Return how many bubbles of the other side hold nothing."""
        return await page.locator(self.bubble).evaluate_all(
            "found => found.filter((node) => !node.innerText.trim()"
            " && !node.querySelector('img')).length"
        )


@dataclass
class OwnWidget(PublicWidget):
    """The desk's own, so that the script is measured by it."""

    greets: bool = False
    room: str = ".panel"
    bubble: str = ".row:not(.typing) .bubble"
    _none: Path = field(default=Path(__file__).parent)

    def folder(self) -> Path:
        return self._none

    def html(self, desk: str) -> str:
        return f'<!doctype html><h1>Shop</h1><script src="{desk}/widget.js" defer></script>'

    async def open(self, page: Page) -> None:
        if await page.get_by_label("Open chat").get_attribute("aria-expanded") == "false":
            await page.get_by_label("Open chat").click()

    async def write(self, page: Page, text: str) -> None:
        await page.get_by_label("Your message").fill(text)
        await page.get_by_label("Your message").press("Enter")


@dataclass
class RasaWebchat(PublicWidget):
    """rasa-webchat, over Socket.IO."""

    room: str = ".rw-conversation-container"
    bubble: str = ".rw-response:not(:has(#wave))"

    def folder(self) -> Path:
        return from_npm("rasa-webchat", "1.0.1") / "lib"

    def html(self, desk: str) -> str:
        return f"""<!doctype html><meta charset="utf-8"><h1>Shop</h1>
<script src="/widget/index.js"></script><script>
WebChat.default({{initPayload: "/greet", socketUrl: "{desk}", socketPath: "/socket.io/",
  customData: {{language: "en"}}, title: "Shop", params: {{storage: "local"}},
  customMessageDelay: () => 50}}, null);
</script>"""

    async def open(self, page: Page) -> None:
        kept = await page.evaluate("() => localStorage.chat_session || ''")
        if '"isChatOpen":true' not in kept:
            await page.locator(".rw-launcher").click()
        await expect(page.locator(self.room)).to_be_visible()

    async def write(self, page: Page, text: str) -> None:
        await page.locator(".rw-new-message").fill(text)
        await page.locator(".rw-new-message").press("Enter")


@dataclass
class ChatWidget(PublicWidget):
    """Rasa's own chat-widget, over Socket.IO. It makes links of Markdown's alone."""

    links: bool = False
    rest: bool = False
    room: str = ".rasa-chatbot-widget__container"
    bubble: str = "rasa-text-message .text"

    def folder(self) -> Path:
        return from_folder(
            "HANDOFF_RASA_CHAT_WIDGET",
            "Rasa's chat-widget as built (packages/ui/dist/rasa-chatwidget)",
            "rasa-chatwidget.esm.js",
        )

    def html(self, desk: str) -> str:
        rest = ' rest-enabled="true"' if self.rest else ""
        return f"""<!doctype html><meta charset="utf-8"><h1>Shop</h1>
<script type="module" src="/widget/rasa-chatwidget.esm.js"></script>
<link rel="stylesheet" href="/widget/rasa-chatwidget.css">
<script>
  const sender = localStorage.sender || (localStorage.sender = crypto.getRandomValues(
    new Uint32Array(4)).join("-"));
  const widget = document.createElement("rasa-chatbot-widget");
  const options = {{"server-url": "{desk}", "sender-id": sender, "initial-payload": "/greet",
    "message-delay": "50"}};
  for (const [name, value] of Object.entries(options)) widget.setAttribute(name, value);
  {'widget.setAttribute("rest-enabled", "true");' if rest else ""}
  document.body.append(widget);
</script>"""

    async def open(self, page: Page) -> None:
        await page.locator(".rasa-chatbot-widget__launcher").click()
        # What is typed before it has a session it throws away.
        await expect(page.locator(self.room).get_by_text("Session started").first).to_be_visible()

    async def write(self, page: Page, text: str) -> None:
        box = page.locator("rasa-chat-input textarea, rasa-chat-input input").first
        await box.fill(text)
        await box.press("Enter")


@dataclass
class Chatroom(PublicWidget):
    """scalableminds' chatroom, over REST."""

    pushes: bool = False
    remembers: bool = False
    room: str = ".chatroom"
    bubble: str = ".chat.left"

    def folder(self) -> Path:
        return from_npm("@scalableminds/chatroom", "0.12.0") / "dist"

    def html(self, desk: str) -> str:
        return f"""<!doctype html><meta charset="utf-8"><h1>Shop</h1>
<link rel="stylesheet" href="/widget/Chatroom.css"><div class="chat-container"></div>
<script src="/widget/Chatroom.js"></script><script>
const room = new Chatroom({{host: "{desk}", title: "Shop", startMessage: "/start",
  container: document.querySelector(".chat-container")}});
room.openChat();
</script>"""

    async def write(self, page: Page, text: str) -> None:
        await page.locator(".chatroom .input input[type=text]").fill(text)
        await page.locator(".chatroom .input input[type=text]").press("Enter")


@dataclass
class JQueryWidget(PublicWidget):
    """A widget on jQuery over REST, of which there are many like it."""

    pushes: bool = False
    remembers: bool = False
    greets: bool = False
    links: bool = False
    room: str = "#chats"
    bubble: str = ".botMsg"

    def folder(self) -> Path:
        return from_folder(
            "HANDOFF_JQUERY_WIDGET",
            "the jQuery widget (github.com/JiteshGaikwad/Chatbot-Widget)",
            "static/js/components/chat.js",
        )

    def html(self, desk: str) -> str:
        page = (self.folder() / "index.html").read_text(encoding="utf-8")
        page = re.sub(r'<link\b[^>]*href="https:[^>]*>', "", page)
        page = re.sub(r'src="https:[^"]*jquery[^"]*"', 'src="static/js/lib/jquery.min.js"', page)
        # Its chat needs showdown at once, which it loads last: over a slow network that works.
        first = '<head><base href="/widget/"><script src="static/js/lib/showdown.min.js"></script>'
        return page.replace("<head>", first)

    def extra(self, desk: str) -> dict[str, str]:
        return {
            "/widget/static/js/constants.js": (
                f'const action_name = ""; const rasa_server_url = "{desk}/webhooks/rest/webhook";'
                "const sender_id = localStorage.sender || (localStorage.sender = uuidv4());"
            )
        }

    async def open(self, page: Page) -> None:
        # Its parts are loaded one after the other, long after the page.
        await page.wait_for_function(
            "() => window.jQuery && jQuery._data(document.querySelector('#profile_div'), 'events')"
            " && typeof send === 'function' && typeof rasa_server_url === 'string'"
        )
        await page.evaluate("() => document.querySelector('.tap-target-wrapper')?.remove()")
        await expect(page.locator("#userInput")).to_be_attached()
        await page.evaluate(
            "() => { if (!$('.widget').is(':visible')) $('#profile_div').click(); }"
        )
        await expect(page.locator("#userInput")).to_be_visible()

    async def write(self, page: Page, text: str) -> None:
        await page.locator("#userInput").fill(text)
        await page.locator("#sendButton").click()

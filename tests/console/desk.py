"""A console on a real database against the real simulator over HTTP, and the people who use it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from agent_console.console import Console, ConsoleDeps, build_console
from handoff.adapters.clock import WallClock
from handoff.core.model import Handoff, OutboxItem
from handoff.ports import Store
from tests.fakes import ANA, BO, LEA, RITA, UNKNOWN, FakeDesk

TOKEN = "7001:SECRET-of-the-test"
GROUP = -1001000000001
SAM = 1005
PEOPLE = {person.id: person for person in (ANA, BO, RITA, LEA)}
STEP_SECONDS = 15.0
INTENTS = ("cancel_order", "faq", "get_refund", "track_order", *(f"topic_{n}" for n in range(12)))


class Desk(FakeDesk):
    """The use cases on fakes, on the wall clock, with a console that talks to a simulator."""

    def __init__(self, store: Store, url: str, **settings: Any) -> None:
        super().__init__(store)
        self.clock.now = WallClock().now  # type: ignore[method-assign]
        self.url = url
        self.settings = settings
        self.learning_asked = 0
        self.console: Console | None = None
        self._http = httpx.AsyncClient(base_url=f"{url}/sim", timeout=70)

    def deps(self) -> ConsoleDeps:
        """Return what a console of this desk needs."""
        settings = {"per_minute": 6000, "send_seconds": 5.0, "poll_seconds": 5, **self.settings}
        return ConsoleDeps(
            store=self.store,
            clock=self.clock,
            bell=self.bell,
            token=TOKEN,
            api_url=self.url,
            request_learning=self._learn,
            **{"group_id": GROUP, "people": PEOPLE, "known_intents": lambda: INTENTS, **settings},
        )

    async def _learn(self) -> str:
        self.learning_asked += 1
        return "A learning run has been asked for."

    async def start(self) -> Console:
        """Start a console on this desk's database, as after a restart."""
        self.console = build_console(self.deps())
        self.take_turn.reachable = lambda: self.console is None or self.console.watch.reachable
        await self.console.start()
        await asyncio.wait_for(self.console.ready.wait(), STEP_SECONDS)
        return self.console

    async def kill(self) -> None:
        """End the console where it stands, as near to `kill -9` as one process allows."""
        console, self.console = self.console, None
        assert console
        tasks = [*console._tasks, *console.dispatcher._under_way]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        console._tasks.clear()
        await console.stop()

    async def close(self) -> None:
        if self.console:
            await self.console.stop()
        await self._http.aclose()

    # --- what people do and see --------------------------------------------------------------

    async def do(self, path: str, **body: Any) -> Any:
        """Play somebody through /sim; must succeed."""
        answer = await self._http.post(f"/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def get(self, path: str, **params: Any) -> Any:
        """Read from /sim; must succeed."""
        answer = await self._http.get(f"/{path}", params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def topics(self) -> list[dict[str, Any]]:
        """Return the topics of the group."""
        return next(c for c in await self.get("chats") if c["chat_id"] == GROUP)["topics"]

    async def topic(self, name: str) -> int:
        """Wait for the topic whose name contains a text; return its number."""

        async def look() -> int | None:
            found = [t["topic_id"] for t in await self.topics() if name in t["name"]]
            return found[-1] if found else None

        return await until(look, f"a topic “{name}”")

    async def messages(self, topic: int, chat: int = GROUP) -> list[dict[str, Any]]:
        """Return the messages of a topic."""
        return await self.get("messages", chat_id=chat, topic_id=topic)

    async def sees(self, topic: int, contains: str, chat: int = GROUP) -> dict[str, Any]:
        """Wait for a message by the bot that now contains a text; return the latest."""

        async def look() -> dict[str, Any] | None:
            found = [m for m in await self.messages(topic, chat) if contains in m["text"]]
            bots = [m for m in found if m["from"]["is_bot"]]
            return bots[-1] if bots else None

        try:
            return await until(look, contains)
        except AssertionError:
            texts = [m["text"] for m in await self.messages(topic, chat)]
            raise AssertionError(f"no “{contains}” among {texts}") from None

    async def writes(self, user: int, topic: int, text: str, **more: Any) -> dict[str, Any]:
        """Let somebody write into a topic."""
        return await self.do(
            "messages", user_id=user, chat_id=GROUP, topic_id=topic, text=text, **more
        )

    async def press(self, user: int, message: dict[str, Any], button: str) -> dict[str, Any]:
        """Press a button by its text; return the answer."""
        answer = await self.do(
            "press",
            user_id=user,
            chat_id=message["chat_id"],
            message_id=message["message_id"],
            button=button,
            wait=10,
        )
        assert answer["answered"], f"nobody answered the press of {button}"
        return answer

    async def calls(self, method: str) -> list[dict[str, Any]]:
        """Return the Bot API calls of a method."""
        return await self.get("calls", method=method)

    # --- what is stored ----------------------------------------------------------------------

    async def asks_unknown(self, key: str = "kim", text: str = UNKNOWN) -> str:
        """Let a customer ask what the bot does not know; return the conversation."""
        return (await self.ask(text, key=key)).conversation_id

    async def handoff(self, conversation_id: str) -> Handoff:
        async with self.store() as work:
            found = await work.handoffs.latest(conversation_id)
        assert found
        return found

    async def item(self, id: str) -> OutboxItem:
        async with self.store() as work:
            return await work.outbox.get(id)

    async def settled(self) -> None:
        """Wait until nothing is owed to Telegram any more."""

        async def look() -> bool:
            async with self.store() as work:
                owed = await work.outbox.waiting()
                sending = await work.outbox.stranded()
                updates = await work.updates.pending()
            return not owed and not sending and not updates

        await until(look, "everything is sent")


async def until(look: Callable[[], Awaitable[Any]], what: str, seconds: float = STEP_SECONDS):
    """Return the first true answer of `look`, or fail saying what did not happen."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := await look():
            return found
        await asyncio.sleep(0.02)
    raise AssertionError(f"within {seconds:g} s this did not happen: {what}")

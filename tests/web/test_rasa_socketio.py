"""Rasa's Socket.IO protocol, spoken by the real client library against a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import socketio
from fastapi import FastAPI

from handoff.core.model import Author, BotLine, Button, State
from tests.fakes import ANA, FakeDesk


class Widget:
    """A chat widget as rasa-webchat is one: it notes what it is sent."""

    def __init__(self) -> None:
        self.io = socketio.AsyncClient(reconnection=False)
        self.got: dict[str, asyncio.Queue[Any]] = {}
        for name in ("session_confirm", "bot_uttered", "refused"):
            queue = self.got[name] = asyncio.Queue()
            self.io.on(name, queue.put)

    async def next(self, event: str) -> Any:
        async with asyncio.timeout(5):
            return await self.got[event].get()

    async def session(self, session_id: str | None = None) -> str:
        await self.io.emit("session_request", {"session_id": session_id})
        return await self.next("session_confirm")

    async def say(self, text: Any, session: str | None, **fields: Any) -> None:
        await self.io.emit("user_uttered", {"message": text, "session_id": session, **fields})


@asynccontextmanager
async def widget(address: str, *transports: str) -> AsyncIterator[Widget]:
    made = Widget()
    await made.io.connect(address, transports=list(transports) or ["websocket"])
    try:
        yield made
    finally:
        if made.io.transport() == "websocket":
            await made.io.disconnect()
        else:
            # A polling client would wait for its last poll to end, as long as a ping takes.
            await made.io.eio.disconnect(abort=True)


async def conversation_of(desk: FakeDesk, session: str) -> Any:
    async with desk.store() as work:
        return await work.conversations.find("socketio", session)


async def gone(app: FastAPI, session: str) -> None:
    """Wait until the server has noticed that nobody of the session is connected."""
    async with asyncio.timeout(5):
        while app.state.sockets.present(session):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def delivered(desk: FakeDesk, session: str, seq: int) -> None:
    """Wait until the mark stands at `seq`: it moves after the emit."""
    async with asyncio.timeout(5):
        while (await conversation_of(desk, session)).delivered_seq < seq:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_a_turn_over_each_transport(address, transport):
    async with widget(address, transport) as page:
        session = await page.session()
        await page.say("hello", session, customData={"language": "en"})
        said = await page.next("bot_uttered")
    assert said["text"] == "About “hello”: yes."
    assert said["metadata"] == {"author": "bot", "name": "", "seq": 2}


async def test_a_session_is_kept_when_the_client_names_it(address):
    async with widget(address) as page:
        assert await page.session("mine") == "mine"
        await page.io.emit("session_request", None)
        assert len(await page.next("session_confirm")) == 32


async def test_paragraphs_quick_replies_and_images_as_rasa_sends_them(address, desk):
    desk.assistant.answers["hi"] = [
        BotLine("One.\n\nTwo?", (Button("Yes", "/affirm"),), "/box.png"),
    ]
    async with widget(address) as page:
        await page.say("hi", await page.session())
        said = [await page.next("bot_uttered") for _ in range(3)]
    plain = [{k: v for k, v in s.items() if k != "metadata"} for s in said]
    assert plain == [
        {"text": "One.", "quick_replies": []},
        {
            "text": "Two?",
            "quick_replies": [{"content_type": "text", "title": "Yes", "payload": "/affirm"}],
        },
        {"attachment": {"type": "image", "payload": {"src": "/box.png"}}},
    ]


async def test_an_agents_lines_are_pushed_in_order(address, desk):
    async with widget(address) as page:
        session = await page.session()
        await page.say("human please", session)
        assert (await page.next("bot_uttered"))["metadata"]["author"] == "system"
        id = (await conversation_of(desk, session)).id
        await desk.claim(id, ANA)
        await desk.note(id, ANA, "only for colleagues", "n1")
        for number in range(5):
            await desk.say(id, ANA, f"line {number}", f"s{number}")
        said = [await page.next("bot_uttered") for _ in range(6)]
    assert [s["text"] for s in said[1:]] == [f"line {n}" for n in range(5)]
    assert {s["metadata"]["name"] for s in said[1:]} == {"Ana"}


async def test_lines_written_while_nobody_listens_come_later_and_once(address, app, desk):
    async with widget(address) as page:
        session = await page.session()
        await page.say("human please", session)
        await page.next("bot_uttered")
        await delivered(desk, session, 2)
    await gone(app, session)
    id = (await conversation_of(desk, session)).id
    await desk.claim(id, ANA)
    await desk.say(id, ANA, "are you there?", "s1")
    async with widget(address) as page:
        assert await page.session(session) == session
        missed = [(await page.next("bot_uttered"))["text"] for _ in range(2)]
        await delivered(desk, session, 4)
    assert missed == ["Ana has joined. You are now talking to a person.", "are you there?"]
    await gone(app, session)
    async with widget(address) as page:
        await page.session(session)
        await desk.say(id, ANA, "hello again", "s2")
        assert (await page.next("bot_uttered"))["text"] == "hello again"


async def test_two_tabs_of_a_session_both_hear(address):
    async with widget(address) as left, widget(address) as right:
        session = await left.session()
        await right.session(session)
        await left.say("hello", session)
        assert await left.next("bot_uttered") == await right.next("bot_uttered")


async def test_two_quick_messages_are_stored_as_sent_and_make_one_conversation(address, desk):
    async with widget(address) as page:
        session = await page.session()
        for number in range(10):
            await page.say(f"message {number}", session)
        for _ in range(10):
            await page.next("bot_uttered")
    id = (await conversation_of(desk, session)).id
    assert await desk.said(id, Author.CUSTOMER) == [f"message {n}" for n in range(10)]


async def test_a_repeated_message_id_is_one_message(address, desk):
    async with widget(address) as page:
        session = await page.session()
        for metadata in ({"message_id": "m1"}, '{"message_id": "m1"}'):
            await page.say("hello", session, metadata=metadata)
        await page.next("bot_uttered")
        await page.say("next", session)
        assert (await page.next("bot_uttered"))["text"] == "About “next”: yes."
    id = (await conversation_of(desk, session)).id
    assert await desk.said(id, Author.CUSTOMER) == ["hello", "next"]


@pytest.mark.parametrize(
    ("event", "payload", "words"),
    [
        ("user_uttered", {"message": "", "session_id": "s"}, "must contain text"),
        ("user_uttered", {"message": "x" * 20_000, "session_id": "s"}, "5000 characters"),
        ("user_uttered", {"message": 5, "session_id": "s"}, "message"),
        ("user_uttered", {"session_id": "s"}, "message"),
        ("user_uttered", {"message": "hello"}, "session_request"),
        ("user_uttered", {"message": "hello", "session_id": 7}, "session_id"),
        ("user_uttered", {"message": "hello", "session_id": "a\nb"}, "sender"),
        ("user_uttered", {"message": "hello", "session_id": "s", "x": 1}, "x"),
        ("user_uttered", {"message": "hello", "session_id": "s", "metadata": "{"}, "metadata"),
        ("user_uttered", {"message": "hello", "session_id": "s", "metadata": "[]"}, "metadata"),
        ("user_uttered", "hello", "The body"),
        ("user_uttered", None, "The body"),
        ("session_request", {"session_id": ""}, "session_id"),
        ("session_request", {"session_id": "x" * 300}, "session_id"),
        ("session_request", ["s"], "The body"),
    ],
)
async def test_bad_payloads_are_refused_and_store_nothing(address, desk, event, payload, words):
    async with widget(address) as page:
        await page.io.emit(event, payload)
        refused = await page.next("refused")
        assert set(refused) == {"error"}
        assert words in refused["error"]
        async with desk.store() as work:
            assert await work.conversations.in_state(list(State)) == []
        await page.say("still working", await page.session())
        assert (await page.next("bot_uttered"))["text"] == "About “still working”: yes."


async def test_an_acknowledgement_says_what_was_stored(address):
    async with widget(address) as page:
        session = await page.session()
        stored = await page.io.call("user_uttered", {"message": "hi", "session_id": session})
        refused = await page.io.call("user_uttered", {"message": "", "session_id": session})
    assert stored is not None and stored["seq"] == 1
    assert refused == {"error": "A message must contain text."}


async def test_a_session_cannot_listen_in_on_another_client(address, desk):
    async with widget(address) as page, widget(address) as spy:
        await spy.session(page.io.get_sid())
        session = await page.session()
        await page.say("hello", session)
        await page.next("bot_uttered")
        assert spy.got["bot_uttered"].empty()
        assert spy.got["session_confirm"].empty()

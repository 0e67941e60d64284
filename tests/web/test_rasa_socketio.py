"""Rasa's Socket.IO protocol, spoken by the real client library against a real server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
import socketio
from fastapi import FastAPI

from handoff.core.errors import TextTooLong
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


class Bare:
    """A client of the protocol as it is on the wire, which answers a ping only when it is told to.

    So a browser is seen by a server while its computer sleeps or its network is gone.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.unanswered = 0

    async def said(self, text: str) -> None:
        """Take what comes until a line with this text, and answer nothing."""
        async with asyncio.timeout(5):
            while text not in await self._next():
                continue

    async def pinged(self) -> None:
        async with asyncio.timeout(5):
            while not self.unanswered:
                await self._next()

    async def silent(self, seconds: float) -> list[str]:
        """Return the events that come within so many seconds."""
        found = []
        try:
            async with asyncio.timeout(seconds):
                while True:
                    found.append(await self._next())
        except TimeoutError:
            return [event for event in found if event.startswith("42")]

    async def _next(self) -> str:
        packet = (await self.socket.receive()).data
        assert isinstance(packet, str), packet
        self.unanswered += packet == "2"
        return packet

    async def pong(self) -> None:
        while self.unanswered:
            self.unanswered -= 1
            await self.socket.send_str("3")

    async def emit(self, event: str, data: Any) -> None:
        await self.socket.send_str("42" + json.dumps([event, data]))


@asynccontextmanager
async def bare(address: str, session: str) -> AsyncIterator[Bare]:
    """Connect, ask for a session, and in the end vanish without a word."""
    url = f"{address}/socket.io/?EIO=4&transport=websocket"
    async with aiohttp.ClientSession() as http:
        client = Bare(await http.ws_connect(url, autoping=False))
        await client.socket.send_str("40")
        await client.emit("session_request", {"session_id": session})
        await client.said("session_confirm")
        yield client
        client.socket._writer.transport.abort()  # type: ignore[union-attr]


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


async def with_ana(desk: FakeDesk, address: str, session: str) -> str:
    """Return the conversation of a session that Ana has, all lines so far delivered."""
    async with widget(address) as page:
        await page.session(session)
        await page.say("human please", session)
        await page.next("bot_uttered")
        id = (await conversation_of(desk, session)).id
        await desk.claim(id, ANA)
        await page.next("bot_uttered")
        await delivered(desk, session, 3)
    return id


async def test_a_line_sent_to_a_connection_that_had_just_died_is_shown_by_the_next(
    address, app, desk
):
    id = await with_ana(desk, address, "mine")
    async with bare(address, "mine") as dead:
        await desk.say(id, ANA, "are you there?", "s1")
        await dead.said("are you there?")
        # The server has not noticed yet that nobody is there.
        assert app.state.sockets.present("mine")
        async with widget(address) as page:
            await page.session("mine")
            assert (await page.next("bot_uttered"))["text"] == "are you there?"
            await desk.say(id, ANA, "good", "s2")
            assert (await page.next("bot_uttered"))["text"] == "good"
            await delivered(desk, "mine", 5)
    await gone(app, "mine")
    async with widget(address) as page:
        await page.session("mine")
        await desk.say(id, ANA, "once", "s3")
        assert (await page.next("bot_uttered"))["text"] == "once"


async def test_a_line_is_delivered_when_a_ping_after_it_is_answered_and_comes_once(
    address, app, desk
):
    id = await with_ana(desk, address, "mine")
    async with bare(address, "mine") as slow:
        await desk.say(id, ANA, "first", "s1")
        await slow.said("first")
        await slow.emit("session_request", {"session_id": "mine"})
        assert [e for e in await slow.silent(1.5) if "bot_uttered" in e] == []
        assert (await conversation_of(desk, "mine")).delivered_seq == 3
        await slow.pinged()
        await slow.pong()
        await delivered(desk, "mine", 4)
        await desk.say(id, ANA, "second", "s2")
        await slow.said("second")
    await gone(app, "mine")
    async with widget(address) as page:
        await page.session("mine")
        assert (await page.next("bot_uttered"))["text"] == "second"


async def test_a_ping_from_before_a_line_says_nothing_of_it(address, app, desk, monkeypatch):
    monkeypatch.setattr(app.state.sockets.server.eio, "ping_interval", 0.1)
    id = await with_ana(desk, address, "mine")
    async with bare(address, "mine") as slow:
        await slow.pinged()
        await desk.say(id, ANA, "late", "s1")
        await slow.said("late")
        assert slow.unanswered == 1
        await slow.pong()
        await slow.silent(0.5)
        assert (await conversation_of(desk, "mine")).delivered_seq == 3
        await slow.pong()
        await delivered(desk, "mine", 4)


async def test_lines_over_polling_are_delivered_too(address, app, desk):
    id = await with_ana(desk, address, "mine")
    async with widget(address, "polling") as page:
        await page.session("mine")
        await desk.say(id, ANA, "hello", "s1")
        assert (await page.next("bot_uttered"))["text"] == "hello"
        await delivered(desk, "mine", 4)


async def test_pings_do_not_grow_with_the_lines(address, app, desk, monkeypatch):
    """Each answer lets the server send one ping more; what is asked besides must not add to it."""
    monkeypatch.setattr(app.state.sockets.server.eio, "ping_interval", 0.2)
    id = await with_ana(desk, address, "mine")
    async with bare(address, "mine") as client:
        for number in range(20):
            await desk.say(id, ANA, f"line {number}", f"s{number}")
            await client.said(f"line {number}")
            await client.pong()
        counted = 0
        for _ in range(10):
            await client.silent(0.1)
            counted += client.unanswered
            await client.pong()
    assert 1 <= counted <= 7


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
        ("user_uttered", {"message": 5, "session_id": "s"}, "message"),
        ("user_uttered", "hello", "The body"),
        ("user_uttered", None, "The body"),
        ("session_request", ["s"], "The body"),
    ],
)
async def test_what_rasa_could_not_read_is_refused_and_stores_nothing(
    address, desk, event, payload, words
):
    async with widget(address) as page:
        await page.io.emit(event, payload)
        refused = await page.next("refused")
        assert set(refused) == {"error"}
        assert words in refused["error"]
        async with desk.store() as work:
            assert await work.conversations.in_state(list(State)) == []
        await page.say("still working", await page.session())
        assert (await page.next("bot_uttered"))["text"] == "About “still working”: yes."


async def test_a_customer_hears_that_a_message_is_too_long(address, desk):
    async with widget(address) as page:
        await page.say("x" * 20_000, await page.session())
        said = await page.next("bot_uttered")
        assert said["text"] == str(TextTooLong(limit=5000, length=20_000))
        assert said["metadata"]["author"] == "system"
        assert said["text"] == (await page.next("refused"))["error"]
    async with desk.store() as work:
        assert await work.conversations.in_state(list(State)) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"session_id": 7},
        {"session_id": "a\nb"},
        {"session_id": "x" * 300},
        {"session_id": "s", "x": 1, "sender": "me", "metadata": "{"},
        {"session_id": "s", "metadata": [1, None]},
        {"session_id": "s", "metadata": "[]", "customData": "words"},
        {"session_id": ""},
        {"session_id": None},
        {},
    ],
)
async def test_what_rasa_takes_is_taken(address, desk, fields):
    """Without a session the sender is the connection, as in Rasa without session persistence."""
    async with widget(address) as page, widget(address) as other:
        for number in range(2):
            await page.io.emit("user_uttered", {"message": f"hello {number}", **fields})
            assert (await page.next("bot_uttered"))["text"] == f"About “hello {number}”: yes."
        async with desk.store() as work:
            (one,) = await work.conversations.in_state(list(State))
        assert await desk.said(one.id, Author.CUSTOMER) == ["hello 0", "hello 1"]
        if not fields.get("session_id"):
            assert one.customer_key == page.io.get_sid()
        await page.io.emit("user_uttered", {"message": "human please", **fields})
        await page.next("bot_uttered")
        await desk.claim(one.id, ANA)
        assert (await page.next("bot_uttered"))["text"].startswith("Ana has joined")
        assert other.got["bot_uttered"].empty() and page.got["refused"].empty()


async def test_an_empty_session_is_nobodys(address, desk):
    async with widget(address) as page, widget(address) as other:
        keys = [await page.session(""), await other.session("")]
    assert all(len(key) == 32 for key in keys) and keys[0] != keys[1]


async def test_rasa_webchat_without_a_payload_opens_nothing(address, desk):
    """It sends a message that is not there."""
    async with widget(address) as page:
        session = await page.session()
        await page.io.emit("user_uttered", {"customData": {}, "session_id": session})
        await page.say("hello", session)
        assert (await page.next("bot_uttered"))["text"] == "About “hello”: yes."
        assert page.got["refused"].empty()
    assert len(desk.assistant.heard) == 1


@pytest.mark.parametrize(
    ("sent", "given"),
    [
        ({"customData": {"language": "en"}}, {"language": "en"}),
        ({"metadata": {"a": 1}, "customData": {"a": 2, "b": 3}}, {"a": 1, "b": 3}),
        ({"metadata": '{"a": 1}'}, {"a": 1}),
        ({"metadata": "{"}, {"metadata": "{"}),
        ({"metadata": [1]}, {"metadata": [1]}),
        ({"metadata": "x" * 100_000}, {}),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_what_a_widget_sends_along_reaches_the_assistant(address, desk, sent, given):
    async with widget(address) as page:
        session = await page.session()
        await page.say("hello", session, **sent)
        await page.next("bot_uttered")
    (metadata,) = desk.assistant.given
    assert metadata.pop("handoff_desk")["customer_key"] == session
    assert metadata == given


async def test_what_is_neither_text_nor_image_passes_as_rasa_sends_it(address, desk):
    carousel = {"type": "carousel", "elements": [{"text": "A"}]}
    desk.assistant.answers["hi"] = [
        BotLine("", extra={"custom": carousel}),
        BotLine("", extra={"custom": {"data": carousel}}),
        BotLine("", extra={"custom": {"metadata": {"seq": "own", "link": "_blank"}}}),
        BotLine("", extra={"attachment": {"type": "video", "payload": {"src": "/v.mp4"}}}),
        BotLine("", extra={"json_message": [1]}),
        BotLine("a\n\n\n \n\nb", (Button("Yes", "/affirm"),)),
        BotLine(" \n ", (Button("No", "/deny"),)),
    ]
    async with widget(address) as page:
        await page.say("hi", await page.session())
        said = [await page.next("bot_uttered") for _ in range(8)]
    metadata = [s.pop("metadata") for s in said if isinstance(s, dict)]
    assert said[:5] == [
        carousel,
        carousel,
        {},
        {"attachment": {"type": "video", "payload": {"src": "/v.mp4"}}},
        [1],
    ]
    assert [s["text"] for s in said[5:]] == ["a", "b", ""]
    assert [len(s["quick_replies"]) for s in said[5:]] == [0, 1, 1]
    assert metadata[2] == {"author": "bot", "name": "", "seq": "own", "link": "_blank"}
    assert [m["seq"] for m in metadata[:2]] == [2, 3]


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

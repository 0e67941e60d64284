"""The page's channel: sessions, idempotent sending, a stream that neither loses nor doubles."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from handoff.channels.page import HideSessions
from handoff.core.model import Author, BotLine, Button
from tests.fakes import ANA, FakeDesk
from tests.web.conftest import serving

Events = AsyncIterator[tuple[str, str, Any]]


async def start(client: httpx.AsyncClient) -> str:
    response = await client.post("/v1/chat/sessions")
    assert response.status_code == 201
    return response.json()["session"]


async def conversation_of(desk: FakeDesk, session: str) -> str:
    async with desk.store() as work:
        found = await work.conversations.find("web", session)
    assert found is not None
    return found.id


async def send(
    client: httpx.AsyncClient, app: FastAPI, session: str, text: str, **fields: Any
) -> httpx.Response:
    """Send a message and let the bot's turn end."""
    response = await client.post(f"/v1/chat/{session}/messages", json={"text": text, **fields})
    await app.state.turns.drain()
    return response


async def test_a_message_is_stored_then_answered(client, app, desk):
    session = await start(client)
    response = await send(client, app, session, "where is my order?", client_id="c1")
    assert response.status_code == 202
    assert response.json()["seq"] == 1
    seen = (await client.get(f"/v1/chat/{session}/messages")).json()
    assert [(m["author"], m["text"]) for m in seen["messages"]] == [
        ("customer", "where is my order?"),
        ("bot", "About “where is my order?”: yes."),
    ]
    assert seen["messages"][0]["client_id"] == "c1"
    assert seen["after"] == 2
    assert seen["owner"] == {"state": "bot", "person": "", "typing": False}


async def test_sending_again_changes_nothing(client, app, desk):
    session = await start(client)
    first = await send(client, app, session, "hello", client_id="c1")
    again = await send(client, app, session, "hello", client_id="c1")
    assert (first.json()["known"], again.json()["known"]) == (False, True)
    assert first.json()["id"] == again.json()["id"]
    assert len(desk.assistant.heard) == 1


async def test_a_customer_cannot_take_the_identifier_of_an_agents_line(client, app, desk):
    session = await start(client)
    await send(client, app, session, "human please", client_id="tg:-1001:7")
    id = await conversation_of(desk, session)
    await desk.claim(id, ANA)
    await desk.say(id, ANA, "Hello, I am Ana.", "tg:-1001:7")
    assert await desk.said(id, Author.AGENT) == ["Hello, I am Ana."]


async def test_reading_goes_on_after_a_cursor_and_hides_notes(client, app, desk):
    session = await start(client)
    await send(client, app, session, "human please")
    id = await conversation_of(desk, session)
    await desk.claim(id, ANA)
    await desk.note(id, ANA, "a difficult one", "n1")
    await desk.say(id, ANA, "Hi!", "s1")
    seen = (await client.get(f"/v1/chat/{session}/messages", params={"after": 2})).json()
    assert [m["author"] for m in seen["messages"]] == ["system", "agent"]
    assert seen["messages"][1]["name"] == "Ana"
    assert seen["owner"]["person"] == "Ana"
    assert "difficult" not in json.dumps(seen)


async def test_buttons_and_images_reach_the_page(client, app, desk):
    offer = BotLine("Which?", (Button("Track", "/track_order"),), "/images/box.png")
    desk.assistant.answers["hi"] = [offer]
    session = await start(client)
    await send(client, app, session, "hi")
    line = (await client.get(f"/v1/chat/{session}/messages")).json()["messages"][1]
    assert line["buttons"] == [{"title": "Track", "payload": "/track_order"}]
    assert line["image"] == "/images/box.png"


async def test_a_pressed_button_reads_as_its_title_and_is_no_choice_any_more(client, app, desk):
    desk.assistant.answers["hi"] = [BotLine("Which?", (Button("Track", "/track_order"),))]
    session = await start(client)
    await send(client, app, session, "hi")
    await send(client, app, session, "/track_order", client_id="b1")
    line = (await client.get(f"/v1/chat/{session}/messages")).json()["messages"][2]
    assert (line["author"], line["text"]) == ("customer", "Track")
    assert (line["buttons"], line["client_id"]) == ([], "b1")
    assert desk.assistant.heard[-1][1] == "/track_order"


@asynccontextmanager
async def stream(address: str, session: str, **kwargs: Any) -> AsyncIterator[Events]:
    """Open the event stream; yield an iterator of (id, event, data)."""
    url = f"{address}/v1/chat/{session}/events"
    async with (
        httpx.AsyncClient(timeout=10) as client,
        client.stream("GET", url, **kwargs) as response,
    ):
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"].startswith("text/event-stream")
        yield _events(response)


async def _events(response: httpx.Response) -> Events:
    fields: dict[str, str] = {}
    async for line in response.aiter_lines():
        name, _, value = line.partition(": ")
        if line and name:
            fields[name] = value
        elif not line:
            if "data" in fields:
                yield fields.get("id", ""), fields["event"], json.loads(fields["data"])
            fields = {}


async def lines_of(events: Events, count: int) -> list[tuple[int, str]]:
    """Read so many message events; return (seq, text)."""
    found: list[tuple[int, str]] = []
    async with asyncio.timeout(10):
        while len(found) < count:
            id, name, data = await anext(events)
            if name == "message":
                assert int(id) == data["seq"]
                found.append((data["seq"], data["text"]))
    return found


async def test_the_stream_resumes_without_loss_or_doubling(address, desk):
    async with httpx.AsyncClient(base_url=address) as client:
        session = await start(client)
        url = f"/v1/chat/{session}/messages"
        await client.post(url, json={"text": "one"})
        async with stream(address, session) as events:
            first = await lines_of(events, 2)
        await client.post(url, json={"text": "two"})
        last = {"Last-Event-ID": str(first[-1][0])}
        async with stream(address, session, headers=last) as events:
            second = await lines_of(events, 2)
            await client.post(url, json={"text": "three"})
            second += await lines_of(events, 2)
        async with stream(address, session, params={"after": 4}) as events:
            third = await lines_of(events, 2)
    texts = [text for _, text in first + second]
    assert [seq for seq, _ in first + second] == [1, 2, 3, 4, 5, 6]
    assert texts[::2] == ["one", "two", "three"]
    assert third == second[2:]


async def test_two_tabs_see_the_same_lines_once(address, desk):
    async with httpx.AsyncClient(base_url=address) as client:
        session = await start(client)
        async with stream(address, session) as left, stream(address, session) as right:
            await client.post(f"/v1/chat/{session}/messages", json={"text": "hello"})
            seen = await asyncio.gather(lines_of(left, 2), lines_of(right, 2))
    assert seen[0] == seen[1]
    assert [seq for seq, _ in seen[0]] == [1, 2]


async def test_the_stream_tells_who_owns_the_conversation_and_who_types(address, app, desk):
    release = asyncio.Event()

    async def meanwhile(sender: str, text: str) -> None:
        await release.wait()

    desk.assistant.meanwhile = meanwhile
    async with httpx.AsyncClient(base_url=address) as client:
        session = await start(client)
        async with stream(address, session) as events:
            assert (await anext(events))[2] == {"state": "bot", "person": "", "typing": False}
            await client.post(f"/v1/chat/{session}/messages", json={"text": "hello"})
            assert [e[1:] async for e in take_until_owner(events)][-1][1]["typing"] is True
            release.set()
            assert [e[1:] async for e in take_until_owner(events)][-1][1]["typing"] is False
            await client.post(f"/v1/chat/{session}/messages", json={"text": "human please"})
            await app.state.turns.drain()
            await desk.claim(await conversation_of(desk, session), ANA)
            async with asyncio.timeout(5):
                while True:
                    _, name, data = await anext(events)
                    if name == "owner" and data["person"]:
                        break
    assert data == {"state": "agent", "person": "Ana", "typing": False}


async def take_until_owner(events):
    async with asyncio.timeout(5):
        async for event in events:
            yield event
            if event[1] == "owner":
                return


async def test_a_line_of_another_process_is_noticed_without_a_bell(address, desk):
    async with httpx.AsyncClient(base_url=address) as client:
        session = await start(client)
        await client.post(f"/v1/chat/{session}/messages", json={"text": "human please"})
        async with stream(address, session) as events:
            await lines_of(events, 2)
            id = await conversation_of(desk, session)
            desk.bell.ring = lambda key: None  # type: ignore[method-assign]
            await desk.claim(id, ANA)
            joined = await lines_of(events, 1)
    assert joined == [(3, "Ana has joined. You are now talking to a person.")]


async def test_stopping_the_server_ends_open_streams_at_once(app, caplog):
    server = serving(app)
    address = await server.__aenter__()
    async with httpx.AsyncClient(base_url=address) as client:
        session = await start(client)
        async with stream(address, session) as events:
            await anext(events)
            began = time.monotonic()
            await server.__aexit__(None, None, None)
            assert time.monotonic() - began < 3
            assert [event async for event in events] == []
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_text_cannot_break_out_of_an_event(address, desk):
    evil = "a\n\nevent: owner\ndata: {}\r\n\r\nid: 99"
    async with httpx.AsyncClient(base_url=address) as client:
        session = await start(client)
        await client.post(f"/v1/chat/{session}/messages", json={"text": evil})
        async with stream(address, session) as events:
            assert (await lines_of(events, 1))[0] == (1, evil)


async def test_a_failing_turn_leaves_the_message_owed_and_the_sweep_pays(client, app, desk):
    async def explode(sender: str, text: str) -> None:
        raise RuntimeError("a defect")

    desk.assistant.meanwhile = explode
    session = await start(client)
    response = await send(client, app, session, "hello")
    assert response.status_code == 202

    async def quiet(sender: str, text: str) -> None:
        return None

    desk.assistant.meanwhile = quiet
    desk.clock.advance(60)
    assert await desk.sweep.pay_owed_turns(30) == 1
    id = await conversation_of(desk, session)
    assert await desk.said(id, Author.BOT) == ["About “hello”: yes."]


async def test_any_origin_may_chat_and_nothing_else_is_opened(client):
    origin = {"Origin": "https://shop.example"}
    ask = {**origin, "Access-Control-Request-Method": "POST"}
    chat = await client.options(
        "/v1/chat/sessions", headers={**ask, "Access-Control-Request-Headers": "content-type"}
    )
    assert chat.status_code == 200
    assert chat.headers["access-control-allow-origin"] == "*"
    refused = await client.get("/v1/chat/unknown/messages", headers=origin)
    assert refused.status_code == 404
    assert refused.headers["access-control-allow-origin"] == "*"
    embed = await client.options("/v1/embed", headers=ask)
    assert "access-control-allow-origin" not in embed.headers


async def test_sessions_are_long_and_never_the_same(client):
    sessions = {await start(client) for _ in range(20)}
    assert len(sessions) == 20
    assert all(len(session) >= 43 for session in sessions)


@pytest.mark.parametrize(
    ("path", "logged"),
    [
        ("/v1/chat/s3cret/messages?after=1", "/v1/chat/…/messages?after=1"),
        ("/v1/chat/s3cret/events", "/v1/chat/…/events"),
        ("/v1/chat/sessions", "/v1/chat/sessions"),
    ],
)
def test_the_access_log_holds_no_session(path, logged):
    args = ("127.0.0.1:5", "GET", path, "1.1", 200)
    record = logging.LogRecord("uvicorn.access", 20, "", 0, '%s - "%s %s HTTP/%s" %d', args, None)
    assert HideSessions().filter(record)
    assert record.getMessage() == f'127.0.0.1:5 - "GET {logged} HTTP/1.1" 200'

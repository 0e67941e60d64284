"""What bad input gets: a clear 4xx sentence, and nothing stored."""

from __future__ import annotations

import json

import pytest

from handoff.core.model import State

JSON = {"Content-Type": "application/json"}
CHAT = "/v1/chat/SESSION/messages"
REST = "/webhooks/rest/webhook"
EMBED = "/v1/embed"

BAD = [
    # (what, method, path, body, headers, status, part of the sentence)
    ("empty text", "POST", CHAT, {"text": " \n "}, JSON, 422, "must contain text"),
    ("too long", "POST", CHAT, {"text": "x" * 20_000}, JSON, 413, "5000 characters"),
    ("too long by one", "POST", CHAT, {"text": "é" * 5001}, JSON, 413, "5001"),
    ("body too large", "POST", CHAT, {"text": "x" * 70_000}, JSON, 413, "65536 bytes"),
    ("control character", "POST", CHAT, {"text": "a\x00b"}, JSON, 422, "U+0000"),
    ("lone surrogate", "POST", CHAT, b'{"text": "\\ud800"}', JSON, 422, "U+D800"),
    ("surrogate as a field", "POST", CHAT, b'{"text": "a", "\\ud800": 1}', JSON, 422, "unicode"),
    ("broken JSON", "POST", CHAT, b'{"text": "a"', JSON, 400, "must be JSON"),
    ("not UTF-8", "POST", CHAT, b'{"text": "\xff"}', JSON, 400, "UTF-8"),
    ("deep nesting", "POST", CHAT, b"[" * 60_000, JSON, 400, "nested"),
    ("huge number", "POST", CHAT, b'{"text": ' + b"1" * 5000 + b"}", JSON, 400, "number"),
    ("a list", "POST", CHAT, [], JSON, 400, "object"),
    ("no body", "POST", CHAT, b"", JSON, 400, "must be JSON"),
    ("unknown field", "POST", CHAT, {"text": "a", "colour": 1}, JSON, 422, "colour"),
    ("wrong type", "POST", CHAT, {"text": 5}, JSON, 422, "text: "),
    ("no text", "POST", CHAT, {}, JSON, 422, "required"),
    ("empty client_id", "POST", CHAT, {"text": "a", "client_id": ""}, JSON, 422, "client_id"),
    ("long client_id", "POST", CHAT, {"text": "a", "client_id": "x" * 300}, JSON, 422, "255"),
    (
        "odd client_id",
        "POST",
        CHAT,
        {"text": "a", "client_id": "\n"},
        JSON,
        422,
        "client_id",
    ),
    ("form", "POST", CHAT, b"text=a", {"Content-Type": "text/plain"}, 415, "application/json"),
    ("no content type", "POST", CHAT, b"{}", {}, 415, "application/json"),
    ("wrong method", "DELETE", CHAT, b"", {}, 405, "DELETE"),
    ("unknown session", "POST", "/v1/chat/no/messages", {"text": "a"}, JSON, 404, "session"),
    ("unknown session", "GET", "/v1/chat/no/messages", b"", {}, 404, "session"),
    ("unknown session", "GET", "/v1/chat/no/events", b"", {}, 404, "session"),
    ("negative cursor", "GET", CHAT + "?after=-1", b"", {}, 422, "whole number"),
    ("huge cursor", "GET", CHAT + "?after=99999999999999999999", b"", {}, 422, "whole number"),
    ("odd digits", "GET", CHAT + "?after=²", b"", {}, 422, "whole number"),
    ("bad event id", "GET", "/v1/chat/SESSION/events", b"", {"Last-Event-ID": "x"}, 422, "whole"),
    ("session with fields", "POST", "/v1/chat/sessions", {"session": "mine"}, JSON, 422, "session"),
    ("unknown address", "GET", "/nowhere", b"", {}, 404, "nothing at this address"),
    ("file outside", "GET", "/../pyproject.toml", b"", {}, 404, "nothing"),
    ("rest: long", "POST", REST, {"sender": "a", "message": "x" * 20_000}, JSON, 413, "5000"),
    ("rest: a number", "POST", REST, {"sender": "a", "message": 5}, JSON, 422, "message"),
    ("rest: a list", "POST", REST, ["a"], JSON, 400, "object"),
    ("rest: too large", "POST", REST, {"message": "x" * 1_000_000}, JSON, 413, "1000000 bytes"),
    ("rest: broken", "POST", REST, b"{", JSON, 400, "must be JSON"),
    ("rest: method", "GET", REST, b"", {}, 405, "GET"),
    ("embed: nothing", "POST", EMBED, {"texts": []}, JSON, 422, "texts"),
    ("embed: empty text", "POST", EMBED, {"texts": ["a", " "]}, JSON, 422, "texts.1"),
    ("embed: too many", "POST", EMBED, {"texts": ["a"] * 257}, JSON, 422, "texts"),
    ("embed: too long", "POST", EMBED, {"texts": ["a" * 5001]}, JSON, 422, "texts.0"),
    ("embed: not text", "POST", EMBED, {"texts": [1]}, JSON, 422, "texts.0"),
    ("embed: surrogate", "POST", EMBED, b'{"texts": ["\\udc00"]}', JSON, 422, "texts.0"),
    (
        "embed: format",
        "POST",
        EMBED,
        {"texts": ["a"], "encoding_format": "hex"},
        JSON,
        422,
        "encoding_format",
    ),
    ("embed: too large", "POST", EMBED, {"texts": ["x" * 5000] * 900}, JSON, 413, "4194304"),
]


async def stored(desk) -> tuple[int, int, int]:
    """Count conversations, lines and outgoing items."""
    async with desk.store() as work:
        conversations = await work.conversations.in_state(list(State))
        lines = [m for c in conversations for m in await work.messages.after(c.id, 0)]
        return len(conversations), len(lines), await work.outbox.waiting()


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "words"),
    [case[1:] for case in BAD],
    ids=[f"{case[1]} {case[0]}" for case in BAD],
)
async def test_bad_input(client, desk, method, path, body, headers, status, words):
    session = (await client.post("/v1/chat/sessions")).json()["session"]
    before = await stored(desk)
    content = body if isinstance(body, bytes) else json.dumps(body)
    path = path.replace("SESSION", session)
    response = await client.request(method, path, content=content, headers=headers)
    assert response.status_code == status, response.text
    assert set(response.json()) == {"error"}
    assert words in response.json()["error"]
    assert session not in response.text
    assert await stored(desk) == before
    assert desk.assistant.heard == []


async def test_a_body_without_a_length_is_cut_off(client, desk):
    session = (await client.post("/v1/chat/sessions")).json()["session"]
    sent = 0

    async def endless():
        nonlocal sent
        yield b'{"text": "'
        while sent < 10_000_000:
            sent += 10_000
            yield b"x" * 10_000

    path = f"/v1/chat/{session}/messages"
    response = await client.post(path, content=endless(), headers=JSON)
    assert response.status_code == 413
    assert await stored(desk) == (1, 0, 0)


async def test_a_defect_says_nothing_of_the_inside(client, desk):
    class Broken:
        def __call__(self):
            raise RuntimeError("secret inside")

    session = (await client.post("/v1/chat/sessions")).json()["session"]
    desk.receive.store = Broken()
    response = await client.post(f"/v1/chat/{session}/messages", json={"text": "hello"})
    assert response.status_code == 500
    assert set(response.json()) == {"error"}
    assert "secret" not in response.text

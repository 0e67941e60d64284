"""Talking to Rasa: what it is asked, how its answers are read, and what every failure becomes."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from handoff.adapters import rasa
from handoff.adapters.rasa import RANKING, RasaAssistant
from handoff.core.errors import AssistantUnavailable
from handoff.core.model import BotLine, Button, IntentScore

TOKEN = "rasa-secret-token"
PARSED = {
    "text": "where is my order 10042",
    "intent": {"name": "track_order", "confidence": 0.93},
    "entities": [{"entity": "order_number", "value": "10042", "start": 18, "end": 23}],
    "intent_ranking": [
        {"name": "track_order", "confidence": 0.93},
        {"name": "delivery_period", "confidence": 0.04},
    ],
    "novelty": 0.25,
    "model_id": "abc123",
}


class RasaServer:
    """A hand-written HTTP server that answers as a test tells it and notes what it was asked."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[tuple[str, str, dict[str, list[str]], Any]] = []
        self.status = 200
        self.body = b"{}"
        self.connections = 0
        self.moved = ""
        self.held = asyncio.Event()
        self.held.set()

    def answers(self, body: Any, status: int = 200) -> None:
        """Say what the next requests get."""
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.status = status

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await self._answer(head.decode(), reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    async def _answer(
        self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        first, *fields = head.strip().split("\r\n")
        headers = {n.lower(): v for n, v in (field.split(": ", 1) for field in fields)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        method, target, _ = first.split(" ")
        query = parse_qs(urlsplit(target).query)
        sent = json.loads(body) if body else None
        self.asked.append((method, urlsplit(target).path, query, sent))
        await self.held.wait()
        moved = f"Location: {self.moved}\r\n" if self.moved else ""
        length = f"HTTP/1.1 {self.status} Answer\r\n{moved}Content-Length: {len(self.body)}\r\n\r\n"
        writer.write(length.encode() + self.body)
        await writer.drain()


@asynccontextmanager
async def serving() -> AsyncIterator[RasaServer]:
    """Serve on a free port."""
    made = RasaServer()
    server = await asyncio.start_server(made.handle, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        made.held.set()
        server.close()


@pytest.fixture
async def server() -> AsyncIterator[RasaServer]:
    """Yield a server."""
    async with serving() as made:
        yield made


@pytest.fixture
async def assistant(server: RasaServer) -> AsyncIterator[RasaAssistant]:
    """Yield an assistant that has a token and talks to that server."""
    async with RasaAssistant(server.url, TOKEN) as made:
        yield made


async def test_a_parse(server: RasaServer, assistant: RasaAssistant) -> None:
    server.answers(PARSED)
    found = await assistant.parse("where is my order 10042")
    assert server.asked == [
        ("POST", "/model/parse", {"token": [TOKEN]}, {"text": "where is my order 10042"})
    ]
    assert found.ranking == (
        IntentScore("track_order", 0.93),
        IntentScore("delivery_period", 0.04),
    )
    assert found.entities == ({"entity": "order_number", "value": "10042"},)
    assert (found.novelty, found.model) == (0.25, "abc123")


async def test_without_a_token_none_is_sent(server: RasaServer) -> None:
    server.answers(PARSED)
    async with RasaAssistant(server.url) as assistant:
        await assistant.parse("hello")
    assert server.asked[0][2] == {}


async def test_the_ranking_is_kept_to_what_is_evidence(
    server: RasaServer, assistant: RasaAssistant
) -> None:
    scores = [{"name": f"intent_{n}", "confidence": 1 / (n + 2)} for n in range(40)]
    server.answers({**PARSED, "intent_ranking": scores})
    found = await assistant.parse("hello")
    assert [score.intent for score in found.ranking] == [f"intent_{n}" for n in range(RANKING)]


@pytest.mark.parametrize(
    ("body", "ranking"),
    [
        ({"intent": {"name": "greet", "confidence": 0.8}}, (IntentScore("greet", 0.8),)),
        (
            {"intent": {"name": "greet", "confidence": 0.8}, "intent_ranking": []},
            (IntentScore("greet", 0.8),),
        ),
        ({"intent": {"name": "greet"}}, (IntentScore("greet", 0.0),)),
        ({"intent": {"name": None, "confidence": 0.0}, "intent_ranking": []}, ()),
        ({"intent": None}, ()),
        ({}, ()),
    ],
)
async def test_an_assistant_without_a_ranking(
    server: RasaServer,
    assistant: RasaAssistant,
    body: dict[str, Any],
    ranking: tuple[IntentScore, ...],
) -> None:
    """Rasa's pipelines differ: some classifiers name one intent, some messages get none."""
    server.answers(body)
    found = await assistant.parse("hello")
    assert found.ranking == ranking and found.novelty is None and found.model == ""


async def test_a_turn_with_buttons_and_images(server: RasaServer, assistant: RasaAssistant) -> None:
    server.answers(
        [
            {"recipient_id": "c-1", "text": "Which one?\n\nThe first?"},
            {
                "recipient_id": "c-1",
                "text": "Cancel it?",
                "buttons": [
                    {"title": "Yes", "payload": "/affirm"},
                    {"title": "No", "payload": ""},
                    {"title": "Maybe"},
                ],
            },
            {"recipient_id": "c-1", "image": "http://shop/parcel.png"},
            {"recipient_id": "c-1", "custom": {"type": "carousel"}},
            {"recipient_id": "c-1", "attachment": "http://shop/bill.pdf"},
            {"recipient_id": "c-1", "json_message": [1], "text": " \n "},
            {"recipient_id": "c-1", "text": ""},
            {"recipient_id": "c-1", "text": " \n\n\t"},
            {"recipient_id": "c-1", "custom": {}, "attachment": None},
        ]
    )
    lines = await assistant.respond("c-1", "hello <3 _*[")
    asked = {"sender": "c-1", "message": "hello <3 _*["}
    assert server.asked == [("POST", "/webhooks/rest/webhook", {"token": [TOKEN]}, asked)]
    assert lines == [
        BotLine("Which one?\n\nThe first?"),
        BotLine(
            "Cancel it?",
            (Button("Yes", "/affirm"), Button("No", "No"), Button("Maybe", "Maybe")),
        ),
        BotLine("", image="http://shop/parcel.png"),
        BotLine("", extra={"custom": {"type": "carousel"}}),
        BotLine("", extra={"attachment": "http://shop/bill.pdf"}),
        BotLine("", extra={"json_message": [1]}),
    ]


async def test_metadata_goes_along_with_a_turn(server: RasaServer, assistant: RasaAssistant):
    server.answers([])
    await assistant.respond("c-1", "hello", {"page": "/cart", "note": "\ud800"})
    assert server.asked[0][3]["metadata"] == {"page": "/cart", "note": "\ud800"}


async def test_what_no_database_takes_is_read_as_nothing(
    server: RasaServer, assistant: RasaAssistant
):
    server.answers(b'[{"custom": {"price": NaN, "high": Infinity, "low": -Infinity}}]')
    (line,) = await assistant.respond("c-1", "hello")
    assert line.extra == {"custom": {"price": None, "high": None, "low": None}}


async def test_a_silent_turn_is_no_lines(server: RasaServer, assistant: RasaAssistant) -> None:
    server.answers([])
    assert await assistant.respond("c-1", "hello") == []


@pytest.mark.parametrize(
    ("slots", "slot"),
    [
        ({"requested_slot": "order_number", "email": None}, "order_number"),
        ({"requested_slot": None}, None),
        ({}, None),
    ],
)
async def test_what_the_bot_is_waiting_for(
    server: RasaServer, assistant: RasaAssistant, slots: dict[str, Any], slot: str | None
) -> None:
    server.answers({"sender_id": "c/1-2", "slots": slots})
    assert await assistant.awaiting_slot("c/1-2") == slot
    method, path, query, sent = server.asked[0]
    assert (method, path, sent) == ("GET", "/conversations/c%2F1-2/tracker", None)
    assert query == {"include_events": ["NONE"], "token": [TOKEN]}


async def test_what_the_assistant_tells_of_itself_is_asked_again_after_a_while(
    server: RasaServer, assistant: RasaAssistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {
        "model_file": "models/a.tar.gz",
        "intents": ["greet", {"faq": {"is_retrieval_intent": True}}],
        "responses": {"utter_greet": [], "utter_faq/hours": []},
        "slots": {"email": {"mappings": [{"type": "from_entity", "entity": "email"}]}},
    }
    server.answers(told)
    found = await assistant.domain()
    assert [entry[:2] for entry in server.asked] == [("GET", "/status"), ("GET", "/domain")]
    assert all(entry[2] == {"token": [TOKEN]} for entry in server.asked)
    assert (found.model, found.intents) == ("a.tar.gz", {"greet", "faq"})
    assert found.slots["email"][0].entity == "email"
    server.answers({**told, "intents": ["greet", "order"]})
    assert await assistant.domain() is found
    monkeypatch.setattr(rasa, "DOMAIN_SECONDS", 0.0)
    assistant._told_until = 0.0
    assert (await assistant.domain()).intents == {"greet", "order"}


async def test_a_swapped_model_is_asked_what_it_knows(
    server: RasaServer, assistant: RasaAssistant
) -> None:
    server.answers({"model_file": "a.tar.gz", "intents": ["greet"]})
    await assistant.domain()
    server.answers({"model_file": "b.tar.gz", "intents": ["greet", "learned"]})
    await assistant.load_model(Path("b.tar.gz"))
    assert (await assistant.domain()).model == "b.tar.gz"


async def test_the_model_in_use(server: RasaServer, assistant: RasaAssistant) -> None:
    server.answers({"model_file": "/var/releases/night/night-1.tar.gz", "model_id": "abc"})
    assert await assistant.status() == "night-1.tar.gz"
    assert server.asked[0][:2] == ("GET", "/status")


async def test_a_model_is_swapped_by_its_whole_path(
    server: RasaServer, assistant: RasaAssistant
) -> None:
    server.answers(b"", 204)
    await assistant.load_model(Path("models/night.tar.gz"))
    whole = str(Path("models/night.tar.gz").resolve())
    assert server.asked == [("PUT", "/model", {"token": [TOKEN]}, {"model_file": whole})]


# --- failures ------------------------------------------------------------------------------------

CALLS: dict[str, Callable[[RasaAssistant], Awaitable[Any]]] = {
    "parse": lambda assistant: assistant.parse("hello"),
    "respond": lambda assistant: assistant.respond("c-1", "hello"),
    "awaiting_slot": lambda assistant: assistant.awaiting_slot("c-1"),
    "domain": lambda assistant: assistant.domain(),
    "status": lambda assistant: assistant.status(),
    "load_model": lambda assistant: assistant.load_model(Path("night.tar.gz")),
}

every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


def no_secret(refusal: pytest.ExceptionInfo[AssistantUnavailable]) -> None:
    """Neither the sentence nor what caused it may hold the token."""
    error: BaseException | None = refusal.value
    assert TOKEN not in str(error)
    while error is not None:
        assert error.__suppress_context__ or TOKEN not in repr(error.__context__)
        error = error.__cause__


@every_call
async def test_a_refusal_is_told_without_the_token(
    server: RasaServer, assistant: RasaAssistant, call: Callable[[RasaAssistant], Awaitable[Any]]
) -> None:
    for status in (401, 404, 409, 500, 503):
        server.answers({"reason": "no", "message": f"token={TOKEN}"}, status)
        with pytest.raises(AssistantUnavailable, match=f"status {status} at /") as refusal:
            await call(assistant)
        no_secret(refusal)


@every_call
async def test_what_is_no_json_is_told(
    server: RasaServer, assistant: RasaAssistant, call: Callable[[RasaAssistant], Awaitable[Any]]
) -> None:
    for body in (b"<html>Bad gateway</html>", b"\xff\xfe", b"{"):
        server.answers(body)
        with pytest.raises(AssistantUnavailable, match="no JSON at /") as refusal:
            await call(assistant)
        no_secret(refusal)


@every_call
async def test_nobody_listens(call: Callable[[RasaAssistant], Awaitable[Any]]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with RasaAssistant(f"http://127.0.0.1:{port}", TOKEN) as assistant:
        with pytest.raises(AssistantUnavailable, match="ConnectError at /") as refusal:
            await call(assistant)
    no_secret(refusal)


@every_call
async def test_a_connection_that_breaks_off(
    call: Callable[[RasaAssistant], Awaitable[Any]],
) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        await writer.drain()
        writer.close()

    broken = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with broken:
        port = broken.sockets[0].getsockname()[1]
        async with RasaAssistant(f"http://127.0.0.1:{port}", TOKEN) as assistant:
            with pytest.raises(AssistantUnavailable, match="Error at /") as refusal:
                await call(assistant)
    no_secret(refusal)


@pytest.mark.parametrize(
    ("limit", "call"),
    [
        ("PARSE_SECONDS", CALLS["parse"]),
        ("TURN_SECONDS", CALLS["respond"]),
        ("PARSE_SECONDS", CALLS["awaiting_slot"]),
        ("SWAP_SECONDS", CALLS["load_model"]),
    ],
)
async def test_a_hanging_assistant_is_waited_for_so_long_and_no_longer(
    server: RasaServer,
    assistant: RasaAssistant,
    monkeypatch: pytest.MonkeyPatch,
    limit: str,
    call: Callable[[RasaAssistant], Awaitable[Any]],
) -> None:
    monkeypatch.setattr(rasa, limit, 0.1)
    server.held.clear()
    with pytest.raises(AssistantUnavailable, match=r"no answer within 0\.1 seconds") as refusal:
        await call(assistant)
    no_secret(refusal)


async def test_after_a_failure_the_next_call_is_answered(
    server: RasaServer, assistant: RasaAssistant
) -> None:
    server.answers(b"", 500)
    with pytest.raises(AssistantUnavailable):
        await assistant.parse("hello")
    server.answers(PARSED)
    assert (await assistant.parse("hello")).model == "abc123"


async def test_one_connection_carries_many_calls(
    server: RasaServer, assistant: RasaAssistant
) -> None:
    server.answers(PARSED)
    for _ in range(3):
        await assistant.parse("hello")
    assert (len(server.asked), server.connections) == (3, 1)


async def test_the_token_does_not_follow_to_another_address(
    server: RasaServer, assistant: RasaAssistant
) -> None:
    async with serving() as other:
        server.answers(b"", 307)
        server.moved = f"{other.url}/model/parse"
        for call in (assistant.parse("hello"), assistant.load_model(Path("model.tar.gz"))):
            with pytest.raises(AssistantUnavailable, match="status 307"):
                await call
        assert not other.asked


async def test_an_assistant_below_a_path(server: RasaServer) -> None:
    server.answers(PARSED)
    async with RasaAssistant(f"{server.url}/rasa/", TOKEN) as assistant:
        await assistant.parse("hello")
    assert server.asked[0][:2] == ("POST", "/rasa/model/parse")


@pytest.mark.parametrize("url", ["somewhere", "ftp://127.0.0.1", "http://"])
async def test_what_is_no_address_is_an_assistant_unavailable(url: str) -> None:
    async with RasaAssistant(url, TOKEN) as assistant:
        with pytest.raises(AssistantUnavailable, match="at /model/parse") as refusal:
            await assistant.parse("hello")
    no_secret(refusal)


@pytest.mark.parametrize("body", [[], "parsed", None, 7, {"intent_ranking": "greet"}])
async def test_a_parse_of_another_form(
    server: RasaServer, assistant: RasaAssistant, body: Any
) -> None:
    server.answers(body)
    with pytest.raises(AssistantUnavailable, match="not of the documented form"):
        await assistant.parse("hello")


@pytest.mark.parametrize("body", [{}, {"text": "hello"}, "hello", None, 7])
async def test_a_turn_of_another_form(
    server: RasaServer, assistant: RasaAssistant, body: Any
) -> None:
    server.answers(body)
    with pytest.raises(AssistantUnavailable, match="not of the documented form"):
        await assistant.respond("c-1", "hello")


async def test_an_environments_proxy_is_not_asked(
    server: RasaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token must not travel through a proxy that the environment names for other things."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    server.answers(PARSED)
    async with RasaAssistant(server.url, TOKEN) as assistant:
        assert (await assistant.parse("hello")).model == "abc123"


@pytest.mark.parametrize(
    "body",
    [
        {"intent_ranking": [{"confidence": 0.5}]},
        {"intent_ranking": [{"name": "faq", "confidence": None}]},
        {"intent_ranking": ["faq"]},
        {"intent": "faq"},
        {"intent_ranking": None, "entities": [1]},
    ],
)
async def test_a_parse_of_another_form_is_no_answer(
    server: RasaServer, assistant: RasaAssistant, body: Any
) -> None:
    """Typed, so that the customer gets a person at once and not after the sweep's half minute."""
    server.answers(body)
    with pytest.raises(AssistantUnavailable, match="not of the documented form"):
        await assistant.parse("hello")


@pytest.mark.parametrize("body", [["hello"], [{"text": "Which?", "buttons": ["yes"]}], [None]])
async def test_a_turn_of_another_form_is_no_answer(
    server: RasaServer, assistant: RasaAssistant, body: Any
) -> None:
    server.answers(body)
    with pytest.raises(AssistantUnavailable, match="not of the documented form"):
        await assistant.respond("kim", "hello")


@pytest.mark.parametrize("body", [[], {"slots": []}, {"slots": None}, "x"])
async def test_a_tracker_of_another_form_is_no_answer(
    server: RasaServer, assistant: RasaAssistant, body: Any
) -> None:
    server.answers(body)
    with pytest.raises(AssistantUnavailable, match="not of the documented form"):
        await assistant.awaiting_slot("kim")


@pytest.mark.parametrize("body", [[], None, {}, "ok", {"model_file": None}])
async def test_a_status_of_another_form_is_no_answer(
    server: RasaServer, assistant: RasaAssistant, body: Any
) -> None:
    server.answers(body)
    with pytest.raises(AssistantUnavailable, match="not of the documented form"):
        await assistant.status()


async def test_an_assistant_that_drips_is_waited_for_no_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The limit counts for the whole call, not for each piece of the answer."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(200):
            writer.write(b" ")
            await asyncio.sleep(0.02)
        writer.close()

    monkeypatch.setattr(rasa, "PARSE_SECONDS", 0.2)
    dripping = await asyncio.start_server(drip, "127.0.0.1", 0)
    port = dripping.sockets[0].getsockname()[1]
    async with RasaAssistant(f"http://127.0.0.1:{port}", TOKEN) as assistant:
        with pytest.raises(AssistantUnavailable, match=r"no answer within 0\.2 seconds"):
            async with asyncio.timeout(3):
                await assistant.parse("hello")
    dripping.close()

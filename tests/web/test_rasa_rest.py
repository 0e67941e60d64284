"""Rasa's REST protocol, plus what the desk adds: agents' lines come with the next request."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from handoff.app import phrases
from handoff.channels.widgets import WidgetOptions
from handoff.core.model import Author, BotLine, Button, State
from handoff.web.app import create_app
from tests.fakes import ANA, FakeDesk, understood

URL = "/webhooks/rest/webhook"


async def ask(client, text, sender: Any = "kim", **fields: Any):
    body = json.dumps({"sender": sender, "message": text, **fields})
    response = await client.post(URL, content=body)
    assert response.status_code == 200, response.text
    return response.json()


@asynccontextmanager
async def client_of(desk: FakeDesk, widgets: WidgetOptions) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(desk.services(widgets=widgets)))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield client


async def conversation_of(desk, sender="kim"):
    async with desk.store() as work:
        return await work.conversations.find("rest", sender)


async def test_health(client):
    assert (await client.get("/webhooks/rest/")).json() == {"status": "ok"}


async def test_answers_have_the_shape_of_rasas_collecting_channel(client, desk):
    desk.assistant.answers["hi"] = [
        BotLine("First part.\n\nSecond part."),
        BotLine("Which?", (Button("Track", "/track_order"),), "/box.png"),
    ]
    assert await ask(client, "hi", metadata={"page": 1}, input_channel="web") == [
        {"recipient_id": "kim", "text": "First part."},
        {"recipient_id": "kim", "text": "Second part."},
        {
            "recipient_id": "kim",
            "text": "Which?",
            "buttons": [{"title": "Track", "payload": "/track_order"}],
        },
        {"recipient_id": "kim", "image": "/box.png"},
    ]


async def test_each_line_is_given_once(client, desk):
    first = await ask(client, "one")
    second = await ask(client, "two")
    assert [m["text"] for m in first] == ["About “one”: yes."]
    assert [m["text"] for m in second] == ["About “two”: yes."]


async def test_a_number_is_a_sender_as_in_rasa(client, desk):
    assert (await ask(client, "hi", sender=7))[0]["recipient_id"] == "7"
    assert await conversation_of(desk, "7") is not None


async def test_an_agents_lines_come_with_the_next_request(client, desk):
    handed_over = await ask(client, "human please")
    assert "passing you on" in handed_over[0]["text"]
    id = (await conversation_of(desk)).id
    await desk.claim(id, ANA)
    await desk.say(id, ANA, "I am looking into it.", "a1")
    await desk.note(id, ANA, "only for colleagues", "a2")
    answer = await ask(client, "are you there?")
    assert [m["text"] for m in answer] == [
        "Ana has joined. You are now talking to a person.",
        "I am looking into it.",
    ]
    (again,) = await ask(client, "thanks")
    assert again == {"recipient_id": "kim", "text": phrases.PASSED_ON}
    assert phrases.PASSED_ON not in await desk.said(id)


async def test_a_customer_who_waits_is_told_so_and_only_where_nothing_else_is_said(desk):
    async with client_of(desk, WidgetOptions(acknowledgement="One moment.")) as client:
        assert len(await ask(client, "human please")) == 1
        id = (await conversation_of(desk)).id
        for _ in range(2):
            told = await ask(client, "anybody?", metadata={"message_id": "twice"})
            assert [m["text"] for m in told] == ["One moment."]
        assert await ask(client, "") == []
        await desk.claim(id, ANA)
        await desk.say(id, ANA, "Yes, me.", "a1")
        assert "One moment." not in str(await ask(client, "hello?"))
        assert await ask(client, "hello", sender="bots own") != []
        desk.assistant.answers["hm"] = [BotLine("", extra={"custom": {"a": 1}})]
        assert "One moment." not in str(await ask(client, "hm", sender="bots own"))
    async with client_of(desk, WidgetOptions(acknowledgement="")) as client:
        assert await ask(client, "still there?") == []


async def test_a_repeated_request_gets_the_same_answer_and_no_second_turn(client, desk):
    again: Any = {"metadata": {"message_id": "m1"}}
    first = await ask(client, "hi", **again)
    assert await ask(client, "hi", **again) == first
    assert len(desk.assistant.heard) == 1
    id = (await conversation_of(desk)).id
    assert await desk.said(id, Author.CUSTOMER) == ["hi"]
    assert [m["text"] for m in await ask(client, "next")] == ["About “next”: yes."]


async def test_two_requests_at_once_share_the_lines_without_doubling(client, desk):
    answers = await asyncio.gather(*(ask(client, f"question {n}") for n in range(5)))
    given = [m["text"] for answer in answers for m in answer]
    assert sorted(given) == [f"About “question {n}”: yes." for n in range(5)]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("One.\n\n\n\nTwo.", ["One.", "Two."]),
        ("One.\n \t \n\nTwo.\n\n\n", ["One.", "Two."]),
        ("\n\nOne.\r\n\r\nTwo.\r\n", ["One.", "Two."]),
        ("One.\n\u00a0\nTwo.", ["One.", "Two."]),
        ("One,\ntwo.\n\n  - three\n  - four", ["One,\ntwo.", "  - three\n  - four"]),
        ("a\n\n\n\n\n\nb\n\nc", ["a", "b", "c"]),
    ],
)
async def test_blank_lines_are_no_messages(client, desk, text, shown):
    desk.assistant.answers["hi"] = [BotLine(text)]
    assert [m["text"] for m in await ask(client, "hi")] == shown


async def test_what_is_neither_text_nor_image_passes_as_rasa_sends_it(client, desk):
    carousel = {"type": "carousel", "elements": [{"image_url": "/a.png", "text": "A"}]}
    desk.assistant.answers["hi"] = [
        BotLine("", extra={"custom": carousel}),
        BotLine("", extra={"attachment": "/bill.pdf"}),
        BotLine("", extra={"json_message": [1, {"a": None}]}),
        BotLine("", image="/box.png"),
    ]
    assert await ask(client, "hi") == [
        {"recipient_id": "kim", "custom": carousel},
        {"recipient_id": "kim", "attachment": "/bill.pdf"},
        {"recipient_id": "kim", "json_message": [1, {"a": None}]},
        {"recipient_id": "kim", "image": "/box.png"},
    ]
    assert await desk.handoffs() == []


async def test_streaming_writes_a_json_object_a_line(client, desk):
    desk.assistant.answers["hi"] = [BotLine("one"), BotLine("two")]
    body = {"sender": "kim", "message": "hi"}
    response = await client.post(URL, params={"stream": "true", "token": "ignored"}, json=body)
    assert response.headers["content-type"].startswith("text/event-stream")
    assert [json.loads(line) for line in response.text.splitlines()] == [
        {"recipient_id": "kim", "text": "one"},
        {"recipient_id": "kim", "text": "two"},
    ]


async def test_a_dead_assistant_hands_over(client, desk):
    desk.assistant.down = "connection refused"
    answer = await ask(client, "where is my order?")
    assert answer == [
        {
            "recipient_id": "kim",
            "text": "I cannot answer right now, so I am passing you on to a colleague. "
            "Nothing is lost.",
        }
    ]


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain;charset=UTF-8",
        "application/x-www-form-urlencoded",
        "application/json; charset=utf-8",
        "application/vnd.api+json",
        "",
    ],
)
async def test_json_is_taken_whatever_it_is_called(client, kind):
    body = json.dumps({"sender": "kim", "message": "hi"})
    headers = {"Content-Type": kind} if kind else {}
    response = await client.post(URL, content=body, headers=headers)
    assert [m["text"] for m in response.json()] == ["About “hi”: yes."]


@pytest.mark.parametrize("path", [URL, f"{URL}/"])
async def test_a_slash_at_the_end_makes_no_difference(client, path):
    response = await client.post(path, json={"sender": "kim", "message": "hi"})
    assert response.status_code == 200 and len(response.json()) == 1
    assert (await client.get("/webhooks/rest")).json() == {"status": "ok"}


async def test_what_rasa_does_not_read_is_not_read(client, desk):
    await ask(client, "hi", session_id="other", stream=[1], recipient={"id": 1}, customData=None)
    assert await conversation_of(desk) is not None


@pytest.mark.parametrize("sender", [7, 7.5, True, ["a"], {"a": 1}, "x" * 300, "a\nb", "\ud800"])
async def test_whatever_names_a_sender_in_rasa_names_one_here(client, desk, sender):
    for number in range(2):
        (said,) = await ask(client, f"hi {number}", sender)
        assert said["recipient_id"] == str(sender)
    async with desk.store() as work:
        (one,) = await work.conversations.in_state([State.BOT])
    assert await desk.said(one.id, Author.CUSTOMER) == ["hi 0", "hi 1"]


@pytest.mark.parametrize("fields", [{}, {"sender": None}, {"sender": ""}])
async def test_who_names_no_sender_is_a_customer_of_its_own(client, desk, fields):
    said = []
    for _ in range(2):
        response = await client.post(URL, json={"message": "hi", **fields})
        said += response.json()
    assert [m["text"] for m in said] == ["About “hi”: yes."] * 2
    assert said[0]["recipient_id"] != said[1]["recipient_id"]
    (more,) = await ask(client, "again", said[0]["recipient_id"])
    assert more["text"] == "About “again”: yes."
    async with desk.store() as work:
        assert len(await work.conversations.in_state([State.BOT])) == 2


@pytest.mark.parametrize("words", ["", " \n ", None, "\x00"])
async def test_no_words_ask_for_what_was_written_meanwhile(client, desk, words):
    assert await ask(client, words) == []
    assert await conversation_of(desk) is None
    await ask(client, "human please")
    id = (await conversation_of(desk)).id
    await desk.claim(id, ANA)
    (joined,) = await ask(client, words)
    assert joined["text"].startswith("Ana has joined")
    assert await desk.said(id, Author.CUSTOMER) == ["human please"]


async def test_characters_that_are_no_text_do_not_cost_the_words(client, desk):
    await ask(client, "page 1\x0cpage\x00 2 \ud83d", sender="kim")
    id = (await conversation_of(desk)).id
    assert await desk.said(id, Author.CUSTOMER) == ["page 1 page  2 \ufffd"]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ({"metadata": {"a": 1}}, {"a": 1}),
        ({"metadata": "words"}, {"metadata": "words"}),
        ({"metadata": [1]}, {"metadata": [1]}),
        ({"metadata": 0}, {"metadata": 0}),
        ({"customData": {"language": "en"}}, {"language": "en"}),
        ({"metadata": {"a": 1}, "customData": {"a": 2, "b": 3}}, {"a": 1, "b": 3}),
        ({"metadata": [1], "customData": {"b": 3}}, {"metadata": [1], "customData": {"b": 3}}),
        ({"metadata": {"message_id": ["no", "name"]}}, {"message_id": ["no", "name"]}),
        ({"metadata": {"x": "y" * 20_000}}, None),
        ({"metadata": None}, None),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_metadata_of_any_form_reaches_the_assistant(client, desk, sent, kept):
    await ask(client, "hi", **sent)
    (given,) = desk.assistant.given
    assert given.pop("handoff_desk")["customer_key"] == "kim"
    assert given == (kept or {})


async def test_two_senders_never_see_each_other(client, desk):
    await ask(client, "my secret", sender="kim")
    assert "secret" not in json.dumps(await ask(client, "hello", sender="lou"))


async def test_a_question_back_is_answered_by_its_payload_its_title_or_its_number(client, desk):
    desk.assistant.parses["the thing"] = understood("faq", 0.5, ("delivery", 0.4))
    for sender, answer in (("a", "/delivery"), ("b", "delivery"), ("c", "2")):
        (asked,) = await ask(client, "the thing", sender)
        assert [b["payload"] for b in asked["buttons"]][:2] == ["/faq", "/delivery"]
        await ask(client, answer, sender)
        assert desk.assistant.heard[-1][1] == "/delivery"

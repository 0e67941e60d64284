"""Rasa's REST protocol, plus what the desk adds: agents' lines come with the next request."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from handoff.core.model import Author, BotLine, Button
from tests.fakes import ANA, understood

URL = "/webhooks/rest/webhook"


async def ask(client, text, sender: Any = "kim", **fields: Any):
    response = await client.post(URL, json={"sender": sender, "message": text, **fields})
    assert response.status_code == 200, response.text
    return response.json()


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
    assert await ask(client, "thanks") == []


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

"""A conversation at the console, against the real simulator: card, claim, relay both ways, end."""

from __future__ import annotations

import asyncio

from handoff.core.model import Author, State, Truth
from tests.console.desk import SAM, Desk, until
from tests.fakes import ANA, BO, LEA

AWKWARD = "<3 _*[a](b) /start\nsecond\tline 😀 https://shop.example.com"


async def test_card_claim_and_relay_both_ways_in_order(desk: Desk) -> None:
    conversation = await desk.asks_unknown()
    topic = await desk.topic("purple elephants")
    card = await desk.sees(topic, "Waiting for a person")
    assert "The bot was unsure: 10 % sure of “faq”, it needs 45 %" in card["text"]
    said = await desk.press(ANA.id, card, "Claim")
    assert said["text"] == "You have this conversation."
    await desk.sees(topic, "With Ana")
    assert (await desk.conversation(conversation)).state is State.AGENT
    for number in range(4):
        await desk.write(f"{number} {AWKWARD}")
    await desk.sees(topic, "3 <3")
    shown = [m for m in await desk.messages(topic) if AWKWARD in m["text"]]
    assert [m["text"] for m in shown] == [f"{number} {AWKWARD}" for number in range(4)]
    assert all(m["entities"][0]["type"] == "blockquote" for m in shown)
    for number in range(4):
        await desk.writes(ANA.id, topic, f"answer {number}")
    await until(lambda: answers(desk, conversation, 4), "the answers arrive")
    assert await desk.said(conversation, Author.AGENT) == [f"answer {n}" for n in range(4)]


async def answers(desk: Desk, conversation: str, count: int) -> bool:
    return len(await desk.said(conversation, Author.AGENT)) >= count


async def test_of_two_agents_who_claim_at_once_one_is_told_who_was_first(desk: Desk) -> None:
    conversation = await desk.asks_unknown()
    topic = await desk.topic("purple elephants")
    card = await desk.sees(topic, "Waiting for a person")
    first, second = await asyncio.gather(
        desk.press(ANA.id, card, "Claim"), desk.press(BO.id, card, "Claim")
    )
    owner = (await desk.conversation(conversation)).assignee_name
    refused = second if owner == "Ana" else first
    assert refused["show_alert"] and refused["text"] == f"{owner} already has this conversation."
    assert len(await desk.said(conversation, Author.SYSTEM)) == 2
    assert SAM and LEA and Truth

"""What agents format and quote reaches the customer, or the agent is told."""

from __future__ import annotations

from typing import Any

import pytest

from agent_console import views
from handoff.core.model import Author
from tests.console.desk import GROUP, Desk, until
from tests.console.test_conversation import answers, claimed
from tests.fakes import ANA

SHOP = "https://shop.example/size?x=(1)"
ASKED = "purple elephants"


def entity(kind: str, text: str, words: str, **more: Any) -> dict[str, Any]:
    """Return the entity over `words` of a text; offsets count UTF-16 units."""
    before = text[: text.index(words)]
    units = [len(part.encode("utf-16-le")) // 2 for part in (before, words)]
    return {"type": kind, "offset": units[0], "length": units[1], **more}


async def said(desk: Desk, conversation: str, count: int) -> list[str]:
    await until(lambda: answers(desk, conversation, count), "the answers arrive")
    return await desk.said(conversation, Author.AGENT)


async def relayed(desk: Desk, topic: int, text: str) -> dict[str, Any]:
    """Let the customer write; return the message that shows it in the topic."""
    await desk.write(text)
    return await desk.sees(topic, text.splitlines()[0].strip())


async def not_told(desk: Desk, topic: int) -> None:
    """Nothing in the topic says that something was kept from the customer."""
    await desk.settled()
    assert not [m["text"] for m in await desk.messages(topic) if m["text"].startswith("⚠️")]


async def test_the_address_behind_a_link_reaches_the_customer(desk: Desk) -> None:
    conversation, topic, _ = await claimed(desk)
    text = "😀 See our sizes."
    link = entity("text_link", text, "our sizes", url=SHOP)
    bold = entity("bold", text, "sizes")
    await desk.writes(ANA.id, topic, text, entities=[link, bold])
    assert await said(desk, conversation, 1) == [f"😀 See our sizes ({SHOP})."]
    await not_told(desk, topic)


async def test_a_note_and_two_slashes_keep_the_address_too(desk: Desk) -> None:
    conversation, topic, _ = await claimed(desk)
    note, slashes = "/note see the terms", "//help is here"
    await desk.writes(
        ANA.id, topic, note, entities=[entity("text_link", note, "the terms", url=SHOP)]
    )
    await desk.writes(
        ANA.id, topic, slashes, entities=[entity("text_link", slashes, "here", url=SHOP)]
    )
    assert await said(desk, conversation, 1) == [f"/help is here ({SHOP})"]
    assert await desk.said(conversation, Author.NOTE) == [f"see the terms ({SHOP})"]


async def test_a_note_that_is_formatted_as_a_quote_stays_a_note(desk: Desk) -> None:
    conversation, topic, _ = await claimed(desk)
    whole = entity("blockquote", "/note secret", "/note secret")
    await desk.writes(ANA.id, topic, "/note secret", entities=[whole])
    await desk.sees(topic, "📝 Noted")
    assert await desk.said(conversation, Author.NOTE) == ["> secret"]
    assert await desk.said(conversation, Author.AGENT) == []


@pytest.mark.parametrize("kind", ["blockquote", "expandable_blockquote"])
async def test_a_quote_inside_a_text_reaches_the_customer(desk: Desk, kind: str) -> None:
    conversation, topic, _ = await claimed(desk)
    text = "Our terms:\nFourteen days.\nNo fees.\nSo yes."
    await desk.writes(
        ANA.id, topic, text, entities=[entity(kind, text, "Fourteen days.\nNo fees.")]
    )
    assert await said(desk, conversation, 1) == [
        "Our terms:\n> Fourteen days.\n> No fees.\n\nSo yes."
    ]


async def test_a_reply_takes_the_line_it_answers_along(desk: Desk) -> None:
    """A customer's line as a whole or in part, and what an agent has said before."""
    conversation, topic, _ = await claimed(desk)
    question = await relayed(desk, topic, "Do you ship to Malta?\nAnd what does it cost?")
    await desk.writes(ANA.id, topic, "Yes, and 9 €.", reply_to=question["message_id"])
    part = {"reply_to": question["message_id"], "quote": "what does it cost?"}
    mine = await desk.writes(ANA.id, topic, "9 €.", **part)
    await desk.writes(ANA.id, topic, "A day.", reply_to=mine["message_id"])
    assert await said(desk, conversation, 3) == [
        "> Do you ship to Malta?\n> And what does it cost?\n\nYes, and 9 €.",
        "> what does it cost?\n\n9 €.",
        "> 9 €.\n\nA day.",
    ]
    await not_told(desk, topic)


async def test_a_part_of_a_long_line_and_of_a_card_can_be_quoted(desk: Desk) -> None:
    """A line that needed two messages, and the customer's words on the card."""
    conversation, topic, card = await claimed(desk)
    await desk.write("w " * 2100 + "where is number 10042?")
    second = await desk.sees(topic, "where is number 10042?")
    part = {"reply_to": second["message_id"], "quote": "number 10042"}
    await desk.writes(ANA.id, topic, "On its way.", **part)
    await desk.writes(ANA.id, topic, "Which ones?", reply_to=card["message_id"], quote=ASKED)
    assert await said(desk, conversation, 2) == [
        "> number 10042\n\nOn its way.", f"> {ASKED}\n\nWhich ones?",
    ]  # fmt: skip
    await not_told(desk, topic)


async def test_what_the_customer_has_not_seen_is_kept_back_and_the_agent_told(desk: Desk) -> None:
    """A note, the card, another topic: the words go out alone."""
    conversation, topic, card = await claimed(desk)
    note = await desk.writes(ANA.id, topic, "/note she shouted on the phone")
    await desk.sees(topic, "📝 Noted")
    for number, quoting in enumerate((
        {"reply_to": note["message_id"]},
        {"reply_to": note["message_id"], "quote": "she shouted"},
        {"reply_to": card["message_id"]},
        {"reply_to": card["message_id"], "quote": "The bot was unsure"},
    )):  # fmt: skip
        await desk.writes(ANA.id, topic, f"answer {number}", **quoting)
    general = await desk.writes(ANA.id, 0, "what another customer told me in private")
    await desk.do(
        "messages", user_id=ANA.id, chat_id=GROUP, topic_id=topic, text="answer 4",
        reply_to=general["message_id"], quote="another customer",
    )  # fmt: skip
    assert await said(desk, conversation, 5) == [f"answer {n}" for n in range(5)]
    await desk.settled()
    told = [m for m in await desk.messages(topic) if m["text"] == views.QUOTE_NOT_SENT]
    assert len(told) == 5


async def test_a_very_long_quote_is_cut(desk: Desk) -> None:
    conversation, topic, _ = await claimed(desk)
    question = await relayed(desk, topic, "😀 word " * 400)
    await desk.writes(ANA.id, topic, "Yes.", reply_to=question["message_id"])
    (answer,) = await said(desk, conversation, 1)
    assert answer.startswith("> 😀 word 😀 word") and answer.endswith("…\n\nYes.")
    assert len(answer) < 330


async def test_what_is_crossed_out_is_told(desk: Desk) -> None:
    conversation, topic, _ = await claimed(desk)
    text = "It costs 12 € 9 €."
    await desk.writes(ANA.id, topic, text, entities=[entity("strikethrough", text, "12 €")])
    await desk.sees(topic, views.CROSSED_OUT)
    assert await said(desk, conversation, 1) == [text]

"""A conversation at the console, against the real simulator: card, claim, relay both ways, end."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from agent_console import views
from agent_console.picture import stats_picture
from handoff.app.lines import owe_notice
from handoff.core.model import Author, State, Truth
from tests.console.desk import GROUP, SAM, Desk, until
from tests.console.test_views import NOTHING
from tests.fakes import ANA, BO, LEA, RITA

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


async def claimed(desk: Desk) -> tuple[str, int, dict[str, Any]]:
    """Let Ana claim a conversation; return it, its topic and its card."""
    conversation = await desk.asks_unknown()
    topic = await desk.topic("purple elephants")
    await desk.press(ANA.id, await desk.sees(topic, "Waiting for a person"), "Claim")
    return conversation, topic, await desk.sees(topic, "With Ana")


async def test_resolve_one_tap_of_truth_and_needed(desk: Desk) -> None:
    conversation, topic, card = await claimed(desk)
    await desk.press(ANA.id, card, "Resolve")
    card = await desk.sees(topic, "Resolved by Ana")
    assert (await desk.conversation(conversation)).state is State.CLOSED
    await desk.press(ANA.id, card, "faq")
    card = await desk.sees(topic, "What was it about?  faq")
    await desk.press(ANA.id, card, "Not needed")
    card = await desk.sees(topic, "Was the handoff needed?  no")
    told = await desk.handoff(conversation)
    assert (told.truth, told.truth_intent, told.needed) == (Truth.INTENT, "faq", False)
    await until(lambda: closed(desk, topic), "the topic is closed")
    # It can be changed, until the learning job has read it.
    await desk.press(ANA.id, card, "Change")
    card = await until(lambda: with_button(desk, topic, "Other intent…"), "the choices again")
    await desk.press(ANA.id, card, "Other intent…")
    card = await until(lambda: with_button(desk, topic, "More (2/2) ›"), "the first page")
    await desk.press(ANA.id, card, "More (2/2) ›")
    card = await until(lambda: with_button(desk, topic, "track order"), "the second page")
    await desk.press(ANA.id, card, "track order")
    card = await desk.sees(topic, "What was it about?  track order")
    assert (await desk.handoff(conversation)).truth_intent == "track_order"
    assert len([m for m in await desk.messages(topic) if "Resolved by" in m["text"]]) == 1
    async with desk.store() as work:
        read = await work.handoffs.get(told.id)
        read.mined = True
        await work.handoffs.save(read)
        await work.commit()
    # What it was about stands from now on; whether it was needed can be corrected at any time.
    await desk.press(ANA.id, card, "Change")
    card = await until(lambda: with_button(desk, topic, "Handoff was needed"), "the judgement")
    assert views.READ_BEFORE in card["text"]
    assert not await with_button(desk, topic, "Other intent…")
    await desk.press(ANA.id, card, "Handoff was needed")
    await desk.sees(topic, "Was the handoff needed?  yes")
    told = await desk.handoff(conversation)
    assert (told.truth_intent, told.needed) == ("track_order", True)


async def test_buttons_of_a_card_from_before_the_learning_job_say_so(desk: Desk) -> None:
    conversation, topic, card = await claimed(desk)
    await desk.press(ANA.id, card, "Resolve")
    card = await until(lambda: with_button(desk, topic, "New topic"), "the choices")
    async with desk.store() as work:
        read = await work.handoffs.get((await desk.handoff(conversation)).id)
        read.mined = True
        await work.handoffs.save(read)
        await work.commit()
    for button in ("New topic", "Other intent…"):
        pressed = await desk.press(ANA.id, card, button)
        assert pressed["text"] == views.READ_BEFORE and not pressed["show_alert"]
    assert (await desk.handoff(conversation)).truth is None


async def closed(desk: Desk, topic: int) -> bool:
    return next(t for t in await desk.topics() if t["topic_id"] == topic)["closed"]


async def with_button(desk: Desk, topic: int, button: str) -> dict[str, Any] | None:
    """Return the message of a topic that has this button now."""
    for message in await desk.messages(topic):
        if any(b["text"] == button for row in message["buttons"] for b in row):
            return message
    return None


async def test_a_note_stays_inside(desk: Desk) -> None:
    conversation, topic, _ = await claimed(desk)
    await desk.writes(BO.id, topic, "/note a regular, be kind")
    await desk.sees(topic, "📝 Noted")
    assert await desk.said(conversation, Author.NOTE) == ["a regular, be kind"]
    assert not await desk.said(conversation, Author.AGENT)
    await desk.writes(BO.id, topic, "/note")
    await desk.sees(topic, "Write the note behind the command")


async def test_text_of_others_is_not_sent_and_they_are_told(desk: Desk) -> None:
    conversation = await desk.asks_unknown()
    topic = await desk.topic("purple elephants")
    await desk.sees(topic, "Waiting for a person")
    await desk.writes(BO.id, topic, "hello, nobody has this")
    refusal = await desk.sees(topic, "Nobody has this conversation yet")
    await desk.press(BO.id, refusal, "Claim")
    assert (await desk.conversation(conversation)).assignee == BO.id
    await desk.writes(ANA.id, topic, "let me help")
    await desk.sees(topic, "Not sent to the customer. This conversation belongs to Bo.")
    await desk.writes(RITA.id, topic, "me too")
    await desk.sees(topic, "This needs the role agent.")
    assert not await desk.said(conversation, Author.AGENT)


async def test_what_cannot_be_passed_on_is_said(desk: Desk) -> None:
    conversation, topic, _ = await claimed(desk)
    said = await desk.writes(ANA.id, topic, "frist")
    await until(lambda: answers(desk, conversation, 1), "the answer arrives")
    await desk.do(
        "edit", user_id=ANA.id, chat_id=GROUP, message_id=said["message_id"], text="first"
    )
    await desk.sees(topic, "Edits do not reach the customer")
    picture = base64.b64encode(stats_picture(NOTHING, 1)).decode()
    await desk.do(
        "photos", user_id=ANA.id, chat_id=GROUP, topic_id=topic, photo_base64=picture,
        caption="look",
    )  # fmt: skip
    await desk.sees(topic, "Only text is passed on")
    assert await desk.said(conversation, Author.AGENT) == ["frist"]


async def test_slashes(desk: Desk) -> None:
    conversation, topic, _ = await claimed(desk)
    for text in ("/claimm now", "//start is a command", "/usr/bin is full", "/help@other_bot"):
        await desk.writes(ANA.id, topic, text)
    await desk.sees(topic, "There is no command /claimm")
    await desk.sees(topic, "There is no command /usr/bin")
    assert await desk.said(conversation, Author.AGENT) == ["/start is a command"]
    await desk.writes(ANA.id, topic, "/whoami@handoff_desk_bot")
    await desk.sees(topic, "You are Ana (1001), agent.")


async def test_every_button_of_the_card_has_a_command(desk: Desk) -> None:
    conversation = await desk.asks_unknown()
    topic = await desk.topic("purple elephants")
    steps = (
        ("/claim", "With Ana", State.AGENT), ("/release", "Waiting", State.WAITING),
        ("/claim", "With Ana", State.AGENT), ("/resolve", "Resolved by Ana", State.CLOSED),
        ("/reopen", "With Ana", State.AGENT), ("/bot", "Given back", State.BOT),
    )  # fmt: skip
    for command, shown, state in steps:
        await desk.writes(ANA.id, topic, command)
        await desk.sees(topic, shown)
        assert (await desk.conversation(conversation)).state is state
    for command, refusal in (
        ("/reopen", "nothing to reopen. It comes back here"),
        ("/claim", "nothing to claim. It comes back here when the customer needs a person."),
        ("/release", "The assistant has this conversation: nothing to release."),
        ("/resolve", "nothing to resolve. It comes back here"),
        ("/bot", "⚠️ The assistant has this conversation already."),
    ):
        await desk.writes(ANA.id, topic, command)
        await desk.sees(topic, refusal)
    await desk.writes(ANA.id, topic, "still there?")
    await desk.sees(topic, "The assistant is talking to them")
    registered = (await desk.calls("setMyCommands"))[-1]
    assert "claim" in str(registered)


async def test_a_second_handoff_reopens_the_topic_with_a_card_of_its_own(desk: Desk) -> None:
    conversation, topic, card = await claimed(desk)
    await desk.press(ANA.id, card, "Resolve")
    await desk.press(ANA.id, await desk.sees(topic, "Resolved by Ana"), "New topic")
    await desk.press(ANA.id, await desk.sees(topic, "a new topic"), "Handoff was needed")
    await until(lambda: closed(desk, topic), "the topic is closed")
    await desk.asks_unknown(text="purple elephants again")
    second = await desk.sees(topic, "Waiting for a person")
    assert second["message_id"] != card["message_id"]
    assert not await closed(desk, topic)
    # The truth about the first one may still be corrected; the second is left alone.
    first = next(m for m in await desk.messages(topic) if m["message_id"] == card["message_id"])
    await desk.press(ANA.id, first, "Change")
    first = await until(lambda: with_button(desk, topic, "Don't learn"), "the choices again")
    await desk.press(ANA.id, first, "Don't learn")
    await desk.sees(topic, "nothing to learn from")
    await desk.settled()
    assert not await closed(desk, topic)
    assert (await desk.conversation(conversation)).state is State.WAITING


async def test_a_button_of_an_older_state_is_refused_and_changes_nothing(desk: Desk) -> None:
    conversation, topic, card = await claimed(desk)
    await desk.kill()
    waiting = [
        asyncio.create_task(desk.press(ANA.id, card, button)) for button in ("Release", "Resolve")
    ]

    async def pressed() -> bool:
        return len(await desk.get("updates")) == 2

    await until(pressed, "both are pressed")
    await desk.start()
    first, second = await asyncio.gather(*waiting)
    told = {first["text"], second["text"]}
    assert views.STALE in told and len(told) == 2
    assert sorted((first["show_alert"], second["show_alert"])) == [False, True]
    state = (await desk.conversation(conversation)).state
    assert state in (State.WAITING, State.CLOSED)
    await desk.sees(topic, "Waiting for" if state is State.WAITING else "Resolved by")


async def test_a_reminder_that_comes_too_late_is_not_shown(idle: Desk) -> None:
    conversation = await idle.asks_unknown()
    async with idle.store() as work:
        for key, text in (("waiting:x:1", "⏰ late"), ("other", "shown")):
            await owe_notice(work, conversation, text, key, idle.clock.now())
        await work.commit()
    await idle.claim(conversation, ANA)
    await idle.start()
    topic = await idle.topic("purple elephants")
    await idle.sees(topic, "shown")
    await idle.settled()
    assert not [m for m in await idle.messages(topic) if "late" in m["text"]]


async def test_strangers_get_a_refusal_and_no_data(desk: Desk) -> None:
    conversation, topic, card = await claimed(desk)
    refused = await desk.press(SAM, card, "Resolve")
    assert refused["show_alert"] and "you are not on its list" in refused["text"]
    await desk.writes(SAM, topic, "hello customer")
    await desk.sees(topic, "you are not on its list")
    for text in ("/queue", "/start", "/stats"):
        await desk.do("messages", user_id=SAM, chat_id=SAM, text=text)
    await desk.sees(0, "you are not on its list", chat=SAM)
    await desk.settled()
    told = [m["text"] for m in await desk.messages(0, SAM) if m["from"]["is_bot"]]
    assert len(told) == 1 and "Kim" not in told[0]
    assert (await desk.conversation(conversation)).state is State.AGENT
    assert not await desk.said(conversation, Author.AGENT)


async def test_an_anonymous_admin_is_warned_in_the_topic(desk: Desk) -> None:
    conversation, topic, _ = await claimed(desk)
    await desk.writes(LEA.id, topic, "I am the owner", anonymous=True)
    await desk.sees(topic, "This was written anonymously")
    assert not await desk.said(conversation, Author.AGENT)


async def test_elsewhere_in_the_group_people_may_talk(desk: Desk) -> None:
    await desk.asks_unknown()
    await desk.topic("purple elephants")
    made = await desk.do("topics", user_id=LEA.id, chat_id=GROUP, name="Coffee")
    for topic in (0, made["topic_id"]):
        await desk.writes(ANA.id, topic, "who brings cake?")
        await desk.writes(ANA.id, topic, "/claim")
        await desk.sees(topic, "only works in the topic of a conversation")
        bots = [m for m in await desk.messages(topic) if m["from"]["is_bot"] and not m["service"]]
        assert len(bots) == 1
    await desk.writes(ANA.id, 0, "/queue")
    queue = await desk.sees(0, "Waiting for a person: 1")
    assert any(e["type"] == "text_link" for e in queue["entities"])


async def test_the_log_names_a_group_nobody_has_set(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    """How an installer gets to know TELEGRAM_GROUP_ID."""
    other = -1002000000002
    await desk.do("chats", chat_id=other, title="Night shift", owner_id=LEA.id, members=[ANA.id])
    await desk.do("messages", user_id=ANA.id, chat_id=other, text="is this on?")

    async def logged() -> bool:
        return f"TELEGRAM_GROUP_ID={other}" in caplog.text

    await until(logged, "the log names the group")
    assert "Night shift" in caplog.text and "is this on?" not in caplog.text

"""Nothing lost, nothing doubled: crashes, floods, silence, deleted topics, broken updates."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest

from agent_console import dispatch, handlers
from agent_console.console import build_console
from agent_console.ingest import Ingest
from agent_console.richtext import TEXT_UNITS, utf16_len
from agent_console.senders import Senders
from handoff.adapters import StoreBusy
from handoff.app.lines import FIRST, LAST, conversation_topic, owe
from handoff.core.errors import BadData, BadSetting
from handoff.core.model import (
    Author,
    InboundUpdate,
    OutboxItem,
    OutboxKind,
    OutboxStatus,
    UpdateStatus,
    new_id,
)
from tests.console.desk import GROUP, TOKEN, Desk, until
from tests.fakes import ANA, RITA, UNKNOWN


async def claimed(desk: Desk) -> tuple[str, int]:
    """Let Ana claim a conversation; return it and its topic."""
    conversation = await desk.asks_unknown()
    topic = await desk.topic("purple elephants")
    await desk.sees(topic, "Waiting for a person")
    await desk.claim(conversation, ANA)
    await desk.sees(topic, "With Ana")
    await desk.settled()
    return conversation, topic


async def count(desk: Desk, topic: int, contains: str) -> int:
    """Count the bot's messages of a topic that contain a text."""
    messages = await desk.messages(topic)
    return sum(contains in m["text"] and m["from"]["is_bot"] for m in messages)


# --- receiving -----------------------------------------------------------------------------------


async def test_killed_between_storing_and_handling_nothing_is_lost_or_doubled(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation, topic = await claimed(desk)
    stuck = asyncio.Event()

    async def never(self: Ingest) -> None:
        await stuck.wait()

    await desk.kill()
    with monkeypatch.context() as patch:
        patch.setattr(Ingest, "handle_pending", never)
        await desk.start()
        for number in range(10):
            await desk.writes(ANA.id, topic, f"answer {number}")

        async def stored() -> bool:
            async with desk.store() as work:
                return len(await work.updates.pending()) == 10

        await until(stored, "ten updates are stored")

        async def confirmed() -> bool:
            return not await desk.get("updates")

        await until(confirmed, "Telegram has forgotten them")
        assert not await desk.said(conversation, Author.AGENT)
        await desk.kill()
    await desk.start()
    await desk.settled()
    assert await desk.said(conversation, Author.AGENT) == [f"answer {n}" for n in range(10)]


async def test_killed_between_effect_and_done_nothing_is_doubled(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation, topic = await claimed(desk)
    finish = Ingest._finish
    reached = asyncio.Event()

    async def die(self: Ingest, *arguments: Any) -> None:
        reached.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(Ingest, "_finish", die)
    await desk.writes(ANA.id, topic, "once")
    await asyncio.wait_for(reached.wait(), 10)
    await desk.kill()
    assert await desk.said(conversation, Author.AGENT) == ["once"]
    reached.clear()
    await desk.start()
    await asyncio.wait_for(reached.wait(), 10)
    await desk.kill()
    monkeypatch.setattr(Ingest, "_finish", finish)
    await desk.start()
    await desk.writes(ANA.id, topic, "/note also once")
    await desk.settled()
    assert await desk.said(conversation, Author.AGENT) == ["once"]
    assert await desk.said(conversation, Author.NOTE) == ["also once"]


async def test_an_update_that_breaks_is_set_aside_and_holds_up_nobody(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    conversation, topic = await claimed(desk)
    say, tried = handlers.Handlers._to_customer, []

    async def break_on_poison(self: Any, told: Any, to: str, text: str) -> None:
        if text == "poison":
            tried.append(told.update_id)
            raise ZeroDivisionError(f"with {TOKEN} inside")
        await say(self, told, to, text)

    monkeypatch.setattr(handlers.Handlers, "_to_customer", break_on_poison)
    await desk.writes(ANA.id, topic, "before")
    await desk.writes(ANA.id, topic, "poison")
    await desk.writes(ANA.id, topic, "after")
    await until(lambda: said(desk, conversation, 2), "the others arrive")
    await desk.settled()
    assert await desk.said(conversation, Author.AGENT) == ["before", "after"]
    assert len(tried) == 3
    assert "is set aside" in caplog.text and "ZeroDivisionError" in caplog.text
    assert "SECRET" not in caplog.text
    # Ana would else believe that the customer has read it.
    warning = await desk.sees(topic, "may not have reached the customer")
    poison = next(m for m in await desk.messages(topic) if m["text"] == "poison")
    assert warning["reply_to"]["message_id"] == poison["message_id"]
    assert await count(desk, topic, "may not have reached the customer") == 1


async def said(desk: Desk, conversation: str, number: int) -> bool:
    return len(await desk.said(conversation, Author.AGENT)) >= number


async def test_an_update_that_cannot_even_be_read_is_set_aside(idle: Desk) -> None:
    async with idle.store() as work:
        broken = {"update_id": 3, "message": {"message_id": "x"}}
        await work.updates.put(InboundUpdate(7001, 3, broken, idle.clock.now()))
        foreign = {"update_id": 4}
        await work.updates.put(InboundUpdate(7002, 4, foreign, idle.clock.now()))
        await work.commit()
    await idle.start()
    await idle.settled()
    async with idle.store() as work:
        again = InboundUpdate(7001, 3, broken, idle.clock.now(), UpdateStatus.DONE)
        assert not await work.updates.put(again)


async def test_a_second_poller_is_survived(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    conversation, topic = await claimed(desk)
    async with httpx.AsyncClient(base_url=f"{desk.url}/bot{TOKEN}", timeout=30) as other:
        for _ in range(3):
            await other.post("/getUpdates", json={"timeout": 0})
    await desk.writes(ANA.id, topic, "still here")
    await until(lambda: said(desk, conversation, 1), "the console polls again")
    assert "Somebody else fetches the updates" in caplog.text
    assert "SECRET" not in caplog.text


# --- sending -------------------------------------------------------------------------------------


async def test_a_flood_is_obeyed_over_a_restart(desk: Desk) -> None:
    _, topic = await claimed(desk)
    await desk.do("faults", kind="flood", retry_after=3, methods=["sendMessage"])
    began = asyncio.get_running_loop().time()
    await desk.write("after the flood")

    async def refused() -> bool:
        return any(c["status"] == 429 for c in await desk.calls("sendMessage"))

    await until(refused, "Telegram refuses")

    async def postponed() -> bool:
        async with desk.store() as work:
            return not await work.outbox.stranded()

    await until(postponed, "the wait is stored")
    await desk.kill()
    await desk.start()
    await desk.sees(topic, "after the flood")
    assert asyncio.get_running_loop().time() - began >= 2.9
    assert await count(desk, topic, "after the flood") == 1


async def test_a_limit_of_the_group_is_kept_without_being_told(store: Any, url: str) -> None:
    """With Telegram's own limits on, the console's budget alone prevents every 429."""
    desk = Desk(store, url, per_minute=20)
    await desk.do("limits", mode="telegram")
    try:
        await desk.start()
        await desk.asks_unknown()
        for number in range(5):
            await desk.write(f"line {number}")
        topic = await desk.topic("purple elephants")
        await desk.sees(topic, "line 4")
        sent = [m["text"] for m in await desk.messages(topic) if m["text"].startswith("line")]
        assert sent == [f"line {n}" for n in range(5)]
        assert not [c for c in await desk.get("calls") if c["status"] == 429]
    finally:
        await desk.close()


async def test_when_the_budget_is_low_what_matters_goes_first(idle: Desk) -> None:
    """With room for four calls, late notes of no weight do not keep a customer's line back."""
    idle.settings["per_minute"] = 10
    conversation = await idle.handed_over()
    topic = conversation_topic(conversation)
    async with idle.store() as work:
        for number in range(8):
            key, now = f"chatter:{number}", idle.clock.now()
            payload = {"text": f"chatter {number}"}
            await owe(work, OutboxKind.NOTICE, payload, key, now, topic, LAST)
        await work.commit()
    console = await idle.start()
    thread = await idle.topic("human please")
    await idle.sees(thread, "chatter 2")

    async def low() -> bool:
        return console.dispatcher.budget.wait(GROUP, LAST) > 5

    await until(low, "the budget is low")
    await idle.write("urgent")
    await idle.sees(thread, "urgent")
    async with idle.store() as work:
        assert await work.outbox.waiting() >= 4


async def test_no_answer_is_uncertain_and_never_blindly_repeated(store: Any, url: str) -> None:
    desk = Desk(store, url, send_seconds=1.0)
    try:
        await desk.start()
        _, topic = await claimed(desk)
        await desk.do("faults", kind="accept_timeout", hold=3, methods=["sendMessage"])
        await desk.write("did this arrive?")
        notice = await desk.sees(topic, "Telegram did not confirm a line of the customer")
        assert await count(desk, topic, "did this arrive?") == 1
        # Pressing twice sends once.
        await desk.press(ANA.id, notice, "Send again")
        await desk.press(ANA.id, notice, "Send again")
        await desk.settled()
        assert await count(desk, topic, "did this arrive?") == 2
        assert await count(desk, topic, "did not confirm") == 1
        # An edit may be repeated, and is.
        await desk.do("faults", kind="accept_timeout", hold=3, methods=["editMessageText"])
        card = next(m for m in await desk.messages(topic) if "With Ana" in m["text"])
        await desk.press(ANA.id, card, "Resolve")
        await desk.settled()
        assert await count(desk, topic, "did not confirm") == 1
        assert await count(desk, topic, "Resolved by Ana") == 1
    finally:
        await desk.close()


async def test_what_was_not_carried_out_is_sent_again(desk: Desk) -> None:
    _, topic = await claimed(desk)
    await desk.do("faults", kind="error", status=502, methods=["sendMessage"])
    await desk.write("through the gateway")
    await desk.sees(topic, "through the gateway")
    assert await count(desk, topic, "through the gateway") == 1
    assert await count(desk, topic, "⚠️") == 0


async def test_an_item_left_sending_is_uncertain_at_the_next_start(desk: Desk) -> None:
    _, topic = await claimed(desk)
    await desk.kill()
    await desk.write("caught in between")
    async with desk.store() as work:
        item = await work.outbox.take(desk.clock.now())
        await work.commit()
    assert item and item.kind is OutboxKind.RELAY
    await desk.start()
    notice = await desk.sees(topic, "did not confirm a line of the customer")
    assert await count(desk, topic, "caught in between") == 0
    assert (await desk.item(item.id)).status is OutboxStatus.UNCERTAIN
    refused = await desk.press(RITA.id, notice, "Send again")
    assert refused["show_alert"] and refused["text"] == "This needs the role agent."
    await desk.press(ANA.id, notice, "Send again")
    await desk.sees(topic, "caught in between")


async def test_an_edit_left_sending_is_made_again(desk: Desk) -> None:
    conversation, topic = await claimed(desk)
    await desk.kill()
    await desk.release(conversation, ANA)
    async with desk.store() as work:
        item = await work.outbox.take(desk.clock.now())
        await work.commit()
    assert item and item.kind is OutboxKind.CARD
    await desk.start()
    await desk.sees(topic, "Waiting for a person")
    await desk.settled()
    assert await count(desk, topic, "⚠️") == 0


async def test_a_topic_deleted_by_hand_is_made_again_with_its_card(desk: Desk) -> None:
    conversation, topic = await claimed(desk)
    await desk.write("said before")
    await desk.sees(topic, "said before")
    await desk.do("topics/delete", user_id=1004, chat_id=GROUP, topic_id=topic)
    await desk.write("said after")
    new = await desk.topic("Customer kim")
    assert new != topic
    await desk.sees(new, "said after")
    texts = [m["text"] for m in await desk.messages(new) if not m["service"]]
    assert [("With Ana" in texts[0]), ("said before" in texts[1]), texts[2:]] == [
        True, True, ["said after"]
    ]  # fmt: skip
    card = await desk.sees(new, "With Ana")
    assert (await desk.handoff(conversation)).card_message_id == card["message_id"]
    await desk.writes(ANA.id, new, "hello again")
    await until(lambda: said(desk, conversation, 1), "the new topic is the conversation's")


async def test_a_deleted_card_is_sent_anew(desk: Desk) -> None:
    conversation, topic = await claimed(desk)
    old = (await desk.handoff(conversation)).card_message_id
    await desk.do("delete", user_id=1004, chat_id=GROUP, message_id=old)
    await desk.release(conversation, ANA)
    card = await desk.sees(topic, "Waiting for a person")
    await desk.settled()
    assert card["message_id"] == (await desk.handoff(conversation)).card_message_id != old


async def test_several_pending_edits_of_a_card_cost_one_call(desk: Desk) -> None:
    conversation, topic = await claimed(desk)
    await desk.kill()
    for _ in range(3):
        await desk.release(conversation, ANA)
        await desk.claim(conversation, ANA)
    await desk.release(conversation, ANA)
    before = len(await desk.calls("editMessageText"))
    await desk.start()
    await desk.sees(topic, "Waiting for a person")
    await desk.settled()
    assert len(await desk.calls("editMessageText")) - before == 1


async def test_two_first_messages_open_one_topic(desk: Desk) -> None:
    await asyncio.gather(*(desk.ask(f"{UNKNOWN} {n}", key="kim") for n in range(2)))
    topic = await desk.topic("purple elephants")
    await desk.sees(topic, "Waiting for a person")
    await desk.settled()
    assert len([t for t in await desk.topics() if "kim" in t["name"]]) == 1


async def test_a_long_line_arrives_whole_and_in_order(desk: Desk) -> None:
    _, topic = await claimed(desk)
    text = "".join(f"{number} 😀👩‍🚀 " for number in range(600))[:5000].strip()
    assert utf16_len(text) > TEXT_UNITS
    await desk.write(text)
    await desk.settled()
    pieces = [m["text"] for m in await desk.messages(topic) if "😀" in m["text"]]
    assert len(pieces) == 2
    assert "".join("".join(pieces).split()) == "".join(text.split())


async def test_a_line_telegram_refuses_is_seen_to_be_missing(desk: Desk) -> None:
    _, topic = await claimed(desk)
    async with desk.store() as work:
        item = OutboxItem(
            new_id(), OutboxKind.NOTICE, {"text": "x" * 5000}, "too long", desk.clock.now(),
            desk.clock.now(), await topic_key(desk, topic), FIRST,
        )  # fmt: skip
        await work.outbox.put(item)
        await work.commit()
    await desk.sees(topic, "Telegram refused a notice")
    assert (await desk.item(item.id)).status is OutboxStatus.FAILED


async def topic_key(desk: Desk, topic: int) -> str:
    async with desk.store() as work:
        found = await work.topics.by_thread(GROUP, topic)
    assert found
    return found.key


async def test_a_bot_without_rights_waits_until_it_has_them(
    desk: Desk, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "FIX_MOST_SECONDS", 0.2)
    rights = {"chat_id": GROUP, "user_id": 7001, "status": "administrator"}
    await desk.do("members", **rights, rights={"can_manage_topics": False})
    await desk.asks_unknown()

    async def complained() -> bool:
        return "please put right" in caplog.text

    await until(complained, "the log says so")
    await desk.do("members", **rights, rights={"can_manage_topics": True})
    topic = await desk.topic("purple elephants")
    await desk.sees(topic, "Waiting for a person")


# --- starting ------------------------------------------------------------------------------------


async def test_a_wrong_token_is_named_and_not_shown(idle: Desk) -> None:
    console = build_console(replace(idle.deps(), token="7001:ANOTHER-secret"))
    with pytest.raises(BadSetting) as refused:
        await console.start()
    assert "TELEGRAM_BOT_TOKEN" in str(refused.value) and "ANOTHER" not in str(refused.value)
    # A traceback would print what is chained, and PTB's own message holds the token.
    assert refused.value.__suppress_context__
    await console.stop()


async def test_without_telegram_the_console_starts_and_connects_later(
    store: Any, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    desk = Desk(store, url)
    desk.console = build_console(replace(desk.deps(), api_url=f"http://127.0.0.1:{port}"))
    await desk.console.start()
    assert not desk.console.ready.is_set() and "cannot be reached yet" in caplog.text
    await desk.asks_unknown()
    async with forwarding(port, int(url.rsplit(":", 1)[1])):
        await asyncio.wait_for(desk.console.ready.wait(), 20)
        await desk.sees(await desk.topic("purple elephants"), "Waiting for a person")
        await desk.close()


@asynccontextmanager
async def forwarding(port: int, to: int) -> AsyncIterator[None]:
    """Listen on a port and pass everything on to another one."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", to)
        await asyncio.gather(pump(reader, back), pump(there, writer), return_exceptions=True)

    server = await asyncio.start_server(connected, "127.0.0.1", port)
    try:
        yield
    finally:
        server.close()


async def test_no_token_in_any_log(store: Any, url: str, caplog: pytest.LogCaptureFixture) -> None:
    """With every logger of ours and of the libraries at its most talkative outside QUIET."""
    caplog.set_level(logging.DEBUG)
    desk = Desk(store, url, send_seconds=0.5)
    try:
        await desk.start()
        _, topic = await claimed(desk)
        for kind, more in (
            ("error", {"status": 500}), ("drop", {}), ("flood", {"retry_after": 1}),
            ("accept_timeout", {"hold": 2}),
        ):  # fmt: skip
            await desk.do("faults", kind=kind, methods=["sendMessage"], **more)
            await desk.write(f"during {kind}")
            await desk.settled()
        await desk.do("faults", kind="error", count=2, status=500, methods=["getUpdates"])
        await desk.writes(ANA.id, topic, "still there")
        await desk.settled()
    finally:
        await desk.close()
    assert len(caplog.records) > 20
    assert "trying again" in caplog.text and "No answer from Telegram" in caplog.text
    assert TOKEN not in caplog.text and "SECRET" not in caplog.text


async def test_a_database_that_is_away_for_a_while_does_not_block_a_topic(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the line nor its failure can be stored at first: later lines must still arrive."""
    _, topic = await claimed(desk)
    console = desk.console
    assert console
    store, refused = console.deps.store, []

    @asynccontextmanager
    async def away() -> AsyncIterator[Any]:
        async with store() as work:
            save = work.outbox.save

            async def refuse(item: OutboxItem) -> None:
                if item.kind is OutboxKind.RELAY and len(refused) < 4:
                    refused.append(item.status)
                    raise StoreBusy(seconds=10)
                await save(item)

            work.outbox.save = refuse
            yield work

    async def broken(self: Senders, item: OutboxItem) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(console.deps, "store", away)
        patch.setattr(Senders, "send", broken)
        await desk.write("the first")
        await until(lambda: tried(refused), "storing the failure fails")
    await desk.write("the second")
    await desk.sees(topic, "the second")
    await desk.settled()
    shown = [m["text"] for m in await desk.messages(topic) if m["text"].startswith("the ")]
    assert shown == ["the first", "the second"]


async def tried(refused: list[Any]) -> bool:
    return len(refused) >= 2


async def test_cards_need_no_training_files(idle: Desk) -> None:
    """A file somebody broke must not keep agents from the customers; only the list needs them."""

    def broken() -> list[str]:
        raise BadData(path="nlu/orders.yml", why="it is no NLU file of Rasa")

    idle.settings["known_intents"] = broken
    await idle.start()
    await idle.asks_unknown()
    topic = await idle.topic("purple elephants")
    await idle.sees(topic, "Waiting for a person")


async def test_a_backlog_does_not_make_looking_slower(idle: Desk) -> None:
    """Rasa is dead and forty customers wait: the group is over budget as a whole, asked once."""
    idle.settings["per_minute"] = 1
    for number in range(40):
        await idle.handed_over(f"customer {number}")
    async with idle.store() as work:
        place = {"text": "in private", "chat_id": ANA.id, "thread_id": None}
        await owe(work, OutboxKind.REPLY, place, "private", idle.clock.now(), priority=LAST)
        await work.commit()
    dispatcher = build_console(idle.deps()).dispatcher
    dispatcher.budget.spend(GROUP)
    opened = 0

    def counted() -> Any:
        nonlocal opened
        opened += 1
        return idle.store()

    dispatcher.deps.store = counted
    item, _ = await dispatcher._take()
    # What another chat has room for is found all the same.
    assert item and item.payload["text"] == "in private"
    assert opened == 2
    item, wait = await dispatcher._take()
    assert item is None and wait > 0

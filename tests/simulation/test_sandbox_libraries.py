"""Two bot libraries, neither changed: python-telegram-bot runs, aiogram checks every answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiogram import Bot as AiogramBot
from aiogram import types as ai
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import TelegramBadRequest, TelegramRetryAfter
from aiogram.types import BufferedInputFile
from telegram import InlineKeyboardButton, InlineKeyboardMarkup, ReplyParameters, Update
from telegram.error import BadRequest, NetworkError, RetryAfter, TimedOut
from telegram.ext import Application, CallbackQueryHandler, MessageHandler, filters

from tests.simulation.server import GROUP, TOKEN, Bot, People
from tests.simulation.test_sandbox_files import PNG


@asynccontextmanager
async def running_ptb(url: str) -> AsyncIterator[Any]:
    """A polling Application, set up as its documentation says."""
    builder = Application.builder().token(TOKEN)
    app = builder.base_url(f"{url}/bot").base_file_url(f"{url}/file/bot").build()
    await app.initialize()
    try:
        yield app
    finally:
        if app.updater and app.updater.running:
            await app.updater.stop()
        if app.running:
            await app.stop()
        await app.shutdown()


async def start(app: Any) -> None:
    await app.start()
    await app.updater.start_polling(allowed_updates=Update.ALL_TYPES, timeout=5)


async def in_thread(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return await asyncio.to_thread(function, *args, **kwargs)


def test_ptb_polls_answers_and_edits(url: str, people: People) -> None:
    async def on_text(update: Update, context: Any) -> None:
        assert update.effective_message
        keys = InlineKeyboardMarkup([[InlineKeyboardButton("Claim", callback_data="v1:claim")]])
        await update.effective_message.reply_text("a card", reply_markup=keys, do_quote=True)

    async def on_press(update: Update, context: Any) -> None:
        query = update.callback_query
        assert query
        await query.answer(f"Taken by {query.from_user.full_name}")
        await query.edit_message_text("claimed")

    async def scenario() -> None:
        async with running_ptb(url) as app:
            app.add_handler(MessageHandler(filters.TEXT, on_text))
            app.add_handler(CallbackQueryHandler(on_press))
            topic = await app.bot.create_forum_topic(GROUP, "With PTB")
            thread = topic.message_thread_id
            await start(app)
            await in_thread(people.write, 1001, "hello", topic_id=thread)
            place = {"chat_id": GROUP, "topic_id": thread}
            card = await in_thread(people.get, "wait", contains="a card", **place)
            assert card["reply_to"]["text"] == "hello"
            press = {"user_id": 1002, "chat_id": GROUP, "message_id": card["message_id"]}
            answer = await in_thread(people.do, "press", **press, button="Claim")
            assert answer["text"] == "Taken by Bo Agent"
            edited = await in_thread(people.get, "wait", contains="claimed", **place)
            assert edited["edited"] and edited["buttons"] == []

    asyncio.run(scenario())


def test_ptb_topics_photos_and_errors(url: str, people: People) -> None:
    async def scenario() -> None:
        async with running_ptb(url) as app:
            bot = app.bot
            thread = (await bot.create_forum_topic(GROUP, "T")).message_thread_id
            photo = await bot.send_photo(
                GROUP, PNG, caption="chart", message_thread_id=thread, filename="a.png"
            )
            file = await bot.get_file(photo.photo[-1].file_id)
            assert bytes(await file.download_as_bytearray()) == PNG
            await bot.set_message_reaction(GROUP, photo.message_id, "👀")
            reply = ReplyParameters(photo.message_id)
            sent = await bot.send_document(GROUP, b"text", filename="a.txt", reply_parameters=reply)
            assert sent.message_thread_id == thread and sent.document.file_name == "a.txt"
            assert await bot.close_forum_topic(GROUP, thread)
            assert await bot.delete_forum_topic(GROUP, thread)
            with pytest.raises(BadRequest, match="Message thread not found"):
                await bot.send_message(GROUP, "x", message_thread_id=thread)
            assert (await bot.get_chat(GROUP)).is_forum
            assert (await bot.get_chat_member(GROUP, bot.id)).can_manage_topics

    asyncio.run(scenario())


FAULTS = [
    ({"kind": "accept_timeout"}, NetworkError),
    ({"kind": "accept_timeout", "hold": 30}, TimedOut),
    ({"kind": "error", "status": 502}, NetworkError),
    ({"kind": "flood", "retry_after": 3}, RetryAfter),
    ({"kind": "drop"}, NetworkError),
]


@pytest.mark.parametrize(("fault", "expected"), FAULTS)
def test_ptb_sees_each_fault(url: str, people: People, fault: Any, expected: type) -> None:
    people_done = fault["kind"] == "accept_timeout"

    async def scenario() -> None:
        async with running_ptb(url) as app:
            await in_thread(people.do, "faults", **fault)
            with pytest.raises(expected):
                await app.bot.send_message(GROUP, "x", read_timeout=0.5)

    asyncio.run(scenario())
    assert len(people.get("messages", chat_id=GROUP)) == (1 if people_done else 0)


def test_ptb_that_is_killed_gets_the_updates_again(url: str, bot: Bot, people: People) -> None:
    for number in range(3):
        people.write(1001, f"m{number}")

    async def handled_before_the_kill() -> None:
        async with running_ptb(url) as app:
            # One batch is fetched and never confirmed, as when the process dies in between.
            assert len(await app.bot.get_updates()) == 3

    async def after_the_restart() -> list[str]:
        seen: list[str] = []
        done = asyncio.Event()

        async def on_text(update: Update, context: Any) -> None:
            assert update.message and update.message.text
            seen.append(update.message.text)
            if len(seen) == 3:
                done.set()

        async with running_ptb(url) as app:
            app.add_handler(MessageHandler(filters.TEXT, on_text))
            await start(app)
            await asyncio.wait_for(done.wait(), 20)
        return seen

    asyncio.run(handled_before_the_kill())
    assert asyncio.run(after_the_restart()) == ["m0", "m1", "m2"]
    assert bot.updates() == []


# --- aiogram: pydantic types written by other people -----------------------------------------


def known_only(value: Any, path: str = "") -> None:
    """Fail on any field that aiogram's types do not know, however deep."""
    if isinstance(value, list | tuple):
        for item in value:
            known_only(item, path)
    elif isinstance(value, ai.TelegramObject):
        extra = set(value.model_extra or {})
        assert not extra, f"{path}{type(value).__name__} has unknown fields {extra}"
        for name in type(value).model_fields:
            known_only(getattr(value, name), f"{path}{type(value).__name__}.{name} → ")


async def with_aiogram(url: str, run: Callable[[AiogramBot], Awaitable[None]]) -> None:
    server = TelegramAPIServer(
        base=f"{url}/bot{{token}}/{{method}}", file=f"{url}/file/bot{{token}}/{{path}}"
    )
    bot = AiogramBot(TOKEN, session=AiohttpSession(api=server))
    try:
        await run(bot)
    finally:
        await bot.session.close()


def test_aiogram_accepts_every_answer(url: str, people: People) -> None:
    keys = ai.InlineKeyboardMarkup(
        inline_keyboard=[[ai.InlineKeyboardButton(text="Go", callback_data="go")]]
    )
    bold = [ai.MessageEntity(type="bold", offset=0, length=4)]

    async def run(bot: AiogramBot) -> None:
        topic = await bot.create_forum_topic(GROUP, "Checked", icon_color=9367192)
        thread = topic.message_thread_id
        place: dict[str, Any] = {"chat_id": GROUP, "message_thread_id": thread}
        card = await bot.send_message(**place, text="Card", entities=bold, reply_markup=keys)
        assert card.entities and card.entities[0].type == "bold" and card.is_topic_message
        photo_file = BufferedInputFile(PNG, "a.png")
        photo = await bot.send_photo(**place, photo=photo_file, caption="cap")
        document = await bot.send_document(**place, document=BufferedInputFile(b"x", "ü.txt"))
        assert photo.photo and document.document and document.document.file_name == "ü.txt"
        file = await bot.get_file(photo.photo[-1].file_id)
        assert file.file_path
        downloaded = await bot.download_file(file.file_path)
        assert downloaded and downloaded.read() == PNG
        edit: dict[str, Any] = {"chat_id": GROUP, "message_id": card.message_id}
        people.do("press", user_id=1001, **edit, button="Go", wait=0)
        answers = [
            topic, card, photo, document, file, await bot.get_me(),
            await bot.edit_message_text(**edit, text="New", reply_markup=keys),
            await bot.edit_message_reply_markup(**edit),
            await bot.edit_message_caption(
                chat_id=GROUP, message_id=photo.message_id, caption="new"),
            await bot.set_message_reaction(**edit, reaction=[ai.ReactionTypeEmoji(emoji="👌")]),
            await bot.pin_chat_message(**edit), await bot.get_chat(GROUP),
            await bot.unpin_chat_message(**edit),
            await bot.get_chat_administrators(GROUP), await bot.get_chat_member_count(GROUP),
            [await bot.get_chat_member(GROUP, number) for number in (1, 1001, 1004)],
            await bot.set_my_commands([ai.BotCommand(command="a", description="b")]),
            await bot.get_my_commands(), await bot.send_chat_action(**place, action="typing"),
            await bot.edit_forum_topic(**place, name="Renamed"),
            await bot.close_forum_topic(**place), await bot.reopen_forum_topic(**place),
            await bot.get_forum_topic_icon_stickers(), await bot.get_webhook_info(),
            await bot.delete_message(GROUP, document.message_id),
        ]  # fmt: skip
        updates = await bot.get_updates()
        query = next(u.callback_query for u in updates if u.callback_query)
        answers += [await bot.answer_callback_query(query.id, text="ok"), updates]
        answers += [await bot.delete_forum_topic(**place)]
        answers.append(await bot.set_webhook("http://127.0.0.1:1/", secret_token="s"))
        answers += [await bot.get_webhook_info(), await bot.delete_webhook()]
        known_only(answers)

    asyncio.run(with_aiogram(url, run))
    statuses = {call["status"] for call in people.get("calls")}
    assert statuses == {200}


def test_aiogram_accepts_every_update(url: str, bot: Bot, people: People) -> None:
    every = [
        "message", "edited_message", "callback_query", "message_reaction", "my_chat_member",
        "chat_member",
    ]  # fmt: skip
    bot.updates(allowed_updates=every)
    thread = people.do("topics", user_id=1004, chat_id=GROUP, name="T")["topic_id"]
    place = {"chat_id": GROUP, "topic_id": thread}
    first = people.write(1001, "hi @ana_agent https://x.org /go", topic_id=thread)
    people.write(1002, "yes", topic_id=thread, reply_to=first["message_id"])
    people.write(1004, "anonymous", topic_id=thread, anonymous=True)
    people.write(1001, "/start", chat_id=1001)
    people.do("edit", user_id=1001, chat_id=GROUP, message_id=first["message_id"], text="ho")
    people.do("react", user_id=1002, chat_id=GROUP, message_id=first["message_id"], emoji="👍")
    for deed in ("close", "reopen"):
        people.do(f"topics/{deed}", user_id=1004, **place)
    people.do("members", chat_id=GROUP, user_id=1005, status="left")
    people.do("members", chat_id=GROUP, user_id=1005, status="member")
    people.do("members", chat_id=GROUP, user_id=1, status="administrator", rights={})
    people.do("members", chat_id=GROUP, user_id=1, status="administrator",
              rights={"can_manage_topics": False})  # fmt: skip
    people.do("block", user_id=1001, blocked=True)
    keys = {"inline_keyboard": [[{"text": "Go", "callback_data": "go"}]]}
    card = bot.ok("sendMessage", chat_id=GROUP, text="card", reply_markup=keys)
    press = {"user_id": 1001, "chat_id": GROUP, "message_id": card["message_id"], "wait": 0}
    people.do("press", **press, button="Go")

    updates = [ai.Update.model_validate(raw) for raw in bot.updates()]
    known_only(updates)
    assert {update.event_type for update in updates} == set(every)
    reply = next(u.message for u in updates if u.message and u.message.text == "yes")
    assert (
        reply.reply_to_message and reply.reply_to_message.text == "hi @ana_agent https://x.org /go"
    )


def test_aiogram_understands_refusals(url: str, people: People) -> None:
    async def run(bot: AiogramBot) -> None:
        people.do("faults", kind="flood", retry_after=4)
        with pytest.raises(TelegramRetryAfter) as flood:
            await bot.send_message(GROUP, "x")
        assert flood.value.retry_after == 4
        with pytest.raises(TelegramBadRequest, match="message text is empty"):
            await bot.send_message(GROUP, "")

    asyncio.run(with_aiogram(url, run))

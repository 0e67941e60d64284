"""The calls to Telegram that show something: views become messages. Counts every call."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from telegram import (
    Bot,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    LinkPreviewOptions,
    MessageEntity,
    ReplyParameters,
)

from agent_console.budget import Budget
from agent_console.views import View

SHORT_WAIT = 1.5
"""Within an item that needs several calls, a wait of so many seconds is waited out."""

NO_PREVIEW = LinkPreviewOptions(is_disabled=True)
"""A customer's link must not be fetched because an agent sees it."""


class OverBudget(Exception):
    """The chat's budget allows the next call only after so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"{seconds:.1f} s")
        self.seconds = seconds


@dataclass(slots=True)
class Calls:
    """Makes the calls, each paid for from the chat's budget."""

    bot: Bot
    budget: Budget

    async def _pay(self, chat_id: int) -> None:
        wait = self.budget.wait(chat_id)
        if wait > SHORT_WAIT:
            raise OverBudget(wait)
        if wait:
            await asyncio.sleep(wait)
        self.budget.spend(chat_id)

    async def send(
        self, chat_id: int, thread_id: int | None, view: View, reply_to: int | None = None
    ) -> int:
        """Send a message; return its id."""
        await self._pay(chat_id)
        sent = await self.bot.send_message(
            chat_id,
            view.text,
            entities=_entities(view),
            message_thread_id=thread_id,
            reply_markup=_keyboard(view),
            link_preview_options=NO_PREVIEW,
            reply_parameters=_reply(reply_to),
        )
        return sent.message_id

    async def edit(self, chat_id: int, message_id: int, view: View) -> None:
        """Change a message."""
        await self._pay(chat_id)
        await self.bot.edit_message_text(
            view.text,
            chat_id,
            message_id,
            entities=_entities(view),
            reply_markup=_keyboard(view),
            link_preview_options=NO_PREVIEW,
        )

    async def photo(
        self,
        chat_id: int,
        thread_id: int | None,
        picture: bytes,
        caption: View,
        reply_to: int | None = None,
    ) -> int:
        """Send a picture with a text below it; return its id."""
        await self._pay(chat_id)
        sent = await self.bot.send_photo(
            chat_id,
            picture,
            caption=caption.text,
            caption_entities=_entities(caption),
            message_thread_id=thread_id,
            filename="stats.png",
            reply_parameters=_reply(reply_to),
        )
        return sent.message_id

    async def create_topic(self, chat_id: int, name: str) -> int:
        """Create a forum topic; return its thread id."""
        await self._pay(chat_id)
        return (await self.bot.create_forum_topic(chat_id, name)).message_thread_id

    async def set_topic_closed(self, chat_id: int, thread_id: int, closed: bool) -> None:
        """Close or reopen a forum topic."""
        await self._pay(chat_id)
        if closed:
            await self.bot.close_forum_topic(chat_id, thread_id)
        else:
            await self.bot.reopen_forum_topic(chat_id, thread_id)


def _entities(view: View) -> list[MessageEntity]:
    return [MessageEntity(e.type, e.offset, e.length, url=e.url) for e in view.entities]


def _keyboard(view: View) -> InlineKeyboardMarkup | None:
    if not view.rows:
        return None
    rows = [[InlineKeyboardButton(k.text, callback_data=k.data) for k in r] for r in view.rows]
    return InlineKeyboardMarkup(rows)


def _reply(message_id: int | None) -> Any:
    if message_id is None:
        return None
    return ReplyParameters(message_id, allow_sending_without_reply=True)

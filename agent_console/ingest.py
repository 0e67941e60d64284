"""The receiving half of the console: store every update, confirm it, handle it.

Stock PTB confirms a batch while it is still in memory and loses it when the process dies. Here an
update is committed under (bot, update id) before the offset that confirms it leaves.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any

from telegram import Update
from telegram.error import Conflict, InvalidToken, NetworkError, RetryAfter, TelegramError
from telegram.ext import Application, CallbackContext, ExtBot

from agent_console.deps import OUTBOX, ConsoleDeps, view_payload
from agent_console.views import SET_ASIDE, plain
from handoff.app.lines import FIRST, owe
from handoff.core.model import InboundUpdate, OutboxKind, UpdateStatus

log = logging.getLogger(__name__)

UPDATES = "updates"
"""The doorbell that rings when updates have been stored."""

ALLOWED = ["message", "edited_message", "callback_query"]
"""The kinds of updates asked for. Left out, Telegram would keep whatever was set before."""

TRIES = 3
"""An update whose handling fails is tried so often, then set aside."""

LOOK_SECONDS = 1.0
BACK_OFF_MOST_SECONDS = 30.0


class ConsoleBot(ExtBot):
    """A bot that can fetch updates as they came: parsing one must not hold up the others."""

    async def raw_updates(self, offset: int | None, seconds: int) -> list[dict[str, Any]]:
        """Long-poll; confirms every update below `offset`."""
        data = {"offset": offset, "timeout": seconds, "allowed_updates": ALLOWED, "limit": 100}
        usual = self.request.read_timeout or 5.0
        return await self._post("getUpdates", data, read_timeout=usual + seconds)


@dataclass(slots=True)
class Ingest:
    """Two loops: one stores, one handles. Neither ever raises but for cancellation."""

    deps: ConsoleDeps
    bot: ConsoleBot
    application: Application
    _failure: Exception | None = field(default=None)

    def __post_init__(self) -> None:
        self.application.add_error_handler(self._remember_failure)

    async def _remember_failure(self, update: object, context: CallbackContext) -> None:
        """PTB swallows what handlers raise; keep it for the loop, which handles one at a time."""
        self._failure = context.error

    # --- storing -----------------------------------------------------------------------------

    async def poll(self) -> None:
        """Fetch and store, for ever."""
        offset: int | None = None
        failures = 0
        while True:
            try:
                raw = await self.bot.raw_updates(offset, self.deps.poll_seconds)
                offset = await self._store(raw) or offset
                failures = 0
            except Exception as error:
                failures += 1
                await asyncio.sleep(self._pause(error, failures))

    async def _store(self, raw: list[dict[str, Any]]) -> int | None:
        """Commit updates; return the offset that confirms them."""
        if not raw:
            return None
        async with self.deps.store() as work:
            for update in raw:
                number = int(update["update_id"])
                now = self.deps.clock.now()
                await work.updates.put(InboundUpdate(self.bot.id, number, update, now))
            await work.commit()
        self.deps.bell.ring(UPDATES)
        return max(int(update["update_id"]) for update in raw) + 1

    def _pause(self, error: Exception, failures: int) -> float:
        """Log why fetching failed, in a sentence, and return how many seconds to wait."""
        growing = min(BACK_OFF_MOST_SECONDS, 0.5 * 2.0 ** min(failures, 8))
        words = self.deps.sentence(error)
        if isinstance(error, RetryAfter):
            return error._retry_after.total_seconds()
        if isinstance(error, Conflict):
            log.warning("Somebody else fetches the updates of this bot: %s", words)
        elif isinstance(error, InvalidToken):
            log.error("Telegram does not accept the bot's token (TELEGRAM_BOT_TOKEN)")
        elif isinstance(error, NetworkError | TelegramError):
            log.warning("No updates from Telegram: %s", words)
        else:
            log.error("Updates could not be stored: %s", self.deps.trace(error))
        return growing

    # --- handling ----------------------------------------------------------------------------

    async def handle(self) -> None:
        """Handle what is stored, in order, for ever."""
        while True:
            heard = asyncio.create_task(self.deps.bell.wait(UPDATES, LOOK_SECONDS))
            await asyncio.sleep(0)
            try:
                await self.handle_pending()
                await heard
            except Exception as error:
                log.error("Updates cannot be handled: %s", self.deps.trace(error))
                await asyncio.sleep(LOOK_SECONDS)
            finally:
                heard.cancel()

    async def handle_pending(self) -> None:
        """Handle everything stored so far."""
        while True:
            async with self.deps.store() as work:
                pending = await work.updates.pending()
            if not pending:
                return
            for stored in pending:
                await self._handle(stored)

    async def _handle(self, stored: InboundUpdate) -> None:
        """Try one update until it is done or set aside; the tries are counted before they begin,

        so that one which kills the process does not do so for ever.
        """
        if stored.bot_id != self.bot.id:
            await self._finish(stored, UpdateStatus.SET_ASIDE, "it belongs to another bot")
            return
        while stored.attempts < TRIES:
            stored.attempts += 1
            await self._save(stored)
            failure = await self._process(stored)
            if failure is None:
                await self._finish(stored, UpdateStatus.DONE, "")
                return
            stored.error = self.deps.sentence(failure)
            trace = self.deps.trace(failure)
            log.error("Update %s failed (try %s): %s", stored.update_id, stored.attempts, trace)
            await asyncio.sleep(0.2 * stored.attempts)
        await self._tell_sender(stored)
        await self._finish(stored, UpdateStatus.SET_ASIDE, stored.error or "it never ended")
        log.error("Update %s is set aside: %s", stored.update_id, stored.error)

    async def _tell_sender(self, stored: InboundUpdate) -> None:
        """Owe a colleague the news that what they wrote failed: silence would pass for success."""
        message: dict[str, Any] = stored.payload.get("message") or {}
        try:
            sender, chat = int(message["from"]["id"]), int(message["chat"]["id"])
            number = int(message["message_id"])
        except (KeyError, TypeError, ValueError):
            return
        if sender not in self.deps.people or chat not in (self.deps.group_id, sender):
            return
        thread = message.get("message_thread_id") if message.get("is_topic_message") else None
        place = {"chat_id": chat, "thread_id": thread, "reply_to": number}
        payload = {**view_payload(plain(SET_ASIDE)), **place}
        async with self.deps.store() as work:
            topic = await work.topics.by_thread(chat, thread) if thread else None
            key, now = f"aside:{stored.update_id}", self.deps.clock.now()
            where = topic.key if topic else ""
            await owe(work, OutboxKind.REPLY, payload, key, now, where, FIRST)
            await work.commit()
        self.deps.bell.ring(OUTBOX)

    async def _process(self, stored: InboundUpdate) -> Exception | None:
        self._failure = None
        try:
            await self.application.process_update(Update.de_json(stored.payload, self.bot))
        except Exception as error:
            return error
        return self._failure

    async def _finish(self, stored: InboundUpdate, status: UpdateStatus, error: str) -> None:
        stored.status, stored.error = status, error
        await self._save(stored)

    async def _save(self, stored: InboundUpdate) -> None:
        async with self.deps.store() as work:
            await work.updates.save(stored)
            await work.commit()

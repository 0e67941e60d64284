"""The agents' console: built from what it needs, started, stopped."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field

from telegram import BotCommand
from telegram.error import InvalidToken, TelegramError
from telegram.ext import Application, ApplicationBuilder
from telegram.request import HTTPXRequest

from agent_console.budget import Budget
from agent_console.deps import ConsoleDeps
from agent_console.dispatch import Dispatcher
from agent_console.group_watch import UNREACHED, GroupWatch
from agent_console.handlers import Handlers
from agent_console.ingest import ConsoleBot, Ingest
from agent_console.senders import Senders
from agent_console.telegram_calls import Calls
from agent_console.views import COMMANDS
from handoff.core.errors import BadSetting

__all__ = ["Console", "ConsoleDeps", "build_console"]

log = logging.getLogger(__name__)

QUIET = ("httpx", "httpcore", "telegram")
"""Loggers that would write addresses with the bot's token in them."""

POOL = 16
"""Connections to the Bot API at most."""

CONNECT_MOST_SECONDS = 30.0
"""Longest wait between two tries to reach the Bot API at start."""


@dataclass(slots=True)
class Console:
    """A running console. `ready` is set once Telegram has answered."""

    deps: ConsoleDeps
    bot: ConsoleBot
    application: Application
    ingest: Ingest
    dispatcher: Dispatcher
    watch: GroupWatch
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def start(self) -> None:
        """Begin to work in the background.

        Raises `BadSetting` when Telegram refuses the token. When Telegram cannot be reached the
        console starts all the same and goes on trying: customers are served without it.
        """
        connected = await self._connect()
        await self.dispatcher.recover()
        self._tasks.append(asyncio.create_task(self._run(connected), name="console"))

    async def _connect(self) -> bool:
        try:
            await self.application.initialize()
        except InvalidToken:
            await self.application.shutdown()
            why = "Telegram does not accept this token"
            raise BadSetting(name="TELEGRAM_BOT_TOKEN", why=why) from None
        except TelegramError as error:
            log.warning("Telegram cannot be reached yet: %s", self.deps.sentence(error))
            self.watch.obstacle = UNREACHED
            return False
        # Before anybody is handed over: a customer must not be promised who cannot be reached.
        await self.watch.look()
        if self.watch.obstacle is UNREACHED:
            self.watch.obstacle = None
        return True

    async def _run(self, connected: bool) -> None:
        """Connect, then run the three loops until cancelled."""
        pause = 0.5
        while not connected:
            await asyncio.sleep(pause)
            pause = min(CONNECT_MOST_SECONDS, pause * 2)
            try:
                connected = await self._connect()
            except BadSetting as error:
                log.error("%s", error)
                pause = CONNECT_MOST_SECONDS
        await self.application.start()
        await self._introduce()
        loops = (self.ingest.poll, self.ingest.handle, self.dispatcher.run, self.watch.run)
        for number, loop in enumerate(loops):
            self._tasks.append(asyncio.create_task(loop(), name=f"console-{number}"))
        self.ready.set()

    async def _introduce(self) -> None:
        """Tell Telegram the commands, and that updates are fetched. Both may fail harmlessly."""
        commands = [BotCommand(name, what) for name, what, _ in COMMANDS]
        try:
            await self.bot.delete_webhook(drop_pending_updates=False)
            await self.bot.set_my_commands(commands)
        except TelegramError as error:
            log.warning("The commands could not be registered: %s", self.deps.sentence(error))

    async def stop(self) -> None:
        """End: nothing new is taken, what is under way may end, what is stored stays stored."""
        await self.dispatcher.stop(self.deps.send_seconds + 2.0)
        for task in reversed(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        if self.application.running:
            await self.application.stop()
        await self.application.shutdown()


def build_console(deps: ConsoleDeps) -> Console:
    """Build the console; nothing is called before `start`."""
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    base = deps.api_url.rstrip("/")
    bot = ConsoleBot(
        deps.token,
        base_url=f"{base}/bot",
        base_file_url=f"{base}/file/bot",
        request=_request(deps, POOL),
        get_updates_request=_request(deps, 1),
    )
    application = ApplicationBuilder().bot(bot).updater(None).build()
    budget = Budget(deps.per_minute)
    calls = Calls(bot, budget)
    watch = GroupWatch(deps, bot, calls)
    Handlers(deps, watch).register(application)
    dispatcher = Dispatcher(deps, Senders(deps, calls), budget, watch)
    watch.mended = dispatcher.group_mended
    return Console(deps, bot, application, Ingest(deps, bot, application), dispatcher, watch)


def _request(deps: ConsoleDeps, connections: int) -> HTTPXRequest:
    return HTTPXRequest(
        connection_pool_size=connections,
        read_timeout=deps.send_seconds,
        write_timeout=deps.send_seconds,
        connect_timeout=5.0,
        pool_timeout=5.0,
        media_write_timeout=deps.send_seconds,
    )

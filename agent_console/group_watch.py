"""Looks whether the agents' group is as the desk needs it, and says so where somebody reads it.

What an installer gets wrong shows nowhere by itself: Telegram takes a bot into any group, and a
card that cannot be shown waits in the outbox in silence. Therefore the group is looked at when the
console starts, again and again while something is wrong, and whenever a call to it is refused.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from telegram import (
    Bot,
    Chat,
    ChatFullInfo,
    ChatMember,
    ChatMemberAdministrator,
    ChatMemberOwner,
)
from telegram.error import BadRequest, ChatMigrated, Forbidden, InvalidToken, TelegramError

from agent_console.deps import ConsoleDeps
from agent_console.telegram_calls import Calls, OverBudget
from agent_console.views import plain
from handoff.app.unreachable import TellUnreached
from handoff.core.model import Obstacle

log = logging.getLogger(__name__)

LOOK_SECONDS = 10.0
"""Pause between two looks while something is wrong, in seconds."""

QUIET_SECONDS = 300.0
"""Pause between two looks while nothing is known to be wrong, in seconds."""

SAY_SECONDS = 300.0
"""What is wrong is said again after so many seconds."""

GROUP_MOST_SECONDS = 3600.0
"""In the group itself the pauses double up to so many seconds: agents read there all day."""

SOON_SECONDS = 1.0
"""Shortest pause between two looks, however often calls are refused, in seconds."""

UNREACHED = Obstacle(
    "Telegram cannot be reached, so agents are not told of customers: look at this machine's "
    "network and at TELEGRAM_API_URL"
)


@dataclass(slots=True)
class GroupWatch:
    """What keeps people from being reached, if anything. `mended` is called when that is over.

    It also takes over the group's new number when Telegram makes a supergroup of it.
    """

    deps: ConsoleDeps
    bot: Bot
    calls: Calls
    mended: Callable[[], None] = lambda: None
    obstacle: Obstacle | None = None
    written_in: dict[int, str] = field(default_factory=dict)
    """Titles of other groups in which somebody has written, by number; the latest is last."""
    _configured: int = 0
    _again: asyncio.Event = field(default_factory=asyncio.Event)
    _said_at: float = 0.0
    _in_group_at: float = 0.0
    _in_group_pause: float = SAY_SECONDS

    def __post_init__(self) -> None:
        self._configured = self.deps.group_id

    # --- looking -----------------------------------------------------------------------------

    async def run(self) -> None:
        """Look for ever. Never raises but for cancellation."""
        while True:
            pause = LOOK_SECONDS if self.obstacle else QUIET_SECONDS
            try:
                async with asyncio.timeout(pause):
                    await self._again.wait()
                await asyncio.sleep(SOON_SECONDS)
            except TimeoutError:
                pass  # Nobody asked: it is simply time.
            self._again.clear()
            await self.look()

    def look_again(self) -> None:
        """Ask for a look soon: a call was refused."""
        self._again.set()

    async def look(self) -> None:
        """Look once, and say what was found where that is news or was said long ago."""
        try:
            found = await self._examine()
        except TelegramError as error:
            # Nothing was learned about the group; what is known of it stays.
            log.info("The agents' group cannot be looked at: %s", self.deps.sentence(error))
            return
        try:
            await self._note(found)
        except Exception as error:
            log.error("What is wrong cannot be told: %s", self.deps.trace(error))

    async def _examine(self) -> Obstacle | None:
        """Return the weightiest thing that is wrong, or None.

        Raises TelegramError when that cannot be found out now.
        """
        try:
            me = await self.bot.get_me()
            chat = await self.bot.get_chat(self.deps.group_id)
            member = await self.bot.get_chat_member(self.deps.group_id, me.id)
        except ChatMigrated as moved:
            self.move(moved.new_chat_id)
            return await self._examine()
        except InvalidToken:
            return Obstacle(
                "Telegram does not accept the bot's token any more: ask @BotFather for it "
                "(/mybots, API Token) and put it into TELEGRAM_BOT_TOKEN"
            )
        except Forbidden as refused:
            return self._outside(refused)
        except BadRequest as refused:
            if "not found" not in refused.message.lower():
                raise
            return await self._unknown()
        bot = f"@{me.username}"
        wrong = self._kind(chat) or _rights(member, bot) or await self._people()
        if wrong is None and self.deps.group_id != self._configured:
            wrong = Obstacle(
                f"The agents' group has become a supergroup and has the number "
                f"{self.deps.group_id} now; the desk uses it already, please write "
                f"TELEGRAM_GROUP_ID={self.deps.group_id} into .env",
                blocks=False,
            )
        if wrong is None and not me.can_read_all_group_messages:
            wrong = Obstacle(
                f"Privacy mode is on for {bot}, which hears what agents write only while it is an "
                f"administrator: send /setprivacy to @BotFather, choose {bot}, press Disable, then "
                "take it out of the group and add it again",
                blocks=False,
            )
        return wrong

    def _kind(self, chat: ChatFullInfo) -> Obstacle | None:
        number = self.deps.group_id
        if chat.type == Chat.PRIVATE:
            return _a_minus_is_missing(number)
        if chat.type == Chat.CHANNEL:
            return Obstacle(
                f"TELEGRAM_GROUP_ID={number} is a channel: make a group with topics for the agents "
                "and set its number"
            )
        if not chat.is_forum:
            return Obstacle(
                "The agents' group has no topics: open it in Telegram, press Edit and turn on "
                "“Topics”",
                shown_in_group=True,
            )
        return None

    async def _people(self) -> Obstacle | None:
        """Say when nobody who may work here is in the group: it may be another group."""
        if not self.deps.people:
            return Obstacle(
                "HANDOFF_PEOPLE names nobody, so that nobody can answer customers: everybody who "
                "shall writes /whoami to the bot, and their numbers go into HANDOFF_PEOPLE",
                shown_in_group=True,
            )
        for number in self.deps.people:
            try:
                member = await self.bot.get_chat_member(self.deps.group_id, number)
            except BadRequest:
                continue  # Telegram does not know such a person, or not here.
            if member.status not in (ChatMember.LEFT, ChatMember.BANNED):
                return None
        return Obstacle(
            f"Nobody named in HANDOFF_PEOPLE is a member of the group {self.deps.group_id}: add "
            "them to it, or set TELEGRAM_GROUP_ID or HANDOFF_PEOPLE right",
            blocks=False,
        )

    def _outside(self, refused: Forbidden) -> Obstacle:
        let_in = ""
        if "kicked" in refused.message:
            let_in = "take it off the list “Removed users” in the group's settings, "
        return Obstacle(
            f"The bot is not in the agents' group ({self.deps.group_id}): {let_in}add it there and "
            "make it an administrator with “Manage topics”"
        )

    async def _unknown(self) -> Obstacle:
        """Say what may be meant by a number that Telegram does not know."""
        number = self.deps.group_id
        near = [int(f"-100{abs(number)}"), -number] if number > 0 else [int(f"-100{-number}")]
        for guess in near:
            if await self._is_group(guess):
                return Obstacle(
                    f"TELEGRAM_GROUP_ID={number} is no group, but {guess} is one: write "
                    f"TELEGRAM_GROUP_ID={guess} into .env and start the desk again"
                )
        if number > 0:
            return _a_minus_is_missing(number)
        hint = "write anything in it, and the log names its number"
        if self.written_in:
            seen = next(reversed(self.written_in))
            hint = f"somebody wrote in the group {seen} lately; if it is that, set this number"
        if not self.deps.group_given:
            return Obstacle(
                f"TELEGRAM_GROUP_ID is not set: add the bot to the agents' group, then set it to "
                f"that group's number ({hint})"
            )
        return Obstacle(
            f"The bot is in no group with the number {number}: add it to the agents' group or put "
            f"that group's number into TELEGRAM_GROUP_ID ({hint})"
        )

    async def _is_group(self, number: int) -> bool:
        try:
            return (await self.bot.get_chat(number)).type in (Chat.GROUP, Chat.SUPERGROUP)
        except (BadRequest, Forbidden, ChatMigrated):
            return False

    def move(self, number: int) -> None:
        """Take over the number the group has as a supergroup."""
        if number == self.deps.group_id:
            return
        log.warning(
            "The agents' group has become a supergroup: its number was %d and is %d now",
            self.deps.group_id,
            number,
        )
        self.deps.group_id = number
        self.look_again()

    # --- saying ------------------------------------------------------------------------------

    @property
    def reachable(self) -> bool:
        """Say whether people get what customers write, as far as is known."""
        return self.obstacle is None or not self.obstacle.blocks

    async def _note(self, found: Obstacle | None) -> None:
        before, self.obstacle = self.obstacle, found
        blocked = before is not None and before.blocks
        if found is None or not found.blocks:
            if blocked:
                log.warning("The agents' group is in order now: customers who waited are shown")
                self.mended()
                await self._tell_group("✅ This group is in order now. Who waited is shown here.")
        else:
            await TellUnreached(self.deps.store, self.deps.clock, self.deps.bell)()
        if found is not None:
            await self._say(found, news=found != before)

    async def _say(self, found: Obstacle, news: bool) -> None:
        now = time.monotonic()
        if news or now - self._said_at >= SAY_SECONDS:
            self._said_at = now
            log.log(logging.ERROR if found.blocks else logging.WARNING, "%s", found.sentence)
        if news:
            self._in_group_pause = SAY_SECONDS
        elif now - self._in_group_at < self._in_group_pause:
            return
        else:
            self._in_group_pause = min(GROUP_MOST_SECONDS, 2 * self._in_group_pause)
        self._in_group_at = now
        if found.shown_in_group or not found.blocks:
            await self._tell_group(f"⚠️ {found.sentence}.")

    async def _tell_group(self, text: str) -> None:
        try:
            await self.calls.send(self.deps.group_id, None, plain(text))
        except (TelegramError, OverBudget) as error:
            # The terminal and /readyz say the same; the group is told where that is possible.
            log.info("The group could not be told: %s", self.deps.sentence(error))


def _rights(member: object, bot: str) -> Obstacle | None:
    if isinstance(member, ChatMemberOwner):
        return None
    if not isinstance(member, ChatMemberAdministrator):
        return Obstacle(
            f"{bot} is no administrator of the agents' group: open the group, press Edit, "
            f"Administrators, Add Admin, choose {bot} and leave “Manage topics” on",
            shown_in_group=True,
        )
    if not member.can_manage_topics:
        return Obstacle(
            f"{bot} may not manage the topics of the agents' group: open the group, press Edit, "
            f"Administrators, {bot}, and turn on “Manage topics”",
            shown_in_group=True,
        )
    return None


def _a_minus_is_missing(number: int) -> Obstacle:
    meant = f"-{number}" if str(number).startswith("100") else f"-100{number}"
    return Obstacle(
        f"TELEGRAM_GROUP_ID={number} is the number of a person, that of a group begins with a "
        f"minus: write TELEGRAM_GROUP_ID={meant} into .env and start the desk again"
    )

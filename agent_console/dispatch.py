"""Takes what is owed from the outbox and sends it: in order, within budget, never twice blindly."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field, replace
from datetime import timedelta

from telegram.error import ChatMigrated, RetryAfter, TelegramError

from agent_console.budget import Budget
from agent_console.deps import OUTBOX, ConsoleDeps, view_payload
from agent_console.group_watch import GroupWatch
from agent_console.remedies import Remedy, remedy
from agent_console.senders import Senders, is_harmless_again
from agent_console.telegram_calls import OverBudget
from agent_console.views import View, failed, uncertain
from handoff.app.lines import NEXT, owe
from handoff.core.errors import NotFound
from handoff.core.model import OutboxItem, OutboxKind, OutboxStatus, new_id

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""Other processes owe things too and cannot ring the bell: look at least this often."""

AT_ONCE = 4
"""Items under way at the same time, each for another topic."""

RETRY_MOST_SECONDS = 60.0
"""Longest wait between two tries after a network failure."""

FIX_MOST_SECONDS = 300.0
"""Longest wait between two tries while the group itself is not set up right."""

BUG_TRIES = 3
"""An item that this program fails to render is tried so often."""

SAVE_TRIES = 60
"""So often storing what became of an item is tried, some minutes in all."""

ABOUT = "about"
"""Payload field of a notice about another item: there are no notices about those."""

WORDS = {
    OutboxKind.RELAY: "a line of the customer",
    OutboxKind.CARD: "the card of this conversation",
    OutboxKind.NOTICE: "a notice",
    OutboxKind.REPLY: "an answer",
    OutboxKind.STATS: "the figures",
    OutboxKind.TOPIC_STATE: "the closing of this topic",
    OutboxKind.REVIEW: "a review card",
    OutboxKind.DIGEST: "the digest",
}


@dataclass(slots=True)
class Dispatcher:
    """The sending half of the console. All it must remember is in the outbox."""

    deps: ConsoleDeps
    senders: Senders
    budget: Budget
    watch: GroupWatch
    _held: set[str] = field(default_factory=set)
    _group_mended: bool = False
    _busy: set[str] = field(default_factory=set)
    _under_way: set[asyncio.Task[None]] = field(default_factory=set)
    _stopping: bool = False

    # --- the loop ----------------------------------------------------------------------------

    async def run(self) -> None:
        """Send until `stop` is called. Never raises but for cancellation."""
        while not self._stopping:
            # Listening starts before looking, so that nothing owed in between goes unheard.
            heard = asyncio.create_task(self.deps.bell.wait(OUTBOX, LOOK_SECONDS))
            await asyncio.sleep(0)
            try:
                if self._group_mended:
                    await self._let_go()
                wait = await self._drain()
            except Exception as error:
                log.error("The outbox cannot be read: %s", self.deps.sentence(error))
                wait = LOOK_SECONDS
            try:
                if not self._stopping:
                    await asyncio.wait({heard}, timeout=wait)
            finally:
                heard.cancel()

    def group_mended(self) -> None:
        """Send now what waits because the group was not set up right."""
        self._group_mended = True
        self.deps.bell.ring(OUTBOX)

    async def _let_go(self) -> None:
        """Make due what was held. What is under way meanwhile may be held anew, and is kept."""
        now, held = self.deps.clock.now(), self._held
        self._held, self._group_mended = set(), False
        try:
            async with self.deps.store() as work:
                for id in held:
                    item = await work.outbox.get(id)
                    if item.status is OutboxStatus.PENDING and item.not_before > now:
                        item.not_before = now
                        await work.outbox.save(item)
                await work.commit()
        except Exception:
            self._held, self._group_mended = self._held | held, True
            raise

    async def stop(self, seconds: float) -> None:
        """Take nothing new, and give what is under way so many seconds to end."""
        self._stopping = True
        self.deps.bell.ring(OUTBOX)
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=seconds)
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _drain(self) -> float:
        """Start all that may go now; return after how many seconds to look again."""
        while len(self._under_way) < AT_ONCE and not self._stopping:
            item, wait = await self._take()
            if item is None:
                return wait
            task = asyncio.create_task(self._work(item))
            self._under_way.add(task)
            task.add_done_callback(self._ended)
        return LOOK_SECONDS

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self.deps.bell.ring(OUTBOX)

    async def _take(self) -> tuple[OutboxItem | None, float]:
        """Take the next item the budget allows, or say when to look again.

        An item over budget is left as it was: the unit of work that took it is not committed, and
        the rest of its topic, no more urgent than itself, waits with it. So do all other topics
        of the group, which share its budget: looking at each would take longer the more wait.
        """
        skip, soonest, topics = set(self._busy), LOOK_SECONDS, True
        while True:
            async with self.deps.store() as work:
                item = await work.outbox.take(self.deps.clock.now(), tuple(skip), topics)
                if item is None:
                    return None, soonest
                wait = self.budget.wait(self._chat(item), item.priority)
                if wait <= 0:
                    await work.commit()
                    if item.topic:
                        self._busy.add(item.topic)
                    return item, 0.0
                soonest = min(soonest, wait)
                if not item.topic:
                    _postpone(item, self.deps, wait)
                    item.attempts -= 1
                    await work.outbox.save(item)
                    await work.commit()
            if item.topic:
                skip.add(item.topic)
                topics = topics and not self._in_group(item)

    def _chat(self, item: OutboxItem) -> int:
        return int(item.payload.get("chat_id") or self.deps.group_id)

    async def _work(self, item: OutboxItem) -> None:
        try:
            await self._send(item)
        except Exception as error:
            # Not even the failure could be stored, for minutes. The item stays SENDING and the
            # next start calls it uncertain, which is what it is.
            log.error("Item %s could not be settled: %s", item.id, self.deps.trace(error))
        finally:
            self._busy.discard(item.topic)

    # --- one item ----------------------------------------------------------------------------

    async def _send(self, item: OutboxItem) -> None:
        self._held.discard(item.id)
        for _ in range(3):
            try:
                return await self.senders.send(item)
            except OverBudget as error:
                return await self._later(item, error.seconds, "", counts=False)
            except TelegramError as error:
                if not await self._mended(item, error):
                    return await self._after_error(item, error)
            except NotFound as error:
                return await self._give_up(item, str(error))
            except Exception as error:
                log.error("Item %s: %s", item.id, self.deps.trace(error))
                if item.attempts >= BUG_TRIES:
                    return await self._give_up(item, "an error in the console")
                return await self._later(item, 2.0**item.attempts, self.deps.sentence(error))
        return await self._later(item, 5.0, "its topic keeps vanishing")

    async def _mended(self, item: OutboxItem, error: TelegramError) -> bool:
        """Bring back a topic that is gone or closed; say whether trying again makes sense."""
        what = remedy(error, self._in_group(item))
        mend = {Remedy.NEW_TOPIC: self.senders.recreate, Remedy.OPEN_TOPIC: self.senders.reopen}
        if what not in mend or not item.topic or item.kind is OutboxKind.REPLY:
            return False
        log.warning("The topic %s is gone or closed; bringing it back", item.topic)
        try:
            await mend[what](item)
        except OverBudget as wait:
            await self._later(item, wait.seconds, "", counts=False)
            return False
        except TelegramError as second:
            await self._after_error(item, second)
            return False
        return True

    def _in_group(self, item: OutboxItem) -> bool:
        return self._chat(item) == self.deps.group_id

    async def _after_error(self, item: OutboxItem, error: TelegramError) -> None:
        if item.status is not OutboxStatus.SENDING:
            return
        what = remedy(error, self._in_group(item))
        words = self.deps.sentence(error)
        if what is Remedy.GIVE_UP and self._in_group(item) and not self.watch.reachable:
            # Refused because the group is another than it should be: that will be put right.
            what = Remedy.FIX_GROUP
        if isinstance(error, ChatMigrated):
            await self._follow(item, error)
        elif isinstance(error, RetryAfter):
            seconds = error._retry_after.total_seconds()
            log.warning("Telegram asks for a pause of %.0f s", seconds)
            self.budget.block(self._chat(item), seconds)
            await self._later(item, seconds, words, counts=False)
        elif what is Remedy.NOTHING_TO_DO:
            await self.senders.settle(item, item.sent_message_id)
        elif what is Remedy.TRY_LATER or (what is Remedy.UNKNOWN and await self._harmless(item)):
            log.warning("Telegram cannot be reached, trying again: %s", words)
            await self._later(item, min(RETRY_MOST_SECONDS, 2.0 ** min(item.attempts, 6)), words)
        elif what is Remedy.UNKNOWN:
            await self._uncertain(item, words)
        elif what is Remedy.FIX_GROUP:
            log.error("Telegram refuses the bot in the agents' group; please put right: %s", words)
            await self._later(item, min(FIX_MOST_SECONDS, 5.0 * 2 ** min(item.attempts, 6)), words)
            self._held.add(item.id)
            self.watch.look_again()
        elif what is Remedy.NEW_TOPIC:
            # An answer into a topic that somebody deleted: nobody waits for it any more.
            item.status, item.error = OutboxStatus.FAILED, words
            await self._save(item)
        else:
            await self._give_up(item, words)

    async def _follow(self, item: OutboxItem, error: ChatMigrated) -> None:
        """Send to the supergroup that the agents' group has become."""
        if self._in_group(item):
            self.watch.move(error.new_chat_id)
        if "chat_id" in item.payload:
            item.payload["chat_id"] = error.new_chat_id
        await self._later(item, 0.0, "the group has become a supergroup", counts=False)

    async def _harmless(self, item: OutboxItem) -> bool:
        async with self.deps.store() as work:
            shown = None
            if item.kind is OutboxKind.CARD:
                shown = (await work.handoffs.get(item.payload["handoff_id"])).card_message_id
            elif item.kind is OutboxKind.REVIEW:
                candidate = await work.candidates.get(item.payload["candidate_id"])
                shown = candidate.review_message_id
        return is_harmless_again(item, shown)

    async def _later(self, item: OutboxItem, seconds: float, why: str, counts: bool = True) -> None:
        _postpone(item, self.deps, seconds)
        item.error = why
        if not counts:
            item.attempts -= 1
        await self._save(item)

    async def _uncertain(self, item: OutboxItem, why: str) -> None:
        log.warning("No answer from Telegram for %s %s: %s", item.kind.value, item.id, why)
        item.status, item.error = OutboxStatus.UNCERTAIN, why
        await self._save(item, uncertain(WORDS[item.kind], item.id))

    async def _give_up(self, item: OutboxItem, why: str) -> None:
        log.error("Telegram refused %s %s: %s", item.kind.value, item.id, why)
        item.status, item.error = OutboxStatus.FAILED, why
        await self._save(item, failed(WORDS[item.kind], why, item.id))

    async def _save(self, item: OutboxItem, notice: View | None = None) -> None:
        """Store the item, with a notice about it where agents look.

        While it is not stored it counts as being sent and holds up its topic, so a database that
        is away is waited for.
        """
        for tries in range(1, SAVE_TRIES):
            try:
                await self._store(item, notice)
                break
            except Exception as error:
                log.error("Item %s cannot be stored yet: %s", item.id, self.deps.trace(error))
                await asyncio.sleep(min(5.0, 0.2 * tries))
        else:
            await self._store(item, notice)
        self.deps.bell.ring(OUTBOX)

    async def _store(self, item: OutboxItem, notice: View | None) -> None:
        async with self.deps.store() as work:
            await work.outbox.save(item)
            if notice and item.topic and ABOUT not in item.payload:
                payload = {**view_payload(notice), ABOUT: item.id}
                key = f"about:{item.id}"
                now = self.deps.clock.now()
                await owe(work, OutboxKind.NOTICE, payload, key, now, item.topic, NEXT)
            await work.commit()

    # --- start -------------------------------------------------------------------------------

    async def recover(self) -> None:
        """Deal with what a dead process was sending: only harmless things are sent again."""
        async with self.deps.store() as work:
            stranded = await work.outbox.stranded()
        for item in stranded:
            if await self._harmless(item):
                await self._later(item, 0.0, "the console was restarted", counts=False)
            else:
                await self._uncertain(item, "the console was restarted while sending")


def _postpone(item: OutboxItem, deps: ConsoleDeps, seconds: float) -> None:
    item.status = OutboxStatus.PENDING
    item.not_before = deps.clock.now() + timedelta(seconds=seconds)


def again(item: OutboxItem, deps: ConsoleDeps) -> OutboxItem:
    """Return a copy of an uncertain or failed item that is to be sent again, once."""
    now = deps.clock.now()
    return replace(
        item,
        id=new_id(),
        payload=dict(item.payload),
        dedupe_key=f"again:{item.id}",
        created_at=now,
        not_before=now,
        status=OutboxStatus.PENDING,
        attempts=0,
        error="",
        number=0,
    )

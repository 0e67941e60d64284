"""One function a kind of outbox item: read the state of this moment, render it, send it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from telegram.error import NetworkError, TelegramError

from agent_console.deps import (
    DIGEST,
    REVIEW,
    ConsoleDeps,
    conversation_of,
    payload_view,
)
from agent_console.learning_views import ReviewCard, review_card, run_digest
from agent_console.picture import stats_picture
from agent_console.remedies import Remedy, remedy
from agent_console.telegram_calls import Calls
from agent_console.views import (
    Card,
    View,
    handoff_card,
    relay,
    stats_caption,
    topic_name,
    transcript,
)
from handoff.app.report import Report
from handoff.app.retrying import retry_stale
from handoff.core.errors import NotFound
from handoff.core.model import (
    CandidateStatus,
    Handoff,
    OutboxItem,
    OutboxKind,
    OutboxStatus,
    State,
    Topic,
)
from handoff.ports import Work

SHOWN_REMEMBERED = 500
"""How many messages' last content is remembered to spare edits that change nothing."""

TOPIC_NAMES = {REVIEW: "Review", DIGEST: "Learning digest"}

RESTORE = "restore"
"""Payload field: what must be shown again, in a topic made anew, before the item itself."""

REMINDER = "notice:waiting:"
"""Beginning of the dedupe keys of the sweep's reminders that a customer still waits."""

ANEW = "anew"
"""Payload field: the message to edit was gone, so that another one is being sent."""

NOTE_TRIES = 5
"""After so many failures an item is settled without the ids it would leave in the records."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Senders:
    """Sends items. Each sender returns the id of the message that stands for the item, or None.

    What an item has reached is stored before the next call is made, so that an item of several
    calls goes on where it was. Settling the item is the last thing, in one unit of work with the
    message ids that the records keep.
    """

    deps: ConsoleDeps
    calls: Calls
    _shown: dict[tuple[int, int], View] = field(default_factory=dict)

    async def send(self, item: OutboxItem) -> None:
        """Send `item` and settle it as sent; raises what the call raised."""
        await self._restore(item)
        senders: dict[OutboxKind, Callable[[OutboxItem], Awaitable[None]]] = {
            OutboxKind.RELAY: self._relay,
            OutboxKind.CARD: self._card,
            OutboxKind.NOTICE: self._notice,
            OutboxKind.REPLY: self._reply,
            OutboxKind.STATS: self._stats,
            OutboxKind.TOPIC_STATE: self._topic_state,
            OutboxKind.REVIEW: self._review,
            OutboxKind.DIGEST: self._digest,
        }
        await senders[item.kind](item)

    async def settle(
        self,
        item: OutboxItem,
        message_id: int | None,
        note: Callable[[Work], Awaitable[None]] | None = None,
    ) -> None:
        """Store that `item` was sent, together with what `note` writes."""
        item.status, item.sent_message_id, item.error = OutboxStatus.SENT, message_id, ""
        await self._record(item, note)

    async def _record(
        self, item: OutboxItem, note: Callable[[Work], Awaitable[None]] | None = None
    ) -> None:
        """Store the item and what `note` writes, however long the database is away.

        What Telegram has taken must never be forgotten and sent again, so this gives up only its
        note, and only when that cannot be written.
        """
        tries = 0
        while True:
            try:
                await retry_stale(partial(self._store, item, note))
                return
            except Exception as error:
                tries += 1
                log.error("Item %s cannot be stored yet: %s", item.id, self.deps.trace(error))
                if tries >= NOTE_TRIES or isinstance(error, NotFound):
                    note = None
                await asyncio.sleep(min(5.0, 0.2 * tries))

    async def _store(
        self, item: OutboxItem, note: Callable[[Work], Awaitable[None]] | None
    ) -> None:
        async with self.deps.store() as work:
            await work.outbox.save(item)
            if note:
                await note(work)
            await work.commit()

    # --- topics ------------------------------------------------------------------------------

    async def _thread(self, item: OutboxItem) -> int:
        """Return the thread of the item's topic, made now when there is none."""
        topic = await self._topic(item.topic)
        if topic is None:
            topic = await self._create(item.topic)
        return topic.thread_id

    async def _topic(self, key: str) -> Topic | None:
        async with self.deps.store() as work:
            topic = await work.topics.get(key)
        # One of another group belongs to an earlier setting.
        return topic if topic and topic.chat_id == self.deps.group_id else None

    async def _create(self, key: str) -> Topic:
        name = await self._name(key)
        with self._certain():
            thread = await self.calls.create_topic(self.deps.group_id, name)
        topic = Topic(key, self.deps.group_id, thread)
        async with self.deps.store() as work:
            await work.topics.put(topic)
            await work.commit()
        return topic

    @contextmanager
    def _certain(self) -> Iterator[None]:
        """Around a call that may be made twice: an answer that never came means "try again".

        A topic made without our knowing stays behind empty; no customer's line depends on it.
        """
        try:
            yield
        except TelegramError as error:
            if remedy(error, True) is not Remedy.UNKNOWN:
                raise
            raise NetworkError(self.deps.redacted(str(error))) from None

    async def _name(self, key: str) -> str:
        conversation_id = conversation_of(key)
        if conversation_id is None:
            return TOPIC_NAMES.get(key, key)
        async with self.deps.store() as work:
            conversation = await work.conversations.get(conversation_id)
            handoff = await work.handoffs.latest(conversation_id)
            episode = handoff.episode if handoff else conversation.episode
            lines = await work.messages.of_episode(conversation_id, episode)
        # Named by what led to the handoff, however much was written before the topic was made.
        led = [m for m in lines if handoff is None or m.created_at <= handoff.requested_at]
        return topic_name(conversation, led)

    async def recreate(self, item: OutboxItem) -> None:
        """Make the item's topic anew, and note what must be shown in it again before the item."""
        await self._create(item.topic)
        conversation_id = conversation_of(item.topic)
        if conversation_id is None:
            return

        async def forget_card(work: Work) -> None:
            handoff = await work.handoffs.latest(conversation_id)
            if handoff is not None:
                await _keep_card_id(work, handoff.id, None)

        item.payload[RESTORE] = ["card", "lines"]
        await self._record(item, forget_card)

    async def reopen(self, item: OutboxItem) -> None:
        """Open the item's topic again."""
        await self._set_closed(item, False)

    async def _set_closed(self, item: OutboxItem, closed: bool) -> None:
        topic = await self._topic(item.topic)
        if topic is None:
            return
        try:
            with self._certain():
                await self.calls.set_topic_closed(topic.chat_id, topic.thread_id, closed)
        except TelegramError as error:
            if remedy(error, True) is not Remedy.NOTHING_TO_DO:
                raise
        topic.closed = closed
        async with self.deps.store() as work:
            await work.topics.put(topic)
            await work.commit()

    async def _topic_state(self, item: OutboxItem) -> None:
        closed = bool(item.payload["closed"])
        topic = await self._topic(item.topic)
        if topic and topic.closed != closed and not (closed and await self._open_handoff(item)):
            await self._set_closed(item, closed)
        await self.settle(item, None)

    async def _open_handoff(self, item: OutboxItem) -> bool:
        """Say whether the conversation is with people again, whatever was owed before."""
        conversation_id = conversation_of(item.topic)
        async with self.deps.store() as work:
            handoff = await work.handoffs.latest(conversation_id) if conversation_id else None
        return handoff is not None and handoff.ended_at is None

    async def _waits(self, item: OutboxItem) -> bool:
        """Say whether the conversation still waits for a person."""
        async with self.deps.store() as work:
            conversation = await work.conversations.get(conversation_of(item.topic) or "")
        return conversation.state is State.WAITING

    async def _restore(self, item: OutboxItem) -> None:
        """Show in a topic made anew what the old one held."""
        left = item.payload.get(RESTORE)
        conversation_id = conversation_of(item.topic)
        if not left or conversation_id is None:
            return
        thread = await self._thread(item)
        async with self.deps.store() as work:
            handoff = await work.handoffs.latest(conversation_id)
        if handoff is not None and "card" in left and handoff.card_message_id is None:
            sent = await self._send_back(thread, await self._card_view(handoff))
            item.payload[RESTORE] = ["lines"]
            await self._record(item, lambda work: _keep_card_id(work, handoff.id, sent))
        view = await self._lines_since(handoff, item) if handoff is not None else None
        if view is not None:
            await self._send_back(thread, view)
        item.payload[RESTORE] = []
        await self._record(item)

    async def _send_back(self, thread: int, view: View) -> int | None:
        """Send what the old topic held; no answer counts as sent, its id being unknown."""
        try:
            return await self.calls.send(self.deps.group_id, thread, view)
        except TelegramError as error:
            if remedy(error, True) is not Remedy.UNKNOWN:
                raise
            return None

    async def _lines_since(self, handoff: Handoff, item: OutboxItem) -> View | None:
        async with self.deps.store() as work:
            lines = await work.messages.of_episode(handoff.conversation_id, handoff.episode)
        own = item.payload.get("message_id")
        since = [m for m in lines if m.created_at > handoff.requested_at and m.id != own]
        return transcript(since, self.deps.zone) if since else None

    # --- conversations -----------------------------------------------------------------------

    async def _relay(self, item: OutboxItem) -> None:
        thread = await self._thread(item)
        async with self.deps.store() as work:
            message = await work.messages.get(item.payload["message_id"])
        sent: list[int] = item.payload.setdefault("sent", [])
        for view in relay(message)[len(sent) :]:
            if sent:
                await self._record(item)
            sent.append(await self.calls.send(self.deps.group_id, thread, view))

        async def note(work: Work) -> None:
            fresh = await work.messages.get(message.id)
            fresh.console_message_id = sent[0] if sent else None
            await work.messages.save(fresh)

        await self.settle(item, sent[0] if sent else None, note)

    async def _card_view(
        self, handoff: Handoff, page: int | None = None, changing: bool = False
    ) -> View:
        async with self.deps.store() as work:
            conversation = await work.conversations.get(handoff.conversation_id)
            lines = await work.messages.of_episode(handoff.conversation_id, handoff.episode)
            risk, limit = await _risk_of(work, handoff)
        # Only the list to choose from needs them: they are read from files, which takes a while
        # and may fail, and neither may come between a customer and the agents.
        intents = () if page is None else await self._intents()
        zone = self.deps.zone
        fields = self.deps.shown_fields
        card = Card(
            conversation, handoff, lines, intents, zone, page, changing, risk, limit, fields
        )
        return handoff_card(card)

    async def _intents(self) -> tuple[str, ...]:
        return tuple(await asyncio.to_thread(self.deps.known_intents))

    async def _card(self, item: OutboxItem) -> None:
        async with self.deps.store() as work:
            handoff = await work.handoffs.get(item.payload["handoff_id"])
        if handoff.ended_at is None and await self._is_closed(item.topic):
            await self.reopen(item)
        page, changing = item.payload.get("page"), bool(item.payload.get("changing"))
        view = await self._card_view(handoff, page, changing)
        sent = await self._show(item, handoff.card_message_id, view)
        if sent == handoff.card_message_id:
            await self.settle(item, sent)
        else:
            await self.settle(item, sent, lambda work: _keep_card_id(work, handoff.id, sent))

    async def _is_closed(self, key: str) -> bool:
        topic = await self._topic(key)
        return topic is not None and topic.closed

    async def _show(self, item: OutboxItem, message_id: int | None, view: View) -> int:
        """Bring a standing message up to date, or send it when there is none (any more).

        Several pending edits of one message cost one call: each renders the state of its own
        moment, and what stands there already is not sent again.
        """
        group = self.deps.group_id
        if message_id is not None and self._shown.get((group, message_id)) == view:
            return message_id
        if message_id is not None:
            try:
                await self.calls.edit(group, message_id, view)
            except TelegramError as error:
                what = remedy(error, True)
                if what is Remedy.SEND_ANEW:
                    message_id, item.payload[ANEW] = None, True
                elif what is not Remedy.NOTHING_TO_DO:
                    raise
        if message_id is None:
            message_id = await self.calls.send(group, await self._thread(item), view)
        self._remember(group, message_id, view)
        return message_id

    def _remember(self, group: int, message_id: int, view: View) -> None:
        self._shown[group, message_id] = view
        while len(self._shown) > SHOWN_REMEMBERED:
            del self._shown[next(iter(self._shown))]

    async def _notice(self, item: OutboxItem) -> None:
        if item.dedupe_key.startswith(REMINDER) and not await self._waits(item):
            # Somebody has taken it since the reminder was owed.
            await self.settle(item, None)
            return
        thread = await self._thread(item)
        sent = await self.calls.send(self.deps.group_id, thread, payload_view(item.payload))
        await self.settle(item, sent)

    async def _reply(self, item: OutboxItem) -> None:
        p = item.payload
        view = payload_view(p)
        sent = await self.calls.send(p["chat_id"], p.get("thread_id"), view, p.get("reply_to"))
        await self.settle(item, sent)

    async def _stats(self, item: OutboxItem) -> None:
        p, days = item.payload, item.payload["days"]
        figures = await Report(self.deps.store, self.deps.clock)(days)
        picture = await asyncio.to_thread(stats_picture, figures, days)
        caption = stats_caption(figures, days)
        chat_id, thread_id = p["chat_id"], p.get("thread_id")
        sent = await self.calls.photo(chat_id, thread_id, picture, caption, p.get("reply_to"))
        await self.settle(item, sent)

    # --- learning ----------------------------------------------------------------------------

    async def _review(self, item: OutboxItem) -> None:
        async with self.deps.store() as work:
            candidate = await work.candidates.get(item.payload["candidate_id"])
            try:
                handoff = await work.handoffs.get(candidate.handoff_id)
            except NotFound:
                handoff = None
        page = item.payload.get("page")
        card = ReviewCard(
            candidate,
            handoff.claimed_by_name if handoff else "",
            handoff.requested_at if handoff else None,
            () if page is None else await self._intents(),
            self.deps.zone,
            page,
        )
        sent = await self._show(item, candidate.review_message_id, review_card(card))

        async def note(work: Work) -> None:
            fresh = await work.candidates.get(candidate.id)
            fresh.review_message_id = sent
            await work.candidates.save(fresh)

        changed = sent != candidate.review_message_id
        await self.settle(item, sent, note if changed else None)

    async def _digest(self, item: OutboxItem) -> None:
        async with self.deps.store() as work:
            run = await work.runs.get(item.payload["run_id"])
            release = await work.releases.current()
            learned = []
            if release is not None and release.run_id == run.id:
                known = await work.candidates.with_status(CandidateStatus.LEARNED)
                learned = [c for c in known if c.release_id == release.id]
        thread = await self._thread(item)
        view = run_digest(run, learned, self.deps.zone)
        await self.settle(item, await self.calls.send(self.deps.group_id, thread, view))


async def _risk_of(work: Work, handoff: Handoff) -> tuple[float | None, float | None]:
    """Return the risk and the limit a handoff was decided with, where they were looked at."""
    try:
        decision = await work.decisions.get(handoff.decision_id)
    except NotFound:
        return None, None
    outcome = decision.evidence.get("outcome", {})
    return outcome.get("risk"), outcome.get("limit")


async def _keep_card_id(work: Work, handoff_id: str, message_id: int | None) -> None:
    """Store where a handoff's card stands.

    Saving the conversation too raises its version: a use case that read the handoff before this
    and would write the old id back meets a `StaleVersion` and reads again.
    """
    handoff = await work.handoffs.get(handoff_id)
    conversation = await work.conversations.get(handoff.conversation_id)
    handoff.card_message_id = message_id
    await work.handoffs.save(handoff)
    await work.conversations.save(conversation)


def is_harmless_again(item: OutboxItem, card_message_id: int | None) -> bool:
    """Say whether sending `item` twice leaves the same as once."""
    if item.kind is OutboxKind.TOPIC_STATE:
        return True
    edits = item.kind in (OutboxKind.CARD, OutboxKind.REVIEW) and card_message_id is not None
    return edits and ANEW not in item.payload

"""What people write in the console: text for customers, commands, and what cannot be passed on.

Everything done here may be done again: effects are keyed by message, answers by update, so that a
crash between effect and "done" does no harm.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from telegram import Chat, Message, Update
from telegram.ext import Application, ApplicationHandlerStop, TypeHandler

from agent_console import views
from agent_console.access import Verdict, check
from agent_console.deps import OUTBOX, ConsoleDeps, conversation_of, view_payload
from agent_console.group_watch import GroupWatch
from agent_console.policy_views import SHOWN, limits_moved, limits_now, policies
from agent_console.presses import Presses
from agent_console.quoting import Quoting
from agent_console.richtext import Entity, as_plain
from agent_console.router import Command, read
from handoff.app.claim import Claim
from handoff.app.give_up import Release, ReturnToBot
from handoff.app.lines import FIRST, LAST, NEXT, owe
from handoff.app.ownership import load, require
from handoff.app.resolve import Reopen, Resolve
from handoff.app.say import Note, Say
from handoff.app.switch_policy import Move, ReadPolicies, SwitchPolicy, read_shares
from handoff.core.errors import DeskError, IllegalTransition, NotClaimed, NotYours
from handoff.core.lifecycle import Event
from handoff.core.model import CandidateStatus, OutboxKind, Person, Role, State

log = logging.getLogger(__name__)

MOST_DAYS = 365
"""Longest period `/stats` looks back, in days."""


@dataclass(frozen=True, slots=True)
class Told:
    """A message somebody wrote: by whom, where, and under which update."""

    update_id: int
    message: Message
    person: Person
    topic: str = ""

    @property
    def conversation_id(self) -> str | None:
        """The conversation in whose topic it was written."""
        return conversation_of(self.topic)

    @property
    def client_id(self) -> str:
        """What makes a repeated delivery harmless."""
        return f"tg:{self.message.chat.id}:{self.message.message_id}"


Action = Callable[[Told, str], Awaitable[None]]


class Handlers:
    """Handles every kind of update the console listens to."""

    def __init__(self, deps: ConsoleDeps, watch: GroupWatch) -> None:
        self.deps, self.watch = deps, watch
        parts = (deps.store, deps.clock, deps.bell)
        self.say, self.note = Say(*parts), Note(*parts)
        self._switch = SwitchPolicy(*parts)
        self.presses = Presses(deps)
        self._quoting = Quoting(deps.store)
        self._commands: dict[str, Action] = {
            "claim": self._step(Claim(*parts), Event.CLAIM, "You have this conversation."),
            "release": self._step(Release(*parts), Event.RELEASE, "A colleague can take it now."),
            "bot": self._step(
                ReturnToBot(*parts), Event.RETURN_TO_BOT, "The assistant has it again."
            ),
            "resolve": self._step(
                Resolve(*parts), Event.RESOLVE, "Closed. The card asks what it was about."
            ),
            "reopen": self._step(Reopen(*parts), Event.REOPEN, "You have this conversation again."),
            "note": self._note,
            "queue": self._queue,
            "policy": self._policy,
            "limits": self._limits,
            "stats": self._stats,
            "review": self._review,
            "learn": self._learn,
            "whoami": self._whoami,
            "help": self._help,
            "start": self._help,
        }

    def register(self, application: Application) -> None:
        """Register one handler; order among kinds of updates is decided here, not by PTB."""
        application.add_handler(TypeHandler(Update, self.on_update))

    async def on_update(self, update: Update, context: object) -> None:
        """Check who it is from, then handle it."""
        if update.message is not None and self._follow_group(update.message):
            raise ApplicationHandlerStop
        access = check(update, self.deps.people, self.deps.group_id)
        if access.verdict is Verdict.STRANGER:
            await self._refuse_stranger(update)
        elif access.verdict is Verdict.ANONYMOUS:
            await self._warn_anonymous(update)
        elif access.person is not None:
            await self._handle(update, access.person)
        elif update.message and update.message.chat.type in (Chat.GROUP, Chat.SUPERGROUP):
            self._tell_of_group(update.message.chat)
        raise ApplicationHandlerStop

    def _follow_group(self, message: Message) -> bool:
        """Take over the agents' group's new number when a message tells of it, in either chat.

        Say whether the message tells of such a change, of whatever group, and of nothing else.
        """
        if message.chat.id == self.deps.group_id and message.migrate_to_chat_id:
            self.watch.move(message.migrate_to_chat_id)
        elif message.migrate_from_chat_id == self.deps.group_id:
            self.watch.move(message.chat.id)
        return bool(message.migrate_to_chat_id or message.migrate_from_chat_id)

    def _tell_of_group(self, chat: Chat) -> None:
        """Write an unknown group's number into the log: how an installer gets to know it."""
        if chat.id != self.deps.group_id:
            self.watch.written_in.pop(chat.id, None)
            self.watch.written_in[chat.id] = chat.title or ""
            log.warning(
                "Ignored a message in the group %r. If that is the agents' group, set "
                "TELEGRAM_GROUP_ID=%d",
                chat.title,
                chat.id,
            )

    async def _handle(self, update: Update, person: Person) -> None:
        if update.callback_query:
            await self.presses.on_press(update.update_id, update.callback_query, person)
            return
        message = update.message or update.edited_message
        if message is None:
            return
        topic = await self._topic_key(message)
        told = Told(update.update_id, message, person, topic)
        if update.edited_message:
            await self._edited(told)
        elif message.text is not None:
            await self._text(told, message.text)
        else:
            await self._not_text(told)

    # --- answers -----------------------------------------------------------------------------

    async def answer(
        self, told: Told, view: views.View, priority: int = NEXT, key: str = ""
    ) -> None:
        """Owe an answer to a message, once an update."""
        await self._owe_reply(
            told.message, told.topic, view, key or f"reply:{told.update_id}", priority
        )

    async def _owe_reply(
        self, message: Message, topic: str, view: views.View, key: str, priority: int
    ) -> None:
        payload = {**view_payload(view), **_place(message)}
        async with self.deps.store() as work:
            now = self.deps.clock.now()
            await owe(work, OutboxKind.REPLY, payload, key, now, topic, priority)
            await work.commit()
        self.deps.bell.ring(OUTBOX)

    async def _topic_key(self, message: Message) -> str:
        """Return the key of the topic a message stands in; empty elsewhere."""
        if not message.is_topic_message or message.message_thread_id is None:
            return ""
        async with self.deps.store() as work:
            topic = await work.topics.by_thread(message.chat.id, message.message_thread_id)
        return topic.key if topic else ""

    # --- strangers ---------------------------------------------------------------------------

    async def _refuse_stranger(self, update: Update) -> None:
        user, message = update.effective_user, update.effective_message
        if user is None:
            return
        text = views.STRANGER.format(id=user.id)
        if update.callback_query:
            await self.presses.reply(update.callback_query, text, alert=True)
            return
        if update.message is None or message is None or _is_service(update.message):
            return
        topic = await self._topic_key(update.message)
        if message.chat.type != Chat.PRIVATE and not conversation_of(topic):
            return
        # One refusal an hour and place: a stranger must not be able to use up the budget.
        hour = f"{message.date:%Y%m%d%H}"
        key = f"stranger:{message.chat.id}:{topic}:{user.id}:{hour}"
        await self._owe_reply(update.message, topic, views.plain(text), key, LAST)

    async def _warn_anonymous(self, update: Update) -> None:
        message = update.message
        if message is None or _is_service(message):
            return
        topic = await self._topic_key(message)
        if conversation_of(topic) or (message.text or "").startswith("/"):
            view = views.plain(views.ANONYMOUS)
            await self._owe_reply(message, topic, view, f"reply:{update.update_id}", FIRST)

    # --- messages ----------------------------------------------------------------------------

    async def _text(self, told: Told, text: str) -> None:
        meant = read(text, told.message.get_bot().username)
        if meant is None:
            return
        if isinstance(meant, Command):
            start = text.rfind(meant.rest) if meant.rest else len(text)
            rest = as_plain(text, entities_of(told.message), start).strip()
            await self._command(told, replace(meant, rest=rest))
        elif told.conversation_id:
            plain = as_plain(text, entities_of(told.message), len(text) - len(meant.text))
            await self._to_customer(told, told.conversation_id, plain)

    async def _to_customer(self, told: Told, conversation_id: str, text: str) -> None:
        try:
            quoted, kept_back = await self._quoting.of(told.message, conversation_id)
            await self.say(conversation_id, told.person, quoted + text, told.client_id)
            if kept_back:
                key = f"quote:{told.update_id}"
                await self.answer(told, views.plain(views.QUOTE_NOT_SENT), FIRST, key)
            if any(e.type == "strikethrough" for e in told.message.entities):
                key = f"crossed:{told.update_id}"
                await self.answer(told, views.plain(views.CROSSED_OUT), FIRST, key)
        except (NotYours, NotClaimed) as error:
            async with self.deps.store() as work:
                conversation, handoff = await load(work, conversation_id)
            await self.answer(told, views.not_sent(error, conversation, handoff), FIRST)
        except DeskError as error:
            await self.answer(told, views.plain(f"⚠️ Not sent to the customer. {error}"), FIRST)

    async def _edited(self, told: Told) -> None:
        message = told.message
        if told.conversation_id and message.text and not message.text.startswith("/"):
            key = f"edited:{message.chat.id}:{message.message_id}"
            await self.answer(told, views.plain(views.EDITED), FIRST, key)

    async def _not_text(self, told: Told) -> None:
        """A picture, a sticker, a file…; or something that happened to the topic itself."""
        if told.message.forum_topic_closed or told.message.forum_topic_reopened:
            await self._note_topic_state(told)
        elif told.conversation_id and not _is_service(told.message):
            await self.answer(told, views.plain(views.ONLY_TEXT), FIRST)

    async def _note_topic_state(self, told: Told) -> None:
        if not told.topic:
            return
        async with self.deps.store() as work:
            topic = await work.topics.get(told.topic)
            if topic is not None:
                closed = told.message.forum_topic_closed is not None
                await work.topics.put(replace(topic, closed=closed))
                await work.commit()

    # --- commands ----------------------------------------------------------------------------

    async def _command(self, told: Told, command: Command) -> None:
        action = self._commands.get(command.name)
        if action is None:
            text = views.UNKNOWN_COMMAND.format(name=command.name)
            await self.answer(told, views.plain(text))
            return
        try:
            await action(told, command.rest)
        except DeskError as error:
            await self.answer(told, views.plain(f"⚠️ {error}"), FIRST)

    def _step(
        self, use_case: Callable[[str, Person], Awaitable[None]], event: Event, done: str
    ) -> Action:
        """Return the command that takes one step in the conversation of its topic."""

        async def action(told: Told, rest: str) -> None:
            if told.conversation_id is None:
                await self.answer(told, views.plain(views.NOT_A_CONVERSATION))
                return
            try:
                await use_case(told.conversation_id, told.person)
            except NotClaimed as error:
                raise await self._not_now(told.conversation_id, event, error) from None
            await self.answer(told, views.plain(done), LAST)

        return action

    async def _not_now(self, conversation_id: str, event: Event, error: NotClaimed) -> DeskError:
        """Return why a step is not possible: nobody can claim what the assistant has."""
        async with self.deps.store() as work:
            state = (await work.conversations.get(conversation_id)).state
        return error if state is State.AGENT else IllegalTransition(event.value, state.value)

    async def _note(self, told: Told, rest: str) -> None:
        if told.conversation_id is None:
            await self.answer(told, views.plain(views.NOT_A_CONVERSATION))
        elif not rest:
            await self.answer(told, views.plain("Write the note behind the command: /note TEXT"))
        else:
            await self.note(told.conversation_id, told.person, rest, told.client_id)
            done = "📝 Noted. The customer does not see this."
            await self.answer(told, views.plain(done), LAST)

    async def _queue(self, told: Told, rest: str) -> None:
        rows = []
        async with self.deps.store() as work:
            for handoff in await work.handoffs.open():
                conversation = await work.conversations.get(handoff.conversation_id)
                if conversation.state is not State.WAITING:
                    continue
                topic = await work.topics.get(f"conversation:{conversation.id}")
                reason = handoff.findings[0].reason.value if handoff.findings else ""
                thread = topic.thread_id if topic else None
                name = conversation.customer_name
                rows.append(views.Waiting(name, handoff.requested_at, reason, thread))
        view = views.queue(rows, self.deps.clock.now(), self.deps.group_id)
        await self.answer(told, view)

    async def _policy(self, told: Told, rest: str) -> None:
        read = ReadPolicies(self.deps.store)
        active, shadow = await read.in_use()
        wrong = await read.disagreements(shadow.policy.id, SHOWN) if shadow else []
        await self.answer(told, policies(active, shadow, wrong, self.deps.zone))

    async def _limits(self, told: Told, rest: str) -> None:
        require(told.person, Role.LEAD)
        shares = read_shares(rest)
        if len(shares) not in (2, 3):
            active, _ = await ReadPolicies(self.deps.store).in_use()
            await self.answer(told, limits_now(active, self.deps.zone))
            return
        stored = await self._switch.move(Move(*shares), told.person, at_once=True)
        await self.answer(told, limits_moved(stored))

    async def _stats(self, told: Told, rest: str) -> None:
        require(told.person, Role.LEAD)
        word = rest or "7"
        if not (word.isascii() and word.isdigit() and 1 <= int(word[:9]) <= MOST_DAYS):
            text = f"/stats takes a number of days from 1 to {MOST_DAYS}, such as /stats 7."
            await self.answer(told, views.plain(text))
            return
        payload = {"days": int(word), **_place(told.message)}
        async with self.deps.store() as work:
            key, now = f"stats:{told.update_id}", self.deps.clock.now()
            await owe(work, OutboxKind.STATS, payload, key, now, told.topic)
            await work.commit()
        self.deps.bell.ring(OUTBOX)

    async def _review(self, told: Told, rest: str) -> None:
        require(told.person, Role.REVIEWER)
        async with self.deps.store() as work:
            pending = await work.candidates.with_status(CandidateStatus.PENDING)
            accepted = await work.candidates.with_status(CandidateStatus.ACCEPTED)
        await self.answer(told, views.review_count(len(pending), len(accepted)))

    async def _learn(self, told: Told, rest: str) -> None:
        require(told.person, Role.REVIEWER)
        await self.answer(told, views.plain(await self.deps.request_learning()))

    async def _whoami(self, told: Told, rest: str) -> None:
        await self.answer(told, views.whoami(told.person))

    async def _help(self, told: Told, rest: str) -> None:
        await self.answer(told, views.help_text(told.person))


def entities_of(message: Message) -> list[Entity]:
    """Return the formatting of a message's text."""
    return [Entity(str(e.type), e.offset, e.length, e.url) for e in message.entities]


def _place(message: Message) -> dict[str, int | None]:
    """Return where an answer to `message` goes, as outbox payload fields."""
    thread = message.message_thread_id if message.is_topic_message else None
    return {"chat_id": message.chat.id, "thread_id": thread, "reply_to": message.message_id}


def _is_service(message: Message) -> bool:
    """Say whether a message only tells that something happened, such as a new member."""
    content = (
        "text", "photo", "sticker", "document", "voice", "video", "video_note", "audio",
        "animation", "location", "venue", "contact", "poll", "dice", "story", "game", "paid_media",
        "checklist",
    )  # fmt: skip
    return not any(getattr(message, name, None) for name in content)

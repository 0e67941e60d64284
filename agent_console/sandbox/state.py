"""The simulated world: who is there, what was said, what the bot has still to hear.

Pure: no sockets, no threads, and time only from the clock it is given. Everything that changes is
noted in `dirty` for the state file and in `changes` for the page.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .clock import Clock
from .model import (
    ADMIN_RIGHTS,
    ANONYMOUS_ID,
    Callback,
    Chat,
    Member,
    Message,
    StoredFile,
    Topic,
    Update,
    User,
)
from .render import chat_json, member_json, message_json, user_json

DEFAULT_GROUP_ID = -1001000000001
DEFAULT_PEOPLE = (
    User(1001, "Ana", "Agent", "ana_agent"),
    User(1002, "Bo", "Agent", "bo_agent"),
    User(1003, "Rita", "Reviewer", "rita_reviewer"),
    User(1004, "Lea", "Lead", "lea_lead"),
    User(1005, "Sam", "Stranger", "sam_stranger"),
)
DEFAULT_OWNER_ID = 1004
BOT_RIGHTS = {
    right: right in ("can_manage_chat", "can_delete_messages", "can_pin_messages",
                     "can_manage_topics", "can_invite_users", "can_change_info")
    for right in ADMIN_RIGHTS
}  # fmt: skip
UPDATE_LIFETIME = 24 * 3600
"""Seconds after which Telegram forgets an update nobody fetched."""
CALLBACK_LIFETIME = 150
"""Seconds a button press can be answered."""
NOT_BY_DEFAULT = {"chat_member", "message_reaction", "message_reaction_count"}
"""Updates a bot gets only when it asks for them by name."""
CHANGES_KEPT = 20_000


@dataclass
class Webhook:
    """Where updates are pushed; an empty `url` means the bot polls."""

    url: str = ""
    secret_token: str = ""
    max_connections: int = 40
    last_error_date: int = 0
    last_error_message: str = ""


@dataclass
class World:
    """Everything Telegram knows about one bot and the people around it."""

    bot: User
    clock: Clock = field(default_factory=Clock)
    users: dict[int, User] = field(default_factory=dict)
    chats: dict[int, Chat] = field(default_factory=dict)
    topics: dict[tuple[int, int], Topic] = field(default_factory=dict)
    messages: dict[tuple[int, int], Message] = field(default_factory=dict)
    files: dict[str, StoredFile] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    callbacks: dict[str, Callback] = field(default_factory=dict)
    updates: dict[int, Update] = field(default_factory=dict)
    commands: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    reads: dict[str, int] = field(default_factory=dict)
    webhook: Webhook = field(default_factory=Webhook)
    allowed_updates: list[str] = field(default_factory=list)
    counters: dict[str, int] = field(default_factory=dict)
    dirty: set[tuple[str, Any]] = field(default_factory=set)
    changes: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=CHANGES_KEPT))
    on_change: Callable[[], None] = lambda: None
    _order: dict[tuple[int, int], list[int]] = field(default_factory=dict)
    _change_number: int = 0

    # --- bookkeeping -------------------------------------------------------------------------

    def touch(self, kind: str, key: Any = "") -> None:
        """Note that a row changed, for the state file."""
        self.dirty.add((kind, key))

    def next_number(self, name: str, first: int = 1) -> int:
        """The next value of a counter that survives a restart."""
        value = self.counters.get(name, first - 1) + 1
        self.counters[name] = value
        self.touch("meta", "counters")
        return value

    def announce(self, kind: str, **facts: Any) -> None:
        """Append to the list of changes that the page and the tests follow."""
        self._change_number += 1
        self.changes.append({"n": self._change_number, "kind": kind, **facts})
        self.on_change()

    @property
    def change_number(self) -> int:
        """Number of the newest change."""
        return self._change_number

    def today(self) -> int:
        """Now, in whole seconds since 1970, as Telegram dates things."""
        return int(self.clock.now())

    # --- people and chats --------------------------------------------------------------------

    def add_user(self, user: User) -> User:
        """Store a person."""
        self.users[user.id] = user
        self.touch("user", user.id)
        self.announce("user", user_id=user.id)
        return user

    def add_group(
        self, chat_id: int, title: str, is_forum: bool, owner_id: int, kind: str = "supergroup"
    ) -> Chat:
        """A group (`kind` group or supergroup) with its owner and the bot as administrator."""
        chat = Chat(chat_id, kind, title, is_forum)
        chat.members[str(owner_id)] = Member("creator")
        chat.members[str(self.bot.id)] = Member("administrator", dict(BOT_RIGHTS))
        # The first message of a supergroup is the one that says it was created.
        chat.last_message_id = 1 if kind == "supergroup" else 0
        self.chats[chat_id] = chat
        self.touch("chat", chat_id)
        self.announce("chat", chat_id=chat_id)
        return chat

    def upgrade_group(self, chat: Chat, new_id: int, by: int) -> Chat:
        """Make a supergroup of a basic group: another number, the same people."""
        new = Chat(new_id, "supergroup", chat.title, members=dict(chat.members), last_message_id=1)
        self.chats[new_id] = new
        self.touch("chat", new_id)
        self.add_message(chat, by, {"migrate_to_chat_id": new_id})
        chat.migrated_to = new_id
        self.touch("chat", chat.id)
        self.add_message(new, by, {"migrate_from_chat_id": chat.id})
        self.announce("chat", chat_id=new_id)
        return new

    def private_chat(self, user_id: int) -> Chat:
        """The person's private chat with the bot, made when it is first looked at."""
        chat = self.chats.get(user_id)
        if chat is None:
            chat = Chat(user_id, "private")
            self.chats[user_id] = chat
            self.touch("chat", user_id)
        return chat

    def set_member(self, chat: Chat, user_id: int, member: Member, by: int) -> None:
        """Change somebody's standing and tell the bot, as Telegram does."""
        old = chat.member(user_id)
        chat.members[str(user_id)] = member
        self.touch("chat", chat.id)
        self.announce("chat", chat_id=chat.id)
        if old == member:
            return
        kind = "my_chat_member" if user_id == self.bot.id else "chat_member"
        payload = {
            "chat": chat_json(self, chat),
            "from": user_json(self.users[by]),
            "date": self.today(),
            "old_chat_member": member_json(self, user_id, old),
            "new_chat_member": member_json(self, user_id, member),
        }
        self.add_update(kind, payload, f"{kind}:{chat.id}", chat)

    def bot_member(self, chat: Chat) -> Member:
        """The bot's standing; in a private chat it is a member."""
        return Member("member") if chat.type == "private" else chat.member(self.bot.id)

    # --- messages ----------------------------------------------------------------------------

    def add_message(self, chat: Chat, sender_id: int, content: dict[str, Any], **more: Any):
        """Store a message and tell the bot of it, unless it is the bot's own words.

        `more` are further fields of Message: topic_id, reply_to, keyboard, asks_reply, root_id.
        """
        message = Message(
            chat.id, self._next_message_id(chat), sender_id, self.today(), content, **more
        )
        self.messages[chat.id, message.id] = message
        self._order.setdefault((chat.id, message.topic_id), []).append(message.id)
        self.touch("message", (chat.id, message.id))
        self.touch("chat", chat.id)
        self.announce_message("message", message)
        # Telegram tells a bot of service messages its own calls made, but not of what it wrote.
        if sender_id != self.bot.id or is_service(message):
            self.add_message_update("message", message)
        return message

    def _next_message_id(self, chat: Chat) -> int:
        # All private chats and basic groups of an account draw from one sequence; a supergroup has
        # its own.
        if chat.type != "supergroup":
            return self.next_number("private_message")
        chat.last_message_id += 1
        return chat.last_message_id

    def add_message_update(self, kind: str, message: Message) -> None:
        """Queue `message` or `edited_message` for the bot, unless privacy mode hides it."""
        chat = self.chats[message.chat_id]
        if not self._bot_hears(chat, message):
            return
        self.add_update(kind, message_json(self, message), f"message:{chat.id}", chat)

    def _bot_hears(self, chat: Chat, message: Message) -> bool:
        """In privacy mode a bot that is no administrator hears commands and answers to itself."""
        administers = self.bot_member(chat).status in ("administrator", "creator")
        if self.bot.reads_all or administers or chat.type == "private" or is_service(message):
            return True
        original = self.messages.get((chat.id, message.reply_to))
        answers = original is not None and original.sender_id == self.bot.id
        return answers or str(message.content.get("text", "")).startswith("/")

    def announce_message(self, kind: str, message: Message) -> None:
        """Tell the page about a message (kinds: message, edit, reaction)."""
        self.announce(
            kind, chat_id=message.chat_id, topic_id=message.topic_id, message_id=message.id
        )

    def drop_message(self, message: Message) -> None:
        """Delete a message for everybody; the bot hears nothing of it, as in Telegram."""
        key = (message.chat_id, message.id)
        del self.messages[key]
        self._order[message.chat_id, message.topic_id].remove(message.id)
        chat = self.chats[message.chat_id]
        if message.id in chat.pinned:
            chat.pinned.remove(message.id)
            self.touch("chat", chat.id)
        self.touch("message", key)
        self.announce_message("delete", message)

    def messages_of(self, chat_id: int, topic_id: int) -> list[Message]:
        """Messages of a topic (0: General, or a chat without topics), oldest first."""
        ids = self._order.get((chat_id, topic_id), [])
        return [self.messages[chat_id, number] for number in ids]

    def rebuild_order(self) -> None:
        """Make the per-topic lists again after loading."""
        self._order.clear()
        for chat_id, number in sorted(self.messages):
            topic_id = self.messages[chat_id, number].topic_id
            self._order.setdefault((chat_id, topic_id), []).append(number)

    # --- topics ------------------------------------------------------------------------------

    def add_topic(
        self, chat: Chat, creator_id: int, name: str, icon_color: int, icon_emoji: str = ""
    ) -> Topic:
        """A new topic and the service message that opens it; both have the same id."""
        topic_id = chat.last_message_id + 1
        topic = Topic(chat.id, topic_id, name, icon_color, creator_id, icon_emoji)
        self.topics[chat.id, topic_id] = topic
        self.touch("topic", (chat.id, topic_id))
        created: dict[str, Any] = {"name": name, "icon_color": icon_color}
        if icon_emoji:
            created["icon_custom_emoji_id"] = icon_emoji
        self.add_message(chat, creator_id, {"forum_topic_created": created}, topic_id=topic_id)
        self.announce("topic", chat_id=chat.id, topic_id=topic_id)
        return topic

    def topic_changed(self, topic: Topic, actor_id: int, service: dict[str, Any]) -> None:
        """Store a changed topic and post the service message about it."""
        self.touch("topic", (topic.chat_id, topic.id))
        self.add_message(self.chats[topic.chat_id], actor_id, service, topic_id=topic.id)
        self.announce("topic", chat_id=topic.chat_id, topic_id=topic.id)

    def drop_topic(self, topic: Topic) -> None:
        """Delete a topic with all its messages; Telegram sends no update for it."""
        for message in self.messages_of(topic.chat_id, topic.id):
            self.drop_message(message)
        del self.topics[topic.chat_id, topic.id]
        self.touch("topic", (topic.chat_id, topic.id))
        self.announce("topic", chat_id=topic.chat_id, topic_id=topic.id, deleted=True)

    def may_write(self, user_id: int, topic: Topic) -> bool:
        """A closed topic takes messages only from who manages topics, or who created it."""
        member = self.chats[topic.chat_id].member(user_id)
        return not topic.closed or member.may("can_manage_topics") or topic.creator_id == user_id

    # --- updates -----------------------------------------------------------------------------

    def add_update(self, kind: str, payload: dict[str, Any], queue: str, chat: Chat) -> None:
        """Queue an update, if the bot asked for its kind and may see it in `chat`."""
        wanted = (
            kind in self.allowed_updates if self.allowed_updates else kind not in NOT_BY_DEFAULT
        )
        member = self.bot_member(chat)
        administers = member.status in ("administrator", "creator") or chat.type == "private"
        if not wanted or (kind in NOT_BY_DEFAULT and not administers):
            return
        if not member.inside and kind != "my_chat_member":
            return
        number = self.next_number("update", first=700_000_001)
        self.updates[number] = Update(number, kind, payload, queue, self.clock.now())
        self.touch("update", number)
        self.on_change()

    def drop_update(self, number: int) -> None:
        """Forget an update that was confirmed or expired."""
        if self.updates.pop(number, None) is not None:
            self.touch("update", number)

    def pending_updates(self) -> list[Update]:
        """Updates not confirmed yet, oldest first; those that expired are dropped."""
        now = self.clock.now()
        for update in list(self.updates.values()):
            life = CALLBACK_LIFETIME if update.kind == "callback_query" else UPDATE_LIFETIME
            if now - update.created > life:
                self.drop_update(update.id)
        return [self.updates[number] for number in sorted(self.updates)]

    # --- files -------------------------------------------------------------------------------

    def add_file(self, kind: str, name: str, mime: str, data: bytes, size: tuple[int, int]):
        """Keep an upload; `kind` is photo or document, `size` its width and height (or zeros)."""
        number = self.next_number("file")
        suffix = name.rsplit(".", 1)[-1].lower() if "." in name else "bin"
        suffix = suffix if suffix.isalnum() and suffix.isascii() and len(suffix) < 8 else "bin"
        stored = StoredFile(
            id=f"{'AgACAgSIM' if kind == 'photo' else 'BQACAgSIM'}{number:08d}",
            unique_id=f"AQADSIM{number:08d}",
            path=f"{kind}s/file_{number}.{suffix}",
            name=name,
            mime=mime,
            size=len(data),
            kind=kind,
            width=size[0],
            height=size[1],
        )
        self.files[stored.id] = stored
        self.blobs[stored.id] = data
        self.touch("file", stored.id)
        return stored


def is_service(message: Message) -> bool:
    """Whether the message is Telegram's own note (topic closed, message pinned…)."""
    return not ({"text", "photo", "document"} & message.content.keys())


def new_world(
    bot_id: int,
    clock: Clock | None = None,
    people: tuple[User, ...] = DEFAULT_PEOPLE,
    group_id: int | None = DEFAULT_GROUP_ID,
    group_title: str = "Support desk",
    bot_username: str = "handoff_desk_bot",
    bot_name: str = "Handoff Desk",
) -> World:
    """A world with the bot, the people, and one forum group that holds them all."""
    bot = User(bot_id, bot_name, "", bot_username, is_bot=True)
    world = World(bot, clock or Clock())
    world.add_user(bot)
    world.add_user(User(ANONYMOUS_ID, "Group", "", "GroupAnonymousBot", is_bot=True))
    for person in people:
        world.add_user(User(person.id, person.first_name, person.last_name, person.username))
    if group_id is not None and people:
        ids = [person.id for person in people]
        owner = DEFAULT_OWNER_ID if DEFAULT_OWNER_ID in ids else ids[0]
        chat = world.add_group(group_id, group_title, True, owner)
        for number in ids:
            chat.members.setdefault(str(number), Member("member"))
    return world

"""What the simulated Telegram remembers: plain records, each one row in the state file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

ANONYMOUS_ID = 1087968824
"""Telegram's id for "somebody who administers this group and stays anonymous"."""

ADMIN_RIGHTS = (
    "can_manage_chat", "can_delete_messages", "can_manage_video_chats", "can_restrict_members",
    "can_promote_members", "can_change_info", "can_invite_users", "can_post_stories",
    "can_edit_stories", "can_delete_stories", "can_pin_messages", "can_manage_topics",
    "can_manage_tags", "can_send_welcome_messages",
)  # fmt: skip
"""Rights an administrator of a supergroup can hold, by their Bot API names."""

MEMBER_STATUSES = ("creator", "administrator", "member", "left", "kicked")


@dataclass
class User:
    """A person, or the bot."""

    id: int
    first_name: str
    last_name: str = ""
    username: str = ""
    is_bot: bool = False
    reads_all: bool = True
    """The bot: privacy mode is off, so it hears whatever is said in its groups."""

    @property
    def name(self) -> str:
        """First and last name as shown."""
        return f"{self.first_name} {self.last_name}".strip()


@dataclass
class Member:
    """A person's standing in one chat."""

    status: str = "member"
    rights: dict[str, bool] = field(default_factory=dict)

    @property
    def inside(self) -> bool:
        """Whether the person is in the chat now."""
        return self.status in ("creator", "administrator", "member")

    def may(self, right: str) -> bool:
        """Whether the standing includes an administrator's `right`."""
        if self.status == "creator":
            return True
        return self.status == "administrator" and self.rights.get(right, False)


@dataclass
class Chat:
    """A group, or a person's private chat with the bot (then `id` is that person's id)."""

    id: int
    type: str
    title: str = ""
    is_forum: bool = False
    members: dict[str, Member] = field(default_factory=dict)
    pinned: list[int] = field(default_factory=list)
    last_message_id: int = 0
    started: bool = False
    """Private chats: the person has written to the bot, so the bot may write back."""
    blocked: bool = False
    """Private chats: the person has blocked the bot."""
    migrated_to: int = 0
    """Basic groups: the supergroup it was upgraded to, after which nothing can be done in it."""

    def member(self, user_id: int) -> Member:
        """The standing of `user_id`; somebody never seen here has left."""
        return self.members.get(str(user_id)) or Member("left")


@dataclass
class Topic:
    """A forum topic; its id is the id of the service message that created it."""

    chat_id: int
    id: int
    name: str
    icon_color: int
    creator_id: int
    icon_custom_emoji_id: str = ""
    closed: bool = False


@dataclass
class Message:
    """One message. `content` holds the Bot API's own fields (text, photo, service objects…)."""

    chat_id: int
    id: int
    sender_id: int
    date: int
    content: dict[str, Any]
    topic_id: int = 0
    """0: the General topic, or a chat without topics."""
    root_id: int = 0
    """In General: the message a chain of replies began with (Telegram's `message_thread_id`)."""
    reply_to: int = 0
    keyboard: list[list[dict[str, Any]]] = field(default_factory=list)
    asks_reply: bool = False
    edit_date: int = 0
    reactions: dict[str, list[str]] = field(default_factory=dict)
    """User id to emojis."""


@dataclass
class StoredFile:
    """An uploaded file; the bytes lie beside it."""

    id: str
    unique_id: str
    path: str
    name: str
    mime: str
    size: int
    kind: str
    width: int = 0
    height: int = 0


@dataclass
class Callback:
    """One press of a button."""

    id: str
    chat_id: int
    message_id: int
    user_id: int
    data: str
    created: float
    answer: dict[str, Any] | None = None


@dataclass
class Update:
    """One update the bot has not confirmed yet."""

    id: int
    kind: str
    payload: dict[str, Any]
    queue: str
    """Updates with the same queue reach a webhook one at a time, in order."""
    created: float

    def body(self) -> dict[str, Any]:
        """The update as Telegram sends it."""
        return {"update_id": self.id, self.kind: self.payload}

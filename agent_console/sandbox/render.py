"""Records as the Bot API writes them: User, Chat, ChatMember, Message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .model import ADMIN_RIGHTS, ANONYMOUS_ID, Callback, Chat, Member, Message, StoredFile, User

if TYPE_CHECKING:
    from .state import World

Json = dict[str, Any]

_PERMISSIONS = (
    "can_send_messages", "can_send_audios", "can_send_documents", "can_send_photos",
    "can_send_videos", "can_send_video_notes", "can_send_voice_notes", "can_send_polls",
    "can_send_other_messages", "can_add_web_page_previews", "can_react_to_messages",
    "can_invite_users",
)  # fmt: skip
_NO_PERMISSIONS = ("can_change_info", "can_pin_messages", "can_manage_topics", "can_edit_tag")


def user_json(user: User) -> Json:
    """A User object."""
    body: Json = {"id": user.id, "is_bot": user.is_bot, "first_name": user.first_name}
    if user.last_name:
        body["last_name"] = user.last_name
    if user.username:
        body["username"] = user.username
    if not user.is_bot:
        body["language_code"] = "en"
    return body


def me_json(user: User) -> Json:
    """The bot as getMe shows it."""
    return {
        **user_json(user),
        "can_join_groups": True,
        "can_read_all_group_messages": user.reads_all,
        "supports_inline_queries": False,
        "can_connect_to_business": False,
        "has_main_web_app": False,
        "has_topics_enabled": False,
        "allows_users_to_create_topics": False,
    }


def chat_json(world: World, chat: Chat) -> Json:
    """A Chat object."""
    if chat.type == "private":
        user = world.users[chat.id]
        body: Json = {"id": chat.id, "type": "private", "first_name": user.first_name}
        if user.last_name:
            body["last_name"] = user.last_name
        if user.username:
            body["username"] = user.username
        return body
    body = {"id": chat.id, "type": chat.type, "title": chat.title}
    if chat.is_forum:
        body["is_forum"] = True
    return body


def full_chat_json(world: World, chat: Chat) -> Json:
    """A ChatFullInfo object, as getChat answers."""
    gifts = ("unlimited_gifts", "limited_gifts", "unique_gifts", "premium_subscription",
             "gifts_from_channels")  # fmt: skip
    body = {
        **chat_json(world, chat),
        "accent_color_id": abs(chat.id) % 7,
        "max_reaction_count": 11,
        "accepted_gift_types": dict.fromkeys(gifts, False),
    }
    if chat.type != "private":
        body["permissions"] = {
            name: name in _PERMISSIONS for name in _PERMISSIONS + _NO_PERMISSIONS
        }
    if chat.type == "supergroup":
        body["join_to_send_messages"] = True
    pinned = [world.messages[chat.id, number] for number in chat.pinned]
    if pinned:
        body["pinned_message"] = message_json(world, max(pinned, key=lambda m: m.id), depth=0)
    return body


def member_json(world: World, user_id: int, member: Member) -> Json:
    """One of the ChatMember objects."""
    body: Json = {"user": user_json(world.users[user_id]), "status": member.status}
    if member.status == "creator":
        body["is_anonymous"] = False
    elif member.status == "administrator":
        rights = {name: member.rights.get(name, False) for name in ADMIN_RIGHTS}
        body |= {"can_be_edited": False, "is_anonymous": False, **rights}
    elif member.status == "kicked":
        body["until_date"] = 0
    return body


def photo_json(stored: StoredFile) -> list[Json]:
    """The sizes of a photo; the sandbox keeps only the one that was sent."""
    return [{**_file_json(stored), "width": stored.width, "height": stored.height}]


def document_json(stored: StoredFile) -> Json:
    """A Document object."""
    return {**_file_json(stored), "file_name": stored.name, "mime_type": stored.mime}


def _file_json(stored: StoredFile) -> Json:
    return {"file_id": stored.id, "file_unique_id": stored.unique_id, "file_size": stored.size}


def message_json(world: World, message: Message, depth: int = 1) -> Json:
    """A Message object; the message it answers is written out once, without its own answer."""
    chat = world.chats[message.chat_id]
    body: Json = {
        "message_id": message.id,
        "from": user_json(world.users[message.sender_id]),
        "chat": chat_json(world, chat),
        "date": message.date,
    }
    if message.sender_id == ANONYMOUS_ID:
        body["sender_chat"] = chat_json(world, chat)
    if message.topic_id:
        body |= {"message_thread_id": message.topic_id, "is_topic_message": True}
    elif message.root_id:
        body["message_thread_id"] = message.root_id
    if message.edit_date:
        body["edit_date"] = message.edit_date
    original = world.messages.get((chat.id, _answered_id(message)))
    if depth and original is not None:
        body["reply_to_message"] = message_json(world, original, depth - 1)
    body |= _content_json(world, message, depth)
    if message.keyboard:
        body["reply_markup"] = {"inline_keyboard": message.keyboard}
    return body


def _answered_id(message: Message) -> int:
    """The Bot API writes a topic's messages as answers to the message that created the topic."""
    implicit = message.topic_id if message.topic_id != message.id else 0
    return message.reply_to or implicit


def _content_json(world: World, message: Message, depth: int) -> Json:
    content = dict(message.content)
    pinned_id = content.pop("pinned", None)
    if pinned_id is not None:
        original = world.messages.get((message.chat_id, pinned_id))
        if original is not None and depth:
            content["pinned_message"] = message_json(world, original, 0)
        else:
            gone = {"chat": chat_json(world, world.chats[message.chat_id]), "date": 0}
            content["pinned_message"] = {**gone, "message_id": pinned_id}
    photo, document = content.pop("photo", None), content.pop("document", None)
    if photo is not None:
        content["photo"] = photo_json(world.files[photo])
    if document is not None:
        content["document"] = document_json(world.files[document])
    for field in ("new_chat_members", "left_chat_member"):
        if field in content:
            people = [user_json(world.users[number]) for number in content[field]]
            content[field] = people if field == "new_chat_members" else people[0]
    return content


def callback_json(world: World, callback: Callback) -> Json:
    """A CallbackQuery object."""
    message = world.messages[callback.chat_id, callback.message_id]
    return {
        "id": callback.id,
        "from": user_json(world.users[callback.user_id]),
        "message": message_json(world, message),
        # Opaque, the same for every press in a chat, and not the chat's id.
        "chat_instance": str(abs(callback.chat_id) * 7919 + 104729),
        "data": callback.data,
    }


def reactions_json(emojis: list[str]) -> list[Json]:
    """A list of ReactionTypeEmoji."""
    return [{"type": "emoji", "emoji": emoji} for emoji in emojis]

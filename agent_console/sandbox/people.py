"""What people do in the simulated chats: write, answer, edit, press, react, close a topic.

Each function changes the World and returns the view of what came of it, or raises SimError with a
sentence that says what was wrong.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from .bot_messages import store_photo
from .bot_topics import ICON_COLORS, topic_name
from .errors import ApiError, SimError
from .model import (
    ADMIN_RIGHTS,
    ANONYMOUS_ID,
    MEMBER_STATUSES,
    Callback,
    Chat,
    Member,
    Message,
    Topic,
    User,
)
from .reactions import ALLOWED_REACTIONS
from .render import callback_json, chat_json, reactions_json, user_json
from .state import BOT_RIGHTS, World
from .text import (
    CAPTION_LIMIT,
    TEXT_LIMIT,
    clean_text,
    find_entities,
    read_entities,
    utf16_length,
)
from .views import chat_view, message_view, read_key, topic_view, user_view

Json = dict[str, Any]


class Fields:
    """A JSON object's fields, read strictly: an unknown or mistyped one is a SimError (400)."""

    def __init__(self, body: Any, allowed: set[str]) -> None:
        if not isinstance(body, dict):
            raise SimError(400, "The body must be a JSON object.")
        unknown = sorted(set(body) - allowed)
        if unknown:
            raise SimError(400, f"Unknown field {unknown[0]!r}; known: {sorted(allowed)}.")
        self._body = body

    def number(self, name: str, default: int | None = None) -> int:
        """A whole number; without a default it is required."""
        value = self._body.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int):
            raise SimError(400, f"The field {name!r} must be a whole number.")
        return value

    def text(self, name: str, default: str | None = None) -> str:
        """A string; without a default it is required."""
        value = self._body.get(name, default)
        if not isinstance(value, str):
            raise SimError(400, f"The field {name!r} must be a string.")
        return value

    def flag(self, name: str) -> bool:
        """A boolean, false when left out."""
        value = self._body.get(name, False)
        if not isinstance(value, bool):
            raise SimError(400, f"The field {name!r} must be true or false.")
        return value

    def get(self, name: str) -> Any:
        """The raw value, or None."""
        return self._body.get(name)


def person(world: World, user_id: int) -> User:
    """The person with this id; the bot and the anonymous account are not people."""
    user = world.users.get(user_id)
    if user is None or user.is_bot:
        raise SimError(404, f"There is no person with the id {user_id}.")
    return user


def chat_for(world: World, user: User, chat_id: int) -> Chat:
    """A group the person is in, or their own private chat with the bot."""
    if chat_id == user.id:
        return world.private_chat(user.id)
    chat = world.chats.get(chat_id)
    if chat is None or chat.type == "private":
        raise SimError(404, f"{user.name} has no chat {chat_id}.")
    if chat.migrated_to:
        raise SimError(400, f"The group is a supergroup now, with the id {chat.migrated_to}.")
    if not chat.member(user.id).inside:
        raise SimError(403, f"{user.name} is not a member of {chat.title!r}.")
    return chat


def topic_in(world: World, chat_id: int, topic_id: int) -> Topic:
    """An existing topic."""
    topic = world.topics.get((chat_id, topic_id))
    if topic is None:
        raise SimError(404, f"There is no topic {topic_id} in chat {chat_id}.")
    return topic


def message_in(world: World, chat: Chat, message_id: int) -> Message:
    """An existing message."""
    message = world.messages.get((chat.id, message_id))
    if message is None:
        raise SimError(404, f"There is no message {message_id} in chat {chat.id}.")
    return message


def add_person(world: World, body: Any) -> Json:
    """Create somebody, and put them into the groups named in `chats`."""
    fields = Fields(body, {"id", "first_name", "last_name", "username", "chats"})
    user_id, first_name = fields.number("id"), fields.text("first_name")
    chats = fields.get("chats") or []
    if user_id <= 0 or user_id in world.users:
        raise SimError(400, f"The id {user_id} is taken or not above zero.")
    if not first_name.strip():
        raise SimError(400, "The first name must not be empty.")
    if not isinstance(chats, list) or any(c not in world.chats or c > 0 for c in chats):
        raise SimError(400, "The field 'chats' must be a list of ids of existing groups.")
    last_name, username = fields.text("last_name", ""), fields.text("username", "")
    user = world.add_user(User(user_id, first_name, last_name, username))
    for chat_id in chats:
        world.set_member(world.chats[chat_id], user_id, Member("member"), by=user_id)
    return user_view(user)


def add_group(world: World, body: Any) -> Json:
    """Create a group with the bot as administrator, a supergroup unless `type` says group."""
    fields = Fields(body, {"chat_id", "title", "type", "is_forum", "owner_id", "members"})
    chat_id, title = fields.number("chat_id"), fields.text("title")
    owner = person(world, fields.number("owner_id"))
    members = fields.get("members") or []
    if chat_id >= 0 or chat_id in world.chats or not title.strip():
        raise SimError(400, "A group needs a title and a new id below zero.")
    if not isinstance(members, list):
        raise SimError(400, "The field 'members' must be a list of user ids.")
    ids = [person(world, number).id for number in members]
    kind = fields.text("type", "supergroup")
    if kind not in ("group", "supergroup"):
        raise SimError(400, "The type must be group or supergroup.")
    is_forum = fields.get("is_forum") is not False and kind == "supergroup"
    chat = world.add_group(chat_id, title, is_forum, owner.id, kind)
    for number in ids:
        chat.members.setdefault(str(number), Member("member"))
    return chat_view(world, chat)


def _group(world: World, fields: Fields) -> Chat:
    chat = world.chats.get(fields.number("chat_id"))
    if chat is None or chat.type == "private":
        raise SimError(404, "There is no such group.")
    return chat


def _owner_of(chat: Chat) -> int:
    return next(int(n) for n, member in chat.members.items() if member.status == "creator")


def upgrade_group(world: World, body: Any) -> Json:
    """Make a basic group a supergroup, as Telegram does when topics are turned on in it."""
    fields = Fields(body, {"chat_id", "new_id"})
    chat, new_id = _group(world, fields), fields.number("new_id")
    if chat.type != "group" or chat.migrated_to:
        raise SimError(400, "Only a basic group can be upgraded, and only once.")
    if new_id >= 0 or new_id in world.chats:
        raise SimError(400, "The supergroup needs a new id below zero.")
    return chat_view(world, world.upgrade_group(chat, new_id, _owner_of(chat)))


def set_forum(world: World, body: Any) -> Json:
    """Turn a supergroup's topics on or off."""
    fields = Fields(body, {"chat_id", "is_forum"})
    chat = _group(world, fields)
    if chat.type != "supergroup":
        raise SimError(400, "A basic group has no topics: upgrade it first.")
    chat.is_forum = fields.flag("is_forum")
    world.touch("chat", chat.id)
    world.announce("chat", chat_id=chat.id)
    return chat_view(world, chat)


def set_privacy(world: World, body: Any) -> Json:
    """Turn the bot's privacy mode on or off, as @BotFather does with /setprivacy."""
    world.bot.reads_all = not Fields(body, {"enabled"}).flag("enabled")
    world.touch("user", world.bot.id)
    return {"can_read_all_group_messages": world.bot.reads_all}


def change_member(world: World, body: Any) -> Json:
    """Change somebody's standing in a group, the bot's too."""
    fields = Fields(body, {"chat_id", "user_id", "status", "rights"})
    chat = _group(world, fields)
    user_id, status = fields.number("user_id"), fields.text("status")
    if user_id not in world.users:
        raise SimError(404, f"There is no person with the id {user_id}.")
    if status not in MEMBER_STATUSES or status == "creator":
        raise SimError(400, "The status must be administrator, member, left or kicked.")
    rights = fields.get("rights") or {}
    if not isinstance(rights, dict) or set(rights) - set(ADMIN_RIGHTS):
        raise SimError(400, f"Known rights: {', '.join(ADMIN_RIGHTS)}.")
    owner = _owner_of(chat)
    if user_id == owner:
        raise SimError(400, "The owner's standing cannot be changed.")
    granted = {**BOT_RIGHTS, **rights} if status == "administrator" else {}
    was_inside = chat.member(user_id).inside
    member = Member(status, {name: bool(value) for name, value in granted.items()})
    world.set_member(chat, user_id, member, by=owner)
    if member.inside != was_inside:
        field = "new_chat_members" if member.inside else "left_chat_member"
        world.add_message(chat, owner, {field: [user_id]})
    return chat_view(world, chat)


def set_blocked(world: World, body: Any) -> Json:
    """A person blocks the bot, or lets it write again."""
    fields = Fields(body, {"user_id", "blocked"})
    user = person(world, fields.number("user_id"))
    chat = world.private_chat(user.id)
    blocked = fields.flag("blocked")
    if blocked != chat.blocked:
        chat.blocked = blocked
        world.touch("chat", chat.id)
        _tell_blocked(world, chat, user, blocked)
        world.announce("chat", chat_id=chat.id)
    return chat_view(world, chat)


def _tell_blocked(world: World, chat: Chat, user: User, blocked: bool) -> None:
    bot = user_json(world.bot)
    kicked = {"user": bot, "status": "kicked", "until_date": 0}
    member = {"user": bot, "status": "member"}
    payload = {
        "chat": chat_json(world, chat),
        "from": user_json(user),
        "date": world.today(),
        "old_chat_member": member if blocked else kicked,
        "new_chat_member": kicked if blocked else member,
    }
    world.add_update("my_chat_member", payload, f"my_chat_member:{chat.id}", chat)


_SEND_FIELDS = {"user_id", "chat_id", "topic_id", "text", "reply_to", "anonymous"}


def write(world: World, body: Any) -> Json:
    """Write a text message into a topic, General (topic_id 0) or the chat with the bot."""
    fields = Fields(body, _SEND_FIELDS | {"entities", "quote"})
    try:
        given = read_entities(fields.get("entities"))
        text, given = clean_text(fields.text("text"), given)
    except ApiError as error:
        raise SimError(400, f"The entities were refused: {error.description}.") from None
    if not text:
        raise SimError(400, "The text must not be empty.")
    if utf16_length(text) > TEXT_LIMIT:
        raise SimError(400, f"The text is longer than {TEXT_LIMIT} UTF-16 units.")
    entities = find_entities(text, given)
    content: Json = {"text": text, **({"entities": entities} if entities else {})}
    place = _place(world, fields)
    content |= _answering(world, fields, place)
    return message_view(world, _post(world, fields, place, content))


def _answering(world: World, fields: Fields, place: tuple[Chat, User, int, Message | None]) -> Json:
    """What a message says of the one it answers: the part chosen, and where it is, if elsewhere."""
    _, _, topic_id, original = place
    part = fields.text("quote", "")
    if original is None:
        if part:
            raise SimError(400, "Only an answer (reply_to) can quote.")
        return {}
    body: Json = {}
    if part:
        words = original.content.get("text") or original.content.get("caption") or ""
        if part not in words:
            raise SimError(400, "QUOTE_TEXT_INVALID: the message answered does not say this.")
        position = utf16_length(words[: words.index(part)])
        body["quote"] = {"text": part, "position": position, "is_manual": True}
    if original.topic_id != topic_id:
        sender = user_json(world.users[original.sender_id])
        body["external_reply"] = {
            "origin": {"type": "user", "date": original.date, "sender_user": sender},
            "chat": chat_json(world, world.chats[original.chat_id]),
            "message_id": original.id,
        }
    return body


def send_photo(world: World, body: Any) -> Json:
    """Send a picture (PNG, JPEG or GIF as base64) with an optional caption."""
    fields = Fields(body, _SEND_FIELDS | {"photo_base64", "caption"})
    try:
        data = base64.b64decode(fields.text("photo_base64"), validate=True)
    except binascii.Error:
        raise SimError(400, "The field 'photo_base64' is not base64.") from None
    caption, _ = clean_text(fields.text("caption", ""), [])
    if utf16_length(caption) > CAPTION_LIMIT:
        raise SimError(400, f"The caption is longer than {CAPTION_LIMIT} UTF-16 units.")
    place = _place(world, fields)
    try:
        stored = store_photo(world, "photo.jpg", data)
    except ApiError as error:
        raise SimError(400, f"The picture was refused: {error.description}.") from None
    content: Json = {"photo": stored.id}
    if caption:
        content["caption"] = caption
        entities = find_entities(caption, [])
        content |= {"caption_entities": entities} if entities else {}
    content |= _answering(world, fields, place)
    return message_view(world, _post(world, fields, place, content))


def _place(world: World, fields: Fields) -> tuple[Chat, User, int, Message | None]:
    """Where a message goes: chat, writer, topic, and the message it answers."""
    user = person(world, fields.number("user_id"))
    chat = chat_for(world, user, fields.number("chat_id"))
    reply_to = fields.number("reply_to", 0)
    original = message_in(world, chat, reply_to) if reply_to else None
    topic_id = fields.number("topic_id", original.topic_id if original else 0)
    if topic_id:
        topic = topic_in(world, chat.id, topic_id)
        if not world.may_write(user.id, topic):
            raise SimError(403, f"TOPIC_CLOSED: {user.name} cannot write in a closed topic.")
    if fields.flag("anonymous"):
        if chat.member(user.id).status not in ("creator", "administrator"):
            raise SimError(403, "Only an administrator of a group can write anonymously.")
        user = world.users[ANONYMOUS_ID]
    return chat, user, topic_id, original


def _post(
    world: World, fields: Fields, place: tuple[Chat, User, int, Message | None], content: Json
) -> Message:
    chat, user, topic_id, original = place
    if chat.type == "private" and (not chat.started or chat.blocked):
        if chat.blocked:
            set_blocked(world, {"user_id": chat.id, "blocked": False})
        chat.started = True
        world.touch("chat", chat.id)
    # An answer in General carries the id of the message its chain began with, as Telegram's does,
    # though it is in no topic; a bot that routes by message_thread_id alone trips over it.
    here = original if original and original.topic_id == topic_id else None
    in_general = chat.is_forum and not topic_id and here is not None
    root = (here.root_id or here.id) if in_general and here else 0
    return world.add_message(
        chat,
        user.id,
        content,
        topic_id=topic_id,
        reply_to=here.id if here else 0,
        root_id=root,
    )


def edit(world: World, body: Any) -> Json:
    """Change one's own text message."""
    fields = Fields(body, {"user_id", "chat_id", "message_id", "text"})
    user = person(world, fields.number("user_id"))
    chat = chat_for(world, user, fields.number("chat_id"))
    message = message_in(world, chat, fields.number("message_id"))
    if message.sender_id != user.id or "text" not in message.content:
        raise SimError(403, "Only one's own text messages can be edited.")
    text, _ = clean_text(fields.text("text"), [])
    if not text or utf16_length(text) > TEXT_LIMIT:
        raise SimError(400, f"The text must have 1 to {TEXT_LIMIT} UTF-16 units.")
    if text == message.content["text"]:
        raise SimError(409, "The text is the same as before.")
    entities = find_entities(text, [])
    message.content = {"text": text, **({"entities": entities} if entities else {})}
    message.edit_date = world.today()
    world.touch("message", (chat.id, message.id))
    world.announce_message("edit", message)
    world.add_message_update("edited_message", message)
    return message_view(world, message)


def delete(world: World, body: Any) -> Json:
    """Delete a message for everybody: one's own, or any with the right to."""
    fields = Fields(body, {"user_id", "chat_id", "message_id"})
    user = person(world, fields.number("user_id"))
    chat = chat_for(world, user, fields.number("chat_id"))
    message = message_in(world, chat, fields.number("message_id"))
    allowed = message.sender_id == user.id or chat.type == "private"
    if not allowed and not chat.member(user.id).may("can_delete_messages"):
        raise SimError(403, f"{user.name} may not delete this message.")
    if "forum_topic_created" in message.content:
        raise SimError(403, "The message that created a topic goes only with the topic.")
    world.drop_message(message)
    return {"deleted": True}


def press(world: World, body: Any) -> Callback:
    """Press a button, found by its text or its callback_data; returns the query to wait for."""
    known = {"user_id", "chat_id", "message_id", "button", "callback_data", "wait"}
    fields = Fields(body, known)
    user = person(world, fields.number("user_id"))
    chat = chat_for(world, user, fields.number("chat_id"))
    message = message_in(world, chat, fields.number("message_id"))
    button = _find_button(message, fields.get("button"), fields.get("callback_data"))
    if "callback_data" not in button:
        raise SimError(400, f"The button {button['text']!r} opens a link and asks the bot nothing.")
    number = world.next_number("callback", first=4_200_000_001)
    callback = Callback(
        str(number), chat.id, message.id, user.id, button["callback_data"], world.clock.now()
    )
    world.callbacks[callback.id] = callback
    world.touch("callback", callback.id)
    payload = callback_json(world, callback)
    world.add_update("callback_query", payload, f"callback_query:{user.id}", chat)
    return callback


def _find_button(message: Message, text: Any, data: Any) -> Json:
    buttons = [button for row in message.keyboard for button in row]
    if (text is None) == (data is None):
        raise SimError(400, "Name the button by 'button' (its text) or by 'callback_data'.")
    for button in buttons:
        if text is not None and button["text"] == text:
            return button
        if data is not None and button.get("callback_data") == data:
            return button
    names = [button["text"] for button in buttons]
    raise SimError(404, f"Message {message.id} has no such button; it has {names}.")


def react(world: World, body: Any) -> Json:
    """Put one emoji on a message, or take it away (emoji null)."""
    fields = Fields(body, {"user_id", "chat_id", "message_id", "emoji"})
    user = person(world, fields.number("user_id"))
    chat = chat_for(world, user, fields.number("chat_id"))
    message = message_in(world, chat, fields.number("message_id"))
    emoji = fields.get("emoji")
    if emoji is not None and emoji not in ALLOWED_REACTIONS:
        raise SimError(400, f"{emoji!r} is no reaction Telegram offers.")
    old, new = message.reactions.get(str(user.id), []), [emoji] if emoji else []
    if old == new:
        return message_view(world, message)
    message.reactions[str(user.id)] = new
    if not new:
        del message.reactions[str(user.id)]
    world.touch("message", (chat.id, message.id))
    world.announce_message("reaction", message)
    payload = {
        "chat": chat_json(world, chat),
        "message_id": message.id,
        "user": user_json(user),
        "date": world.today(),
        "old_reaction": reactions_json(old),
        "new_reaction": reactions_json(new),
    }
    world.add_update("message_reaction", payload, f"message_reaction:{chat.id}", chat)
    return message_view(world, message)


def create_topic(world: World, body: Any) -> Json:
    """Create a topic by hand."""
    fields = Fields(body, {"user_id", "chat_id", "name"})
    user = person(world, fields.number("user_id"))
    chat = chat_for(world, user, fields.number("chat_id"))
    if not chat.is_forum:
        raise SimError(400, f"{chat.title or 'This chat'} has no topics.")
    if not chat.member(user.id).may("can_manage_topics"):
        raise SimError(403, f"{user.name} may not create topics.")
    try:
        name = topic_name(fields.text("name"))
    except ApiError as error:
        raise SimError(400, f"The name was refused: {error.description}.") from None
    return topic_view(world.add_topic(chat, user.id, name, ICON_COLORS[0]))


def change_topic(world: World, body: Any, deed: str) -> Json:
    """Close, reopen or delete a topic by hand; `deed` is close, reopen or delete."""
    fields = Fields(body, {"user_id", "chat_id", "topic_id"})
    user = person(world, fields.number("user_id"))
    chat = chat_for(world, user, fields.number("chat_id"))
    topic = topic_in(world, chat.id, fields.number("topic_id"))
    right = "can_delete_messages" if deed == "delete" else "can_manage_topics"
    mine = topic.creator_id == user.id and deed != "delete"
    if not mine and not chat.member(user.id).may(right):
        raise SimError(403, f"{user.name} may not {deed} this topic; the owner may.")
    if deed == "delete":
        world.drop_topic(topic)
        return {"deleted": True}
    closed = deed == "close"
    if topic.closed == closed:
        raise SimError(409, f"The topic is already {'closed' if closed else 'open'}.")
    topic.closed = closed
    service = "forum_topic_closed" if closed else "forum_topic_reopened"
    world.topic_changed(topic, user.id, {service: {}})
    return topic_view(topic)


def mark_read(world: World, body: Any) -> Json:
    """Note how far somebody has read a topic; only for the page's unread counts."""
    fields = Fields(body, {"user_id", "chat_id", "topic_id", "message_id"})
    user = person(world, fields.number("user_id"))
    chat_id, topic_id = fields.number("chat_id"), fields.number("topic_id", 0)
    key = read_key(user.id, chat_id, topic_id)
    mark = max(world.reads.get(key, 0), fields.number("message_id"))
    if world.reads.get(key) != mark:
        world.reads[key] = mark
        world.touch("meta", "reads")
        world.announce("read", user_id=user.id, chat_id=chat_id, topic_id=topic_id)
    return {"read": mark}

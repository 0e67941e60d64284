"""What the page and the tests read: flat objects, names written out, no Bot API shapes."""

from __future__ import annotations

import json
from bisect import bisect_right
from typing import Any

from .model import ANONYMOUS_ID, Chat, Message, Topic, User
from .state import World, is_service

Json = dict[str, Any]


def user_view(user: User) -> Json:
    """A person or the bot."""
    return {
        "id": user.id,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "username": user.username,
        "name": user.name,
        "is_bot": user.is_bot,
    }


def message_view(world: World, message: Message) -> Json:
    """One message as somebody in the chat sees it."""
    content = message.content
    photo, document = content.get("photo"), content.get("document")
    return {
        "chat_id": message.chat_id,
        "topic_id": message.topic_id,
        "message_id": message.id,
        "date": message.date,
        "from": _sender_view(world, message),
        "text": content.get("text", content.get("caption", "")),
        "entities": content.get("entities", content.get("caption_entities", [])),
        "service": _service_text(world, message) if is_service(message) else None,
        "edited": bool(message.edit_date),
        "buttons": message.keyboard,
        "asks_reply": message.asks_reply,
        "reply_to": _reply_view(world, message),
        "reactions": [
            {"user_id": int(number), "emoji": emoji}
            for number, emojis in message.reactions.items()
            for emoji in emojis
        ],
        "photo": f"/sim/files/{photo}" if photo else None,
        "document": _document_view(world, document),
        "pinned": message.id in world.chats[message.chat_id].pinned,
    }


def _sender_view(world: World, message: Message) -> Json:
    user = world.users[message.sender_id]
    anonymous = message.sender_id == ANONYMOUS_ID
    name = world.chats[message.chat_id].title if anonymous else user.name
    return {"id": user.id, "name": name, "is_bot": user.id == world.bot.id, "anonymous": anonymous}


def _document_view(world: World, file_id: str | None) -> Json | None:
    if file_id is None:
        return None
    stored = world.files[file_id]
    return {"name": stored.name, "size": stored.size, "url": f"/sim/files/{file_id}"}


def _reply_view(world: World, message: Message) -> Json | None:
    original = world.messages.get((message.chat_id, message.reply_to))
    if original is None:
        return None
    content = original.content
    text = content.get("text", content.get("caption", "")) or _kind_name(original)
    return {
        "message_id": original.id,
        "from": _sender_view(world, original)["name"],
        "text": text[:200],
    }


def _kind_name(message: Message) -> str:
    return "Photo" if "photo" in message.content else "Message"


def _service_text(world: World, message: Message) -> str:
    content, who = message.content, _sender_view(world, message)["name"]
    if "forum_topic_created" in content:
        return f"{who} created the topic “{content['forum_topic_created']['name']}”"
    if "forum_topic_edited" in content:
        name = content["forum_topic_edited"].get("name")
        return f"{who} renamed the topic to “{name}”" if name else f"{who} changed the topic icon"
    if "pinned" in content:
        return f"{who} pinned a message"
    people = content.get("new_chat_members") or content.get("left_chat_member") or []
    names = ", ".join(world.users[number].name for number in people)
    words = {
        "forum_topic_closed": f"{who} closed the topic",
        "forum_topic_reopened": f"{who} reopened the topic",
        "new_chat_members": f"{names} joined the group",
        "left_chat_member": f"{names} left the group",
        "migrate_to_chat_id": "The group became a supergroup",
        "migrate_from_chat_id": "The group became a supergroup",
    }
    return next((text for field, text in words.items() if field in content), "Service message")


def chat_view(world: World, chat: Chat) -> Json:
    """A chat with its members and, in a forum, its topics."""
    title = chat.title if chat.type != "private" else world.users[chat.id].name
    members = [
        {"user_id": int(number), "status": member.status, "rights": member.rights}
        for number, member in chat.members.items()
    ]
    topics = [t for t in world.topics.values() if t.chat_id == chat.id]
    return {
        "chat_id": chat.id,
        "type": chat.type,
        "title": title,
        "is_forum": chat.is_forum,
        "started": chat.started,
        "blocked": chat.blocked,
        "members": members,
        "pinned": chat.pinned,
        "topics": [topic_view(topic) for topic in sorted(topics, key=lambda t: t.id)],
    }


def topic_view(topic: Topic) -> Json:
    """A topic without its messages."""
    return {
        "chat_id": topic.chat_id,
        "topic_id": topic.id,
        "name": topic.name,
        "icon_color": topic.icon_color,
        "closed": topic.closed,
        "creator_id": topic.creator_id,
    }


def read_key(user_id: int, chat_id: int, topic_id: int) -> str:
    """Key of a person's read mark in one topic."""
    return f"{user_id}:{chat_id}:{topic_id}"


def overview(world: World, user: User) -> Json:
    """The left-hand list of one person: topics of each group, and the chat with the bot."""
    rows: list[Json] = []
    for chat in world.chats.values():
        if chat.type == "private" or chat.migrated_to or not chat.member(user.id).inside:
            continue
        rows.append(_row(world, user, chat, None))
        topics = [t for t in world.topics.values() if t.chat_id == chat.id]
        rows.extend(_row(world, user, chat, topic) for topic in topics)
    private = world.chats.get(user.id) or Chat(user.id, "private")
    rows.append(_row(world, user, private, None))
    commands = {str(row["chat_id"]): _menu(world, row["chat_id"]) for row in rows}
    return {"user": user_view(user), "rows": rows, "commands": commands}


def _row(world: World, user: User, chat: Chat, topic: Topic | None) -> Json:
    topic_id = topic.id if topic else 0
    messages = world.messages_of(chat.id, topic_id)
    read = world.reads.get(read_key(user.id, chat.id, topic_id), 0)
    first_unread = bisect_right([m.id for m in messages], read)
    fresh = [m for m in messages[first_unread:] if m.sender_id != user.id and not is_service(m)]
    private = chat.type == "private"
    title = world.bot.name if private else (topic.name if topic else "General")
    return {
        "chat_id": chat.id,
        "topic_id": topic_id,
        "title": title if private or chat.is_forum else chat.title,
        "group": None if private else chat.title,
        "private": private,
        "closed": bool(topic and topic.closed),
        "icon_color": topic.icon_color if topic else 0,
        "unread": len(fresh),
        "last": message_view(world, messages[-1]) if messages else None,
        "can_write": _can_write(world, user, chat, topic),
        "can_manage": chat.member(user.id).may("can_manage_topics"),
        "started": chat.started or not private,
        "blocked": chat.blocked,
    }


def _can_write(world: World, user: User, chat: Chat, topic: Topic | None) -> bool:
    return topic is None or world.may_write(user.id, topic)


def _menu(world: World, chat_id: int) -> list[dict[str, str]]:
    """The command list shown in a chat: the narrowest scope that has one."""
    general = "all_private_chats" if chat_id > 0 else "all_group_chats"
    scopes: list[Json] = [{"type": "chat", "chat_id": chat_id}, {"type": general}]
    for scope in [*scopes, {"type": "default"}]:
        found = world.commands.get(json.dumps([scope, ""], sort_keys=True))
        if found:
            return found
    return []

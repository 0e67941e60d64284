"""Bot API methods about forum topics."""

from __future__ import annotations

from typing import Any

from .bot_chats import chat_of, topic_of
from .errors import bad_request
from .model import Topic
from .params import Params
from .state import World
from .text import TOPIC_NAME_LIMIT, utf16_length

ICON_COLORS = (7322096, 16766590, 13338331, 9367192, 16749490, 16478047)
"""The colours a topic's icon may have (Bot API, createForumTopic)."""


def topic_name(raw: str) -> str:
    """A topic's name on one line, or a 400 when it is empty or longer than documented."""
    name = " ".join(raw.split())
    if not name:
        raise bad_request("title must be non-empty")
    # Telegram's own server cuts a longer name off; its documentation says 1-128 characters, and a
    # test should find a caller that leans on the difference.
    if utf16_length(name) > TOPIC_NAME_LIMIT:
        raise bad_request("topic name is longer than the 128 characters the Bot API documents")
    return name


def create_forum_topic(world: World, params: Params) -> Any:
    """createForumTopic; the bot must be an administrator who may manage topics."""
    chat = chat_of(world, params)
    if not chat.is_forum:
        raise bad_request("the chat is not a forum")
    if not world.bot_member(chat).may("can_manage_topics"):
        raise bad_request("not enough rights to create a topic")
    name = topic_name(params.text("name"))
    color = params.number("icon_color", ICON_COLORS[0])
    if color not in ICON_COLORS:
        raise bad_request("invalid icon color specified")
    icon = params.text("icon_custom_emoji_id")
    topic = world.add_topic(chat, world.bot.id, name, color, icon)
    return _topic_json(topic)


def _topic_json(topic: Topic) -> dict[str, Any]:
    body: dict[str, Any] = {
        "message_thread_id": topic.id,
        "name": topic.name,
        "icon_color": topic.icon_color,
    }
    if topic.icon_custom_emoji_id:
        body["icon_custom_emoji_id"] = topic.icon_custom_emoji_id
    return body


def edit_forum_topic(world: World, params: Params) -> Any:
    """editForumTopic; an empty name keeps the old one."""
    topic = _managed(world, params, "edit the topic")
    raw, icon = params.text("name"), params.values.get("icon_custom_emoji_id")
    if not raw and icon is None:
        return True
    name = topic_name(raw) if raw else topic.name
    new_icon = topic.icon_custom_emoji_id if icon is None else str(icon)
    if (name, new_icon) == (topic.name, topic.icon_custom_emoji_id):
        raise bad_request("TOPIC_NOT_MODIFIED")
    edited: dict[str, Any] = {"name": name} if name != topic.name else {}
    if new_icon != topic.icon_custom_emoji_id:
        edited["icon_custom_emoji_id"] = new_icon
    topic.name, topic.icon_custom_emoji_id = name, new_icon
    world.topic_changed(topic, world.bot.id, {"forum_topic_edited": edited})
    return True


def close_forum_topic(world: World, params: Params) -> Any:
    """closeForumTopic."""
    return _set_closed(world, params, True)


def reopen_forum_topic(world: World, params: Params) -> Any:
    """reopenForumTopic."""
    return _set_closed(world, params, False)


def _set_closed(world: World, params: Params, closed: bool) -> bool:
    topic = _managed(world, params, "close or open the topic")
    if topic.closed == closed:
        raise bad_request("TOPIC_NOT_MODIFIED")
    topic.closed = closed
    service = "forum_topic_closed" if closed else "forum_topic_reopened"
    world.topic_changed(topic, world.bot.id, {service: {}})
    return True


def delete_forum_topic(world: World, params: Params) -> Any:
    """deleteForumTopic; needs the right to delete messages."""
    chat = chat_of(world, params)
    topic = topic_of(world, chat, params)
    if not world.bot_member(chat).may("can_delete_messages"):
        raise bad_request("not enough rights to delete the topic")
    world.drop_topic(topic)
    return True


def icon_stickers(world: World, params: Params) -> Any:
    """getForumTopicIconStickers: the sandbox has none."""
    return []


def _managed(world: World, params: Params, deed: str) -> Topic:
    chat = chat_of(world, params)
    topic = topic_of(world, chat, params)
    mine = topic.creator_id == world.bot.id
    if not mine and not world.bot_member(chat).may("can_manage_topics"):
        raise bad_request(f"not enough rights to {deed}")
    return topic

"""The Bot API methods the sandbox has, by lower-case name; Telegram ignores case too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import bot_info, bot_messages, bot_topics, bot_updates
from .params import Params
from .state import World

Method = Callable[[World, Params], Any]

METHODS: dict[str, Method] = {
    "getme": bot_info.get_me,
    "getchat": bot_info.get_chat,
    "getchatmember": bot_info.get_chat_member,
    "getchatadministrators": bot_info.get_chat_administrators,
    "getchatmembercount": bot_info.get_chat_member_count,
    "answercallbackquery": bot_info.answer_callback_query,
    "setmycommands": bot_info.set_my_commands,
    "getmycommands": bot_info.get_my_commands,
    "deletemycommands": bot_info.delete_my_commands,
    "sendmessage": bot_messages.send_message,
    "sendphoto": bot_messages.send_photo,
    "senddocument": bot_messages.send_document,
    "getfile": bot_messages.get_file,
    "editmessagetext": bot_messages.edit_message_text,
    "editmessagecaption": bot_messages.edit_message_caption,
    "editmessagereplymarkup": bot_messages.edit_message_reply_markup,
    "deletemessage": bot_messages.delete_message,
    "setmessagereaction": bot_messages.set_message_reaction,
    "sendchataction": bot_messages.send_chat_action,
    "pinchatmessage": bot_messages.pin_chat_message,
    "unpinchatmessage": bot_messages.unpin_chat_message,
    "createforumtopic": bot_topics.create_forum_topic,
    "editforumtopic": bot_topics.edit_forum_topic,
    "closeforumtopic": bot_topics.close_forum_topic,
    "reopenforumtopic": bot_topics.reopen_forum_topic,
    "deleteforumtopic": bot_topics.delete_forum_topic,
    "getforumtopiciconstickers": bot_topics.icon_stickers,
    "getwebhookinfo": bot_updates.get_webhook_info,
}
"""getUpdates, setWebhook and deleteWebhook wait or start work, so `app.py` has them."""

METERED = {
    "sendmessage", "sendphoto", "senddocument", "editmessagetext", "editmessagecaption",
    "editmessagereplymarkup", "pinchatmessage", "createforumtopic", "editforumtopic",
    "closeforumtopic", "reopenforumtopic", "deleteforumtopic",
}  # fmt: skip
"""Calls that count against the sending limits: whatever people in the chat see change."""

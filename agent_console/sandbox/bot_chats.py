"""Finding the chat, topic and message a bot's call names, with Telegram's refusals."""

from __future__ import annotations

from .errors import ApiError, bad_request, forbidden
from .model import Chat, Message, Topic
from .params import Params
from .state import World


def chat_of(world: World, params: Params) -> Chat:
    """The chat the bot may read. Raises ApiError 400 (unknown) or 403 (the bot is not in it)."""
    raw = params.text("chat_id")
    if not raw.strip():
        raise bad_request("chat_id is empty")
    chat = world.chats.get(params.number("chat_id"))
    if chat is None:
        raise bad_request("chat not found")
    if chat.migrated_to:
        raise ApiError(
            400,
            "Bad Request: group chat was upgraded to a supergroup chat",
            {"migrate_to_chat_id": chat.migrated_to},
        )
    status = world.bot_member(chat).status
    if status == "kicked":
        raise forbidden(f"bot was kicked from the {chat.type} chat")
    if status == "left":
        raise forbidden(f"bot is not a member of the {chat.type} chat")
    return chat


def writable_chat(world: World, params: Params) -> Chat:
    """A chat the bot may send to; a person must have written first and not blocked the bot."""
    number = params.number("chat_id")
    if number in world.users and number not in world.chats and number != world.bot.id:
        raise forbidden("bot can't initiate conversation with a user")
    chat = chat_of(world, params)
    if chat.type == "private":
        if not chat.started:
            raise forbidden("bot can't initiate conversation with a user")
        if chat.blocked:
            raise forbidden("bot was blocked by the user")
    return chat


def topic_for_send(world: World, chat: Chat, params: Params, reply: Message | None) -> int:
    """The topic a message goes to: the one named, else that of the message it answers, else 0.

    General has no thread id of its own: naming 1 is refused, as in Telegram.
    """
    number = params.number("message_thread_id")
    if not number:
        number = reply.topic_id if reply is not None else 0
        if not number:
            return 0
    topic = world.topics.get((chat.id, number))
    if topic is None or not chat.is_forum:
        raise bad_request("message thread not found")
    if not world.may_write(world.bot.id, topic):
        raise bad_request("TOPIC_CLOSED")
    return number


def topic_of(world: World, chat: Chat, params: Params) -> Topic:
    """The topic that closeForumTopic and its like name."""
    if not chat.is_forum:
        raise bad_request("the chat is not a forum")
    number = params.number("message_thread_id")
    if number <= 0:
        raise bad_request("invalid message thread identifier specified")
    topic = world.topics.get((chat.id, number))
    if topic is None:
        raise bad_request("TOPIC_ID_INVALID")
    return topic


def message_of(world: World, chat: Chat, params: Params, what: str) -> Message:
    """The message a call names; `what` is Telegram's word for the deed (edit, delete, pin…)."""
    number = params.number("message_id")
    if number <= 0:
        raise bad_request("message identifier is not specified")
    message = world.messages.get((chat.id, number))
    if message is None:
        raise bad_request(f"message to {what} not found")
    return message


def answered_message(world: World, chat: Chat, params: Params) -> Message | None:
    """The message that `reply_parameters` (or the older reply_to_message_id) names."""
    raw = params.nested("reply_parameters", "reply parameters")
    if raw is None:
        raw = {
            "message_id": params.number("reply_to_message_id"),
            "allow_sending_without_reply": params.flag("allow_sending_without_reply"),
        }
    if not isinstance(raw, dict) or not isinstance(raw.get("message_id", 0), int):
        raise bad_request("can't parse reply parameters: message_id must be a Number")
    if raw.get("chat_id") not in (None, chat.id, str(chat.id)) or raw.get("quote"):
        raise bad_request("the sandbox answers within one chat and without a quote")
    number = raw.get("message_id", 0)
    if not number:
        return None
    message = world.messages.get((chat.id, number))
    if message is None and raw.get("allow_sending_without_reply") is not True:
        raise bad_request("message to be replied not found")
    return message

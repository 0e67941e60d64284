"""Bot API methods that ask about the bot, chats and members, and its command menu."""

from __future__ import annotations

import json
import re
from typing import Any

from .bot_chats import chat_of
from .errors import bad_request
from .params import Params
from .render import full_chat_json, me_json, member_json
from .state import CALLBACK_LIFETIME, World
from .text import CALLBACK_ANSWER_LIMIT, utf16_length

_SCOPES = {"default", "all_private_chats", "all_group_chats", "all_chat_administrators", "chat",
           "chat_administrators", "chat_member"}  # fmt: skip


def get_me(world: World, params: Params) -> Any:
    """getMe."""
    return me_json(world.bot)


def get_chat(world: World, params: Params) -> Any:
    """getChat."""
    return full_chat_json(world, chat_of(world, params))


def get_chat_member(world: World, params: Params) -> Any:
    """getChatMember; a known person outside the chat has left."""
    chat = chat_of(world, params)
    user_id = params.number("user_id")
    if user_id <= 0:
        raise bad_request("invalid user_id specified")
    if user_id not in world.users:
        raise bad_request("user not found")
    member = chat.member(user_id)
    if chat.type == "private" and user_id in (chat.id, world.bot.id):
        member = world.bot_member(chat)
    return member_json(world, user_id, member)


def get_chat_administrators(world: World, params: Params) -> Any:
    """getChatAdministrators: people and the bot itself."""
    chat = chat_of(world, params)
    if chat.type == "private":
        raise bad_request("there are no administrators in the private chat")
    return [
        member_json(world, int(number), member)
        for number, member in chat.members.items()
        if member.status in ("creator", "administrator")
    ]


def get_chat_member_count(world: World, params: Params) -> Any:
    """getChatMemberCount."""
    chat = chat_of(world, params)
    if chat.type == "private":
        return 2
    return sum(member.inside for member in chat.members.values())


def answer_callback_query(world: World, params: Params) -> Any:
    """answerCallbackQuery: once, within 150 seconds, at most 200 characters."""
    text = params.text("text")
    callback = world.callbacks.get(params.text("callback_query_id"))
    too_old = callback and world.clock.now() - callback.created > CALLBACK_LIFETIME
    if callback is None or callback.answer is not None or too_old:
        raise bad_request("query is too old and response timeout expired or query ID is invalid")
    if utf16_length(text) > CALLBACK_ANSWER_LIMIT:
        raise bad_request("MESSAGE_TOO_LONG")
    callback.answer = {
        "text": text,
        "show_alert": params.flag("show_alert"),
        "url": params.text("url"),
    }
    world.touch("callback", callback.id)
    world.announce(
        "callback_answer",
        query_id=callback.id,
        user_id=callback.user_id,
        chat_id=callback.chat_id,
        message_id=callback.message_id,
        **callback.answer,
    )
    return True


def set_my_commands(world: World, params: Params) -> Any:
    """setMyCommands, one list for each scope and language."""
    key = _scope_key(world, params)
    raw = params.nested("commands", "commands")
    if not isinstance(raw, list) or len(raw) > 100:
        raise bad_request("can't parse commands: expected an Array of at most 100 BotCommand")
    commands = [_read_command(item) for item in raw]
    world.commands[key] = commands
    _commands_changed(world)
    return True


def _read_command(item: Any) -> dict[str, str]:
    if not isinstance(item, dict):
        raise bad_request("can't parse BotCommand: expected an Object")
    command = str(item.get("command", "")).strip().removeprefix("/")
    description = str(item.get("description", "")).strip()
    if not command:
        raise bad_request("command must be non-empty")
    if not re.fullmatch(r"[a-z0-9_]{1,32}", command):
        raise bad_request("BOT_COMMAND_INVALID")
    if not description:
        raise bad_request("command description must be non-empty")
    if utf16_length(description) > 256:
        raise bad_request("command description length must not exceed 256")
    return {"command": command, "description": description}


def get_my_commands(world: World, params: Params) -> Any:
    """getMyCommands: only the list of exactly this scope and language."""
    return world.commands.get(_scope_key(world, params), [])


def delete_my_commands(world: World, params: Params) -> Any:
    """deleteMyCommands."""
    world.commands.pop(_scope_key(world, params), None)
    _commands_changed(world)
    return True


def _commands_changed(world: World) -> None:
    world.touch("meta", "commands")
    world.announce("commands")


def _scope_key(world: World, params: Params) -> str:
    scope = params.nested("scope", "BotCommandScope") or {"type": "default"}
    if not isinstance(scope, dict) or scope.get("type") not in _SCOPES:
        raise bad_request("can't parse BotCommandScope: Unsupported type specified")
    language = params.text("language_code")
    if not re.fullmatch(r"(?:[a-z]{2})?", language):
        raise bad_request("invalid language code specified")
    kept = {"type": scope["type"]}
    if scope["type"].startswith("chat"):
        kept["chat_id"] = chat_of(world, Params({"chat_id": scope.get("chat_id")}, {})).id
    if scope["type"] == "chat_member":
        kept["user_id"] = scope.get("user_id")
    return json.dumps([kept, language], sort_keys=True)

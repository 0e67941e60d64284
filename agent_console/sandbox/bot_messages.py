"""Bot API methods that send, change and delete messages."""

from __future__ import annotations

from typing import Any

from .bot_chats import answered_message, chat_of, message_of, topic_for_send, writable_chat
from .errors import ApiError, bad_request
from .images import image_mime, image_size
from .keyboards import Markup, check_buttons, read_markup
from .model import Chat, Message, StoredFile
from .params import Params, Upload
from .reactions import ALLOWED_REACTIONS
from .render import document_json, message_json, photo_json, user_json
from .state import World
from .text import (
    CAPTION_LIMIT,
    TEXT_LIMIT,
    Entity,
    clean_text,
    find_entities,
    read_entities,
    utf16_length,
)

PHOTO_LIMIT = 10 * 1024 * 1024
DOWNLOAD_LIMIT = 20 * 1024 * 1024
DELETE_LIFETIME = 48 * 3600
"""Seconds in which a bot may delete a message."""
NOT_MODIFIED = (
    "message is not modified: specified new message content and reply markup are exactly the same "
    "as a current content and reply markup of the message"
)
_ACTIONS = {
    "typing", "upload_photo", "record_video", "upload_video", "record_voice", "upload_voice",
    "upload_document", "choose_sticker", "find_location", "record_video_note",
    "upload_video_note",
}  # fmt: skip


def _formatted(world: World, params: Params, name: str) -> tuple[str, list[Entity]]:
    """Text (or caption) and its entities, trimmed and checked; `name` is text or caption."""
    if params.text("parse_mode").lower() not in ("", "none"):
        raise bad_request("the sandbox reads entities only; parse_mode is not implemented")
    field = "entities" if name == "text" else "caption_entities"
    given = [_with_person(world, e) for e in read_entities(params.nested(field, "entities"))]
    text, entities = clean_text(params.text(name), [e for e in given if e is not None])
    return text, find_entities(text, entities)


def _with_person(world: World, entity: Entity) -> Entity | None:
    """A text_mention carries the whole User; one of somebody unknown is dropped."""
    if entity["type"] != "text_mention":
        return entity
    person = entity["user"] if isinstance(entity["user"], dict) else {}
    user = world.users.get(person.get("id", 0))
    return {**entity, "user": user_json(user)} if user else None


def _text_content(world: World, params: Params, too_long: str) -> dict[str, Any]:
    if not params.text("text"):
        raise bad_request("message text is empty")
    text, entities = _formatted(world, params, "text")
    if not text:
        raise bad_request("text must be non-empty")
    if utf16_length(text) > TEXT_LIMIT:
        raise bad_request(too_long)
    return {"text": text, **({"entities": entities} if entities else {})}


def _caption_content(world: World, params: Params, too_long: str) -> dict[str, Any]:
    caption, entities = _formatted(world, params, "caption")
    if utf16_length(caption) > CAPTION_LIMIT:
        raise bad_request(too_long)
    if not caption:
        return {}
    return {"caption": caption, **({"caption_entities": entities} if entities else {})}


def send_message(world: World, params: Params) -> Any:
    """sendMessage."""
    markup = read_markup(params)
    if not params.text("text"):
        raise bad_request("message text is empty")
    chat = writable_chat(world, params)
    return _post(world, chat, params, markup, _text_content(world, params, "message is too long"))


def _post(
    world: World, chat: Chat, params: Params, markup: Markup, content: dict[str, Any]
) -> dict[str, Any]:
    reply = answered_message(world, chat, params)
    topic_id = topic_for_send(world, chat, params, reply)
    check_buttons(markup.rows)
    message = world.add_message(
        chat,
        world.bot.id,
        content,
        topic_id=topic_id,
        reply_to=reply.id if reply else 0,
        keyboard=markup.rows,
        asks_reply=markup.asks_reply,
    )
    return message_json(world, message)


def send_photo(world: World, params: Params) -> Any:
    """sendPhoto, by upload or by the id of a photo sent before."""
    return _send_file(world, params, "photo")


def send_document(world: World, params: Params) -> Any:
    """sendDocument, by upload or by the id of a document sent before."""
    return _send_file(world, params, "document")


def _send_file(world: World, params: Params, kind: str) -> Any:
    markup = read_markup(params)
    chat = writable_chat(world, params)
    content = _caption_content(world, params, "message caption is too long")
    upload = _uploaded(params, kind)
    known = world.files.get(params.text(kind))
    reply = answered_message(world, chat, params)
    # Checked before the file is kept, so a refused call leaves nothing behind.
    topic_for_send(world, chat, params, reply)
    check_buttons(markup.rows)
    stored = _store(world, kind, upload) if upload else _known_file(params, kind, known)
    return _post(world, chat, params, markup, {kind: stored.id, **content})


def _uploaded(params: Params, kind: str) -> Upload | None:
    name = params.text(kind)
    if name.startswith("attach://"):
        return params.files.get(name.removeprefix("attach://"))
    return params.files.get(kind)


def _known_file(params: Params, kind: str, stored: StoredFile | None) -> StoredFile:
    name = params.text(kind)
    if stored is None:
        if not name or name.startswith("attach://"):
            raise bad_request(f"there is no {kind} in the request")
        if "." in name:
            raise bad_request("failed to get HTTP URL content")
        raise bad_request("wrong remote file identifier specified: can't unserialize it")
    if stored.kind != kind:
        words = f"can't use file of type {stored.kind.title()} as {kind.title()}"
        raise bad_request(words)
    return stored


def _store(world: World, kind: str, upload: Upload) -> StoredFile:
    if not upload.data:
        raise bad_request("file must be non-empty")
    if kind == "document":
        return world.add_file("document", upload.name, upload.mime, upload.data, (0, 0))
    return store_photo(world, upload.name, upload.data)


def store_photo(world: World, name: str, data: bytes) -> StoredFile:
    """Keep a picture, or refuse it (400) as Telegram refuses what it cannot show."""
    size = image_size(data)
    if size is None:
        raise bad_request("IMAGE_PROCESS_FAILED")
    width, height = size
    if not width or not height or width + height > 10_000 or max(size) > 20 * min(size):
        raise bad_request("PHOTO_INVALID_DIMENSIONS")
    if len(data) > PHOTO_LIMIT:
        raise bad_request("file is too big")
    return world.add_file("photo", name, image_mime(data), data, size)


def get_file(world: World, params: Params) -> Any:
    """getFile; downloads are limited to 20 MB."""
    stored = world.files.get(params.text("file_id"))
    if stored is None:
        raise bad_request("wrong file_id or the file is temporarily unavailable")
    if stored.size > DOWNLOAD_LIMIT:
        raise bad_request("file is too big")
    body = photo_json(stored)[0] if stored.kind == "photo" else document_json(stored)
    fields = ("file_id", "file_unique_id", "file_size")
    return {**{name: body[name] for name in fields}, "file_path": stored.path}


def _editable(world: World, params: Params) -> Message:
    if params.text("inline_message_id"):
        raise bad_request("the sandbox has no inline messages")
    chat = chat_of(world, params)
    message = message_of(world, chat, params, "edit")
    content = message.content
    mine = message.sender_id == world.bot.id and {"text", "photo", "document"} & content.keys()
    if not mine or message.asks_reply:
        raise bad_request("message can't be edited")
    return message


def _save_edit(world: World, message: Message, content: dict[str, Any], markup: Markup) -> Any:
    check_buttons(markup.rows)
    if message.content == content and message.keyboard == markup.rows:
        raise bad_request(NOT_MODIFIED)
    message.content, message.keyboard = content, markup.rows
    message.edit_date = world.today()
    world.touch("message", (message.chat_id, message.id))
    world.announce_message("edit", message)
    return message_json(world, message)


def edit_message_text(world: World, params: Params) -> Any:
    """editMessageText; without reply_markup the keyboard goes away."""
    markup = read_markup(params)
    if not params.text("text"):
        raise bad_request("message text is empty")
    message = _editable(world, params)
    if "text" not in message.content:
        raise bad_request("there is no text in the message to edit")
    return _save_edit(world, message, _text_content(world, params, "MESSAGE_TOO_LONG"), markup)


def edit_message_caption(world: World, params: Params) -> Any:
    """editMessageCaption."""
    markup = read_markup(params)
    message = _editable(world, params)
    if "text" in message.content:
        raise bad_request("there is no caption in the message to edit")
    kept = {k: v for k, v in message.content.items() if not k.startswith("caption")}
    caption = _caption_content(world, params, "MEDIA_CAPTION_TOO_LONG")
    return _save_edit(world, message, kept | caption, markup)


def edit_message_reply_markup(world: World, params: Params) -> Any:
    """editMessageReplyMarkup."""
    markup = read_markup(params)
    message = _editable(world, params)
    return _save_edit(world, message, message.content, markup)


def delete_message(world: World, params: Params) -> Any:
    """deleteMessage: the bot's own, or others' with the right to, within 48 hours."""
    chat = chat_of(world, params)
    message = message_of(world, chat, params, "delete")
    mine = message.sender_id == world.bot.id or chat.type == "private"
    allowed = mine or world.bot_member(chat).may("can_delete_messages")
    too_old = world.clock.now() - message.date >= DELETE_LIFETIME
    if not allowed or too_old or "forum_topic_created" in message.content:
        raise bad_request("message can't be deleted")
    world.drop_message(message)
    return True


def set_message_reaction(world: World, params: Params) -> Any:
    """setMessageReaction: at most one emoji, from Telegram's list."""
    reactions = params.nested("reaction", "reaction types") or []
    if not isinstance(reactions, list) or not all(isinstance(r, dict) for r in reactions):
        raise bad_request("can't parse reaction types: array of objects expected")
    chat = chat_of(world, params)
    message = message_of(world, chat, params, "react")
    if len(reactions) > 1:
        raise bad_request("REACTIONS_TOO_MANY")
    emojis = [str(r.get("emoji", "")).replace("\ufe0f", "") for r in reactions]
    if any(r.get("type") != "emoji" for r in reactions) or set(emojis) - ALLOWED_REACTIONS:
        raise bad_request("REACTION_INVALID")
    _react(world, message, world.bot.id, emojis)
    return True


def _react(world: World, message: Message, user_id: int, emojis: list[str]) -> None:
    if emojis:
        message.reactions[str(user_id)] = emojis
    else:
        message.reactions.pop(str(user_id), None)
    world.touch("message", (message.chat_id, message.id))
    world.announce_message("reaction", message)


def send_chat_action(world: World, params: Params) -> Any:
    """sendChatAction: shown on the page, not kept."""
    action = params.text("action")
    if action not in _ACTIONS:
        raise bad_request("wrong parameter action in request")
    chat = writable_chat(world, params)
    topic_id = topic_for_send(world, chat, params, None)
    world.announce("chat_action", chat_id=chat.id, topic_id=topic_id, action=action)
    return True


def pin_chat_message(world: World, params: Params) -> Any:
    """pinChatMessage."""
    chat = chat_of(world, params)
    message = message_of(world, chat, params, "pin")
    _check_pin_right(world, chat)
    if message.id not in chat.pinned:
        chat.pinned.append(message.id)
        world.add_message(chat, world.bot.id, {"pinned": message.id}, topic_id=message.topic_id)
        world.announce_message("edit", message)
    return True


def unpin_chat_message(world: World, params: Params) -> Any:
    """unpinChatMessage: the message named, or the newest pinned one."""
    chat = chat_of(world, params)
    if not params.text("message_id") and not chat.pinned:
        raise bad_request("message to unpin not found")
    if params.text("message_id"):
        number = message_of(world, chat, params, "unpin").id
    else:
        number = max(chat.pinned)
    _check_pin_right(world, chat)
    if number in chat.pinned:
        chat.pinned.remove(number)
        world.touch("chat", chat.id)
        world.announce_message("edit", world.messages[chat.id, number])
    return True


def _check_pin_right(world: World, chat: Chat) -> None:
    if chat.type != "private" and not world.bot_member(chat).may("can_pin_messages"):
        raise bad_request("not enough rights to manage pinned messages in the chat")


def refuse_too_large(size: int, limit: int) -> None:
    """Raise the 413 that Telegram's front end answers to a body over its limit."""
    if size > limit:
        raise ApiError(413, "Request Entity Too Large")

"""Each rule on which Telegram is strict, with Telegram's words."""

from __future__ import annotations

from typing import Any

import pytest

from agent_console.sandbox.bot_messages import NOT_MODIFIED
from tests.simulation.server import GROUP, TOKEN, Bot, People

ASTRAL = "😀"  # two UTF-16 units, four bytes
STALE = "Bad Request: query is too old and response timeout expired or query ID is invalid"


def keyboard(**button: Any) -> dict[str, Any]:
    return {"inline_keyboard": [[{"text": "Press", **button}]]}


def topic(bot: Bot, name: str = "T") -> int:
    return bot.ok("createForumTopic", chat_id=GROUP, name=name)["message_thread_id"]


def said(bot: Bot, text: str = "hello", **more: Any) -> dict[str, Any]:
    return bot.ok("sendMessage", chat_id=GROUP, text=text, **more)


SEND_RULES = [
    ({"text": ""}, "message text is empty"),
    ({}, "message text is empty"),
    ({"text": " \n\t "}, "text must be non-empty"),
    ({"text": "a" * 4097}, "message is too long"),
    ({"text": ASTRAL * 2049}, "message is too long"),
    ({"text": "x", "chat_id": None}, "chat_id is empty"),
    ({"text": "x", "chat_id": -100777}, "chat not found"),
    ({"text": "x", "message_thread_id": 1}, "message thread not found"),
    ({"text": "x", "message_thread_id": 999}, "message thread not found"),
    ({"text": "x", "reply_parameters": {"message_id": 999}}, "message to be replied not found"),
    ({"text": "x", "reply_markup": keyboard(callback_data="é" * 33)}, "BUTTON_DATA_INVALID"),
    (
        {"text": "x", "reply_markup": keyboard(callback_data="")},
        "can't parse InlineKeyboardButton: Text buttons are not allowed in the inline keyboard",
    ),
    (
        {"text": "x", "reply_markup": {"inline_keyboard": [[{"callback_data": "a"}]]}},
        "can't parse InlineKeyboardButton: Can't find field \"text\"",
    ),
    ({"text": "x", "reply_markup": "{broken"}, "can't parse reply keyboard markup JSON object"),
    (
        {"text": "<b>x</b>", "parse_mode": "HTML"},
        "the sandbox reads entities only; parse_mode is not implemented",
    ),
    (
        {"text": "abc", "entities": [{"type": "bold", "offset": 1, "length": 3}]},
        "entity beginning at UTF-16 offset 1 ends after the end of the text at UTF-16 offset 4",
    ),
    (
        {"text": ASTRAL, "entities": [{"type": "bold", "offset": 1, "length": 1}]},
        "entity begins in a middle of a UTF-16 symbol at offset 1",
    ),
    (
        {"text": ASTRAL, "entities": [{"type": "bold", "offset": 0, "length": 1}]},
        "entity ends in a middle of a UTF-16 symbol at offset 1",
    ),
    (
        {"text": "abc", "entities": [{"type": "loud", "offset": 0, "length": 1}]},
        "can't parse MessageEntity: Unsupported type specified",
    ),
]


@pytest.mark.parametrize(("params", "words"), SEND_RULES)
def test_send_refused(bot: Bot, people: People, params: dict[str, Any], words: str) -> None:
    assert bot.refused("sendMessage", **{"chat_id": GROUP, **params}) == f"Bad Request: {words}"
    assert people.get("messages", chat_id=GROUP) == []


def test_longest_text_and_data_are_accepted(bot: Bot) -> None:
    message = said(bot, ASTRAL * 2048, reply_markup=keyboard(callback_data="é" * 32))
    assert message["text"] == ASTRAL * 2048
    assert len(message["reply_markup"]["inline_keyboard"][0][0]["callback_data"].encode()) == 64


def test_text_is_trimmed_and_entities_move_along(bot: Bot) -> None:
    bold = {"type": "bold", "offset": 2, "length": 2}
    message = said(bot, f"  {ASTRAL} see /claim@x_bot ", entities=[bold])
    assert message["text"] == f"{ASTRAL} see /claim@x_bot"
    assert message["entities"] == [
        {"type": "bold", "offset": 0, "length": 2},
        {"type": "bot_command", "offset": 7, "length": 12},
    ]


def test_markup_characters_stay_as_typed(bot: Bot, people: People) -> None:
    text = "<3 _*[x](y) `z`\n/start"
    assert said(bot, text)["text"] == text
    assert people.write(1001, text)["text"] == text
    assert bot.updates()[0]["message"]["text"] == text


def test_caption_limit(bot: Bot, people: People, url: str) -> None:
    from tests.simulation.test_sandbox_files import PNG, send_photo

    good = send_photo(url, PNG, caption=ASTRAL * 512)
    assert good["result"]["caption"] == ASTRAL * 512
    refused = send_photo(url, PNG, caption=ASTRAL * 513)
    assert refused["description"] == "Bad Request: message caption is too long"
    message_id = good["result"]["message_id"]
    words = bot.refused(
        "editMessageCaption", chat_id=GROUP, message_id=message_id, caption="a" * 1025
    )
    assert words == "Bad Request: MEDIA_CAPTION_TOO_LONG"
    words = bot.refused("editMessageText", chat_id=GROUP, message_id=message_id, text="x")
    assert words == "Bad Request: there is no text in the message to edit"


def test_edit(bot: Bot, people: People) -> None:
    place = {"chat_id": GROUP, "message_id": said(bot, reply_markup=keyboard(callback_data="a"))[
        "message_id"
    ]}  # fmt: skip
    same = {"text": "hello ", "reply_markup": keyboard(callback_data="a")}
    assert bot.refused("editMessageText", **place, **same) == f"Bad Request: {NOT_MODIFIED}"
    edited = bot.ok("editMessageText", **place, text="hello")
    assert "reply_markup" not in edited and edited["edit_date"] >= edited["date"]
    words = bot.refused("editMessageReplyMarkup", **place)
    assert words == f"Bad Request: {NOT_MODIFIED}"
    assert bot.refused("editMessageText", **place, text="a" * 4097) == (
        "Bad Request: MESSAGE_TOO_LONG"
    )
    assert bot.refused("editMessageText", chat_id=GROUP, message_id=999, text="x") == (
        "Bad Request: message to edit not found"
    )
    theirs = people.write(1001, "mine")["message_id"]
    assert bot.refused("editMessageText", chat_id=GROUP, message_id=theirs, text="x") == (
        "Bad Request: message can't be edited"
    )
    assert people.get("messages", chat_id=GROUP)[0]["text"] == "hello"


def test_delete(bot: Bot, people: People) -> None:
    thread = topic(bot)
    message_id = said(bot)["message_id"]
    assert bot.ok("deleteMessage", chat_id=GROUP, message_id=message_id) is True
    assert bot.refused("deleteMessage", chat_id=GROUP, message_id=message_id) == (
        "Bad Request: message to delete not found"
    )
    assert bot.refused("deleteMessage", chat_id=GROUP, message_id=thread) == (
        "Bad Request: message can't be deleted"
    )
    old = said(bot)["message_id"]
    people.do("clock", advance=48 * 3600)
    assert bot.refused("deleteMessage", chat_id=GROUP, message_id=old) == (
        "Bad Request: message can't be deleted"
    )


def test_topic_names(bot: Bot) -> None:
    for name, fits in (("x", True), (ASTRAL * 64, True), (ASTRAL * 65, False), (" ", False)):
        answer = bot.call("createForumTopic", chat_id=GROUP, name=name)
        assert answer["ok"] is fits, (name, answer)
    assert bot.refused("createForumTopic", chat_id=GROUP, name="x", icon_color=1) == (
        "Bad Request: invalid icon color specified"
    )


def test_topic_life(bot: Bot, people: People) -> None:
    thread = topic(bot)
    place = {"chat_id": GROUP, "message_thread_id": thread}
    assert bot.refused("reopenForumTopic", **place) == "Bad Request: TOPIC_NOT_MODIFIED"
    assert bot.ok("closeForumTopic", **place) is True
    assert bot.refused("closeForumTopic", **place) == "Bad Request: TOPIC_NOT_MODIFIED"
    # The bot manages topics, so it may still write; an ordinary member may not.
    assert said(bot, "still here", message_thread_id=thread)["is_topic_message"] is True
    status, sentence = people.refused(
        "messages", user_id=1001, chat_id=GROUP, topic_id=thread, text="me too"
    )
    assert status == 403 and "TOPIC_CLOSED" in sentence
    people.write(1004, "the owner may", topic_id=thread)
    assert bot.ok("editForumTopic", **place, name="New") is True
    assert bot.refused("editForumTopic", **place, name="New") == "Bad Request: TOPIC_NOT_MODIFIED"
    assert bot.ok("reopenForumTopic", **place) is True
    assert bot.ok("deleteForumTopic", **place) is True
    for method in ("closeForumTopic", "editForumTopic", "deleteForumTopic"):
        assert bot.refused(method, **place, name="x") == "Bad Request: TOPIC_ID_INVALID"
    assert bot.refused("sendMessage", **place, text="x") == "Bad Request: message thread not found"
    services = [next(iter(u["message"].keys() & SERVICE), None) for u in bot.updates()]
    assert services == [
        "forum_topic_created",
        "forum_topic_closed",
        None,
        "forum_topic_edited",
        "forum_topic_reopened",
    ]


SERVICE = {
    "forum_topic_created",
    "forum_topic_closed",
    "forum_topic_edited",
    "forum_topic_reopened",
}


def test_rights(bot: Bot, people: People) -> None:
    thread = people.do("topics", user_id=1004, chat_id=GROUP, name="By hand")["topic_id"]
    place = {"chat_id": GROUP, "message_thread_id": thread}
    people.do("members", chat_id=GROUP, user_id=1, status="member")
    expected = {
        "createForumTopic": "not enough rights to create a topic",
        "closeForumTopic": "not enough rights to close or open the topic",
        "editForumTopic": "not enough rights to edit the topic",
        "deleteForumTopic": "not enough rights to delete the topic",
    }
    for method, words in expected.items():
        assert bot.refused(method, **place, name="x") == f"Bad Request: {words}"
    message_id = people.write(1001, "hi", topic_id=thread)["message_id"]
    assert bot.refused("deleteMessage", chat_id=GROUP, message_id=message_id) == (
        "Bad Request: message can't be deleted"
    )
    assert bot.refused("pinChatMessage", chat_id=GROUP, message_id=message_id) == (
        "Bad Request: not enough rights to manage pinned messages in the chat"
    )
    people.do("topics/close", user_id=1004, chat_id=GROUP, topic_id=thread)
    assert bot.refused("sendMessage", **place, text="x") == "Bad Request: TOPIC_CLOSED"
    people.do("members", chat_id=GROUP, user_id=1, status="kicked")
    answer = bot.call("sendMessage", **place, text="x")
    assert answer["error_code"] == 403
    assert answer["description"] == "Forbidden: bot was kicked from the supergroup chat"
    mine = [u["my_chat_member"] for u in bot.updates() if "my_chat_member" in u]
    assert [m["new_chat_member"]["status"] for m in mine] == ["member", "kicked"]


@pytest.mark.parametrize("emoji", ["👀", "👍", "👌", "❤", "❤️"])
def test_reaction_allowed(bot: Bot, people: People, emoji: str) -> None:
    message_id = people.write(1001, "hi")["message_id"]
    reaction = [{"type": "emoji", "emoji": emoji}]
    place = {"chat_id": GROUP, "message_id": message_id}
    assert bot.ok("setMessageReaction", **place, reaction=reaction) is True
    assert len(people.get("messages", chat_id=GROUP)[0]["reactions"]) == 1
    bot.ok("setMessageReaction", **place, reaction=[])
    assert people.get("messages", chat_id=GROUP)[0]["reactions"] == []


@pytest.mark.parametrize("emoji", ["✅", "❌", "⏳", "", "x"])
def test_reaction_refused(bot: Bot, people: People, emoji: str) -> None:
    message_id = people.write(1001, "hi")["message_id"]
    words = bot.refused(
        "setMessageReaction",
        chat_id=GROUP,
        message_id=message_id,
        reaction=[{"type": "emoji", "emoji": emoji}],
    )
    assert words == "Bad Request: REACTION_INVALID"


def test_reaction_list_is_that_of_an_independent_library() -> None:
    from telegram.constants import ReactionEmoji

    from agent_console.sandbox.reactions import ALLOWED_REACTIONS

    assert {e.value.replace("\ufe0f", "") for e in ReactionEmoji} == ALLOWED_REACTIONS


def test_callback_is_answered_once_in_time_and_short(bot: Bot, people: People) -> None:
    message_id = said(bot, reply_markup=keyboard(callback_data="go"))["message_id"]
    press = {"user_id": 1001, "chat_id": GROUP, "message_id": message_id, "wait": 0}
    first = people.do("press", **press, button="Press")["query_id"]
    late = people.do("press", **press, callback_data="go")["query_id"]
    query = bot.updates()[0]["callback_query"]
    assert (query["id"], query["data"], query["from"]["id"]) == (first, "go", 1001)
    long = {"callback_query_id": first, "text": ASTRAL * 101}
    assert bot.refused("answerCallbackQuery", **long) == "Bad Request: MESSAGE_TOO_LONG"
    assert bot.ok("answerCallbackQuery", callback_query_id=first, text=ASTRAL * 100) is True
    assert bot.refused("answerCallbackQuery", callback_query_id=first) == STALE
    people.do("clock", advance=151)
    assert bot.refused("answerCallbackQuery", callback_query_id=late) == STALE
    assert bot.refused("answerCallbackQuery", callback_query_id="77") == STALE


def test_unknown_method_and_wrong_token(bot: Bot, url: str) -> None:
    assert bot.call("sendTelepathy")["error_code"] == 404
    answer = Bot(url, "1:OTHER").call("getMe")
    assert answer == {"ok": False, "error_code": 401, "description": "Unauthorized"}
    assert bot.ok("GETME")["id"] == int(TOKEN.split(":")[0])


def test_private_chat_needs_the_person_to_begin(bot: Bot, people: People) -> None:
    answer = bot.call("sendMessage", chat_id=1001, text="hi")
    assert answer["error_code"] == 403
    assert answer["description"] == "Forbidden: bot can't initiate conversation with a user"
    people.write(1001, "/start", chat_id=1001)
    message = bot.ok("sendMessage", chat_id=1001, text="hi")
    assert message["chat"]["type"] == "private" and "message_thread_id" not in message
    people.do("block", user_id=1001, blocked=True)
    assert bot.refused("sendMessage", chat_id=1001, text="hi") == (
        "Forbidden: bot was blocked by the user"
    )


def test_pins_and_commands(bot: Bot) -> None:
    message_id = said(bot)["message_id"]
    bot.ok("pinChatMessage", chat_id=GROUP, message_id=message_id)
    assert bot.ok("getChat", chat_id=GROUP)["pinned_message"]["message_id"] == message_id
    assert bot.updates()[-1]["message"]["pinned_message"]["message_id"] == message_id
    bot.ok("unpinChatMessage", chat_id=GROUP)
    assert "pinned_message" not in bot.ok("getChat", chat_id=GROUP)
    assert bot.refused("unpinChatMessage", chat_id=GROUP) == (
        "Bad Request: message to unpin not found"
    )
    commands = [{"command": "claim", "description": "Take it"}]
    scope = {"type": "all_group_chats"}
    bot.ok("setMyCommands", commands=commands, scope=scope)
    assert bot.ok("getMyCommands", scope=scope) == commands
    assert bot.ok("getMyCommands") == []
    bad = [{"command": "Not-Good", "description": "x"}]
    assert bot.refused("setMyCommands", commands=bad) == "Bad Request: BOT_COMMAND_INVALID"


def test_general_topic_traps(bot: Bot, people: People) -> None:
    first = people.write(1001, "in general")["message_id"]
    people.write(1002, "an answer", reply_to=first)
    thread = topic(bot)
    people.write(1001, "in the topic", topic_id=thread)
    plain, answer, _, inside = [update["message"] for update in bot.updates()]
    assert "message_thread_id" not in plain
    assert answer["message_thread_id"] == first and "is_topic_message" not in answer
    assert inside["is_topic_message"] is True and inside["message_thread_id"] == thread
    assert inside["reply_to_message"]["forum_topic_created"]["name"] == "T"
    # An answer goes to the topic of what it answers, without naming it.
    reply = said(bot, "x", reply_parameters={"message_id": inside["message_id"]})
    assert reply["message_thread_id"] == thread


def test_anonymous_administrator(bot: Bot, people: People) -> None:
    people.write(1004, "who am I", anonymous=True)
    message = bot.updates()[0]["message"]
    assert message["from"]["id"] == 1087968824
    assert message["sender_chat"]["id"] == GROUP
    refused = people.refused("messages", user_id=1001, chat_id=GROUP, text="x", anonymous=True)
    assert refused[0] == 403

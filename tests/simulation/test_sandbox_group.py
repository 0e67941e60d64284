"""A group that is not as a desk needs it: what the bot meets, in Telegram's words."""

from __future__ import annotations

from typing import Any

import pytest
from telegram import Bot as PtbBot
from telegram import ChatMemberAdministrator
from telegram.error import BadRequest, ChatMigrated, Forbidden

from tests.simulation.server import GROUP, TOKEN, Bot, People, run_async

BASIC, NEW = -4001, -1001000004001


@pytest.fixture
def basic(people: People) -> People:
    people.do("chats", chat_id=BASIC, title="Small", owner_id=1004, type="group", members=[1001])
    return people


def test_a_basic_group_has_no_topics(basic: People, bot: Bot) -> None:
    chat = bot.ok("getChat", chat_id=BASIC)
    assert chat["type"] == "group" and "is_forum" not in chat
    assert "not a forum" in bot.refused("createForumTopic", chat_id=BASIC, name="x")
    assert basic.refused("chats/topics", chat_id=BASIC, is_forum=True)[0] == 400


def test_an_upgraded_group_names_its_new_number_in_every_refusal(basic: People, bot: Bot) -> None:
    basic.write(1001, "before", chat_id=BASIC)
    before = bot.updates()[-1]["update_id"]
    basic.do("chats/upgrade", chat_id=BASIC, new_id=NEW)
    for method, more in {
        "getChat": {},
        "getChatMember": {"user_id": 1},
        "sendMessage": {"text": "x"},
        "createForumTopic": {"name": "x"},
    }.items():
        body = bot.call(method, chat_id=BASIC, **more)
        assert body["description"] == "Bad Request: group chat was upgraded to a supergroup chat"
        assert body["parameters"] == {"migrate_to_chat_id": NEW}
    old, new = (update["message"] for update in bot.updates(offset=before + 1))
    assert (old["chat"]["id"], old["migrate_to_chat_id"]) == (BASIC, NEW)
    assert (new["chat"]["id"], new["migrate_from_chat_id"]) == (NEW, BASIC)
    assert basic.refused("messages", user_id=1001, chat_id=BASIC, text="x")[0] == 400
    assert basic.refused("chats/upgrade", chat_id=BASIC, new_id=NEW - 1)[0] == 400
    basic.do("chats/topics", chat_id=NEW, is_forum=True)
    assert bot.ok("createForumTopic", chat_id=NEW, name="x")


def test_topics_turned_off_are_refused_and_come_back(people: People, bot: Bot) -> None:
    thread = bot.ok("createForumTopic", chat_id=GROUP, name="x")["message_thread_id"]
    people.do("chats/topics", chat_id=GROUP, is_forum=False)
    assert "is_forum" not in bot.ok("getChat", chat_id=GROUP)
    assert "not a forum" in bot.refused("createForumTopic", chat_id=GROUP, name="y")
    words = bot.refused("sendMessage", chat_id=GROUP, message_thread_id=thread, text="x")
    assert words == "Bad Request: message thread not found"
    people.do("chats/topics", chat_id=GROUP, is_forum=True)
    bot.ok("sendMessage", chat_id=GROUP, message_thread_id=thread, text="x")


def test_privacy_mode_hides_talk_from_a_bot_that_is_no_administrator(
    people: People, bot: Bot
) -> None:
    def heard() -> list[str]:
        texts = [u["message"].get("text", "") for u in bot.updates() if "message" in u]
        bot.updates(offset=-1)
        return [text for text in texts if text.startswith(("talk", "/", "answer"))]

    people.do("privacy", enabled=True)
    assert bot.ok("getMe")["can_read_all_group_messages"] is False
    people.write(1001, "talk as to an administrator")
    assert "talk as to an administrator" in heard()
    people.do("members", chat_id=GROUP, user_id=1, status="member")
    own = bot.ok("sendMessage", chat_id=GROUP, text="a question")
    people.write(1001, "talk")
    people.write(1001, "/help")
    people.write(1001, "answer", reply_to=own["message_id"])
    assert [text for text in heard() if "administrator" not in text] == ["/help", "answer"]
    people.do("privacy", enabled=False)
    people.write(1001, "talk again")
    assert "talk again" in heard()


def test_a_library_reads_all_of_it(basic: People, url: str) -> None:
    async def ask() -> Any:
        async with PtbBot(TOKEN, base_url=f"{url}/bot") as ptb:
            me = await ptb.get_chat_member(GROUP, ptb.id)
            assert isinstance(me, ChatMemberAdministrator) and me.can_manage_topics
            assert (await ptb.get_chat(GROUP)).is_forum and ptb.can_read_all_group_messages
            with pytest.raises(BadRequest, match="not found"):
                await ptb.get_chat(-5)
            basic.do("chats/upgrade", chat_id=BASIC, new_id=NEW)
            with pytest.raises(ChatMigrated) as moved:
                await ptb.get_chat(BASIC)
            assert moved.value.new_chat_id == NEW
            basic.do("members", chat_id=GROUP, user_id=1, status="kicked")
            with pytest.raises(Forbidden, match="kicked from the supergroup chat"):
                await ptb.get_chat(GROUP)

    run_async(ask())

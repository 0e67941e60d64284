"""The /sim interface: what it refuses, and how it is waited on."""

from __future__ import annotations

import concurrent.futures
from typing import Any

import httpx
import pytest

from tests.simulation.server import GROUP, Bot, People

BAD = [
    ("messages", {"user_id": 1001, "chat_id": GROUP, "text": "x", "colour": 1}, 400, "colour"),
    ("messages", {"user_id": 1001, "chat_id": GROUP}, 400, "text"),
    ("messages", {"user_id": "1001", "chat_id": GROUP, "text": "x"}, 400, "user_id"),
    ("messages", {"user_id": True, "chat_id": GROUP, "text": "x"}, 400, "user_id"),
    ("messages", {"user_id": 1001, "chat_id": GROUP, "text": "  "}, 400, "empty"),
    ("messages", {"user_id": 1001, "chat_id": GROUP, "text": "a" * 4097}, 400, "4096"),
    ("messages", {"user_id": 7, "chat_id": GROUP, "text": "x"}, 404, "no person"),
    ("messages", {"user_id": 1, "chat_id": GROUP, "text": "x"}, 404, "no person"),
    ("messages", {"user_id": 1001, "chat_id": -5, "text": "x"}, 404, "no chat"),
    ("messages", {"user_id": 1001, "chat_id": 1002, "text": "x"}, 404, "no chat"),
    ("messages", {"user_id": 1001, "chat_id": GROUP, "text": "x", "topic_id": 9}, 404, "topic"),
    ("messages", {"user_id": 1001, "chat_id": GROUP, "text": "x", "reply_to": 9}, 404, "message"),
    ("messages", [], 400, "object"),
    ("messages", {"user_id": 1001, "chat_id": GROUP, "text": "x", "quote": "x"}, 400, "reply_to"),
    ("messages", {"user_id": 1001, "chat_id": GROUP, "text": "x", "entities": 3}, 400, "array"),
    (
        "messages",
        {
            "user_id": 1001,
            "chat_id": GROUP,
            "text": "x",
            "entities": [{"type": "text_link", "offset": 0, "length": 1}],
        },
        400,
        "url",
    ),
    ("edit", {"user_id": 1001, "chat_id": GROUP, "message_id": 9, "text": "x"}, 404, "message"),
    ("press", {"user_id": 1001, "chat_id": GROUP, "message_id": 9, "button": "x"}, 404, "message"),
    ("press", {"wait": -1}, 400, "wait"),
    ("topics", {"user_id": 1001, "chat_id": GROUP, "name": "x"}, 403, "may not"),
    ("topics", {"user_id": 1004, "chat_id": GROUP, "name": ""}, 400, "name"),
    ("users", {"id": 1001, "first_name": "X"}, 400, "taken"),
    ("users", {"id": 2001, "first_name": "X", "chats": [5]}, 400, "groups"),
    ("chats", {"chat_id": 5, "title": "X", "owner_id": 1001}, 400, "below zero"),
    ("members", {"chat_id": GROUP, "user_id": 1004, "status": "left"}, 400, "owner"),
    ("members", {"chat_id": GROUP, "user_id": 1001, "status": "king"}, 400, "status"),
    ("faults", {"kind": "fire"}, 400, "kind"),
    ("faults", {"kind": "drop", "count": 0}, 400, "count"),
    ("faults", {"kind": "accept_timeout", "hold": "long"}, 400, "hold"),
    ("limits", {"mode": "none"}, 400, "mode"),
    ("limits", {"chat_per_second": -1}, 400, "above zero"),
    ("clock", {"advance": -1}, 400, "back"),
]


@pytest.mark.parametrize(("path", "body", "status", "words"), BAD)
def test_bad_input(url: str, path: str, body: Any, status: int, words: str) -> None:
    answer = httpx.post(f"{url}/sim/{path}", json=body)
    assert (answer.status_code, words in answer.json()["error"]) == (status, True), answer.text


def test_bad_requests(url: str) -> None:
    broken = httpx.post(
        f"{url}/sim/messages", content=b"{", headers={"content-type": "application/json"}
    )
    assert broken.status_code == 400 and "JSON" in broken.json()["error"]
    # A form is what a page of another origin could post without asking.
    assert httpx.post(f"{url}/sim/messages", data={"text": "x"}).status_code == 415
    for path, status in (
        ("messages", 400),
        ("messages?chat_id=x", 400),
        ("messages?chat_id=5", 404),
        ("messages?chat_id=-1001000000001&colour=1", 400),
        ("wait?timeout=3600", 400),
        ("wait?contains=never&timeout=0", 408),
        ("overview?user_id=7", 404),
        ("files/none", 404),
        ("nothing", 404),
    ):
        answer = httpx.get(f"{url}/sim/{path}")
        assert answer.status_code == status and answer.json()["error"], path
    assert httpx.delete(f"{url}/sim/users").status_code == 405


def test_press_returns_what_the_bot_answers(url: str, bot: Bot, people: People) -> None:
    keys = {
        "inline_keyboard": [
            [{"text": "Claim", "callback_data": "c"}, {"text": "Shop", "url": "https://x.org"}]
        ]
    }
    message = bot.ok("sendMessage", chat_id=GROUP, text="card", reply_markup=keys)
    place = {"user_id": 1001, "chat_id": GROUP, "message_id": message["message_id"]}
    with concurrent.futures.ThreadPoolExecutor() as pool:
        pressed = pool.submit(people.do, "press", **place, button="Claim", wait=20)
        query = Bot(url).updates(timeout=20)[0]["callback_query"]
        bot.ok("answerCallbackQuery", callback_query_id=query["id"], text="Yours", show_alert=True)
        answer = pressed.result()
    assert (answer["answered"], answer["text"], answer["show_alert"]) == (True, "Yours", True)
    assert people.do("press", **place, button="Claim", wait=0)["answered"] is False
    assert people.refused("press", **place, button="Shop")[0] == 400
    assert people.refused("press", **place, button="Gone")[0] == 404
    assert people.refused("press", **place)[0] == 400


def test_wait_and_changes(url: str, bot: Bot, people: People) -> None:
    after = people.get("overview", user_id=1001)["change"]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        waiting = pool.submit(People(url).get, "wait", contains="needle", from_id=1, timeout=20)
        changed = pool.submit(People(url).get, "changes", after=after, timeout=20)
        people.write(1001, "a needle, but not from the bot")
        bot.ok("sendMessage", chat_id=GROUP, text="the needle")
        assert waiting.result()["text"] == "the needle"
        change = changed.result()["changes"][0]
    assert (change["kind"], change["message"]["text"][:8]) == ("message", "a needle")
    assert people.get("changes", after=10**9)["reset"] is True
    assert people.get("changes", after=0, epoch="older")["reset"] is True


def test_unread_counts(bot: Bot, people: People) -> None:
    thread = bot.ok("createForumTopic", chat_id=GROUP, name="T")["message_thread_id"]
    for text in ("one", "two"):
        last = bot.ok("sendMessage", chat_id=GROUP, message_thread_id=thread, text=text)

    def unread(user_id: int) -> int:
        rows = people.get("overview", user_id=user_id)["rows"]
        return next(row["unread"] for row in rows if row["topic_id"] == thread)

    assert (unread(1001), unread(1002)) == (2, 2)
    mark = {"chat_id": GROUP, "topic_id": thread, "message_id": last["message_id"]}
    people.do("read", user_id=1001, **mark)
    assert (unread(1001), unread(1002)) == (0, 2)


def test_new_people_and_groups(bot: Bot, people: People) -> None:
    people.do("users", id=2001, first_name="Noa", chats=[GROUP])
    assert bot.ok("getChatMember", chat_id=GROUP, user_id=2001)["status"] == "member"
    people.do("chats", chat_id=-1002, title="Second desk", owner_id=1004, members=[2001])
    bot.ok("createForumTopic", chat_id=-1002, name="There")
    people.do("members", chat_id=GROUP, user_id=2001, status="left")
    assert people.refused("messages", user_id=2001, chat_id=GROUP, text="x")[0] == 403
    kinds = [next(iter(u.keys() - {"update_id"})) for u in bot.updates()]
    assert kinds == ["message", "message"]
    people.write(2001, "hello", chat_id=-1002)
    assert bot.updates()[-1]["message"]["chat"]["title"] == "Second desk"


def test_edits_reach_the_bot(bot: Bot, people: People) -> None:
    message_id = people.write(1001, "teh")["message_id"]
    place = {"chat_id": GROUP, "message_id": message_id}
    people.do("edit", user_id=1001, **place, text="the")
    assert bot.updates()[-1]["edited_message"]["text"] == "the"
    assert people.refused("edit", user_id=1002, **place, text="x")[0] == 403
    assert people.refused("edit", user_id=1001, **place, text="the")[0] == 409
    assert people.get("messages", chat_id=GROUP)[0]["edited"] is True


def test_formatting_and_quotes_reach_the_bot_as_telegram_sends_them(bot: Bot, people: People):
    topic = bot.ok("createForumTopic", chat_id=GROUP, name="T")["message_thread_id"]
    asked = bot.ok("sendMessage", chat_id=GROUP, message_thread_id=topic, text="😀 where is it?")
    link = {"type": "text_link", "offset": 0, "length": 4, "url": "https://shop.example/a"}
    here = {"topic_id": topic, "reply_to": asked["message_id"], "quote": "where"}
    people.write(1001, "here it is", entities=[link], **here)
    people.write(1001, "and elsewhere", topic_id=0, **{k: here[k] for k in ("reply_to", "quote")})
    messages = [update["message"] for update in bot.ok("getUpdates") if "message" in update]
    first, second = [message for message in messages if "text" in message]
    assert first["entities"] == [link]
    assert first["quote"] == {"text": "where", "position": 3, "is_manual": True}
    assert first["reply_to_message"]["message_id"] == asked["message_id"]
    assert second["quote"]["text"] == "where" and "reply_to_message" not in second
    assert second["external_reply"]["message_id"] == asked["message_id"]
    assert "is_topic_message" not in second and "message_thread_id" not in second

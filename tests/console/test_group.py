"""What an installer gets wrong with the group is said, and nobody is promised a deaf colleague."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent_console import group_watch
from agent_console.console import build_console
from agent_console.group_watch import UNREACHED
from handoff.app import phrases
from handoff.bootstrap import processes
from handoff.core.model import Author, OutboxStatus
from handoff.settings import load_settings
from handoff.web.app import create_app
from tests.console.desk import GROUP, TOKEN, Desk, until
from tests.fakes import ANA, UNKNOWN
from tests.web.conftest import serving

BOT = int(TOKEN.partition(":")[0])
NAME = "@handoff_desk_bot"
BASIC, NEW = -4001, -1001000004001


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_watch, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(group_watch, "SOON_SECONDS", 0.0)


Step = Callable[[Desk], Awaitable[Any]]


def does(path: str, **body: Any) -> Step:
    return lambda desk: desk.do(path, **body)


def bot_is(status: str, **rights: bool) -> Step:
    more = {"rights": rights} if rights else {}
    return does("members", chat_id=GROUP, user_id=BOT, status=status, **more)


async def nothing(desk: Desk) -> None:
    """Leave the simulator as it is."""


def topics(on: bool) -> Step:
    return does("chats/topics", chat_id=GROUP, is_forum=on)


FAULTS: dict[str, tuple[Step, str, bool, Step]] = {
    "no topics": (topics(False), "turn on “Topics”", True, topics(True)),
    "no administrator": (
        bot_is("member"),
        f"choose {NAME} and leave “Manage topics” on",
        True,
        bot_is("administrator"),
    ),
    "a right is missing": (
        bot_is("administrator", can_manage_topics=False),
        f"{NAME}, and turn on “Manage topics”",
        True,
        bot_is("administrator"),
    ),
    "left": (bot_is("left"), "add it there and make it an administrator", False,
             bot_is("administrator")),
    "thrown out": (bot_is("kicked"), "“Removed users”", False, bot_is("administrator")),
}  # fmt: skip


async def in_general(desk: Desk, chat: int = GROUP) -> list[str]:
    """Return what the bot wrote into the group itself."""
    messages = await desk.get("messages", chat_id=chat, topic_id=0)
    return [m["text"] for m in messages if m["from"]["is_bot"] and m["text"]]


async def readyz(desk: Desk) -> httpx.Response:
    assert desk.console
    services = desk.services()
    watch = desk.console.watch
    services.obstacle = lambda: watch.obstacle
    transport = httpx.ASGITransport(create_app(services))
    async with httpx.AsyncClient(transport=transport, base_url="http://desk") as client:
        return await client.get("/readyz")


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_is_said_at_the_start_and_mended_the_cards_go_out(
    idle: Desk, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    breaks, sentence, in_group, mends = FAULTS[fault]
    await breaks(idle)
    await idle.start()
    assert len([r for r in caplog.records if sentence in r.getMessage()]) == 1
    answer = await readyz(idle)
    assert answer.status_code == 503 and answer.json()["parts"]["console"] == "unavailable"
    assert sentence in answer.json()["error"] and sentence in answer.json()["console"]
    told = [text for text in await in_general(idle) if sentence in text]
    assert len(told) == in_group

    conversation = await idle.asks_unknown()
    said = await idle.said(conversation, Author.SYSTEM)
    assert said == [phrases.NOBODY_REACHED], "no colleague is promised who never hears of it"
    await mends(idle)
    topic = await idle.topic("purple elephants")
    await idle.sees(topic, "Waiting for a person")

    async def told_over() -> bool:
        return any("in order now" in text for text in await in_general(idle))

    await until(told_over, "the group is told that it is over")
    assert (await readyz(idle)).json() == {
        "status": "ok",
        "parts": {"database": "ok", "encoder": "ok", "assistant": "ok", "console": "ok"},
    }
    second = await idle.asks_unknown(key="lee", text=f"{UNKNOWN} again")
    assert await idle.said(second, Author.SYSTEM) == [phrases.HANDED_OVER]


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_that_comes_later_is_found_by_the_first_refusal(
    desk: Desk, fault: str
) -> None:
    """The first customer was promised a colleague: that is taken back, once."""
    breaks, sentence, _, mends = FAULTS[fault]
    await breaks(desk)
    conversation = await desk.asks_unknown()

    async def taken_back() -> bool:
        return phrases.NOBODY_REACHED in await desk.said(conversation, Author.SYSTEM)

    await until(taken_back, "the customer is told")
    assert sentence in (await readyz(desk)).json()["console"]
    await mends(desk)
    topic = await desk.topic("purple elephants")
    await desk.sees(topic, "Waiting for a person")
    await desk.claim(conversation, ANA)
    assert (await desk.said(conversation, Author.SYSTEM)).count(phrases.NOBODY_REACHED) == 1


async def test_whom_agents_have_seen_is_told_nothing(desk: Desk) -> None:
    conversation = await desk.asks_unknown()
    await desk.sees(await desk.topic("purple elephants"), "Waiting for a person")
    await bot_is("member")(desk)
    await desk.asks_unknown(key="lee", text=f"{UNKNOWN} too")
    assert desk.console
    watch = desk.console.watch

    async def found() -> bool:
        return not watch.reachable

    await until(found, "the fault is found")
    await watch.look()
    assert await desk.said(conversation, Author.SYSTEM) == [phrases.HANDED_OVER]


NUMBERS = [
    (-1009, "no group with the number -1009: add it to the agents' group"),
    (-GROUP, f"is no group, but {GROUP} is one: write TELEGRAM_GROUP_ID={GROUP} into"),
    (int(str(-GROUP).removeprefix("100")), f"write TELEGRAM_GROUP_ID={GROUP} into .env"),
    (-int(str(-GROUP).removeprefix("100")), f"write TELEGRAM_GROUP_ID={GROUP} into .env"),
    (1001, "the number of a person, that of a group begins with a minus"),
    (4242, "the number of a person, that of a group begins with a minus"),
]


@pytest.mark.parametrize(("number", "sentence"), NUMBERS)
async def test_a_wrong_number_is_said_and_no_card_is_given_up(
    idle: Desk, number: int, sentence: str
) -> None:
    await idle.do("messages", user_id=1001, chat_id=1001, text="/start")
    idle.settings["group_id"] = number
    console = await idle.start()
    answer = await readyz(idle)
    assert answer.status_code == 503 and sentence in answer.json()["error"]
    conversation = await idle.asks_unknown()
    assert await idle.said(conversation, Author.SYSTEM) == [phrases.NOBODY_REACHED]

    async def tried() -> bool:
        return bool(console.dispatcher._held)

    await until(tried, "the card is tried")
    async with idle.store() as work:
        assert await work.outbox.waiting() >= 1
    await console.stop()
    idle.settings["group_id"] = GROUP
    async with idle.store() as work:  # the pause of the card need not be waited for
        item = await work.outbox.take(idle.clock.now().replace(year=2999))
        assert item and item.status is not OutboxStatus.FAILED
        item.status, item.not_before = OutboxStatus.PENDING, idle.clock.now()
        await work.outbox.save(item)
        await work.commit()
    await idle.start()
    await idle.sees(await idle.topic("purple elephants"), "Waiting for a person")


@pytest.mark.parametrize("given", [True, False])
async def test_the_group_somebody_wrote_in_is_named(idle: Desk, given: bool) -> None:
    """The very first start, with a token alone, and one with a wrong number."""
    idle.settings |= {"group_id": -1009, "group_given": given}
    await idle.start()
    assert ("TELEGRAM_GROUP_ID is not set" in (await readyz(idle)).json()["error"]) != given
    await idle.do("messages", user_id=1004, chat_id=GROUP, text="hello")

    async def named() -> bool:
        return f"in the group {GROUP} lately" in (await readyz(idle)).json()["console"]

    await until(named, "the number is named")


async def test_where_nobody_may_work_nobody_is_promised(idle: Desk) -> None:
    """The first start with a token alone: no made-up agent, and no promise."""
    idle.settings["people"] = {}
    await idle.start()
    answer = await readyz(idle)
    assert answer.status_code == 503 and "HANDOFF_PEOPLE names nobody" in answer.json()["error"]
    assert any("/whoami" in text for text in await in_general(idle))
    conversation = await idle.asks_unknown()
    assert await idle.said(conversation, Author.SYSTEM) == [phrases.NOBODY_REACHED]


async def test_a_group_without_any_of_the_people_is_said(idle: Desk) -> None:
    """The right kind of group, and the wrong one."""
    other = -1001000005001
    await idle.do("chats", chat_id=other, title="Another", owner_id=1005)
    idle.settings["group_id"] = other
    await idle.start()
    answer = await readyz(idle)
    assert answer.status_code == 200
    assert "Nobody named in HANDOFF_PEOPLE is a member" in answer.json()["console"]
    await idle.do("members", chat_id=other, user_id=1001, status="member")

    async def over() -> bool:
        return "console" not in (await readyz(idle)).json()

    await until(over, "it is over")


async def test_privacy_mode_is_said_and_keeps_nobody_from_work(idle: Desk) -> None:
    await idle.do("privacy", enabled=True)
    await idle.start()
    answer = await readyz(idle)
    assert answer.status_code == 200 and answer.json()["parts"]["console"] == "ok"
    assert "/setprivacy" in answer.json()["console"]
    assert any("/setprivacy" in text for text in await in_general(idle))
    conversation = await idle.asks_unknown()
    assert await idle.said(conversation, Author.SYSTEM) == [phrases.HANDED_OVER]
    await idle.do("privacy", enabled=False)

    async def over() -> bool:
        return "console" not in (await readyz(idle)).json()

    await until(over, "it is over")


async def test_what_lasts_is_said_again_and_ever_more_rarely_in_the_group(
    idle: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(group_watch, "SAY_SECONDS", 0.2)
    await bot_is("member")(idle)
    await idle.start()

    async def again() -> bool:
        return sum("is no administrator" in r.getMessage() for r in caplog.records) >= 6

    await until(again, "it is said again")
    assert 2 <= len(await in_general(idle)) <= 4


async def test_a_group_that_becomes_a_supergroup_is_followed(
    idle: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    """From a small group without topics to a working desk, and over a restart."""
    await idle.do(
        "chats", chat_id=BASIC, title="Small", owner_id=1004, type="group", members=[1001]
    )
    idle.settings["group_id"] = BASIC
    await idle.start()
    assert "turn on “Topics”" in (await readyz(idle)).json()["error"]
    conversation = await idle.asks_unknown()
    await idle.do("chats/upgrade", chat_id=BASIC, new_id=NEW)
    await idle.do("chats/topics", chat_id=NEW, is_forum=True)

    async def shown() -> bool:
        chats = await idle.get("chats")
        found = [t for c in chats if c["chat_id"] == NEW for t in c["topics"]]
        return any("purple elephants" in t["name"] for t in found)

    await until(shown, "the card is in the supergroup")
    sentence = f"write TELEGRAM_GROUP_ID={NEW} into .env"

    async def told() -> bool:
        answer = await readyz(idle)
        return answer.status_code == 200 and sentence in answer.json().get("console", "")

    await until(told, "the new number is told")

    async def told_there() -> bool:
        return any(sentence in text for text in await in_general(idle, NEW))

    await until(told_there, "the group is told")
    assert f"was {BASIC} and is {NEW} now" in caplog.text
    assert "Ignored a message" not in caplog.text

    await idle.settled()
    await idle.kill()  # the setting still has the old number
    await idle.start()
    assert sentence in (await readyz(idle)).json()["console"]
    await idle.claim(conversation, ANA)

    async def claimed() -> bool:
        chats = await idle.get("chats")
        topic = next(t["topic_id"] for c in chats if c["chat_id"] == NEW for t in c["topics"])
        texts = [m["text"] for m in await idle.messages(topic, NEW)]
        return any("With Ana" in text for text in texts)

    await until(claimed, "the card follows")
    topic = next(
        t["topic_id"] for c in await idle.get("chats") if c["chat_id"] == NEW for t in c["topics"]
    )
    await idle.do("messages", user_id=1001, chat_id=NEW, topic_id=topic, text="Hello from Ana")

    async def answered() -> bool:
        return "Hello from Ana" in await idle.said(conversation, Author.AGENT)

    await until(answered, "what agents write there reaches the customer")


async def test_a_refused_send_alone_is_enough_to_follow(
    idle: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a look in between, and without the service message."""
    await idle.do("chats", chat_id=BASIC, title="Small", owner_id=1004, type="group")
    idle.settings["group_id"] = BASIC
    await idle.start()
    assert idle.console
    monkeypatch.setattr(group_watch, "LOOK_SECONDS", 3600.0)
    await idle.do("chats/upgrade", chat_id=BASIC, new_id=NEW)
    await idle.do("chats/topics", chat_id=NEW, is_forum=True)
    await idle.asks_unknown()

    async def shown() -> bool:
        chats = await idle.get("chats")
        return any(c["chat_id"] == NEW and c["topics"] for c in chats)

    await until(shown, "the card is in the supergroup")


async def test_while_telegram_is_away_nobody_is_promised(idle: Desk) -> None:
    await idle.do("faults", kind="error", status=502, count=2, methods=["getMe"])
    idle.console = console = build_console(idle.deps())  # as `start` does, but not waited for
    idle.take_turn.reachable = lambda: console.watch.reachable
    await console.start()
    assert console.watch.obstacle is UNREACHED
    conversation = await idle.asks_unknown()
    assert await idle.said(conversation, Author.SYSTEM) == [phrases.NOBODY_REACHED]
    await idle.sees(await idle.topic("purple elephants"), "Waiting for a person")
    assert console.watch.reachable


async def test_the_terminal_of_up_says_it(
    idle: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(processes, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(processes, "SAY_SECONDS", 0.3)
    await topics(False)(idle)
    console = await idle.start()
    services = idle.services()
    services.obstacle = lambda: console.watch.obstacle
    said: list[str] = []
    async with serving(create_app(services)) as address:
        settings = load_settings(
            _env_file=None, HANDOFF_PORT=int(address.rpartition(":")[2]), HANDOFF_VAR=tmp_path
        )
        telling = asyncio.create_task(processes.tell_of_console(settings, said.append))

        async def twice() -> bool:
            return len(said) >= 2

        await until(twice, "it is said, and again")
        assert said[0] == said[1] and said[0].startswith("! The agents' group has no topics")
        await topics(True)(idle)

        async def over() -> bool:
            return "in order now" in said[-1]

        await until(over, "that it is over is said")
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)

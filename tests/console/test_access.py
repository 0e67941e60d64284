"""Every kind of update by everybody: who is let in, and who is refused aloud."""

from __future__ import annotations

from typing import Any

import pytest
from telegram import Update

from agent_console.access import ANONYMOUS_ADMIN, Verdict, check
from tests.console.desk import GROUP
from tests.fakes import ANA, LEA, RITA

PEOPLE = {person.id: person for person in (ANA, RITA, LEA)}
STRANGER = 1005
PLACES = {
    "group": {"id": GROUP, "type": "supergroup", "title": "Desk", "is_forum": True},
    "private": {"id": 1, "type": "private", "first_name": "P"},
    "elsewhere": {"id": -100777, "type": "supergroup", "title": "Other"},
}
KINDS = ("message", "edited_message", "callback_query", "photo", "service")


def update(kind: str, place: str, user: int, **more: Any) -> Update:
    """Return an update as Telegram sends it."""
    sender = {"id": user, "is_bot": user == ANONYMOUS_ADMIN, "first_name": "X"}
    message: dict[str, Any] = {"message_id": 5, "date": 1, "chat": PLACES[place], "from": sender}
    content = {
        "photo": {"photo": [{"file_id": "a", "file_unique_id": "b", "width": 1, "height": 1}]},
        "service": {"forum_topic_closed": {}},
    }
    message |= content.get(kind, {"text": "hello"}) | more
    if kind == "callback_query":
        bot = {"id": 7001, "is_bot": True, "first_name": "Bot"}
        query = {"id": "1", "from": sender, "chat_instance": "1", "data": "v1:claim:a:0"}
        return _read({"callback_query": {**query, "message": {**message, "from": bot}}})
    return _read({"edited_message" if kind == "edited_message" else "message": message})


def _read(body: dict[str, Any]) -> Update:
    return Update.de_json({"update_id": 1, **body}, None)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", ["group", "private"])
@pytest.mark.parametrize("person", [ANA, RITA, LEA], ids=lambda p: p.name)
def test_people_of_the_desk_are_let_in(kind: str, place: str, person: Any) -> None:
    access = check(update(kind, place, person.id), PEOPLE, GROUP)
    assert (access.verdict, access.person) == (Verdict.ALLOWED, person)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", ["group", "private"])
def test_strangers_are_refused(kind: str, place: str) -> None:
    access = check(update(kind, place, STRANGER), PEOPLE, GROUP)
    assert (access.verdict, access.person) == (Verdict.STRANGER, None)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("user", [STRANGER, ANA.id])
def test_other_chats_are_not_listened_to(kind: str, user: int) -> None:
    verdict = check(update(kind, "elsewhere", user), PEOPLE, GROUP).verdict
    wanted = Verdict.STRANGER if kind == "callback_query" else Verdict.IGNORED
    assert verdict is wanted


@pytest.mark.parametrize("kind", ["message", "edited_message", "photo"])
def test_anonymous_admins_and_channels_are_told_so(kind: str) -> None:
    by_admin = update(kind, "group", ANONYMOUS_ADMIN, sender_chat=PLACES["group"])
    assert check(by_admin, PEOPLE, GROUP).verdict is Verdict.ANONYMOUS
    # A person of the desk who writes in the name of a channel is nobody either.
    by_channel = update(kind, "group", ANA.id, sender_chat=PLACES["elsewhere"])
    assert check(by_channel, PEOPLE, GROUP).verdict is Verdict.ANONYMOUS


def test_an_update_without_a_chat_is_ignored() -> None:
    assert check(_read({}), PEOPLE, GROUP).verdict is Verdict.IGNORED

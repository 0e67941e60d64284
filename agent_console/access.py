"""Who may do what: every update is checked by numeric user id, callbacks included. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from telegram import Chat, Message, Update

from handoff.core.model import Person

ANONYMOUS_ADMIN = 1087968824
"""The account in whose name Telegram shows a group's anonymous administrators."""


class Verdict(StrEnum):
    """What to do with an update before anything else looks at it."""

    ALLOWED = "allowed"
    STRANGER = "stranger"
    ANONYMOUS = "anonymous"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class Access:
    """The verdict on one update, and the person where there is one."""

    verdict: Verdict
    person: Person | None = None


def check(update: Update, people: Mapping[int, Person], group_id: int) -> Access:
    """Say who sent an update and whether this desk listens to it."""
    query = update.callback_query
    message = query.message if query else update.effective_message
    chat = message.chat if message else update.effective_chat
    if chat is None or not _is_ours(chat, group_id):
        # A button of ours pressed elsewhere (a forwarded card) is refused aloud, not ignored.
        return Access(Verdict.STRANGER if query else Verdict.IGNORED)
    if query is None and isinstance(message, Message) and _is_anonymous(message):
        return Access(Verdict.ANONYMOUS)
    user = update.effective_user
    if user is None or user.is_bot:
        return Access(Verdict.IGNORED)
    person = people.get(user.id)
    return Access(Verdict.ALLOWED, person) if person else Access(Verdict.STRANGER)


def _is_ours(chat: Chat, group_id: int) -> bool:
    return chat.id == group_id or chat.type == Chat.PRIVATE


def _is_anonymous(message: Message) -> bool:
    """Sent in the name of the group or of a channel: nobody can tell by whom."""
    by = message.from_user
    return message.sender_chat is not None or (by is not None and by.id == ANONYMOUS_ADMIN)

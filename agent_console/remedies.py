"""What an error of the Bot API means for the item that met it. Pure."""

from __future__ import annotations

from enum import StrEnum

import httpx
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TelegramError,
)


class Remedy(StrEnum):
    """What to do about an error."""

    OBEY_WAIT = "obey_wait"
    """429: Telegram said when to come back."""
    TRY_LATER = "try_later"
    """It certainly was not carried out."""
    UNKNOWN = "unknown"
    """It may have been carried out: no answer came."""
    NOTHING_TO_DO = "nothing_to_do"
    """Things stand as wanted already."""
    SEND_ANEW = "send_anew"
    """The message to edit is gone."""
    NEW_TOPIC = "new_topic"
    """The topic is gone."""
    OPEN_TOPIC = "open_topic"
    """The topic is closed."""
    FIX_GROUP = "fix_group"
    """The bot, its token or its rights are not right: a person must act, then it goes on."""
    GIVE_UP = "give_up"
    """Refused for good."""


_BAD_REQUESTS = (
    ("message is not modified", Remedy.NOTHING_TO_DO),
    ("topic_not_modified", Remedy.NOTHING_TO_DO),
    ("message to edit not found", Remedy.SEND_ANEW),
    ("message can't be edited", Remedy.SEND_ANEW),
    ("message_id_invalid", Remedy.SEND_ANEW),
    ("message thread not found", Remedy.NEW_TOPIC),
    ("topic_deleted", Remedy.NEW_TOPIC),
    ("topic_id_invalid", Remedy.NEW_TOPIC),
    ("topic_closed", Remedy.OPEN_TOPIC),
    ("not enough rights", Remedy.FIX_GROUP),
    ("have no rights", Remedy.FIX_GROUP),
    ("chat not found", Remedy.FIX_GROUP),
    ("not a forum", Remedy.FIX_GROUP),
    ("group chat was upgraded", Remedy.FIX_GROUP),
)
"""What stands in the description of a 400, and what follows."""

_NEVER_LEFT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.ProxyError,
)
"""Failures before the first byte of the request."""


def remedy(error: TelegramError, group: bool) -> Remedy:
    """Return what to do about `error`; `group` says that the chat is the agents' group."""
    if isinstance(error, RetryAfter):
        return Remedy.OBEY_WAIT
    if isinstance(error, BadRequest):
        return _bad_request(error, group)
    if isinstance(error, NetworkError):
        return _network(error)
    if isinstance(error, InvalidToken | ChatMigrated):
        return Remedy.FIX_GROUP
    if isinstance(error, Forbidden):
        return Remedy.FIX_GROUP if group else Remedy.GIVE_UP
    # What is left is an answer that could not be read: it may have been carried out.
    return Remedy.UNKNOWN


def _bad_request(error: BadRequest, group: bool) -> Remedy:
    words = error.message.lower()
    for part, what in _BAD_REQUESTS:
        if part in words:
            return Remedy.GIVE_UP if what is Remedy.FIX_GROUP and not group else what
    return Remedy.GIVE_UP


def _network(error: NetworkError) -> Remedy:
    """Tell a failure before sending, an answer 5xx, and an answer that never came."""
    cause = error.__cause__
    if isinstance(cause, _NEVER_LEFT):
        return Remedy.TRY_LATER
    # A 5xx is an answer, even an unreadable one, and it says no. Everything else broke off while
    # waiting for one.
    answered = cause is None or isinstance(cause, TelegramError)
    return Remedy.TRY_LATER if answered else Remedy.UNKNOWN

"""The budget of a chat, and what an error of the Bot API means."""

from __future__ import annotations

import httpx
import pytest
from telegram.error import BadRequest, Forbidden, InvalidToken, NetworkError, RetryAfter, TimedOut

from agent_console.budget import BURST, Budget
from agent_console.remedies import Remedy, remedy

GROUP, PRIVATE = -100, 7


class Time:
    """A monotonic clock that a test turns."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def time() -> Time:
    return Time()


def spend(budget: Budget, time: Time, chat: int, priority: int, seconds: float) -> int:
    """Call whenever the budget allows, for so many seconds; return how often."""
    count, end = 0, time.seconds + seconds
    while time.seconds < end:
        wait = budget.wait(chat, priority)
        if wait == 0:
            budget.spend(chat)
            count += 1
        time.seconds += min(max(wait, 0.01), 0.25)
    return count


def test_a_group_never_takes_more_than_its_minute(time: Time) -> None:
    budget = Budget(20, time)
    assert spend(budget, time, GROUP, 0, 40) == 20
    assert 0 < budget.wait(GROUP) <= 60


def test_a_chat_takes_a_few_at_once_and_then_one_a_second(time: Time) -> None:
    budget = Budget(20, time)
    taken = 0
    while budget.wait(PRIVATE) == 0:
        budget.spend(PRIVATE)
        taken += 1
    assert taken == BURST
    assert budget.wait(PRIVATE) == pytest.approx(1.0)
    assert 29 <= spend(budget, time, PRIVATE, 0, 30) <= 31


def test_room_is_kept_for_what_matters(time: Time) -> None:
    budget = Budget(20, time)
    assert spend(budget, time, GROUP, 2, 30) == 10
    assert spend(budget, time, GROUP, 1, 10) == 6
    assert budget.wait(GROUP, 1) > 0
    assert spend(budget, time, GROUP, 0, 10) == 4


def test_even_the_smallest_budget_lets_something_through(time: Time) -> None:
    assert Budget(1, time).wait(GROUP, 2) == 0


def test_a_pause_holds_back_one_chat_only(time: Time) -> None:
    budget = Budget(20, time)
    budget.block(GROUP, 30)
    assert budget.wait(GROUP) == 30
    assert budget.wait(PRIVATE) == 0
    time.seconds += 31
    assert budget.wait(GROUP) == 0


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "group", "what"),
    [
        (RetryAfter(7), True, Remedy.OBEY_WAIT),
        (caused(TimedOut(), httpx.ReadTimeout("")), True, Remedy.UNKNOWN),
        (caused(TimedOut(), httpx.ConnectTimeout("")), True, Remedy.TRY_LATER),
        (caused(TimedOut(), httpx.PoolTimeout("")), True, Remedy.TRY_LATER),
        (caused(NetworkError("x"), httpx.ConnectError("")), True, Remedy.TRY_LATER),
        (caused(NetworkError("x"), httpx.RemoteProtocolError("")), True, Remedy.UNKNOWN),
        (caused(NetworkError("x"), httpx.ReadError("")), True, Remedy.UNKNOWN),
        (NetworkError("Bad Gateway"), True, Remedy.TRY_LATER),
        (BadRequest("Message is not modified: …"), True, Remedy.NOTHING_TO_DO),
        (BadRequest("Message to edit not found"), True, Remedy.SEND_ANEW),
        (BadRequest("Message thread not found"), True, Remedy.NEW_TOPIC),
        (BadRequest("TOPIC_CLOSED"), True, Remedy.OPEN_TOPIC),
        (BadRequest("Chat not found"), True, Remedy.FIX_GROUP),
        (BadRequest("Chat not found"), False, Remedy.GIVE_UP),
        (BadRequest("Not enough rights to create a topic"), True, Remedy.FIX_GROUP),
        (BadRequest("Message is too long"), True, Remedy.GIVE_UP),
        (Forbidden("bot was kicked"), True, Remedy.FIX_GROUP),
        (Forbidden("bot was blocked by the user"), False, Remedy.GIVE_UP),
        (InvalidToken(), True, Remedy.FIX_GROUP),
    ],
    ids=str,
)
def test_what_an_error_means(error: Exception, group: bool, what: Remedy) -> None:
    assert remedy(error, group) is what  # type: ignore[arg-type]

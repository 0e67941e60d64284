"""Telegram's sending limits, as numbers a test can shrink, and the meter that applies them.

Telegram publishes the figures only as advice (Bot FAQ, "My bot is hitting limits"): about one
message a second in a chat, 20 a minute in a group, 30 a second over all.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any

from .clock import Clock


@dataclass(frozen=True)
class Limits:
    """How much a bot may send. `None` switches one limit off."""

    chat_per_second: float | None = 1.0
    """Sustained messages a second in one chat."""
    chat_burst: int = 3
    """Messages one chat takes at once before the rate applies."""
    group_per_minute: int | None = 20
    """Messages, edits and topic changes in one group in any 60 seconds, all topics together."""
    overall_per_second: int | None = 30
    """Calls that send something, over all chats, in any second."""


LIMITS: dict[str, Limits] = {
    "telegram": Limits(),
    "relaxed": Limits(
        chat_per_second=10.0, chat_burst=30, group_per_minute=300, overall_per_second=100
    ),
    "off": Limits(chat_per_second=None, group_per_minute=None, overall_per_second=None),
}


def changed_limits(limits: Limits, changes: dict[str, Any]) -> Limits:
    """`limits` with some figures replaced.

    Raises ValueError on an unknown name, or a figure that is not a positive number (or None).
    """
    for name, value in changes.items():
        if name not in Limits.__dataclass_fields__:
            raise ValueError(f"unknown limit {name!r}")
        if value is None and name != "chat_burst":
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            raise ValueError(f"limit {name} must be a number above zero")
        if name != "chat_per_second" and value != int(value):
            raise ValueError(f"limit {name} must be a whole number")
    return replace(limits, **changes)


@dataclass
class Meter:
    """Counts accepted calls and says how long the next one has to wait."""

    limits: Limits
    clock: Clock
    _chat_free_at: dict[int, float] = field(default_factory=dict)
    _group_times: dict[int, deque[float]] = field(default_factory=dict)
    _all_times: deque[float] = field(default_factory=deque)

    def wait_needed(self, chat_id: int) -> int:
        """Whole seconds until a call to `chat_id` would be accepted; 0 means now."""
        now = self.clock.now()
        waits = (self._chat_wait(chat_id, now), self._group_wait(chat_id, now), self._all_wait(now))
        longest = max(waits)
        return math.ceil(longest) if longest > 1e-6 else 0

    def record(self, chat_id: int) -> None:
        """Count one accepted call to `chat_id`."""
        now = self.clock.now()
        if self.limits.chat_per_second:
            free_at = max(self._chat_free_at.get(chat_id, now), now)
            self._chat_free_at[chat_id] = free_at + 1 / self.limits.chat_per_second
        if chat_id < 0:
            self._group_times.setdefault(chat_id, deque()).append(now)
        self._all_times.append(now)

    def _chat_wait(self, chat_id: int, now: float) -> float:
        if not self.limits.chat_per_second:
            return 0.0
        allowance = (self.limits.chat_burst - 1) / self.limits.chat_per_second
        return max(0.0, self._chat_free_at.get(chat_id, now) - now - allowance)

    def _group_wait(self, chat_id: int, now: float) -> float:
        times = self._group_times.get(chat_id)
        return _window_wait(times, self.limits.group_per_minute, 60.0, now) if times else 0.0

    def _all_wait(self, now: float) -> float:
        return _window_wait(self._all_times, self.limits.overall_per_second, 1.0, now)


def _window_wait(times: deque[float], most: int | None, seconds: float, now: float) -> float:
    while times and times[0] <= now - seconds:
        times.popleft()
    if most is None or len(times) < most:
        return 0.0
    return times[len(times) - most] + seconds - now

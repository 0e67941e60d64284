"""How fast the console may talk: a budget for each chat, with room kept for what matters."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

MINUTE = 60.0

BURST = 3
"""Calls a chat takes at once before the sustained rate applies."""

SHARES = (1.0, 0.8, 0.5)
"""The part of a minute's budget that items of priority 0, 1 and 2 may use up."""


@dataclass(slots=True)
class Budget:
    """Counts calls to each chat. Losing it with the process costs a 429 at most, never a message.

    A group takes `per_minute` calls in any 60 s, all its topics together (Bot FAQ: about 20), and
    every chat about one a second, more only where `per_minute` says that more is allowed.
    """

    per_minute: int
    now: Callable[[], float] = time.monotonic
    _calls: defaultdict[int, deque[float]] = field(default_factory=lambda: defaultdict(deque))
    _free_at: dict[int, float] = field(default_factory=dict)
    _blocked: dict[int, float] = field(default_factory=dict)

    def wait(self, chat_id: int, priority: int = 0) -> float:
        """Return the seconds until a call of this priority may be made; 0 means now."""
        now = self.now()
        waits = (
            self._blocked.get(chat_id, now) - now,
            self._free_at.get(chat_id, now) - now - (BURST - 1) * self._interval,
            self._window_wait(chat_id, priority, now) if chat_id < 0 else 0.0,
        )
        return max(0.0, *waits)

    def spend(self, chat_id: int) -> None:
        """Count one call."""
        now = self.now()
        self._free_at[chat_id] = max(self._free_at.get(chat_id, now), now) + self._interval
        if chat_id < 0:
            self._calls[chat_id].append(now)

    def block(self, chat_id: int, seconds: float) -> None:
        """Let nothing through for a while: Telegram said so."""
        self._blocked[chat_id] = max(self._blocked.get(chat_id, 0.0), self.now() + seconds)

    @property
    def _interval(self) -> float:
        return min(1.0, MINUTE / self.per_minute)

    def _window_wait(self, chat_id: int, priority: int, now: float) -> float:
        calls = self._calls[chat_id]
        while calls and calls[0] <= now - MINUTE:
            calls.popleft()
        share = SHARES[min(max(priority, 0), len(SHARES) - 1)]
        allowed = max(1, int(self.per_minute * share))
        if len(calls) < allowed:
            return 0.0
        return calls[len(calls) - allowed] + MINUTE - now

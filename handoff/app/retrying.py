"""Doing a unit of work again when somebody else was faster."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from handoff.core.errors import StaleVersion

T = TypeVar("T")

TRIES = 50
"""More than any burst one customer can send at once; each loser of a race tries again."""


async def retry_stale(attempt: Callable[[], Awaitable[T]]) -> T:
    """Run `attempt`, again while it meets a `StaleVersion`, at most `TRIES` times."""
    for _ in range(TRIES - 1):
        try:
            return await attempt()
        except StaleVersion:
            continue
    return await attempt()

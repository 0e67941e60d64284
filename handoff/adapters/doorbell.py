"""A doorbell inside one process. Other processes are noticed by looking now and then."""

from __future__ import annotations

import asyncio
from collections import defaultdict


class LocalDoorbell:
    """Wakes waiting coroutines of this process; implements `ports.Doorbell`."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    def ring(self, key: str) -> None:
        """Wake whoever waits for `key`."""
        for event in self._waiting.get(key, ()):
            event.set()

    async def wait(self, key: str, seconds: float) -> None:
        """Return when `key` rings or the seconds have passed."""
        event = asyncio.Event()
        self._waiting[key].add(event)
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            return
        finally:
            self._waiting[key].discard(event)
            if not self._waiting[key]:
                del self._waiting[key]

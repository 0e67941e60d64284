"""Time as the sandbox sees it: the machine's clock plus what a test added."""

from __future__ import annotations

import time
from collections.abc import Callable


class Clock:
    """Seconds since 1970; `advance` moves dates, limits and expiry forward, never the sleeps."""

    def __init__(self, source: Callable[[], float] = time.time) -> None:
        self._source = source
        self.offset = 0.0

    def now(self) -> float:
        """Seconds since 1970, as a float."""
        return self._source() + self.offset

    def advance(self, seconds: float) -> None:
        """Move the clock forward by `seconds`; going back raises ValueError."""
        if seconds < 0:
            raise ValueError("the clock cannot go back")
        self.offset += seconds

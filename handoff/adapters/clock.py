"""The wall clock."""

from __future__ import annotations

from datetime import UTC, datetime


class WallClock:
    """Implements `ports.Clock`."""

    def now(self) -> datetime:
        """Return the current moment in UTC."""
        return datetime.now(UTC)

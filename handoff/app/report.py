"""The figures of the last days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from handoff.core.statistics import Statistics, summarise
from handoff.ports import Clock, Store


@dataclass(slots=True)
class Report:
    """Read the records of a period and summarise them."""

    store: Store
    clock: Clock

    async def __call__(self, days: int) -> Statistics:
        """Return the figures of the last `days` days."""
        now = self.clock.now()
        since = now - timedelta(days=days)
        async with self.store() as work:
            episodes = await work.episodes_since(since)
            handoffs = await work.handoffs.not_ended_before(since)
        requested = [h for h in handoffs if h.requested_at >= since]
        earlier = [h for h in handoffs if h.requested_at < since]
        return summarise(episodes, requested, earlier, now)

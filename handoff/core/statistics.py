"""The figures of a team lead, from records to rates. Every rate is a share of one stated whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from handoff.core.handling import handled_seconds, seconds_between
from handoff.core.model import Handoff


@dataclass(frozen=True, slots=True)
class Statistics:
    """Figures over a period. Times are medians in seconds, None where nothing was measured.

    `resolved_by_bot` is the containment rate: the share of episodes without any handoff, whenever
    that was requested. `open_now` counts the handoffs not ended, however old they are.
    `reasons` counts each handoff once, under its weightiest reason. `needless` is the share among
    the `judged` handoffs, those where an agent said whether it was needed. `waiting_now` counts the
    open ones nobody has claimed, the oldest of which has waited for `longest_wait_seconds`.
    """

    episodes: int
    handoffs: int
    resolved_by_bot: float | None
    reasons: tuple[tuple[str, int], ...]
    waiting_seconds: float | None
    first_response_seconds: float | None
    handling_seconds: float | None
    judged: int
    needless: float | None
    open_now: int
    waiting_now: int = 0
    longest_wait_seconds: float | None = None


def share(part: int, whole: int) -> float | None:
    """Return part of whole, 0 to 1, or None of nothing."""
    return part / whole if whole else None


def _median(figures: Iterable[float | None]) -> float | None:
    known = [figure for figure in figures if figure is not None]
    return median(known) if known else None


def summarise(
    episodes: Sequence[tuple[str, int]],
    handoffs: Sequence[Handoff],
    earlier: Sequence[Handoff] = (),
    now: datetime | None = None,
) -> Statistics:
    """Compute the figures.

    Args:
        episodes: (conversation id, episode) of every episode in the period, each once.
        handoffs: the handoffs requested in the period.
        earlier: those requested before it that went on into it. They only keep what people
            answered from counting as the bot's, and count as open while they are.
        now: how long who still waits has waited is not told without it.
    """
    everything = set(episodes) | {(h.conversation_id, h.episode) for h in handoffs}
    handed_over = {(h.conversation_id, h.episode) for h in (*handoffs, *earlier)}
    reasons = Counter(h.findings[0].reason.value for h in handoffs if h.findings)
    judged = [h for h in handoffs if h.needed is not None]
    still_open = [h for h in (*handoffs, *earlier) if h.ended_at is None]
    waiting = [h for h in still_open if h.claimed_by is None]
    waits = [seconds_between(h.requested_at, now) for h in waiting] if now else []
    return Statistics(
        episodes=len(everything),
        handoffs=len(handoffs),
        resolved_by_bot=share(len(everything - handed_over), len(everything)),
        reasons=tuple(reasons.most_common()),
        waiting_seconds=_median(
            seconds_between(h.requested_at, h.claimed_at) for h in handoffs if h.claimed_at
        ),
        first_response_seconds=_median(
            seconds_between(h.requested_at, h.first_response_at)
            for h in handoffs
            if h.first_response_at
        ),
        handling_seconds=_median(
            handled_seconds(h) for h in handoffs if h.ended_at and h.claimed_at
        ),
        judged=len(judged),
        needless=share(sum(not h.needed for h in judged), len(judged)),
        open_now=len(still_open),
        waiting_now=len(waiting),
        longest_wait_seconds=max(waits, default=None),
    )

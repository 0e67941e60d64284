"""How long people had a conversation: the sum of the spans, stored when they end. Pure.

Between the claim and the end lie the hours nobody had it: released, or closed and opened again
days later. No span is negative, though clocks go back.
"""

from __future__ import annotations

from datetime import datetime

from handoff.core.model import Handoff


def seconds_between(earlier: datetime, later: datetime) -> float:
    """Return the length of a span in seconds; 0 where the clock went back in between."""
    return max(0.0, (later - earlier).total_seconds())


def begin_span(handoff: Handoff, now: datetime) -> None:
    """Somebody has the conversation from now on."""
    handoff.handled_seconds = handled_seconds(handoff)
    handoff.held_since = now


def end_span(handoff: Handoff, now: datetime) -> None:
    """Nobody has it any more; harmless when nobody had."""
    if handoff.held_since is not None:
        before = handoff.handled_seconds or 0.0
        handoff.handled_seconds = before + seconds_between(handoff.held_since, now)
        handoff.held_since = None


def handled_seconds(handoff: Handoff) -> float | None:
    """Return how long people had it, in seconds, without the span going on; None when nobody had.

    A handoff from before spans were stored counts from its claim to its end.
    """
    if handoff.handled_seconds is None and handoff.claimed_at and handoff.ended_at:
        return seconds_between(handoff.claimed_at, handoff.ended_at)
    return handoff.handled_seconds

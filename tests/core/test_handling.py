"""Handling time is the sum of the spans somebody had a conversation, and no span is negative."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from handoff.core.handling import begin_span, end_span, handled_seconds, seconds_between
from handoff.core.model import Handoff
from handoff.core.statistics import summarise

START = datetime(2024, 5, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def handoff(**fields) -> Handoff:
    return Handoff("h", "c", 1, "d", (), START, **fields)


def test_the_days_between_do_not_count() -> None:
    held = handoff(claimed_at=at(10))
    begin_span(held, at(10))
    end_span(held, at(310))
    held.ended_at = at(310)
    assert handled_seconds(held) == 300
    begin_span(held, at(172_810))
    held.ended_at = None
    end_span(held, at(172_870))
    held.ended_at = at(172_870)
    assert handled_seconds(held) == 360 and held.held_since is None
    assert summarise([], [held]).handling_seconds == 360


def test_a_handoff_from_before_counts_from_claim_to_end_and_goes_on_from_there() -> None:
    held = handoff(claimed_at=at(10), ended_at=at(70))
    assert handled_seconds(held) == 60
    begin_span(held, at(1000))
    held.ended_at = None
    end_span(held, at(1005))
    assert handled_seconds(held) == 65


def test_ending_twice_or_without_a_beginning_is_harmless() -> None:
    held = handoff()
    end_span(held, at(5))
    assert handled_seconds(held) is None
    begin_span(held, at(5))
    end_span(held, at(7))
    end_span(held, at(9))
    assert handled_seconds(held) == 2


@given(st.lists(st.tuples(st.booleans(), st.integers(-100_000, 100_000))))
def test_no_span_is_negative_whatever_clocks_do(steps: list[tuple[bool, int]]) -> None:
    held, total, since = handoff(claimed_at=at(0)), 0.0, None
    for begins, seconds in steps:
        before = held.handled_seconds or 0.0
        if begins:
            begin_span(held, at(seconds))
            since = seconds
        else:
            end_span(held, at(seconds))
            total += max(0, seconds - since) if since is not None else 0
            since = None
        assert (held.handled_seconds or 0.0) >= before >= 0
    assert (held.handled_seconds or 0.0) == total


moments = st.integers(-100_000, 100_000).map(at)


@given(st.lists(st.tuples(moments, st.none() | moments, st.none() | moments, st.none() | moments)))
def test_no_figure_of_a_period_is_negative(times) -> None:
    handoffs = [
        Handoff("h", "c", 1, "d", (), requested, claimed, first_response_at=first, ended_at=ended)
        for requested, claimed, first, ended in times
    ]
    found = summarise([], handoffs, now=START)
    figures = (found.waiting_seconds, found.first_response_seconds, found.handling_seconds)
    assert all(figure is None or figure >= 0 for figure in (*figures, found.longest_wait_seconds))
    assert seconds_between(at(5), at(3)) == 0

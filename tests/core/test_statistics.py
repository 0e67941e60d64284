"""The figures of a team lead: shares of one stated whole, never above 100 %."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from handoff.core.model import Finding, Handoff, Reason
from handoff.core.statistics import Statistics, share, summarise

START = datetime(2024, 5, 1, tzinfo=UTC)


def handoff(conversation: str, episode: int = 1, **fields) -> Handoff:
    reasons = fields.pop("reasons", (Reason.ANGRY,))
    findings = tuple(Finding(reason, 0.9, 0.75) for reason in reasons)
    return Handoff("h", conversation, episode, "d", findings, START, **fields)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_nothing_gives_no_figure_instead_of_zero():
    assert summarise([], []) == Statistics(0, 0, None, (), None, None, None, 0, None, 0)
    assert share(0, 0) is None
    assert share(1, 4) == 0.25


def test_figures_of_a_small_day():
    handoffs = [
        handoff("a", claimed_at=at(10), first_response_at=at(20), ended_at=at(70), needed=True),
        handoff("b", claimed_at=at(30), first_response_at=at(60), ended_at=at(130), needed=False),
        handoff("c", reasons=(Reason.NOT_UNDERSTOOD, Reason.ANGRY)),
    ]
    found = summarise([("a", 1), ("b", 1), ("c", 1), ("d", 1)], handoffs, now=at(600))
    assert found == Statistics(
        episodes=4,
        handoffs=3,
        resolved_by_bot=0.25,
        reasons=(("angry", 2), ("not_understood", 1)),
        waiting_seconds=20,
        first_response_seconds=40,
        handling_seconds=80,
        judged=2,
        needless=0.5,
        open_now=1,
        waiting_now=1,
        longest_wait_seconds=600,
    )


def test_two_handoffs_of_one_episode_count_the_episode_once():
    found = summarise([("a", 1), ("b", 1)], [handoff("a"), handoff("a")])
    assert (found.episodes, found.handoffs, found.resolved_by_bot) == (2, 2, 0.5)


def test_a_handoff_of_an_episode_begun_earlier_belongs_to_the_whole():
    found = summarise([], [handoff("a")])
    assert (found.episodes, found.resolved_by_bot) == (1, 0.0)


def test_what_people_took_over_before_the_period_is_neither_the_bots_nor_forgotten():
    """Yesterday's handoff goes on today: the bot did not resolve it, and it is still open."""
    earlier = [handoff("a"), handoff("b", ended_at=at(5)), handoff("old")]
    found = summarise([("a", 1), ("b", 1), ("c", 1)], [], earlier)
    assert (found.episodes, found.resolved_by_bot) == (3, 1 / 3)
    assert (found.handoffs, found.open_now) == (0, 2)


episodes = st.tuples(st.sampled_from("abcd"), st.integers(1, 3))
moments = st.one_of(st.none(), st.integers(0, 10_000).map(at))
handoffs_of = st.builds(
    lambda episode, needed, reasons, claimed, ended: handoff(
        *episode, needed=needed, reasons=reasons, claimed_at=claimed, ended_at=ended
    ),
    episodes,
    st.sampled_from([None, True, False]),
    st.lists(st.sampled_from(Reason), unique=True, max_size=3),
    moments,
    moments,
)


@given(st.lists(episodes), st.lists(handoffs_of))
def test_no_share_is_ever_above_one_and_reasons_never_exceed_handoffs(seen, handoffs):
    found = summarise(seen, handoffs)
    for rate in (found.resolved_by_bot, found.needless):
        assert rate is None or 0 <= rate <= 1
    assert sum(count for _, count in found.reasons) <= found.handoffs
    assert found.judged <= found.handoffs
    assert found.open_now <= found.handoffs

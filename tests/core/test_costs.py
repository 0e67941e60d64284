"""Costs: replaying conversations, and the limit that costs least."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoff.core.costs import (
    Costs,
    Replay,
    best_limit,
    judge_replay,
    judge_replays,
    limit_at_costs,
    limit_when_busy,
    within,
)

COSTS = Costs()


@pytest.mark.parametrize(
    ("risks", "needed", "counted"),
    [
        ((0.1, 0.2), (False, False), (0, 0, 0, 0)),
        ((0.1, 0.9), (False, False), (0, 1, 0, 0)),
        ((0.1, 0.2), (False, True), (1, 0, 0, 0)),
        ((0.1, 0.9), (False, True), (0, 0, 0, 1)),
        ((0.1, 0.2, 0.2, 0.9), (False, True, False, False), (0, 0, 2, 1)),
        ((0.9, 0.2), (False, True), (0, 0, 0, 1)),
        ((0.5,), (True,), (0, 0, 0, 1)),
        ((), (), (0, 0, 0, 0)),
    ],
)
def test_one_conversation(risks, needed, counted):
    assert judge_replay(Replay(risks, needed), 0.5) == counted


def test_costs_add_up_to_a_mean_a_conversation():
    replays = [
        Replay((0.1,), (True,)),
        Replay((0.9,), (False,)),
        Replay((0.1, 0.9), (True, False)),
        Replay((0.1,), (False,)),
    ]
    outcome = judge_replays(replays, 0.5, COSTS)
    assert (outcome.missed, outcome.needless, outcome.turns_late) == (1, 1, 1)
    assert outcome.cost == pytest.approx((5 + 1 + 0.5) / 4)
    assert outcome.f1 == pytest.approx(2 / 4)


def test_nothing_replayed_costs_nothing():
    outcome = judge_replays([], 0.5, COSTS)
    assert (outcome.cost, outcome.f1) == (0, None)


def test_the_break_even_of_one_message():
    assert COSTS.break_even() == pytest.approx(1 / 6)


def test_the_best_limit_lies_between_what_must_be_told_apart():
    replays = [Replay((0.1,), (False,)), Replay((0.6,), (True,))] * 10
    assert 0.1 < best_limit(replays, COSTS) <= 0.6


def test_dear_misses_lower_the_limit():
    replays = [Replay((i / 40,), (i % 7 > 4 or i > 30,)) for i in range(40)]
    cheap = best_limit(replays, Costs(missed=1, needless=1))
    dear = best_limit(replays, Costs(missed=20, needless=1))
    assert dear < cheap


@pytest.mark.parametrize(("free", "limit"), [(1.0, 0.2), (0.0, 1 / 3), (0.5, 3 / 11)])
def test_busy_agents_raise_the_limit(free, limit):
    assert limit_when_busy(0.2, free) == pytest.approx(limit)


def test_other_costs_move_the_odds_of_the_limit_in_proportion():
    moved = limit_at_costs(0.2, COSTS, Costs(missed=10, needless=1))
    assert moved / (1 - moved) == pytest.approx(0.125)
    assert limit_at_costs(0.2, COSTS, COSTS) == pytest.approx(0.2)


replays = st.lists(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=5).map(
        lambda turns: Replay(tuple(t[0] for t in turns), tuple(t[1] for t in turns))
    ),
    min_size=1,
    max_size=8,
)


@given(replays, st.floats(0, 1))
def test_rates_add_up(some, limit):
    outcome = judge_replays(some, limit, COSTS)
    with_need = sum(any(replay.needed) for replay in some)
    assert outcome.missed + outcome.caught == with_need
    assert outcome.needless <= outcome.conversations - with_need


@given(replays)
def test_always_costs_the_share_that_needed_nobody_and_never_misses_all(some):
    need = sum(any(replay.needed) for replay in some)
    always, never = judge_replays(some, 0.0, COSTS), judge_replays(some, 1.1, COSTS)
    assert always.cost == pytest.approx((len(some) - need) / len(some))
    assert never.cost == pytest.approx(5 * need / len(some))


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_within(limit, a, b):
    floor, ceiling = min(a, b), max(a, b)
    assert floor <= within(limit, floor, ceiling) <= ceiling

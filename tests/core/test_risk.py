"""The risk: log-odds there and back, contributions that add up, and nothing that lowers it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoff.core.model import Reason
from handoff.core.policy import SHIPPED_RISK
from handoff.core.risk import (
    ODDS_CUT,
    PROBABILITIES,
    SIGNALS,
    UNDERSTANDING,
    RiskModel,
    log_odds,
    scaled,
    sigmoid,
)

MODEL = RiskModel(-2.0, {"anger": 0.5, "mood": 2.0}, {"anger": 0.1, "mood": 0.3})

probability = st.floats(0, 1)
figures = st.fixed_dictionaries(
    {},
    optional={name: probability if name in PROBABILITIES else st.floats(0, 5) for name in SIGNALS},
)


@pytest.mark.parametrize(
    ("given_probability", "expected"),
    [
        (0.5, 0.0),
        (0.25, -math.log(3)),
        (0.75, math.log(3)),
        (0.0, -ODDS_CUT),
        (1.0, ODDS_CUT),
        (1e-300, -ODDS_CUT),
        (1 - 1e-16, ODDS_CUT),
        (-0.1, -ODDS_CUT),
        (1.1, ODDS_CUT),
    ],
)
def test_log_odds_by_hand_and_cut_at_both_ends(given_probability, expected):
    assert log_odds(given_probability) == pytest.approx(expected)


@given(probability)
def test_log_odds_are_never_beyond_the_cut(one):
    assert -ODDS_CUT <= log_odds(one) <= ODDS_CUT


@given(st.floats(-ODDS_CUT, ODDS_CUT))
def test_sigmoid_is_the_way_back(score):
    assert log_odds(sigmoid(score)) == pytest.approx(score, abs=1e-9)
    assert sigmoid(score) + sigmoid(-score) == pytest.approx(1.0)


@pytest.mark.parametrize(("score", "expected"), [(0.0, 0.5), (-1e4, 0.0), (1e4, 1.0)])
def test_sigmoid_bears_any_score(score, expected):
    assert sigmoid(score) == expected


def test_counts_enter_as_they_are_and_probabilities_as_log_odds():
    assert scaled("repeats", 3.0) == 3.0
    assert scaled("anger", 0.75) == pytest.approx(math.log(3))


def test_a_risk_by_hand():
    parts = MODEL.contributions({"anger": 0.5, "mood": 0.8, "repeats": 9.0})
    assert parts == pytest.approx({"anger": 0.5 * math.log(9), "mood": 2.0 * 0.5})
    score = -2.0 + 0.5 * math.log(9) + 1.0
    assert MODEL.risk(parts) == pytest.approx(1 / (1 + math.exp(-score)))


def test_what_is_typical_or_missing_adds_nothing():
    assert MODEL.contributions({}) == {}
    assert MODEL.contributions(MODEL.typical) == {"anger": 0.0, "mood": 0.0}
    assert MODEL.risk({}) == MODEL.risk({"anger": 0.0}) == sigmoid(-2.0)


@given(figures)
def test_contributions_add_up_to_the_risk(some):
    parts = SHIPPED_RISK.contributions(some)
    assert set(parts) == set(some) & set(SHIPPED_RISK.weights)
    risk = SHIPPED_RISK.risk(parts)
    assert 0 < risk < 1
    back = math.log(risk) - math.log1p(-risk)
    assert back == pytest.approx(SHIPPED_RISK.offset + sum(parts.values()), abs=1e-6)


@given(figures, st.sampled_from(sorted(SIGNALS)), probability)
def test_more_of_a_signal_never_lowers_the_risk(some, name, more):
    less = {name: 0.0, **some}
    worse = {**less, name: max(less[name], more)}
    assert worst(worse) >= worst(less)


def worst(some: dict[str, float]) -> float:
    return SHIPPED_RISK.risk(SHIPPED_RISK.contributions(some))


def test_every_signal_gives_a_reason_of_its_own_and_every_weight_has_what_is_typical():
    assert len(set(SIGNALS.values())) == len(SIGNALS)
    assert set(SIGNALS.values()) <= set(Reason)
    assert set(SHIPPED_RISK.weights) == set(SHIPPED_RISK.typical) <= set(SIGNALS)
    assert min(SHIPPED_RISK.weights.values()) > 0
    assert set(SIGNALS) >= UNDERSTANDING | PROBABILITIES

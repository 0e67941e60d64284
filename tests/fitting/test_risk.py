"""The risk model fitted: known weights found again, none negative, its own group never seen."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from handoff.core.risk import SIGNALS, RiskModel, scaled
from handoff.fitting.risk import fit_risk, held_out_risks, typical_figures

CHANCE = np.random.default_rng(11)
WEIGHTS = {"mood": 2.0, "repeats": 1.0, "anger": 0.7}


def messages(count: int, weights: dict[str, float]) -> tuple[list[dict[str, float]], list[bool]]:
    """Return figures, and labels drawn at the risk these weights make of them."""
    figures = [
        {
            "mood": float(CHANCE.random()),
            "repeats": float(CHANCE.poisson(0.5)),
            "anger": float(CHANCE.random()),
        }
        for _ in range(count)
    ]
    scores = [-2.0 + sum(w * scaled(n, row[n]) for n, w in weights.items()) for row in figures]
    return figures, [bool(CHANCE.random() < expit(score)) for score in scores]


FIGURES, NEEDED = messages(6000, WEIGHTS)


def test_known_weights_are_found_again() -> None:
    model = fit_risk(FIGURES, NEEDED)
    assert model.weights == pytest.approx(WEIGHTS, rel=0.15)
    offset = -2.0 + sum(model.weights[n] * scaled(n, t) for n, t in model.typical.items())
    assert model.offset == pytest.approx(offset, abs=0.25)


def test_risks_are_calibrated() -> None:
    model = fit_risk(FIGURES, NEEDED)
    risks = np.array([model.risk(model.contributions(row)) for row in FIGURES])
    assert risks.mean() == pytest.approx(np.mean(NEEDED), abs=1e-3)


def test_the_same_messages_give_the_same_model() -> None:
    assert fit_risk(FIGURES[:500], NEEDED[:500]) == fit_risk(FIGURES[:500], NEEDED[:500])


def test_a_signal_that_speaks_against_trouble_gets_no_weight() -> None:
    figures, needed = messages(1000, {"mood": 2.0, "anger": -1.0})
    model = fit_risk(figures, needed)
    assert "anger" not in model.weights and "anger" not in model.typical
    assert model.weights["mood"] > 1


rows = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from(sorted(SIGNALS)), st.floats(0, 1), max_size=6),
        st.booleans(),
    ),
    min_size=2,
    max_size=25,
)


@given(rows)
def test_no_weight_is_ever_negative(some) -> None:
    figures, needed = [row for row, _ in some], [need for _, need in some]
    if len(set(needed)) < 2:
        with pytest.raises(ValueError, match="labelled the same"):
            fit_risk(figures, needed)
        return
    model = fit_risk(figures, needed)
    assert all(weight > 0 for weight in model.weights.values())
    assert set(model.typical) == set(model.weights) <= {name for row in figures for name in row}
    assert math.isfinite(model.offset)


def test_typical_is_the_median_of_what_needed_nobody() -> None:
    figures = [{"mood": 0.1}, {"mood": 0.3, "anger": 0.2}, {"mood": 0.2}, {"mood": 0.9}]
    needed = [False, False, False, True]
    assert typical_figures(figures, needed) == {"mood": 0.2, "anger": 0.2}


def test_where_all_needed_a_person_all_are_typical() -> None:
    assert typical_figures([{"mood": 0.2}, {"mood": 0.4}], [True, True]) == {
        "mood": pytest.approx(0.3)
    }


@pytest.mark.parametrize("name", sorted(WEIGHTS))
def test_a_missing_signal_counts_as_typical(name: str) -> None:
    figures, needed = FIGURES[:300], NEEDED[:300]
    typical = typical_figures(figures, needed)[name]
    # As many typical figures on either side leave the median where it is.
    known = {n: v for n, v in figures[0].items() if n != name}
    without, told = [known] * 10, [{**known, name: typical}] * 10
    labels = [*needed, *[True, False] * 5]
    one, other = fit_risk([*figures, *without], labels), fit_risk([*figures, *told], labels)
    assert one.weights == pytest.approx(other.weights, rel=1e-4)
    assert one.offset == pytest.approx(other.offset, rel=1e-4)
    assert one.risk(one.contributions(known)) == one.risk(one.contributions(told[0]))


def test_held_out_risks_never_see_their_own_group() -> None:
    """A sign that only one conversation shows: whoever has seen it knows that it is alarming."""
    calm = [{"mood": 0.1, "asked_back": 0.0}] * 40 + [{"mood": 0.8, "asked_back": 0.0}] * 10
    loud = [{"mood": 0.1, "asked_back": 1.0}] * 10
    needed = [False] * 40 + [True] * 10 + [True] * 10
    groups = [*(i % 10 for i in range(50)), *[10] * 10]
    leaking = fit_risk([*calm, *loud], needed)
    assert leaking.risk(leaking.contributions(loud[0])) > 0.6
    assert max(held_out_risks([*calm, *loud], needed, groups)[50:]) < 0.2


def test_turning_the_labels_of_a_group_round_changes_only_what_is_said_of_others() -> None:
    groups = [i // 4 for i in range(120)]
    figures, needed = FIGURES[:120], NEEDED[:120]
    turned = [not need if group == 0 else need for need, group in zip(needed, groups, strict=True)]
    risks, again = (held_out_risks(figures, labels, groups) for labels in (needed, turned))
    assert again[:4] == risks[:4]
    assert again != risks


def test_held_out_risks_are_the_same_every_time() -> None:
    given_twice = (FIGURES[:100], NEEDED[:100], [i // 3 for i in range(100)])
    assert held_out_risks(*given_twice) == held_out_risks(*given_twice)


def test_where_all_others_needed_the_same_that_is_the_risk() -> None:
    figures = [{"mood": 0.9}, {"mood": 0.1}, {"mood": 0.2}]
    assert held_out_risks(figures, [True, False, False], [0, 1, 2])[0] == 0.0
    assert held_out_risks(figures, [False, True, True], [0, 1, 2])[0] == 1.0


def test_a_signal_never_shown_keeps_the_weight_it_had():
    before = RiskModel(-3.0, {"repeats": 1.5, "asked_back": 0.7}, {"repeats": 0, "asked_back": 0})
    figures = [{"negative": 0.1 + 0.8 * (i % 2), "repeats": 0.0} for i in range(40)]
    after = fit_risk(figures, [i % 2 == 1 for i in range(40)], before)
    assert after.weights["repeats"] == pytest.approx(1.5, abs=1e-3)
    assert after.weights["asked_back"] == pytest.approx(0.7, abs=1e-3)
    assert after.weights["negative"] > 0.5
    assert "repeats" not in fit_risk(figures, [i % 2 == 1 for i in range(40)]).weights

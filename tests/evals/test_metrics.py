"""Figures against values worked out by hand and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, roc_auc_score

from handoff.evals import metrics
from handoff.evals.metrics import Judged

LABELS = ["a", "a", "b", "b", "near", "near", "far"]
INTENTS = ["a", "b", "b", "b", "a", "b", "a"]
CONFIDENCES = [0.9, 0.8, 0.7, 0.3, 0.6, 0.2, 0.1]


@pytest.fixture
def judged() -> Judged:
    return Judged.of(LABELS, INTENTS, CONFIDENCES, ["near", "far"])


def test_accuracy_counts_in_scope_messages_however_unsure(judged: Judged) -> None:
    assert metrics.accuracy(judged) == 3 / 4


@pytest.mark.parametrize(
    ("threshold", "in_scope", "recall"),
    [(0.0, 3 / 4, 0.0), (0.5, 2 / 4, 2 / 3), (0.7, 2 / 4, 1.0), (0.71, 1 / 4, 1.0)],
)
def test_both_figures_at_one_threshold(
    judged: Judged, threshold: float, in_scope: float, recall: float
) -> None:
    assert metrics.in_scope_accuracy(judged, threshold) == in_scope
    assert metrics.oos_recall(judged, threshold) == pytest.approx(recall)


@pytest.mark.parametrize(
    ("affordable", "threshold"),
    # Right are 0.9, 0.7 and 0.3, out of scope 0.6, 0.2 and 0.1. Two are noticed for nothing
    # between 0.2 and 0.3; all of them between 0.6 and 0.7, which loses one answer of four.
    [(0.0, 0.25), (0.24, 0.25), (0.25, 0.65), (1.0, 0.65)],
)
def test_tuning_notices_what_is_affordable(
    judged: Judged, affordable: float, threshold: float
) -> None:
    assert metrics.tune_threshold(judged, affordable) == pytest.approx(threshold)


def test_without_a_budget_given_one_in_a_hundred_may_be_lost() -> None:
    labels = ["a"] * 200 + ["o"] * 4
    confidences = [0.3, 0.5, 0.7] + [0.9] * 197 + [0.2, 0.4, 0.6, 0.8]
    judged = Judged.of(labels, ["a"] * 204, confidences, ["o"])
    assert metrics.tune_threshold(judged) == pytest.approx(0.65)


def test_tuning_takes_the_middle_of_equally_good_thresholds() -> None:
    wrong = Judged.of(["a", "a", "a", "o"], ["a", "b", "b", "a"], [0.9, 0.7, 0.5, 0.1], ["o"])
    assert metrics.tune_threshold(wrong) == pytest.approx(0.6)


@pytest.mark.parametrize("labels", [["a", "a"], ["o", "o"], []])
def test_without_both_kinds_there_is_no_threshold(labels: list[str]) -> None:
    one_kind = Judged.of(labels, labels, [0.5] * len(labels), ["o"])
    assert metrics.tune_threshold(one_kind) is None


scores = st.floats(0, 1, allow_nan=False).map(lambda value: round(value, 2))
rows = st.lists(
    st.tuples(st.sampled_from(["a", "b", "o"]), st.sampled_from(["a", "b"]), scores),
    min_size=2,
    max_size=40,
)


@given(rows, st.sampled_from([0.0, 0.1, 0.3, 1.0]))
def test_no_affordable_threshold_notices_more(
    data: list[tuple[str, str, float]], affordable: float
) -> None:
    judged = Judged.of(*map(list, zip(*data, strict=True)), ["o"])  # type: ignore[arg-type]
    tuned = metrics.tune_threshold(judged, affordable)
    if tuned is None:
        assert len({label == "o" for label, _, _ in data}) == 1
        return

    def measured(threshold: float) -> tuple[float, float]:
        kept = metrics.in_scope_accuracy(judged, threshold)
        noticed = metrics.oos_recall(judged, threshold)
        assert kept is not None
        assert noticed is not None
        return noticed, kept

    least = measured(0.0)[1] - affordable - 1e-9
    assert measured(tuned)[1] >= least
    assert max(m for t in range(201) if (m := measured(t / 200))[1] >= least) <= measured(tuned)


def test_auroc_compares_one_kind_of_out_of_scope_with_all_in_scope(judged: Judged) -> None:
    # near (0.6, 0.2) against in scope (0.9, 0.8, 0.7, 0.3): 7 of 8 pairs in the right order.
    assert metrics.oos_auroc(judged, "near") == pytest.approx(7 / 8)
    assert metrics.oos_auroc(judged, "far") == 1.0
    assert metrics.oos_auroc(judged, "absent") is None


def test_auroc_is_of_novelty_where_it_is_told() -> None:
    """A message torn between two known intents is unsure, and not strange."""
    labels, confidences = ["a", "a", "o"], [0.9, 0.3, 0.5]
    told = Judged.of(labels, ["a"] * 3, confidences, ["o"], [0.1, 0.2, 0.9])
    partly = Judged.of(labels, ["a"] * 3, confidences, ["o"], [0.1, None, 0.65])
    silent = Judged.of(labels, ["a"] * 3, confidences, ["o"])
    assert [metrics.oos_auroc(one, "o") for one in (told, partly, silent)] == [1.0, 0.5, 0.5]
    assert told.take(np.array([2])).novelty.tolist() == [0.9]


@given(rows)
def test_auroc_is_scikit_learns(data: list[tuple[str, str, float]]) -> None:
    judged = Judged.of(*map(list, zip(*data, strict=True)), ["o"])  # type: ignore[arg-type]
    novel = [label == "o" for label, _, _ in data]
    expected = None
    if len(set(novel)) == 2:
        expected = roc_auc_score(novel, [-score for _, _, score in data])
    assert metrics.oos_auroc(judged, "o") == (expected and pytest.approx(expected))


def test_calibration_error_by_hand() -> None:
    confidence = np.array([0.95, 0.97, 0.11, 1.0])
    right = np.array([True, False, False, True])
    # Last of 15 bins: 2.92 claimed, 2 right; second: 0.11 claimed, 0 right.
    expected = (abs(2.92 - 2) + 0.11) / 4
    assert metrics.expected_calibration_error(confidence, right) == pytest.approx(expected)


def test_perfect_calibration_has_no_error() -> None:
    confidence = np.repeat([0.25, 0.75], 4)
    right = np.array([1, 0, 0, 0, 1, 1, 1, 0], dtype=bool)
    assert metrics.expected_calibration_error(confidence, right) == pytest.approx(0)
    assert metrics.expected_calibration_error(np.array([]), np.array([])) is None


def test_calibration_looks_at_in_scope_messages_only(judged: Judged) -> None:
    right, confidence = np.array([1, 0, 1, 1]), np.array(CONFIDENCES[:4])
    expected = metrics.expected_calibration_error(confidence, right)
    assert metrics.calibration(judged) == expected


def test_average_precision_by_hand() -> None:
    positive = np.array([True, False, True, False])
    score = np.array([0.9, 0.8, 0.7, 0.1])
    assert metrics.average_precision(positive, score) == pytest.approx((1 + 2 / 3) / 2)
    assert metrics.average_precision(~positive & positive, score) is None


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_f1_is_scikit_learns(data: list[tuple[bool, bool]]) -> None:
    positive, predicted = (np.array(column) for column in zip(*data, strict=True))
    if positive.any() or predicted.any():
        assert metrics.f1(positive, predicted) == pytest.approx(f1_score(positive, predicted))
    else:
        assert metrics.f1(positive, predicted) is None


def test_bootstrap_is_repeatable_and_holds_the_figure() -> None:
    right = np.arange(200) < 150

    def share(rows: np.ndarray) -> float:
        return float(right[rows].mean())

    low, high = metrics.bootstrap(share, 200) or (0, 0)
    assert (low, high) == metrics.bootstrap(share, 200)
    # Binomial: 0.75 ± 1.96 · sqrt(0.75 · 0.25 / 200) = 0.69 … 0.81.
    assert low == pytest.approx(0.69, abs=0.015)
    assert high == pytest.approx(0.81, abs=0.015)
    assert metrics.bootstrap(share, 200, seed=1) != (low, high)


def test_bootstrap_of_nothing_is_nothing() -> None:
    assert metrics.bootstrap(lambda rows: 1.0, 0) is None
    assert metrics.bootstrap(lambda rows: None, 5) is None


def test_all_figures_together(judged: Judged) -> None:
    figures = metrics.intent_figures(judged, 0.5, ["near", "far"])
    assert list(figures) == [
        "accuracy",
        "threshold",
        "in_scope_accuracy",
        "oos_recall",
        "auroc",
        "ece",
    ]
    assert list(figures["auroc"]) == ["near", "far"]
    without = metrics.intent_figures(judged, None, [])
    assert without["in_scope_accuracy"] is None
    assert without["oos_recall"] is None
    assert without["auroc"] == {}

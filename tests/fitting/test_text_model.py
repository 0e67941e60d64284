"""One yes-or-no question about a text: calibrated on groups left out, the same every time."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.special import expit, logit
from sklearn.metrics import log_loss, roc_auc_score

from handoff.fitting.text_model import TOPICS, Panel, fit_text_model, topics_of

CHANCE = np.random.default_rng(7)
ROWS, COLUMNS = 600, 12
DENSE = CHANCE.normal(size=(ROWS, COLUMNS))
TRUTH = expit(1.5 * DENSE[:, 0] - DENSE[:, 1] - 0.5)
LABELS = (CHANCE.random(ROWS) < TRUTH).astype(int).tolist()
GROUPS = np.arange(ROWS) // 10


@pytest.fixture(scope="module")
def fitted():
    return fit_text_model(csr_matrix(DENSE), LABELS, GROUPS)


def test_it_recovers_the_probabilities_behind_the_labels(fitted) -> None:
    found = fitted.model.predict(csr_matrix(DENSE))
    assert np.abs(found - TRUTH).mean() < 0.05
    assert np.abs(fitted.held_out - TRUTH).mean() < 0.07


def test_held_out_probabilities_are_calibrated(fitted) -> None:
    labels, order = np.array(LABELS), np.argsort(fitted.held_out)
    for part in np.array_split(order, 5):  # 120 texts each: two standard errors are 0.09
        assert fitted.held_out[part].mean() == pytest.approx(labels[part].mean(), abs=0.09)
    assert fitted.held_out.mean() == pytest.approx(labels.mean(), abs=0.01)


def test_the_same_data_gives_the_same_model(fitted) -> None:
    again = fit_text_model(csr_matrix(DENSE), LABELS, GROUPS)
    assert (again.model.slope, again.model.offset) == (fitted.model.slope, fitted.model.offset)
    assert (again.held_out == fitted.held_out).all()
    rows = csr_matrix(DENSE[:5])
    assert (again.model.predict(rows) == fitted.model.predict(rows)).all()


@pytest.mark.parametrize("rate", [0.03, 0.5, 0.9])
def test_a_base_rate_moves_all_odds_by_one_factor(fitted, rate: float) -> None:
    rarer = fit_text_model(csr_matrix(DENSE), LABELS, GROUPS, base_rate=rate)
    share = float(np.mean(LABELS))
    moved = logit(rate) - logit(share)
    rows = csr_matrix(DENSE[:50])
    before, after = fitted.model.predict(rows), rarer.model.predict(rows)
    assert logit(after) - logit(before) == pytest.approx(np.full(50, moved))
    assert logit(rarer.held_out) - logit(fitted.held_out) == pytest.approx(np.full(ROWS, moved))


def test_the_base_rate_of_the_training_texts_moves_nothing(fitted) -> None:
    same = fit_text_model(csr_matrix(DENSE), LABELS, GROUPS, base_rate=float(np.mean(LABELS)))
    assert same.model.offset == pytest.approx(fitted.model.offset)


@pytest.mark.parametrize("label", [0, 1])
def test_labels_that_are_all_the_same_are_refused(label: int) -> None:
    with pytest.raises(ValueError, match="all labels are the same"):
        fit_text_model(csr_matrix(DENSE), [label] * ROWS, GROUPS)


def test_groups_are_held_out_together() -> None:
    """Every text stands there twice, under labels drawn by lot: only a leak can tell them."""
    lots = np.random.default_rng(3)
    once = lots.normal(size=(80, 200))  # more columns than texts: any of them is learned by heart
    twice = csr_matrix(np.vstack([once, once]))
    drawn = lots.integers(0, 2, 80).tolist() * 2
    together, apart = np.tile(np.arange(80), 2), np.repeat([0, 1], 80)
    honest = fit_text_model(twice, drawn, together).held_out
    leaking = fit_text_model(twice, drawn, apart).held_out
    assert roc_auc_score(drawn, leaking) > 0.99
    assert roc_auc_score(drawn, honest) < 0.65


def test_what_says_nothing_is_not_trusted() -> None:
    lots = np.random.default_rng(5)
    noise = csr_matrix(lots.normal(size=(200, 30)))
    labels = lots.integers(0, 2, 200).tolist()
    held_out = fit_text_model(noise, labels, np.arange(200)).held_out
    assert log_loss(labels, held_out) < np.log(2) + 0.08


def test_a_fold_without_one_of_the_labels_is_borne() -> None:
    rows = csr_matrix(np.array([[1.0], [1.1], [-1.0], [-1.1]]))
    fitted = fit_text_model(rows, [1, 1, 0, 0], np.array([0, 0, 1, 1]))
    assert np.isfinite(fitted.held_out).all()
    assert fitted.model.predict(rows)[0] > fitted.model.predict(rows)[2]


def test_predictions_are_the_calibrated_score(fitted) -> None:
    rows, model = csr_matrix(DENSE[:3]), fitted.model
    assert model.predict(rows) == pytest.approx(
        expit(model.slope * model.score(rows) + model.offset)
    )


def test_a_panel_says_what_each_of_its_models_says(fitted) -> None:
    turned = fit_text_model(csr_matrix(DENSE), [1 - one for one in LABELS], GROUPS, 0.05).model
    rows = csr_matrix(DENSE[:20])
    found = Panel({"as it is": fitted.model, "turned": turned}).predict(rows)
    assert list(found) == ["as it is", "turned"]
    assert found["as it is"] == pytest.approx(fitted.model.predict(rows))
    assert found["turned"] == pytest.approx(turned.predict(rows))


def test_known_columns_are_pooled_in() -> None:
    """The first column says it all, but the others are learned by heart."""
    lots = np.random.default_rng(9)
    labels = lots.integers(0, 2, 120)
    told = (labels - 0.5)[:, None] + lots.normal(scale=0.7, size=(120, 1))
    rows = csr_matrix(np.hstack([told, lots.normal(size=(120, 300)) * 0.4]))
    plain, pooled = (
        fit_text_model(rows, labels.tolist(), np.arange(120), known=known)
        for known in (None, slice(0, 1))
    )
    assert log_loss(labels, pooled.held_out) < log_loss(labels, plain.held_out)
    assert (expit(pooled.model.slope * pooled.model.score(rows) + pooled.model.offset)) == (
        pytest.approx(pooled.model.predict(rows))
    )


def test_topics_are_like_texts_and_the_same_every_time() -> None:
    centres = np.repeat(np.eye(4), 10, axis=0)
    vectors = centres + np.random.default_rng(1).normal(scale=0.01, size=centres.shape)
    topics = topics_of(vectors)
    assert len(set(topics.tolist())) == 4
    assert all(len(set(topics[i : i + 10].tolist())) == 1 for i in range(0, 40, 10))
    assert (topics == topics_of(vectors)).all()
    assert len(set(topics_of(DENSE).tolist())) == min(TOPICS, ROWS // 10)
    assert len(set(topics_of(DENSE[:3]).tolist())) == 2

"""One calibrated yes-or-no question about a message: angry? asking for a person?

How strongly to regularise, and how far to trust the result, is measured on topics left out: the
training texts are divided into clusters of like texts, and each cluster is predicted by a model
that has seen none of it. Ordinary folds hold near-copies of every text they test, and reward
learning texts by heart; a customer of another trade writes about topics never seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_matrix
from scipy.special import expit, logit
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GroupKFold

INVERSE_REGULARISATION = (0.1, 0.3, 1.0)
"""Values of C that cross-validation chooses from, by log loss, which rewards calibration. None is
larger: topics left out are still in the words of those who wrote the training texts, and reward
learning their phrases by heart."""

IN_THE_FIELD = (0.3, 1.0, 3.0)
"""The same where the texts are those of the very customers whose messages are to come."""

FOLDS = 4
TOPICS = 60
"""Clusters the training texts are divided into; each fold leaves a share of them out."""

SEED = 0


@dataclass(slots=True)
class TextModel:
    """A linear model of text features, with the calibration found on topics left out.

    `weights` and `intercept` give log-odds, `slope` and `offset` calibrate them (Platt 1999).
    """

    weights: np.ndarray
    intercept: float
    slope: float = 1.0
    offset: float = 0.0

    def predict(self, rows: csr_matrix) -> np.ndarray:
        """Return the probability of label 1 for each row of features."""
        return expit(self.slope * self.score(rows) + self.offset)

    def score(self, rows: csr_matrix) -> np.ndarray:
        """Return the log-odds of label 1 for each row, before calibration."""
        return rows @ self.weights + self.intercept


class Panel:
    """Several models asked about the same rows at once: one product instead of one for each."""

    def __init__(self, models: Mapping[str, TextModel]) -> None:
        self._names = list(models)
        slopes = np.array([model.slope for model in models.values()])
        weights = np.vstack([model.weights for model in models.values()])
        intercepts = np.array([model.intercept for model in models.values()])
        self._weights = np.ascontiguousarray((slopes[:, None] * weights).T)
        self._offsets = slopes * intercepts + [model.offset for model in models.values()]

    def predict(self, rows: csr_matrix) -> dict[str, np.ndarray]:
        """Return the probability of label 1 for each row, by model."""
        chances = expit(rows @ self._weights + self._offsets)
        return dict(zip(self._names, chances.T, strict=True))


@dataclass(slots=True)
class Fitted:
    """A model, and what it says of each training text when its group was left out."""

    model: TextModel
    held_out: np.ndarray


def topics_of(vectors: np.ndarray) -> np.ndarray:
    """Return a cluster number a text, by k-means on the unit vectors."""
    count = max(2, min(TOPICS, len(vectors) // 10))
    return KMeans(count, n_init="auto", random_state=SEED).fit_predict(vectors)


def fit_text_model(
    rows: csr_matrix,
    labels: Sequence[int],
    groups: np.ndarray,
    base_rate: float | None = None,
    known: slice | None = None,
    strengths: Sequence[float] = INVERSE_REGULARISATION,
) -> Fitted:
    """Train on rows of features with labels 0 or 1; rows of one group are held out together.

    Args:
        rows: one row a text.
        labels: 0 or 1 a text.
        groups: a number a text.
        base_rate: how often label 1 occurs among real messages, where the training texts were
            written to hold more of it than life does; the probabilities are calibrated to it.
        known: columns that mean something without training texts. A second model sees only these,
            and the log-odds of both are added (a logarithmic pool, Genest and Zidek 1986): where
            the wording is strange to the first, the second still knows the words.
        strengths: values of C to choose from.

    Raises:
        ValueError: the labels are all the same.
    """
    wanted = np.asarray(labels)
    if len(set(wanted.tolist())) < 2:
        raise ValueError("all labels are the same")
    folds = list(GroupKFold(min(FOLDS, len(set(groups)))).split(rows, wanted, groups))
    found = {c: _held_out(rows, wanted, folds, c, known) for c in strengths}
    calibrated = {strength: _calibrate(scores, wanted) for strength, scores in found.items()}
    best = min(
        found,
        key=lambda c: log_loss(wanted, expit(calibrated[c][0] * found[c] + calibrated[c][1])),
    )
    slope, offset = calibrated[best]
    if base_rate is not None:
        offset += float(logit(base_rate) - logit(wanted.mean()))
    model = replace(_pooled(rows, wanted, best, known), slope=slope, offset=offset)
    return Fitted(model, expit(slope * found[best] + offset))


def _pooled(
    rows: csr_matrix, wanted: np.ndarray, strength: float, known: slice | None
) -> TextModel:
    """Return the model of all columns, with that of the known ones added to it."""
    whole = LogisticRegression(C=strength, max_iter=1000).fit(rows, wanted)
    weights, intercept = whole.coef_[0].copy(), float(whole.intercept_[0])
    if known is not None:
        second = LogisticRegression(max_iter=1000).fit(rows[:, known], wanted)
        weights[known] += second.coef_[0]
        intercept += float(second.intercept_[0])
    return TextModel(weights, intercept)


def _held_out(
    rows: csr_matrix,
    wanted: np.ndarray,
    folds: list[tuple[np.ndarray, np.ndarray]],
    strength: float,
    known: slice | None,
) -> np.ndarray:
    """Return the log-odds of each row by a model that has not seen its group."""
    scores = np.zeros(len(wanted))
    for train, test in folds:
        if len(set(wanted[train].tolist())) > 1:
            fitted = _pooled(rows[train], wanted[train], strength, known)
            scores[test] = fitted.score(rows[test])
    return scores


def _calibrate(scores: np.ndarray, wanted: np.ndarray) -> tuple[float, float]:
    """Return slope and offset of Platt's calibration; slope 1 where the scores say nothing."""
    fitted = LogisticRegression(C=100.0).fit(scores[:, None], wanted)
    slope = float(fitted.coef_[0, 0])
    return (slope, float(fitted.intercept_[0])) if slope > 0 else (1.0, 0.0)

"""What a reader would try first, measured beside the desk on the same messages."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from sklearn.linear_model import LogisticRegression

from handoff.evals.metrics import Judged
from handoff.fitting.features import lexicon

KEYWORDS = re.compile(
    r"\b(?:agent|human|person|people|operator|representative|somebody|someone|staff|manager|"
    r"supervisor|advisor|colleague|speak|talk)\b",
    re.IGNORECASE,
)
"""Words that a rule of thumb takes for a request for a person."""


def asks_by_keyword(texts: Sequence[str]) -> np.ndarray:
    """Return for each message whether it holds a word that requests for a person hold."""
    return np.array([bool(KEYWORDS.search(text)) for text in texts])


def keywords(texts: Sequence[str]) -> np.ndarray:
    """Return how many such words each message holds, a score to rank messages by."""
    return np.array([len(KEYWORDS.findall(text)) for text in texts])


def negative_by_lexicon(texts: Sequence[str]) -> np.ndarray:
    """Return VADER's compound score of each message, turned round: 1 negative, -1 positive."""
    return np.array([-lexicon(text)[2] for text in texts])


def judge_by_vectors(
    train: np.ndarray,
    intents: Sequence[str],
    test: np.ndarray,
    labels: Sequence[str],
    oos_labels: Sequence[str],
) -> Judged:
    """Judge messages by a plain logistic regression on sentence vectors, by largest probability.

    It is what Rasa's LogisticRegressionClassifier does with a sentence encoder in front.
    """
    if len(set(intents)) < 2:
        found, sure = np.array([intents[0]] * len(labels)), np.ones(len(labels))
    else:
        fitted = LogisticRegression(max_iter=300).fit(train, list(intents))
        chances = fitted.predict_proba(test)
        found, sure = fitted.classes_[chances.argmax(axis=1)], chances.max(axis=1)
    return Judged.of(labels, found.tolist(), sure.tolist(), oos_labels)

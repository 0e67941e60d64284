"""What a text model sees of a message: vector, lexicon, signs, and n-grams of words and letters.

The vector carries the meaning. The lexicon (VADER, Hutto and Gilbert 2014) knows thousands of words
of feeling that no small training set holds, with negation and intensity. The signs are capitals and
punctuation. The n-grams carry what an encoder trained on clean prose smooths away: swearing,
spelling, the exact words of a request.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import TfidfVectorizer

FEATURES_VERSION = "2"
"""Grows with every change of the features, so that a stored model of before is trained anew."""

SIGNS_WEIGHT = 0.5
"""Weight of the signs against the unit-length sentence vector."""

MIN_TEXTS = 2
"""An n-gram counts when so many texts of the training set hold it."""


def signs(text: str) -> list[float]:
    """Return what vectors do not see, each 0 to 1: capitals, `!`, `?`, pile-ups, trailing dots."""
    letters = [character for character in text if character.isalpha()]
    capitals = sum(character.isupper() for character in letters) / max(1, len(letters))
    return [
        capitals if len(letters) > 3 else 0.0,
        min(text.count("!"), 3) / 3,
        min(text.count("?"), 3) / 3,
        float("??" in text or "?!" in text or "!?" in text),
        float("..." in text or "…" in text),
    ]


@cache
def _analyzer() -> Any:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    return SentimentIntensityAnalyzer()


def lexicon(text: str) -> list[float]:
    """Return VADER's shares of negative and positive words, its compound score (-1 to 1) and that
    score's negative part, and the strongest negative and positive word (valence / 4)."""
    analyzer = _analyzer()
    scores = analyzer.polarity_scores(text)
    words = [word.strip(".,!?;:\"'()*").lower() for word in text.split()]
    valences = [analyzer.lexicon.get(word, 0.0) / 4 for word in words] or [0.0]
    return [
        scores["neg"],
        scores["pos"],
        scores["compound"],
        max(0.0, -scores["compound"]),
        max(0.0, -min(valences)),
        max(0.0, *valences, 0.0),
    ]


class TextFeatures:
    """Turns texts and their vectors into rows of one sparse matrix; fitted once for all labels."""

    def __init__(self) -> None:
        self.words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=MIN_TEXTS)
        self.letters = TfidfVectorizer(
            analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True, min_df=MIN_TEXTS
        )

    def fit(self, texts: Sequence[str]) -> TextFeatures:
        """Learn which n-grams there are; raise `ValueError` when texts share no words at all."""
        self.words.fit(texts)
        self.letters.fit(texts)
        return self

    def rows(self, texts: Sequence[str], vectors: np.ndarray) -> csr_matrix:
        """Return one row a text; `vectors` are unit vectors, texts × dimension."""
        seen = np.array([[*(s * SIGNS_WEIGHT for s in signs(t)), *lexicon(t)] for t in texts])
        parts = [
            csr_matrix(vectors),
            csr_matrix(seen),
            self.words.transform(texts),
            self.letters.transform(texts),
        ]
        return csr_matrix(hstack(parts))

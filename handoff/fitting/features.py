"""What a text model sees of a message: vector, lexicon, signs, word classes and n-grams.

The vector carries the meaning. The lexicon (VADER, Hutto and Gilbert 2014) knows thousands of words
of feeling that no small training set holds, with negation and intensity; `profanity_check` knows
rude ones from 200 000 comments. The signs are capitals and punctuation. The word classes say
whether persons and speaking are named, and near each other: a wish for a person is put so in every
trade. The phrases are those of danger and of the law (`core.words`). The n-grams of words and
letters carry what an encoder trained on clean prose smooths away: swearing, spelling, the exact
words of a request.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Any, cast

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer

from handoff.core.words import LEGAL_PHRASES, SAFETY_PHRASES, phrases_in
from handoff.fitting.reaching import reaching

FEATURES_VERSION = "7"
"""Grows with every change of the features, so that a stored model of before is trained anew."""

SIGNS_WEIGHT = 0.5
"""Weight of the signs against the unit-length sentence vector."""

REACHING_WEIGHT = 0.3
"""The same for the word classes."""

PHRASES_WEIGHT = 0.5
"""The same for the phrases."""

_NOT_SAID = re.compile(r"https?://\S+|(?<!\w)@\w+")
"""A link, or the name that a post in a social network is addressed to."""

_TAG = re.compile(r"#([^\W\d_]\w*)")
_IN_TAG = re.compile(r"_|(?<=[^\W\d_A-Z])(?=[A-Z])")
"""Between two words of a tag: `#neverAgain`, `#never_again`."""


def as_said(text: str) -> str:
    """Return a message as somebody would say it, for reading how it is meant.

    Posts in social networks and texts copied from pages hold names behind an `@`, links, words
    glued together behind a `#`, and HTML's names of characters. A message of nothing else stays as
    it is.
    """
    plain = _NOT_SAID.sub(" ", html.unescape(text))
    plain = _TAG.sub(lambda tag: _IN_TAG.sub(" ", tag[1]), plain)
    # Line breaks stay: they end sentences.
    lines = (" ".join(line.split()) for line in plain.splitlines())
    return "\n".join(line for line in lines if line) or text


RUDENESS_CUT = 2.0
"""Distances from the plane between rude and civil texts beyond which it says no more."""

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


def alarms(text: str) -> list[float]:
    """Return whether a text holds a phrase of danger and one of the law, each 0 or 1."""
    return [float(bool(phrases_in(text, known))) for known in (SAFETY_PHRASES, LEGAL_PHRASES)]


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


class _Counter:
    """Counts the terms a fitted vectorizer knows, as its `transform` does for one text.

    scikit-learn's own checks its input and builds matrices, which takes five times as long as the
    counting itself when there is one text.
    """

    def __init__(self, vectorizer: TfidfVectorizer) -> None:
        self._analyse = vectorizer.build_analyzer()
        self._column_of: dict[str, int] = vectorizer.vocabulary_

    def __call__(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the columns of the known terms of a text, in order, and how often each occurs."""
        column_of = self._column_of
        counts = Counter(column_of[term] for term in self._analyse(text) if term in column_of)
        columns = sorted(counts)
        return np.array(columns, dtype=np.int32), np.array([counts[at] for at in columns], float)


@cache
def _rude_words() -> tuple[_Counter, np.ndarray, np.ndarray, float]:
    """Return counter, rarities, weights and intercept of `profanity_check`'s linear model.

    Its own `predict_prob` asks five calibrated copies, which takes 7 ms a message.
    """
    from profanity_check.profanity_check import model, vectorizer

    copies = [copy.estimator for copy in model.calibrated_classifiers_]
    weights = np.mean([copy.coef_[0] for copy in copies], axis=0)
    intercept = float(np.mean([copy.intercept_[0] for copy in copies]))
    return _Counter(vectorizer), vectorizer.idf_, weights, intercept


def rudeness(texts: Sequence[str]) -> np.ndarray:
    """Return how rude the words of each text are, from -`RUDENESS_CUT` to `RUDENESS_CUT`."""
    return np.clip([_rudeness(text) for text in texts], -RUDENESS_CUT, RUDENESS_CUT)


def _rudeness(text: str) -> float:
    """Return the distance of a text, its tf-idf at length 1, from the plane."""
    count, rarities, weights, intercept = _rude_words()
    columns, counts = count(text)
    values = counts * rarities[columns]
    length = np.sqrt(values @ values) or 1.0
    return float(values @ weights[columns] / length + intercept)


class _Terms:
    """Splits a text into words and word pairs, and into pieces of two to four letters."""

    def __init__(self) -> None:
        self._words = TfidfVectorizer(ngram_range=(1, 2)).build_analyzer()
        self._letters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4)).build_analyzer()

    def __call__(self, text: str) -> list[str]:
        # Pieces of letters are told from words by the space every word-bounded one begins with.
        return [*self._words(text), *(f" {piece}" for piece in self._letters(text))]


class TextFeatures:
    """Turns texts and their vectors into rows of one sparse matrix; fitted once for all labels."""

    def __init__(self) -> None:
        # One vectorizer for both kinds: half the fixed cost of a message in serving.
        self._terms = TfidfVectorizer(
            analyzer=cast(Any, _Terms()), sublinear_tf=True, min_df=MIN_TEXTS, norm=cast(Any, None)
        )
        self._is_piece = np.zeros(0, dtype=int)

    @staticmethod
    def known_columns(dimension: int) -> slice:
        """Return the columns that need no training texts to mean something: signs and lexicon."""
        return slice(dimension, dimension + len(signs("")) + len(lexicon("")) + 1)

    def fit(self, texts: Sequence[str]) -> TextFeatures:
        """Learn which n-grams there are; raise `ValueError` when texts share no words at all."""
        self._terms.fit(texts)
        names = self._terms.get_feature_names_out()
        self._is_piece = np.array([name.startswith(" ") for name in names], dtype=int)
        return self

    def rows(self, texts: Sequence[str], vectors: np.ndarray) -> csr_matrix:
        """Return one row a text; `vectors` are unit vectors, texts × dimension."""
        seen = np.array([[*(s * SIGNS_WEIGHT for s in signs(t)), *lexicon(t)] for t in texts])
        reached = REACHING_WEIGHT * np.array([reaching(text) for text in texts])
        alarmed = PHRASES_WEIGHT * np.array([alarms(text) for text in texts])
        dense = np.hstack([vectors, seen, rudeness(texts)[:, None], reached, alarmed])
        width = dense.shape[1]
        count, rarities = _Counter(self._terms), self._terms.idf_
        first = np.arange(width, dtype=np.int32)
        indices, values, ends = [], [], [0]
        for row, text in zip(dense, texts, strict=True):
            columns, counts = count(text)
            indices += [first, columns + width]
            values += [row, self._unit(columns, (np.log(counts) + 1.0) * rarities[columns])]
            ends.append(ends[-1] + width + len(columns))
        shape = (len(texts), width + len(rarities))
        return csr_matrix((np.concatenate(values), np.concatenate(indices), ends), shape)

    def _unit(self, columns: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return the weights of a text's terms, those of its words at length 1 and those of its
        pieces of words too."""
        part = self._is_piece[columns]
        return weights / np.sqrt(np.bincount(part, weights**2, minlength=2))[part]

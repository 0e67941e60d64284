"""The views of a message that the intent model adds up, fitted on one training set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from scipy import sparse
from scipy.special import log_softmax
from sklearn.cluster import KMeans

from bot.components import softmax_regression
from bot.components.neighbours import Neighbours
from bot.components.word_bayes import WordBayes

#: The intent for everything else is many topics, which no single plane can cut off: it is scored
#: as topics of about this many examples.
EXAMPLES_PER_TOPIC = 10
#: The same for the background, which is further away: with ten, training on 10 000 examples takes a
#: quarter longer.
BACKGROUND_PER_TOPIC = 50
#: Share of messages assumed to be none of the real intents', before looking at the message.
NOVEL_PRIOR = 0.4
#: The intent of messages no assistant is for, where nobody trained one for everything else. It is
#: scored like that one, and never named to anybody.
BACKGROUND = "(background)"
_TOPIC = "\x1f"  # between the intent for everything else and the number of a topic


def is_real(intents: np.ndarray, unknown: Optional[str]) -> np.ndarray:
    """Whether each is an intent of its own, not the one for everything else nor `BACKGROUND`."""
    return (intents != (unknown or BACKGROUND)) & (intents != BACKGROUND)


class Examples(NamedTuple):
    """Unit vectors one a row, the intent of each, and the terms of each text."""

    vectors: np.ndarray
    labels: np.ndarray
    terms: List[List[str]]

    def take(self, chosen: np.ndarray) -> "Examples":
        """The examples a Boolean array chooses."""
        rows = np.flatnonzero(chosen)
        return Examples(self.vectors[rows], self.labels[rows], [self.terms[i] for i in rows])


@dataclass
class Views:
    """Scores per message and intent of each view, and what tells novelty."""

    classes: np.ndarray
    regression: np.ndarray
    words: np.ndarray
    neighbours: np.ndarray
    familiarity: np.ndarray
    coverage: np.ndarray  #: share of a message's pieces of words that the intent's examples hold
    energy: np.ndarray  #: by message: the highest score of a real intent before normalising
    real: np.ndarray  #: by column: an intent of its own, not the one for everything else
    named: np.ndarray  #: by column: whether it may be named; all but `BACKGROUND`


class Scorers:
    """The three views, fitted on one training set."""

    def __init__(self, unknown: Optional[str] = None) -> None:
        self.unknown = unknown
        self.classes: np.ndarray = np.array([])
        self._starts = np.zeros(0, dtype=int)  # of each intent among the topics
        self.neighbours: Neighbours
        self._planes: Optional[Tuple[np.ndarray, np.ndarray]] = None
        self._words: Optional[WordBayes] = None

    def fit(self, examples: Examples, names: Optional[Examples] = None) -> "Scorers":
        """Fits on examples; `names` are the intents' own names, each one more example."""
        self.classes = np.unique(examples.labels)
        columns = np.searchsorted(self.classes, examples.labels)
        self.neighbours = Neighbours(examples.vectors, columns, len(self.classes))
        vectors, labels, terms = examples
        if names is not None:
            more = names.take(np.isin(names.labels, self.classes))
            vectors = np.vstack([vectors, more.vectors])
            labels, terms = np.concatenate([labels, more.labels]), terms + more.terms
        topics = self._with_topics(vectors, labels)
        scored, at = np.unique(topics, return_inverse=True)
        self._starts = self._first_topics(scored)
        if len(self.classes) > 1:
            weight = self._weights(labels)
            self._planes = softmax_regression.fit(vectors, at, len(scored), weight)
            self._words = WordBayes.fit(terms, at, len(scored))
        return self

    @property
    def real(self) -> np.ndarray:
        """By column: whether it is an intent of its own. All are, where nothing else is known."""
        real = is_real(self.classes, self.unknown)
        return real if real.any() else np.ones(len(self.classes), dtype=bool)

    @property
    def named(self) -> np.ndarray:
        """By column: whether it may be named."""
        return self.classes != BACKGROUND

    def views(self, vectors: np.ndarray, terms: Sequence[List[str]]) -> Views:
        """Scores of messages under every view."""
        real = self.real
        few, many = self.neighbours.closeness(vectors)
        logits, words, coverage = np.zeros(few.shape), np.zeros(few.shape), np.zeros(few.shape)
        if self._planes is not None and self._words is not None:
            coefficients, offsets = self._planes
            logits = self._by_intent(vectors.astype(np.float32) @ coefficients + offsets)
            words = self._by_intent(log_softmax(self._words.scores(terms), axis=1))
            coverage = self._by_intent(self._words.coverage(terms), np.maximum)
        return Views(
            self.classes,
            log_softmax(logits, axis=1),
            words,
            few,
            self.neighbours.familiarity(many),
            coverage,
            logits[:, real].max(axis=1),
            real,
            self.named,
        )

    def state(self) -> Tuple[Dict[str, Any], Dict[str, np.ndarray]]:
        """What `restored` needs: plain values, and arrays."""
        meta: Dict[str, Any] = {"classes": self.classes.tolist(), "unknown": self.unknown}
        arrays = {
            "vectors": self.neighbours.vectors,
            "labels": self.neighbours.labels,
            "starts": self._starts,
        }
        if self._planes is not None and self._words is not None:
            sums = self._words.sums
            meta["vocabulary"] = list(self._words.vocabulary)
            arrays.update(coefficients=self._planes[0], offsets=self._planes[1])
            arrays.update(rarity=self._words.rarity, sums=sums.data, indices=sums.indices)
            arrays.update(indptr=sums.indptr)
        return meta, arrays

    @classmethod
    def restored(cls, meta: Dict[str, Any], arrays: Dict[str, np.ndarray]) -> "Scorers":
        """The scorers whose `state` this was."""
        scorers = cls(meta["unknown"])
        scorers.classes, scorers._starts = np.array(meta["classes"]), arrays["starts"]
        count = len(scorers.classes)
        scorers.neighbours = Neighbours(arrays["vectors"], arrays["labels"], count)
        if "vocabulary" in meta:
            scorers._planes = arrays["coefficients"], arrays["offsets"]
            shape = (len(arrays["offsets"]), len(meta["vocabulary"]))
            parts = (arrays["sums"], arrays["indices"], arrays["indptr"])
            sums = sparse.csr_matrix(parts, shape)
            scorers._words = WordBayes(meta["vocabulary"], arrays["rarity"], sums)
        return scorers

    @property
    def novel_share(self) -> float:
        """Share of messages, 0…1, each detector of the novel takes for novel beforehand.

        The intent for everything else is one and novelty the other; either alone would have to
        assume `NOVEL_PRIOR`, both together assume it by halves.
        """
        return 1.0 - (1.0 - NOVEL_PRIOR) ** (1.0 if self.real.all() else 0.5)

    def _weights(self, labels: np.ndarray) -> np.ndarray:
        """Every real intent counts the same; everything else counts as its share."""
        names, at, counts = np.unique(labels, return_inverse=True, return_counts=True)
        share, real = np.full(len(names), 1.0), is_real(names, self.unknown)
        odds = self.novel_share / (1.0 - self.novel_share)
        share[~real] = odds * real.sum() * counts[~real] / max(counts[~real].sum(), 1)
        return (len(labels) / share.sum() * share / counts)[at]

    def _with_topics(self, vectors: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Labels in which what is no real intent is divided into topics."""
        divided = labels.astype(object)
        for name, usual in ((self.unknown, EXAMPLES_PER_TOPIC), (BACKGROUND, BACKGROUND_PER_TOPIC)):
            rows = np.flatnonzero(labels == name)
            count = len(rows) // usual
            if count > 1:
                found = KMeans(count, n_init=3, random_state=0).fit_predict(vectors[rows])
                divided[rows] = [f"{name}{_TOPIC}{topic}" for topic in found]
        return divided.astype(str)

    def _first_topics(self, scored: np.ndarray) -> np.ndarray:
        """Where the topics of each intent start; those of one intent lie together."""
        owner = [str(name).split(_TOPIC)[0] for name in scored]
        return np.unique(np.searchsorted(self.classes, owner), return_index=True)[1]

    def _by_intent(self, scores: np.ndarray, join: np.ufunc = np.logaddexp) -> np.ndarray:
        """Scores by intent: those of its topics joined, which adds up log scores."""
        if len(self._starts) == scores.shape[1]:
            return scores
        return join.reduceat(scores, self._starts, axis=1)

"""Naive Bayes on the words, word pairs and pieces of words of a message, quick for one message."""

from __future__ import annotations

import re
from collections import Counter
from typing import Dict, List, Sequence

import numpy as np
from scipy import sparse

#: Additive smoothing, in tf-idf units.
SMOOTHING = 0.1
#: Letters of a piece of a word.
PIECE = 4
_WORD = re.compile(r"\w+")


def terms(text: str) -> List[str]:
    """The words of a text in lower case, its pairs of neighbouring words, and pieces of words.

    A piece has four letters, the blank before and after a word among them; so a misspelt or
    inflected word is still partly known.
    """
    words = _WORD.findall(text.lower())
    pairs = [f"{one} {two}" for one, two in zip(words, words[1:])]
    bounded = [f" {word} " for word in words]
    pieces = [word[i : i + PIECE] for word in bounded for i in range(max(len(word) - PIECE, 0) + 1)]
    return words + pairs + pieces


class WordBayes:
    """How likely the words of a message are under each label, all labels being equally frequent.

    Words count by tf-idf with sublinear frequencies, every message the same in all.
    """

    def __init__(self, vocabulary: Sequence[str], rarity: np.ndarray, sums: sparse.spmatrix):
        """Takes the terms, their inverse document frequencies, and tf-idf sums, label × term."""
        self.vocabulary: Dict[str, int] = {term: at for at, term in enumerate(vocabulary)}
        self.rarity = rarity
        self.sums = sparse.csr_matrix(sums)
        totals = np.asarray(self.sums.sum(axis=1)).ravel() + SMOOTHING * len(self.vocabulary)
        # Filled label by label: most sums are nothing, and their logarithm is the same.
        filled = sparse.csc_matrix(self.sums.T)
        table = np.full(filled.shape, np.log(SMOOTHING), dtype=np.float32)
        entries = filled.tocoo()
        table[entries.row, entries.col] = np.log(entries.data + SMOOTHING)
        self._log_chance = table - np.log(np.maximum(totals, SMOOTHING)).astype(np.float32)

    @classmethod
    def fit(cls, messages: Sequence[List[str]], labels: np.ndarray, count: int) -> "WordBayes":
        """Learns from the terms of each message and its label, 0 … `count` - 1."""
        frequency = Counter(term for message in messages for term in set(message))
        vocabulary = sorted(frequency)
        seen = np.array([frequency[term] for term in vocabulary], dtype=float)
        rarity = np.log((1.0 + len(messages)) / (1.0 + seen)) + 1.0
        at = {term: index for index, term in enumerate(vocabulary)}
        weighed = _weighed(messages, at, rarity)
        owner = (np.ones(len(labels)), (labels, np.arange(len(labels))))
        return cls(vocabulary, rarity, sparse.csr_matrix(owner, (count, len(labels))) @ weighed)

    def scores(self, messages: Sequence[List[str]]) -> np.ndarray:
        """Log likelihood of each message (its terms) under each label."""
        return _weighed(messages, self.vocabulary, self.rarity) @ self._log_chance


def _weighed(
    messages: Sequence[List[str]], at: Dict[str, int], rarity: np.ndarray
) -> sparse.csr_matrix:
    """Tf-idf of messages as rows of length one; unknown terms are left out."""
    data, columns, ends = [], [], [0]
    for message in messages:
        known = Counter(at[term] for term in message if term in at)
        index = np.fromiter(known.keys(), dtype=np.int32, count=len(known))
        value = 1.0 + np.log(np.fromiter(known.values(), dtype=float, count=len(known)))
        value *= rarity[index]
        data.append(value / max(np.sqrt(value @ value), 1e-12))
        columns.append(index)
        ends.append(ends[-1] + len(known))
    shape = (len(messages), len(rarity))
    if not data:
        return sparse.csr_matrix(shape, dtype=np.float32)
    # In single precision as the table is: otherwise every product would copy the whole table.
    values = np.concatenate(data).astype(np.float32)
    return sparse.csr_matrix((values, np.concatenate(columns), ends), shape)

"""Naive Bayes on the words, word pairs and pieces of words of a message, quick for one message."""

from __future__ import annotations

import re
from collections import Counter
from typing import Dict, List, Sequence, Tuple

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
        log_totals = np.log(np.maximum(totals, SMOOTHING)).astype(np.float32)
        self._log_chance = table - log_totals
        self._never_seen = np.float32(np.log(SMOOTHING)) - log_totals

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
        if len(messages) == 1:  # a customer's: a matrix takes three times as long to make as to use
            columns, values = _known(messages[0], self.vocabulary, self.rarity)
            return (values @ self._log_chance[columns])[None, :]
        return _weighed(messages, self.vocabulary, self.rarity) @ self._log_chance

    def coverage(self, messages: Sequence[List[str]]) -> np.ndarray:
        """Share, 0…1, of what a message is written of that each label's examples hold too.

        Counted in pieces of words and short words, so that a misspelt word is not a strange one,
        and by rarity; what no example holds counts as much as the rarest.
        """
        rarest = self.rarity.max(initial=0.0)
        shares = np.zeros((len(messages), self.sums.shape[0]))
        for row, message in enumerate(messages):
            short = [term for term in message if len(term) <= PIECE]
            known = [self.vocabulary[term] for term in short if term in self.vocabulary]
            weight = self.rarity[known]
            whole = weight.sum() + rarest * (len(short) - len(known))
            shares[row] = weight @ (self._log_chance[known] > self._never_seen) / max(whole, 1e-12)
        return shares


def _weighed(
    messages: Sequence[List[str]], at: Dict[str, int], rarity: np.ndarray
) -> sparse.csr_matrix:
    """Tf-idf of messages as rows of length one; unknown terms are left out."""
    known = [_known(message, at, rarity) for message in messages]
    ends = np.cumsum([0, *(len(columns) for columns, _ in known)])
    shape = (len(messages), len(rarity))
    if not known:
        return sparse.csr_matrix(shape, dtype=np.float32)
    columns = np.concatenate([columns for columns, _ in known])
    return sparse.csr_matrix((np.concatenate([v for _, v in known]), columns, ends), shape)


def _known(
    message: List[str], at: Dict[str, int], rarity: np.ndarray
) -> Tuple[np.ndarray, np.ndarray]:
    """Columns of the known terms of a message, and their tf-idf at length one.

    In single precision as the table is: otherwise every product would copy the whole table.
    """
    counts = Counter(at[term] for term in message if term in at)
    columns = np.fromiter(counts.keys(), dtype=np.int32, count=len(counts))
    values = 1.0 + np.log(np.fromiter(counts.values(), dtype=float, count=len(counts)))
    values *= rarity[columns]
    return columns, (values / max(np.sqrt(values @ values), 1e-12)).astype(np.float32)

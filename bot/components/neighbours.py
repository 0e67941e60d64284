"""How near a message is to the examples of each intent."""

from __future__ import annotations

from typing import List, Tuple

import numpy as np

#: Examples of one intent whose mean cosine tells which intent a message has.
FEW = 3
#: Examples whose mean cosine tells whether it has that intent at all. More than `FEW`, since a
#: single example, perhaps mislabelled, must not vouch for messages of a kind never trained.
MANY = 10
#: Rows of the similarity matrix worked on at a time; bounds memory on large training sets.
CHUNK = 512
#: Spread of cosines within an intent where no intent has a second example to measure it by.
UNKNOWN_SPREAD = 0.1
_NO_EXAMPLE = -2.0  # below every cosine


class Neighbours:
    """Examples by intent, and how close together each intent's own lie."""

    def __init__(self, vectors: np.ndarray, labels: np.ndarray, count: int) -> None:
        """Takes unit vectors and their labels, each of 0 … `count` - 1 at least once."""
        order = np.argsort(labels, kind="stable")
        self.vectors = np.ascontiguousarray(vectors[order], dtype=np.float32)
        self.labels = labels[order]
        self.sizes = np.bincount(labels, minlength=count)
        self._starts = np.cumsum(self.sizes) - self.sizes
        self._transposed = np.ascontiguousarray(self.vectors.T)  # halves the time of one message
        self._groups = self._groups_of_like_size()
        self.own_closeness = self._leave_one_out()
        self._typical, self._spread = self._normal()

    def closeness(self, vectors: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
        """Mean cosine of each message to the nearest `FEW` and `MANY` examples of each intent."""
        few = np.empty((len(vectors), len(self.sizes)), dtype=np.float32)
        many = np.empty_like(few)
        for start in range(0, len(vectors), CHUNK):
            part = slice(start, start + CHUNK)
            cosines = vectors[part].astype(np.float32) @ self._transposed
            padded = np.hstack([cosines, np.full((len(cosines), 1), _NO_EXAMPLE, np.float32)])
            for intents, examples, of_few, of_many in self._groups:
                best = _largest(padded[:, examples])
                few[part, intents] = (best * of_few).sum(axis=-1)
                many[part, intents] = (best * of_many).sum(axis=-1)
        return few, many

    def familiarity(self, many: np.ndarray) -> np.ndarray:
        """Closeness measured by what is usual among the intent's own examples: 0 is usual."""
        return (many - self._typical) / self._spread

    def own_familiarity(self) -> np.ndarray:
        """Familiarity of each example with the others of its intent; NaN where it has none."""
        typical, spread = self._typical[self.labels], self._spread[self.labels]
        return (self.own_closeness - typical) / spread

    def _groups_of_like_size(self) -> List[Tuple[np.ndarray, ...]]:
        """Intents, their examples as a rectangle, and what the nearest of them count in the means.

        The rectangle is padded with one past the last example, which counts for nothing.
        """
        width = 2 ** np.ceil(np.log2(np.maximum(self.sizes, MANY))).astype(int)
        groups = []
        for wide in np.unique(width):
            intents = np.flatnonzero(width == wide)
            within = np.arange(wide)
            examples = self._starts[intents][:, None] + within
            missing = within >= self.sizes[intents][:, None]
            examples[missing] = len(self.labels)
            shares = [_shares(np.minimum(self.sizes[intents], most)) for most in (FEW, MANY)]
            groups.append((intents, examples, *shares))
        return groups

    def _leave_one_out(self) -> np.ndarray:
        """Mean cosine of each example to the nearest `MANY` others of its intent, or NaN."""
        found = np.full(len(self.labels), np.nan, dtype=np.float32)
        for start, size in zip(self._starts, self.sizes):
            own = self.vectors[start : start + size]
            for first in range(0, size if size > 1 else 0, CHUNK):
                block = own[first : first + CHUNK] @ own.T
                block[np.arange(len(block)), np.arange(first, first + len(block))] = _NO_EXAMPLE
                mean = _largest(block)[:, : min(size - 1, MANY)].mean(axis=1)
                found[start + first : start + first + len(block)] = mean
        return found

    def _normal(self) -> Tuple[np.ndarray, np.ndarray]:
        """Mean and spread of each intent's own closeness, drawn to those of all where few."""
        known = ~np.isnan(self.own_closeness)
        if not known.any():
            return np.ones(len(self.sizes)), np.full(len(self.sizes), UNKNOWN_SPREAD)
        own, labels = self.own_closeness[known].astype(float), self.labels[known]
        count = np.bincount(labels, minlength=len(self.sizes)) + MANY
        sums = np.bincount(labels, weights=own, minlength=len(self.sizes))
        typical = (sums + MANY * own.mean()) / count
        squares = np.bincount(labels, (own - typical[labels]) ** 2, minlength=len(self.sizes))
        return typical, np.sqrt((squares + MANY * max(own.var(), 1e-4)) / count)


def _largest(cosines: np.ndarray) -> np.ndarray:
    """The `MANY` largest of the last axis, or all, largest first."""
    top = min(MANY, cosines.shape[-1])
    best = np.partition(cosines, -top, axis=-1)[..., -top:]
    return np.sort(best, axis=-1)[..., ::-1]


def _shares(count: np.ndarray) -> np.ndarray:
    """What each of `MANY` counts in the mean of the first `count` of them."""
    return ((np.arange(MANY) < count[:, None]) / count[:, None]).astype(np.float32)

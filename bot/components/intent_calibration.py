"""Measures on held-out parts of a training set how far the intent model can be trusted."""

from __future__ import annotations

import zlib
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_softmax
from sklearn.linear_model import LogisticRegression

from bot.components.intent_scores import (
    Calibration,
    blended,
    logit,
    novelty_features,
    novelty_of,
    probabilities_of,
    shared_out,
    stacked,
)
from bot.components.intent_views import BACKGROUND, Examples, Scorers, Views, is_real

#: An intent with no more examples than this is new: it competes with intents that have dozens,
#: and without help loses its own messages to them.
NEW_INTENT_EXAMPLES = 5
#: Candidate head starts of a new intent, and the recall the others may lose to it, 0…1.
HEAD_STARTS = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0)
LOSS_TO_NEW_INTENT = 0.01
#: Five folds up to this many examples; three above, where each still has plenty.
SMALL_SET = 3000
#: Parts into which intents are drawn, each left out once to stand for what is novel.
GROUPS = 3

Scored = List[Tuple[Views, np.ndarray]]


class Calibrator:
    """Trains on parts of the examples and scores the rest.

    Args:
        examples: the whole training set.
        texts: of the examples; folds are drawn by them.
        names: the intents' own names as further examples.
        unknown: the intent that stands for everything else, if there is one.
    """

    def __init__(
        self,
        examples: Examples,
        texts: Sequence[str],
        names: Optional[Examples],
        unknown: Optional[str],
    ) -> None:
        self.examples, self.names, self.unknown = examples, names, unknown
        self.labels = examples.labels
        self.classes = np.unique(self.labels)
        self.folds = 5 if (self.labels != BACKGROUND).sum() <= SMALL_SET else 3
        self.random = np.random.RandomState(0)
        self.fold_of = self._fold_of_example(texts)

    def run(self, scorers: Scorers) -> Calibration:
        """Measures everything the training set is large enough for; `scorers` are fitted on all."""
        result = Calibration()
        scored = self._score_held_out() if len(self.classes) > 1 else []
        if scored:
            result.view_weights = _best_weights(scored, result.view_weights)
            self._measure_head_starts(result)
        self._measure_novelty(scorers, result)
        if scored:
            _fit_platt(scored, result)
        return result

    def _fold_of_example(self, texts: Sequence[str]) -> np.ndarray:
        """A fold for each example; -1 where the intent has one example, which always trains."""
        fold_of = np.full(len(self.labels), -1)
        for name in self.classes:
            rows = np.flatnonzero(self.labels == name)
            if len(rows) > 1:
                order = sorted(rows, key=lambda row: _draw(texts[row]))
                fold_of[order] = (_draw(name) + np.arange(len(rows))) % self.folds
        return fold_of

    def _views_without(self, train: np.ndarray, test: np.ndarray) -> Views:
        scorers = Scorers(self.unknown).fit(self.examples.take(train), self.names)
        held_out = self.examples.take(test)
        return scorers.views(held_out.vectors, held_out.terms)

    def _score_held_out(self) -> Scored:
        """Every example scored by a model that has not seen it, with its true column."""
        scored: Scored = []
        for fold in range(self.folds):
            test = self.fold_of == fold
            if not test.any():
                continue
            views = self._views_without(~test, test)
            if len(views.classes) == len(self.classes):
                scored.append((views, np.searchsorted(views.classes, self.labels[test])))
        return scored

    def _measure_head_starts(self, result: Calibration) -> None:
        """What a new intent needs so that its few examples are not outvoted."""
        real = self.classes[is_real(self.classes, self.unknown)]
        counts = {str(name): int((self.labels == name).sum()) for name in real}
        plenty = [name for name, count in counts.items() if count > 2 * NEW_INTENT_EXAMPLES]
        if len(plenty) < 3:
            return
        found: Dict[int, float] = {}
        for name, count in sorted(counts.items()):
            if count <= NEW_INTENT_EXAMPLES:
                if count not in found:
                    found[count] = self._head_start_for(count, plenty, result)
                result.head_start[name] = found[count]

    def _head_start_for(self, count: int, plenty: List[str], result: Calibration) -> float:
        """Pretends that known intents had only `count` examples, and looks what would help."""
        rounds = []
        for fold in range(3):
            few = set(self.random.permutation(plenty)[: max(1, len(plenty) // 6)])
            is_few = np.isin(self.labels, list(few))
            train = ~is_few & (self.fold_of != fold)
            for name in sorted(few):
                rows = np.flatnonzero(self.labels == name)
                train[self.random.permutation(rows)[:count]] = True
            test = ~train & (is_few | (self.fold_of == fold)) & (self.labels != BACKGROUND)
            views = self._views_without(train, test)
            scores, names = blended(views, result)[:, views.named], views.classes[views.named]
            column = np.isin(names, list(few))
            rounds.append((scores, column, names, self.labels[test], is_few[test]))
        return _best_head_start(rounds)

    def _measure_novelty(self, scorers: Scorers, result: Calibration) -> None:
        features, known = self._known_and_novel(result)
        if len(set(known)) < 2:
            features, known = self._similarity_only(scorers, result)
        result.novelty_weights, result.novelty_offset = _falling_regression(
            features, ~known, _prior_weights(known, scorers.novel_share)
        )

    def _group_of_intent(self) -> np.ndarray:
        """A group for each real intent, evenly where there are few; -1 for the others."""
        drawn = np.array([_draw(str(name)) for name in self.classes])
        real = is_real(self.classes, self.unknown)
        if real.sum() < 5 * GROUPS:
            drawn[real] = drawn[real].argsort().argsort()
        return np.where(real, drawn % GROUPS, -1)

    def _known_and_novel(self, result: Calibration) -> Tuple[np.ndarray, np.ndarray]:
        """Novelty features of held-out messages, whose intents were trained or left out.

        What is no real intent is never left out; its messages are novel all the same.
        """
        is_real_one = is_real(self.labels, self.unknown)
        left_out_in = self._group_of_intent()[np.searchsorted(self.classes, self.labels)]
        features, known = [], []
        for group in range(GROUPS):
            left_out = left_out_in == group
            test = (self.fold_of >= 0) & (self.fold_of % GROUPS == group)
            train = ~left_out & ~test
            if len(set(self.labels[train & is_real_one])) < 2 or not test.any():
                continue
            views = self._views_without(train, test)
            features.append(novelty_features(views, probabilities_of(views, result)))
            known.append((~left_out & is_real_one)[test])
        if not features:
            return np.zeros((0, 0)), np.zeros(0, dtype=bool)
        return np.vstack(features), np.concatenate(known)

    def _similarity_only(
        self, scorers: Scorers, result: Calibration
    ) -> Tuple[np.ndarray, np.ndarray]:
        """With too few intents to leave one out: the examples against their own opposites.

        A training example seen from the others is known; the negated vector, which points away
        from everything trained, stands for a message of another kind.
        """
        neighbours = scorers.neighbours
        real = scorers.real[neighbours.labels]
        vectors, own = neighbours.vectors[real], neighbours.own_familiarity()[real]
        rows = []
        for sign in (1.0, -1.0):
            views = scorers.views(sign * vectors, [[] for _ in vectors])
            features = novelty_features(views, probabilities_of(views, result))
            if sign > 0:
                features[:, 0] = np.where(np.isnan(own), features[:, 0], own)
            rows.append(features)
        return np.vstack(rows), np.repeat([True, False], len(vectors))


def _draw(text: str) -> int:
    """A number drawn by lot for a text: always the same, whatever else is in the training set.

    A new example or intent thereby leaves the folds of all others alone, and a night's learning
    moves no confidence it has nothing to do with.
    """
    return zlib.crc32(text.encode("utf-8"))


def _best_weights(scored: Scored, usual: List[float]) -> List[float]:
    """The weights of the views, none negative, with the least log loss on held-out messages.

    Being off the usual weights by their own size costs as much as half a unit of log loss,
    which only matters where there are a few dozen messages.
    """
    scores = [_between_named(views, truth) for views, truth in scored]
    scale = np.array(usual)

    def loss(relative: np.ndarray) -> Tuple[float, np.ndarray]:
        value = 0.5 * float(((relative - 1.0) ** 2).sum())
        gradient = relative - 1.0
        for views, truth in scores:
            rows = np.arange(len(truth))
            chances = log_softmax(np.tensordot((relative * scale).astype("f4"), views, 1), axis=1)
            value -= float(chances[rows, truth].sum(dtype=float))
            chances = np.exp(chances)
            chances[rows, truth] -= 1.0
            gradient = gradient + scale * np.tensordot(views, chances, 2)
        return value, gradient

    bounds = [(0.0, None)] * len(usual)
    found = minimize(loss, np.ones(len(usual)), jac=True, method="L-BFGS-B", bounds=bounds)
    return (found.x * scale).tolist()


def _between_named(views: Views, truth: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Scores of the messages whose intent may be named, among such intents, and true columns."""
    told = views.named[truth]
    scores = stacked(views)[:, told][:, :, views.named].astype(np.float32)
    return scores, (np.cumsum(views.named) - 1)[truth[told]]


def _falling_regression(
    features: np.ndarray, novel: np.ndarray, weight: np.ndarray
) -> Tuple[List[float], float]:
    """Logistic regression in which no sign of familiarity can raise the novelty.

    The features overlap, and left free some would get the wrong sign: an exact repetition of a
    training example could then look novel.
    """
    means, scales = features.mean(axis=0), features.std(axis=0)
    scales[scales < 1e-9] = 1.0
    scaled = (features - means) / scales

    def loss(parameters: np.ndarray) -> Tuple[float, np.ndarray]:
        score = scaled @ parameters[:-1] + parameters[-1]
        error = weight * (expit(score) - novel)
        penalty = 0.5 * float(parameters[:-1] @ parameters[:-1])
        value = float((weight * np.logaddexp(0.0, np.where(novel, -score, score))).sum()) + penalty
        gradient = np.append(scaled.T @ error + parameters[:-1], error.sum())
        return value, gradient

    count = features.shape[1]
    bounds = [(None, 0.0)] * count + [(None, None)]
    found = minimize(loss, np.zeros(count + 1), jac=True, method="L-BFGS-B", bounds=bounds)
    weights = found.x[:-1] / scales
    return weights.tolist(), float(found.x[-1] - weights @ means)


def _prior_weights(known: np.ndarray, share: float) -> np.ndarray:
    """Weights that make the novel messages count for a share, 0…1, of all."""
    novel = max(int((~known).sum()), 1)
    factor = share / (1.0 - share) * max(int(known.sum()), 1) / novel
    return np.where(known, 1.0, factor)


def _best_head_start(rounds: List[Tuple[np.ndarray, ...]]) -> float:
    """The head start with the best recall of few-example intents the others can afford."""
    recalls = []
    for start in HEAD_STARTS:
        few_right, other_right = [], []
        for scores, column, classes, truth, is_few in rounds:
            right = classes[(scores + start * column).argmax(axis=1)] == truth
            few_right.append(right[is_few])
            other_right.append(right[~is_few])
        recalls.append((np.concatenate(few_right).mean(), np.concatenate(other_right).mean()))
    floor = recalls[0][1] - LOSS_TO_NEW_INTENT
    affordable = [
        (few, -start) for start, (few, other) in zip(HEAD_STARTS, recalls) if other >= floor
    ]
    return -max(affordable)[1]


def _fit_platt(scored: Scored, result: Calibration) -> None:
    """Fits how often the first intent is right, given its probability and the novelty."""
    chances, right = [], []
    for views, truth in scored:
        probabilities = probabilities_of(views, result)
        shared = shared_out(views, probabilities, novelty_of(views, probabilities, result))
        told = views.named[truth]  # no customer's message has the intent that is never named
        chances.append(shared[told].max(axis=1))
        right.append(shared[told].argmax(axis=1) == truth[told])
    outcome = np.concatenate(right)
    if outcome.all() or not outcome.any():
        return
    fitted = LogisticRegression(C=10.0).fit(logit(np.concatenate(chances))[:, None], outcome)
    if fitted.coef_[0, 0] > 0:  # a falling curve can only be noise of a tiny set
        result.platt_slope = float(fitted.coef_[0, 0])
        result.platt_offset = float(fitted.intercept_[0])

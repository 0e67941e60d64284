"""The intent model behind `SentenceVectorIntentClassifier`, free of Rasa.

Three views of a message are added up, each as a score per intent:

* a multinomial logistic regression on the sentence vector (the strongest with many examples),
* naive Bayes on its words and word pairs (exact terms such as "top-up" that the vector blurs),
* cosine similarity to the nearest examples of the intent (the strongest with one or two).

How much each view counts, how far the sum is to be trusted (a temperature and a Platt
calibration), and when a message is unlike anything trained are all measured on the training set
by cross-validation; no figure of a particular dataset stands in the code. The novelty detector
is taught by leaving whole intents out: their messages are by construction something the
remaining model has never seen.

A training set may hold one intent that stands for everything else (`out_of_scope`). It is scored
like the others, topic by topic, and whatever novelty takes from the real intents is added to it.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

import joblib
import numpy as np
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, log_softmax, logsumexp, softmax
from sklearn.cluster import KMeans
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from threadpoolctl import threadpool_limits

FORMAT_VERSION = 1
#: Inverse regularisation of the logistic regression. Unit vectors have small coordinates, so
#: scikit-learn's default of 1 under-fits them.
INVERSE_REGULARISATION = 10.0
#: Additive smoothing of the naive Bayes view, in tf-idf units.
WORD_SMOOTHING = 0.1
#: The intent for everything else is many topics, which no single plane can cut off: it is scored
#: as topics of about this many examples.
EXAMPLES_PER_TOPIC = 10
#: Examples of one intent whose mean similarity makes its neighbour score.
NEIGHBOURS = 3
#: Share of messages assumed to be unlike anything trained, before looking at the message.
NOVEL_PRIOR = 0.3
#: Candidate weights of the word view and of the neighbour view.
WORD_WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.5)
NEIGHBOUR_WEIGHTS = (0.0, 2.0, 5.0, 10.0)
#: An intent with no more examples than this is new: it competes with intents that have dozens,
#: and without help loses its own messages to them.
NEW_INTENT_EXAMPLES = 5
#: Candidate head starts of a new intent, and the recall the others may lose to it, 0…1.
HEAD_STARTS = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
LOSS_TO_NEW_INTENT = 0.01
#: Rows of the similarity matrix worked on at a time; bounds memory on large training sets.
CHUNK = 1024
_EPSILON = 1e-12
_TOPIC = "\x1f"  # between the intent for everything else and the number of a topic


@dataclass(frozen=True)
class Prediction:
    """Intents of one message, best first, with confidences in 0…1, and its novelty in 0…1."""

    ranking: List[Tuple[str, float]]
    novelty: float


@dataclass
class Calibration:
    """Everything measured by cross-validation; plain numbers, stored as JSON."""

    word_weight: float = 0.0
    neighbour_weight: float = 5.0
    temperature: float = 1.0
    platt_slope: float = 1.0
    platt_offset: float = 0.0
    novelty_weights: List[float] = field(default_factory=list)
    novelty_offset: float = 0.0
    feature_means: List[float] = field(default_factory=list)
    feature_scales: List[float] = field(default_factory=list)
    word_scale: float = 1.0
    head_start: Dict[str, float] = field(default_factory=dict)


@dataclass
class _Views:
    """Scores per message and intent of each view, and the similarity figures for novelty."""

    classes: np.ndarray
    regression: np.ndarray
    words: np.ndarray
    neighbours: np.ndarray
    nearest: np.ndarray
    nearest_mean: np.ndarray
    relative: np.ndarray
    energy: np.ndarray
    coverage: np.ndarray
    real: np.ndarray  #: by column: an intent of its own, not the one for everything else


def _word_vectorizer() -> TfidfVectorizer:
    return TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\b\w+\b")


class _Core:
    """The three views, fitted on one training set."""

    def __init__(self, unknown: Optional[str] = None) -> None:
        self.unknown = unknown
        self.classes: np.ndarray = np.array([])
        self.vectors = np.zeros((0, 0), dtype=np.float32)
        self.labels = np.zeros(0, dtype=int)
        self.own_similarity = np.zeros(0, dtype=np.float32)
        self.regression: Optional[LogisticRegression] = None
        self.vectorizer: Optional[TfidfVectorizer] = None
        self.bayes: Optional[MultinomialNB] = None
        self.word_table: Optional[np.ndarray] = None  #: words × topics, made when first needed

    def fit(
        self,
        vectors: np.ndarray,
        labels: np.ndarray,
        texts: Sequence[str],
        names: Optional[Tuple[np.ndarray, np.ndarray, List[str]]] = None,
    ) -> "_Core":
        """Fits on examples; `names` are the intents' own names as (vectors, labels, texts)."""
        self.classes = np.unique(labels)
        self.vectors, self.labels = (
            vectors.astype(np.float32),
            np.searchsorted(self.classes, labels),
        )
        self.own_similarity = _leave_one_out_similarity(self.vectors[self.real_rows])
        if names is not None:
            known = np.isin(names[1], self.classes)
            vectors = np.vstack([vectors, names[0][known]])
            labels = np.concatenate([labels, names[1][known]])
            texts = list(texts) + [text for text, keep in zip(names[2], known) if keep]
        if len(self.classes) > 1:
            self._fit_scorers(vectors, labels, texts)
        return self

    @property
    def real(self) -> np.ndarray:
        """By column: whether it is an intent of its own. All are, where nothing else is known."""
        real = self.classes != self.unknown
        return real if real.any() else np.ones(len(self.classes), dtype=bool)

    @property
    def real_rows(self) -> np.ndarray:
        """By example: whether its intent is one of its own."""
        return self.real[self.labels]

    def _fit_scorers(self, vectors: np.ndarray, labels: np.ndarray, texts: Sequence[str]) -> None:
        weight = self._weights(labels)
        labels = self._with_topics(vectors, labels)
        self.regression = LogisticRegression(
            C=INVERSE_REGULARISATION, solver="lbfgs", max_iter=300
        ).fit(vectors, labels, sample_weight=weight)
        try:
            self.vectorizer = _word_vectorizer()
            counts = self.vectorizer.fit_transform(texts)
        except ValueError:  # no text holds a single word: numbers and signs only
            self.vectorizer = None
            return
        self.bayes = MultinomialNB(alpha=WORD_SMOOTHING, fit_prior=False).fit(counts, labels)

    def _weights(self, labels: np.ndarray) -> np.ndarray:
        """Every real intent counts the same; everything else counts as `NOVEL_PRIOR` says."""
        names, at, counts = np.unique(labels, return_inverse=True, return_counts=True)
        share = np.full(len(names), 1.0)
        share[names == self.unknown] = NOVEL_PRIOR / (1.0 - NOVEL_PRIOR) * (len(names) - 1)
        return (len(labels) / share.sum() * share / counts)[at]

    def _with_topics(self, vectors: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Labels in which the intent for everything else is divided into topics."""
        rows = np.flatnonzero(labels == self.unknown)
        count = len(rows) // EXAMPLES_PER_TOPIC
        if count < 2:
            return labels
        found = KMeans(count, n_init=3, random_state=0).fit_predict(vectors[rows])
        divided = labels.astype(object)
        divided[rows] = [f"{self.unknown}{_TOPIC}{topic}" for topic in found]
        return divided.astype(str)

    def _by_intent(self, scores: np.ndarray) -> np.ndarray:
        """Log scores by intent: what the scorers found, with topics added up."""
        assert self.regression is not None
        owner = np.array([str(name).split(_TOPIC)[0] for name in self.regression.classes_])
        return np.column_stack(
            [logsumexp(scores[:, owner == name], axis=1) for name in self.classes]
        )

    def views(self, vectors: np.ndarray, texts: Sequence[str]) -> _Views:
        """Scores of messages under every view."""
        parts = [self._similarities(vectors[i : i + CHUNK]) for i in range(0, len(vectors), CHUNK)]
        neighbours, nearest, mean, relative = (np.concatenate(p) for p in zip(*parts))
        logits = self._logits(vectors)
        words, coverage = self._words(texts)
        return _Views(
            self.classes,
            log_softmax(logits, axis=1),
            words,
            neighbours,
            nearest,
            mean,
            relative,
            logits[:, self.real].max(axis=1),
            coverage,
            self.real,
        )

    def _logits(self, vectors: np.ndarray) -> np.ndarray:
        if self.regression is None:
            return np.zeros((len(vectors), len(self.classes)))
        logits = np.asarray(self.regression.decision_function(vectors))
        if logits.ndim == 1:  # scikit-learn gives one figure for two classes
            logits = np.column_stack([-logits / 2, logits / 2])
        return self._by_intent(logits)

    def _words(self, texts: Sequence[str]) -> Tuple[np.ndarray, np.ndarray]:
        if self.vectorizer is None or self.bayes is None:
            return np.zeros((len(texts), len(self.classes))), np.ones(len(texts))
        # MultinomialNB copies its whole table at every call, 12 ms with 150 intents.
        if self.word_table is None:
            self.word_table = np.ascontiguousarray(self.bayes.feature_log_prob_.T)
        found = self.vectorizer.transform(texts) @ self.word_table + self.bayes.class_log_prior_
        scores = self._by_intent(log_softmax(found, axis=1))
        vocabulary, analyse = self.vectorizer.vocabulary_, self.vectorizer.build_analyzer()
        hits = [[term in vocabulary for term in analyse(text)] for text in texts]
        return scores, np.array([sum(hit) / len(hit) if hit else 1.0 for hit in hits])

    def _similarities(self, vectors: np.ndarray) -> Tuple[np.ndarray, ...]:
        similarity = vectors.astype(np.float32) @ self.vectors.T
        neighbours = np.zeros((len(vectors), len(self.classes)))
        for index in range(len(self.classes)):
            own = similarity[:, self.labels == index]
            top = min(NEIGHBOURS, own.shape[1])
            neighbours[:, index] = np.partition(own, -top, axis=1)[:, -top:].mean(axis=1)
        similarity = similarity[:, self.real_rows]
        top = min(NEIGHBOURS, similarity.shape[1])
        nearest_at = similarity.argmax(axis=1)
        nearest = similarity[np.arange(len(vectors)), nearest_at]
        mean = np.partition(similarity, -top, axis=1)[:, -top:].mean(axis=1)
        return neighbours, nearest, mean, nearest - self.own_similarity[nearest_at]


def _leave_one_out_similarity(vectors: np.ndarray) -> np.ndarray:
    """For every example the cosine to its nearest other example."""
    nearest = np.zeros(len(vectors), dtype=np.float32)
    for start in range(0, len(vectors), CHUNK):
        block = vectors[start : start + CHUNK] @ vectors.T
        block[np.arange(len(block)), np.arange(start, start + len(block))] = -1.0
        nearest[start : start + CHUNK] = block.max(axis=1)
    return nearest


class IntentModel:
    """Trains on sentence vectors and texts, and tells the intent of a message.

    The same input gives the same model: folds are drawn with a fixed seed, all solvers are
    deterministic.
    """

    def __init__(self, core: _Core, calibration: Calibration) -> None:
        self._core = core
        self.calibration = calibration

    @property
    def intents(self) -> List[str]:
        """The intents known, in alphabetical order."""
        return [str(name) for name in self._core.classes]

    @classmethod
    def train(
        cls,
        vectors: np.ndarray,
        labels: Sequence[str],
        texts: Sequence[str],
        names: Optional[Dict[str, np.ndarray]] = None,
        unknown: Optional[str] = None,
    ) -> "IntentModel":
        """Fits and calibrates a model.

        Args:
            vectors: one unit vector a row.
            labels: the intent of each row.
            texts: the text of each row.
            names: unit vectors of the intents' own names written as words; each counts as one
                more example of its intent, which helps where examples are few.
            unknown: the intent that stands for everything else, if there is one.

        Raises:
            ValueError: there is no example, or the lengths differ.
        """
        if not len(vectors) or not len(vectors) == len(labels) == len(texts):
            raise ValueError("training needs as many vectors as intents and texts, at least one")
        known = np.asarray(labels, dtype=str)
        names = {name: v for name, v in (names or {}).items() if name != unknown}
        triple = _names_as_examples(names) if names else None
        with threadpool_limits(limits=1):  # sums in another order differ in the last digits
            core = _Core(unknown).fit(vectors, known, texts, triple)
            calibration = _Calibrator(vectors, known, list(texts), triple, unknown).run(core)
        return cls(core, calibration)

    def predict(self, vectors: np.ndarray, texts: Sequence[str]) -> List[Prediction]:
        """Ranks every intent for each message."""
        views = self._core.views(vectors, texts)
        probabilities = probabilities_of(views, self.calibration)
        novelty = novelty_of(views, probabilities, self.calibration)
        confidences = confidences_of(views, probabilities, novelty, self.calibration)
        order = np.argsort(-confidences, axis=1, kind="stable")
        return [
            Prediction([(str(self._core.classes[i]), float(row[i])) for i in best], float(new))
            for row, best, new in zip(
                confidences, order, total_novelty(views, probabilities, novelty)
            )
        ]

    def save(self, folder: Path) -> None:
        """Writes `model.json`, `examples.npz` and `scorers.joblib` into an existing folder."""
        core = self._core
        meta = {
            "format": FORMAT_VERSION,
            "classes": self.intents,
            "unknown": core.unknown,
            **vars(self.calibration),
        }
        (folder / "model.json").write_text(json.dumps(meta), encoding="utf-8")
        np.savez(
            folder / "examples.npz",
            vectors=core.vectors,
            labels=core.labels,
            own_similarity=core.own_similarity,
        )
        scorers = (core.regression, core.vectorizer, core.bayes)
        joblib.dump(scorers, folder / "scorers.joblib", compress=3)

    @classmethod
    def load(cls, folder: Path) -> "IntentModel":
        """Reads what `save` wrote.

        Raises:
            ValueError: the files are of another version of this component.
        """
        meta = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        if meta.pop("format") != FORMAT_VERSION:
            raise ValueError("the stored intent model is of another version: train again")
        core = _Core(meta.pop("unknown"))
        core.classes = np.array(meta.pop("classes"))
        with np.load(folder / "examples.npz") as stored:
            core.vectors, core.labels = stored["vectors"], stored["labels"]
            core.own_similarity = stored["own_similarity"]
        core.regression, core.vectorizer, core.bayes = joblib.load(folder / "scorers.joblib")
        return cls(core, Calibration(**meta))


def blended(views: _Views, calibration: Calibration) -> np.ndarray:
    """The weighted sum of the views, one column an intent, not yet a probability."""
    words = calibration.word_weight * views.words / calibration.word_scale
    head_start = np.array([calibration.head_start.get(str(name), 0.0) for name in views.classes])
    return views.regression + words + calibration.neighbour_weight * views.neighbours + head_start


def probabilities_of(views: _Views, calibration: Calibration) -> np.ndarray:
    """Probability of each intent, supposing that the message has one of them."""
    return softmax(blended(views, calibration) * calibration.temperature, axis=1)


def shared_out(views: _Views, probabilities: np.ndarray, novelty: np.ndarray) -> np.ndarray:
    """Probabilities once novelty is taken into account.

    What a message loses by being unlike anything trained goes to the intent for everything
    else, where there is one; otherwise the figures of a message add up to less than one.
    """
    shared = probabilities * (1.0 - novelty)[:, None]
    if not views.real.all():
        shared[:, ~views.real] = total_novelty(views, probabilities, novelty)[:, None]
    return shared


def total_novelty(views: _Views, probabilities: np.ndarray, novelty: np.ndarray) -> np.ndarray:
    """Probability, 0…1, that none of the real intents is meant."""
    return 1.0 - probabilities[:, views.real].sum(axis=1).clip(0.0, 1.0) * (1.0 - novelty)


def confidences_of(
    views: _Views, probabilities: np.ndarray, novelty: np.ndarray, calibration: Calibration
) -> np.ndarray:
    """How often an intent of such a probability, in a message of such novelty, is right.

    The first intent gets the figure measured on held-out messages. The others share what it
    leaves in proportion, and never overtake it.
    """
    shared = shared_out(views, probabilities, novelty)
    rows, best = np.arange(len(shared)), shared.argmax(axis=1)
    first = shared[rows, best]
    top = expit(calibration.platt_slope * _logit(first) + calibration.platt_offset)
    factor = (1.0 - top) / np.maximum(1.0 - first, _EPSILON)
    result = np.minimum(shared * factor[:, None], top[:, None])
    result[rows, best] = top
    return result


def novelty_features(views: _Views, probabilities: np.ndarray) -> np.ndarray:
    """What tells a message of a kind never trained: similarity, energy and unknown words."""
    real = np.where(views.real, probabilities, -1.0)
    rows, best = np.arange(len(real)), real.argmax(axis=1)
    nearest = np.minimum(views.nearest, 1.0 - 1e-3)
    return np.column_stack(
        [
            -np.log1p(-nearest),
            views.nearest_mean,
            views.neighbours[rows, best],
            np.minimum(views.relative, 0.0),
            views.energy,
            views.coverage,
            _logit(probabilities[rows, best]),
        ]
    )


def novelty_of(views: _Views, probabilities: np.ndarray, calibration: Calibration) -> np.ndarray:
    """Probability, 0…1, that a message belongs to no trained intent."""
    features = novelty_features(views, probabilities)
    scaled = (features - calibration.feature_means) / np.asarray(calibration.feature_scales)
    return expit(scaled @ np.asarray(calibration.novelty_weights) + calibration.novelty_offset)


def _logit(probability: np.ndarray) -> np.ndarray:
    clipped = np.clip(probability, 1e-6, 1.0 - 1e-6)
    return np.log(clipped) - np.log1p(-clipped)


def _names_as_examples(names: Dict[str, np.ndarray]) -> Tuple[np.ndarray, np.ndarray, List[str]]:
    order = sorted(names)
    return (
        np.vstack([names[name] for name in order]),
        np.array(order, dtype=str),
        [readable(name) for name in order],
    )


def readable(intent: str) -> str:
    """An intent's name as words: `check_refund_policy` → `check refund policy`."""
    return " ".join(intent.replace("_", " ").replace("-", " ").replace("/", " ").split()).lower()


class _Calibrator:
    """Measures on held-out parts of the training set what `Calibration` holds."""

    #: Folds of the cross-validation; three on large sets, where each fold still has plenty.
    SMALL_SET = 3000

    def __init__(
        self,
        vectors: np.ndarray,
        labels: np.ndarray,
        texts: List[str],
        names: Optional[Tuple[np.ndarray, np.ndarray, List[str]]],
        unknown: Optional[str],
    ) -> None:
        self.vectors, self.labels, self.texts, self.names = vectors, labels, texts, names
        self.unknown = unknown
        self.classes = np.unique(labels)
        self.folds = 5 if len(labels) <= self.SMALL_SET else 3
        self.random = np.random.RandomState(0)

    def run(self, core: _Core) -> Calibration:
        """Measures everything the training set is large enough for."""
        result = Calibration(word_scale=float(core._words(self.texts)[0].std()) or 1.0)
        fold_of = self._fold_of_example()
        scored = self._score_held_out(fold_of) if len(self.classes) > 1 else []
        if scored:
            _fit_blend(scored, result)
            self._measure_head_starts(fold_of, result)
        self._measure_novelty(fold_of, core, result)
        if scored:
            _fit_platt(scored, result)
        return result

    def _fold_of_example(self) -> np.ndarray:
        """A fold for each example; -1 where the intent has one example, which always trains."""
        fold_of = np.full(len(self.labels), -1)
        for name in self.classes:
            rows = np.flatnonzero(self.labels == name)
            if len(rows) > 1:
                order = sorted(rows, key=lambda row: _draw(self.texts[row]))
                fold_of[order] = (_draw(name) + np.arange(len(rows))) % self.folds
        return fold_of

    def _views_without(self, train: np.ndarray, test: np.ndarray) -> Tuple[_Core, _Views]:
        core = _Core(self.unknown).fit(
            self.vectors[train],
            self.labels[train],
            [self.texts[i] for i in np.flatnonzero(train)],
            self.names,
        )
        return core, core.views(self.vectors[test], [self.texts[i] for i in np.flatnonzero(test)])

    def _score_held_out(self, fold_of: np.ndarray) -> List[Tuple[_Views, np.ndarray]]:
        """Every example scored by a model that has not seen it, with its true column."""
        scored: List[Tuple[_Views, np.ndarray]] = []
        for fold in range(self.folds):
            test = fold_of == fold
            if not test.any():
                continue
            core, views = self._views_without(~test, test)
            if len(core.classes) == len(self.classes):
                scored.append((views, np.searchsorted(core.classes, self.labels[test])))
        return scored

    def _measure_head_starts(self, fold_of: np.ndarray, result: Calibration) -> None:
        """What a new intent needs so that its few examples are not outvoted."""
        counts = {str(name): int((self.labels == name).sum()) for name in self.classes}
        plenty = [
            name
            for name, count in counts.items()
            if count > 2 * NEW_INTENT_EXAMPLES and name != self.unknown
        ]
        if len(plenty) < 3:
            return
        found: Dict[int, float] = {}
        for name, count in sorted(counts.items()):
            if count <= NEW_INTENT_EXAMPLES and name != self.unknown:
                if count not in found:
                    found[count] = self._head_start_for(count, plenty, fold_of, result)
                result.head_start[name] = found[count]

    def _head_start_for(
        self, count: int, plenty: List[str], fold_of: np.ndarray, result: Calibration
    ) -> float:
        """Pretends that known intents had only `count` examples, and looks what would help."""
        rounds = []
        for fold in range(3):
            few = set(self.random.permutation(plenty)[: max(1, len(plenty) // 6)])
            is_few = np.isin(self.labels, list(few))
            train = ~is_few & (fold_of != fold)
            for name in sorted(few):
                rows = np.flatnonzero(self.labels == name)
                train[self.random.permutation(rows)[:count]] = True
            test = ~train & (is_few | (fold_of == fold))
            _, views = self._views_without(train, test)
            column = np.isin(views.classes, list(few))
            rounds.append(
                (blended(views, result), column, views.classes, self.labels[test], is_few[test])
            )
        return _best_head_start(rounds)

    def _measure_novelty(self, fold_of: np.ndarray, core: _Core, result: Calibration) -> None:
        features, known, weight = self._known_and_novel(fold_of, result)
        if len(set(known)) < 2:
            features, known, weight = self._similarity_only(core, result)
        means, scales = features.mean(axis=0), features.std(axis=0)
        scales[scales < 1e-9] = 1.0
        weights, offset = _falling_regression((features - means) / scales, ~known, weight)
        result.feature_means, result.feature_scales = means.tolist(), scales.tolist()
        result.novelty_weights, result.novelty_offset = weights, offset

    def _group_of_intent(self) -> np.ndarray:
        """One of three groups for each intent, evenly where there are few intents."""
        drawn = np.array([_draw(str(name)) for name in self.classes])
        if len(drawn) < 15:
            drawn = drawn.argsort().argsort()
        return drawn % 3

    def _known_and_novel(
        self,
        fold_of: np.ndarray,
        result: Calibration,
    ) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Novelty features of held-out messages, whose intents were trained or left out."""
        group_of = self._group_of_intent()
        group_of[self.classes == self.unknown] = -1  # stays, but its messages are novel too
        is_unknown = self.labels == self.unknown
        left_out_in = group_of[np.searchsorted(self.classes, self.labels)]
        features, known = [np.zeros((0, 7))], [np.zeros(0, dtype=bool)]
        for group in range(3):
            left_out = left_out_in == group
            test = (fold_of >= 0) & (fold_of % 3 == group)
            train = ~left_out & ~test
            if len(set(self.labels[train & ~is_unknown])) < 2 or not test.any():
                continue
            _, views = self._views_without(train, test)
            features.append(novelty_features(views, probabilities_of(views, result)))
            known.append(~(left_out | is_unknown)[test])
        all_known = np.concatenate(known)
        return np.vstack(features), all_known, _prior_weights(all_known)

    def _similarity_only(
        self,
        core: _Core,
        result: Calibration,
    ) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
        """With too few intents to leave one out: the examples against their own opposites.

        A training example seen from the others is known; the negated vector, which points away
        from everything trained, stands for a message of another kind.
        """
        rows = []
        real = core.vectors[core.real_rows]
        texts = [text for text, keep in zip(self.texts, core.real_rows) if keep]
        for vectors, own in ((real, True), (-real, False)):
            views = core.views(vectors, texts)
            if own and len(real) > 1:
                views.nearest = core.own_similarity
            rows.append(novelty_features(views, probabilities_of(views, result)))
        known = np.repeat([True, False], len(real))
        return np.vstack(rows), known, _prior_weights(known)


def _draw(text: str) -> int:
    """A number drawn by lot for a text: always the same, whatever else is in the training set.

    A new example or intent thereby leaves the folds of all others alone, and a night's learning
    moves no confidence it has nothing to do with.
    """
    return zlib.crc32(text.encode("utf-8"))


def _falling_regression(
    features: np.ndarray, novel: np.ndarray, weight: np.ndarray
) -> Tuple[List[float], float]:
    """Logistic regression in which no sign of familiarity can raise the novelty.

    The features overlap, and left free some would get the wrong sign: an exact repetition of a
    training example could then look novel.
    """

    def loss(parameters: np.ndarray) -> Tuple[float, np.ndarray]:
        score = features @ parameters[:-1] + parameters[-1]
        error = weight * (expit(score) - novel)
        penalty = 0.5 * float(parameters[:-1] @ parameters[:-1])
        value = float((weight * np.logaddexp(0.0, np.where(novel, -score, score))).sum()) + penalty
        gradient = np.append(features.T @ error + parameters[:-1], error.sum())
        return value, gradient

    count = features.shape[1]
    bounds = [(None, 0.0)] * count + [(None, None)]
    found = minimize(loss, np.zeros(count + 1), jac=True, method="L-BFGS-B", bounds=bounds)
    return found.x[:-1].tolist(), float(found.x[-1])


def _prior_weights(known: np.ndarray) -> np.ndarray:
    """Weights that make the novel messages count for `NOVEL_PRIOR` of all."""
    novel = max(int((~known).sum()), 1)
    factor = NOVEL_PRIOR / (1.0 - NOVEL_PRIOR) * max(int(known.sum()), 1) / novel
    return np.where(known, 1.0, factor)


def _best_temperature(
    scored: List[Tuple[_Views, np.ndarray]], trial: Calibration
) -> Tuple[float, float]:
    """The factor on the blended scores with the least log loss, and that loss."""
    scores = [(blended(views, trial), truth) for views, truth in scored]

    def loss(log_factor: float) -> float:
        total = sum(
            -log_softmax(score * np.exp(log_factor), axis=1)[np.arange(len(truth)), truth].sum()
            for score, truth in scores
        )
        return float(total) / sum(len(truth) for _, truth in scores)

    found = minimize_scalar(loss, bounds=(-2.0, 2.5), method="bounded", options={"xatol": 0.02})
    return float(np.exp(found.x)), float(found.fun)


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


def _fit_blend(scored: List[Tuple[_Views, np.ndarray]], result: Calibration) -> None:
    """Chooses the weights of the views, and the temperature, with the least log loss."""
    best = np.inf
    for word_weight in WORD_WEIGHTS:
        for neighbour_weight in NEIGHBOUR_WEIGHTS:
            trial = Calibration(
                word_weight=word_weight,
                neighbour_weight=neighbour_weight,
                word_scale=result.word_scale,
            )
            temperature, loss = _best_temperature(scored, trial)
            if loss < best - 1e-9:
                best, result.temperature = loss, temperature
                result.word_weight, result.neighbour_weight = word_weight, neighbour_weight


def _fit_platt(scored: List[Tuple[_Views, np.ndarray]], result: Calibration) -> None:
    """Fits how often the first intent is right, given its probability and the novelty."""
    chances, right = [], []
    for views, truth in scored:
        probabilities = probabilities_of(views, result)
        shared = shared_out(views, probabilities, novelty_of(views, probabilities, result))
        chances.append(shared.max(axis=1))
        right.append(shared.argmax(axis=1) == truth)
    outcome = np.concatenate(right)
    if outcome.all() or not outcome.any():
        return
    fitted = LogisticRegression(C=10.0).fit(_logit(np.concatenate(chances))[:, None], outcome)
    if fitted.coef_[0, 0] > 0:  # a falling curve can only be noise of a tiny set
        result.platt_slope = float(fitted.coef_[0, 0])
        result.platt_offset = float(fitted.intercept_[0])

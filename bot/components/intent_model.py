"""The intent model behind `SentenceVectorIntentClassifier`, free of Rasa.

Three views of a message are added up, each as a score per intent:

* a multinomial logistic regression on the sentence vector (the strongest with many examples),
* naive Bayes on its words, word pairs and pieces of words (exact terms such as "top-up" that the
  vector blurs),
* cosine similarity to the nearest examples of the intent (the strongest with one or two).

How much each view counts, how far the sum is to be trusted (a Platt calibration), and when a
message is unlike anything trained are all measured on the training set by cross-validation; no
figure of a particular dataset stands in the code. The novelty detector is taught by leaving
whole intents out: their messages are by construction something the remaining model has never
seen. Messages of the intent for everything else, or of the background, are novel to it as well.

A training set may hold one intent that stands for everything else (`out_of_scope`). It is scored
like the others, topic by topic, and whatever novelty takes from the real intents is added to it.
Where it has few examples or none, messages that no assistant is for may stand beside it: they show
where the real intents end, and what they take from them is novelty (outlier exposure, Hendrycks et
al. 2019).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from threadpoolctl import threadpool_limits

from bot.components.intent_calibration import Calibrator
from bot.components.intent_scores import (
    Calibration,
    confidences_of,
    novelty_of,
    probabilities_of,
    total_novelty,
)
from bot.components.intent_views import BACKGROUND, Examples, Scorers
from bot.components.word_bayes import terms

FORMAT_VERSION = 4
#: From here on the intent for everything else knows better than the background what a team's own
#: customers ask in vain (decision 20).
ENOUGH_UNKNOWN = 50
META_FILE, ARRAYS_FILE = "model.json", "model.npz"


class Background(NamedTuple):
    """Messages no assistant is for: unit vectors, one a row, and the texts."""

    vectors: np.ndarray
    texts: Sequence[str]


@dataclass(frozen=True)
class Prediction:
    """Intents of one message, best first, with confidences in 0…1, and its novelty in 0…1."""

    ranking: List[Tuple[str, float]]
    novelty: float


class IntentModel:
    """Trains on sentence vectors and texts, and tells the intent of a message.

    The same input gives the same model: folds are drawn with a fixed seed, all solvers are
    deterministic.
    """

    def __init__(self, scorers: Scorers, calibration: Calibration) -> None:
        self._scorers = scorers
        self.calibration = calibration

    @property
    def intents(self) -> List[str]:
        """The intents known, in alphabetical order."""
        return self._scorers.classes[self._scorers.named].tolist()

    @classmethod
    def train(
        cls,
        vectors: np.ndarray,
        labels: Sequence[str],
        texts: Sequence[str],
        names: Optional[Dict[str, np.ndarray]] = None,
        unknown: Optional[str] = None,
        background: Optional[Background] = None,
    ) -> "IntentModel":
        """Fits and calibrates a model.

        Args:
            vectors: one unit vector a row.
            labels: the intent of each row.
            texts: the text of each row.
            names: unit vectors of the intents' own names written as words; each counts as one
                more example of its intent, which helps where examples are few.
            unknown: the intent that stands for everything else, if there is one.
            background: messages no assistant is for; only used where `wants_background`.

        Raises:
            ValueError: there is no example, the lengths differ, or an intent is called as the
                background is.
        """
        if not len(vectors) or not len(vectors) == len(labels) == len(texts):
            raise ValueError("training needs as many vectors as intents and texts, at least one")
        if BACKGROUND in labels:
            raise ValueError(f"no intent may be called {BACKGROUND}")
        if background is not None and background.texts and wants_background(labels, unknown):
            if len(background.vectors) != len(background.texts):
                raise ValueError("the background needs as many vectors as texts")
            vectors = np.vstack([vectors, background.vectors])
            labels = [*labels, *[BACKGROUND] * len(background.texts)]
            texts = [*texts, *background.texts]
        known = np.asarray(labels, dtype=str)
        examples = Examples(np.asarray(vectors, "f4"), known, [terms(text) for text in texts])
        named = _names_as_examples({n: v for n, v in (names or {}).items() if n != unknown})
        with threadpool_limits(limits=1):  # sums in another order differ in the last digits
            scorers = Scorers(unknown).fit(examples, named)
            calibration = Calibrator(examples, texts, named, unknown).run(scorers)
        return cls(scorers, calibration)

    def predict(self, vectors: np.ndarray, texts: Sequence[str]) -> List[Prediction]:
        """Ranks every intent for each message."""
        views = self._scorers.views(vectors, [terms(text) for text in texts])
        probabilities = probabilities_of(views, self.calibration)
        novelty = novelty_of(views, probabilities, self.calibration)
        confidences = confidences_of(views, probabilities, novelty, self.calibration)
        confidences = confidences[:, views.named]
        order, names = np.argsort(-confidences, axis=1, kind="stable"), self.intents
        ranked = np.take_along_axis(confidences, order, axis=1)
        return [
            Prediction(list(zip([names[at] for at in best], row)), new)
            for best, row, new in zip(
                order.tolist(),
                ranked.tolist(),
                total_novelty(views, probabilities, novelty).tolist(),
            )
        ]

    def save(self, folder: Path) -> None:
        """Writes `model.json` and `model.npz` into an existing folder."""
        meta, arrays = self._scorers.state()
        meta.update(format=FORMAT_VERSION, calibration=vars(self.calibration))
        (folder / META_FILE).write_text(json.dumps(meta), encoding="utf-8")
        np.savez(folder / ARRAYS_FILE, **arrays)

    @classmethod
    def load(cls, folder: Path) -> "IntentModel":
        """Reads what `save` wrote.

        Raises:
            ValueError: the files are of another version of this component.
        """
        meta = json.loads((folder / META_FILE).read_text(encoding="utf-8"))
        if meta["format"] != FORMAT_VERSION:
            raise ValueError("the stored intent model is of another version: train again")
        with np.load(folder / ARRAYS_FILE) as stored:
            scorers = Scorers.restored(meta, dict(stored))
        return cls(scorers, Calibration(**meta["calibration"]))


def wants_background(labels: Sequence[str], unknown: Optional[str]) -> bool:
    """Whether there are real intents, and too few examples of everything else beside them."""
    return sum(label == unknown for label in labels) < min(ENOUGH_UNKNOWN, len(labels))


def readable(intent: str) -> str:
    """An intent's name as words: `check_refund_policy` → `check refund policy`."""
    return " ".join(intent.replace("_", " ").replace("-", " ").replace("/", " ").split()).lower()


def _names_as_examples(names: Dict[str, np.ndarray]) -> Optional[Examples]:
    order = sorted(names)
    if not order:
        return None
    vectors = np.vstack([names[name] for name in order]).astype(np.float32)
    return Examples(vectors, np.array(order, dtype=str), [terms(readable(n)) for n in order])
